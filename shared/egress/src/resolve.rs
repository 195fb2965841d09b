use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use domain::{Forbidden, Guard};
use futures::future::BoxFuture;
use url::Host;

/// How long a name may take to resolve.
const LOOKUP: Duration = Duration::from_secs(5);

/// Why there is no address to connect to.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Every address of the host is forbidden; this is the first.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// The name has no address, or no name server answered.
    #[error("the name {name} could not be resolved")]
    Unknown {
        /// The name.
        name: String,
        /// What the resolver said.
        #[source]
        source: io::Error,
    },
}

/// From a name to its addresses; an argument, so that tests can have a name server that lies.
pub(crate) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's own resolver.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The addresses of `host` that may be connected to, in the resolver's order, at least one.
pub(crate) async fn resolve(
    lookup: &Lookup,
    guard: &Guard,
    host: &Host<&str>,
    port: u16,
) -> Result<Vec<SocketAddr>, ResolveError> {
    let name = match host {
        Host::Ipv4(literal) => return only(guard, (*literal).into(), port),
        Host::Ipv6(literal) => return only(guard, (*literal).into(), port),
        Host::Domain(name) => (*name).to_owned(),
    };
    let unknown = |source| ResolveError::Unknown { name: name.clone(), source };
    let found = tokio::time::timeout(LOOKUP, lookup(name.clone()))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(unknown)?;
    let mut refused = None;
    let mut allowed = Vec::new();
    for address in found {
        let address = SocketAddr::new(address, port);
        match guard.check(address) {
            Ok(()) => allowed.push(address),
            Err(forbidden) => refused = refused.or(Some(forbidden)),
        }
    }
    match (allowed.is_empty(), refused) {
        (false, _) => Ok(allowed),
        (true, Some(forbidden)) => Err(forbidden.into()),
        (true, None) => Err(unknown(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
    }
}

fn only(guard: &Guard, literal: IpAddr, port: u16) -> Result<Vec<SocketAddr>, ResolveError> {
    let address = SocketAddr::new(literal, port);
    guard.check(address)?;
    Ok(vec![address])
}
