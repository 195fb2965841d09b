use std::net::SocketAddr;
use std::time::Duration;

use domain::Guard;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::SendError;

/// A name that has no address by then has none.
const LOOK_UP: Duration = Duration::from_secs(2);

/// The addresses of a broker's name, each of which may be connected to. One that may not spoils all of them: whoever connects by
/// the name might get that one.
pub(crate) async fn looked_at(guard: &Guard, host: &str, port: u16) -> Result<Vec<SocketAddr>, SendError> {
    let unknown = |why: String| SendError::Unreachable { reason: format!("{host} has no address: {why}") };
    let found = timeout(LOOK_UP, lookup_host((host, port))).await;
    let found =
        found.map_err(|_| unknown("nobody answers".to_owned()))?.map_err(|e| unknown(e.to_string()))?;
    let addresses: Vec<SocketAddr> = found.collect();
    for address in &addresses {
        guard.check(*address).map_err(|forbidden| SendError::Refused {
            code: "ForbiddenAddress".to_owned(),
            message: format!("{host}: {forbidden}"),
        })?;
    }
    if addresses.is_empty() { Err(unknown("none is known".to_owned())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_known_by_its_addresses() {
        let check = async |host: &str, loopback: bool, expect: &str| {
            let guard = Guard::operator().with_loopback(loopback);
            let told = match looked_at(&guard, host, 9092).await {
                Ok(addresses) => format!("{}", addresses.len().min(1)),
                Err(SendError::Refused { code, .. }) => code,
                Err(error) => error.to_string().chars().take(32).collect(),
            };
            assert_eq!(told, expect, "{host}");
        };
        check("localhost", true, "1").await;
        check("localhost", false, "ForbiddenAddress").await;
        check("127.0.0.1", false, "ForbiddenAddress").await;
        check("169.254.169.254", true, "ForbiddenAddress").await;
        check("10.0.0.7", false, "1").await;
        check("fd12::1", false, "1").await;
        check("no such name", false, "the queue could not be reached: ").await;
    }
}
