//! The loopback ports of the engines: free ones at the first start, the same ones ever after where they are still free,
//! so that tools pointed at them keep working.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::folder::{FolderError, read_json, write_json};

const REMEDY: &str = "the next start chooses new ports";

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ports {
    dynamodb: u16,
    sqs: u16,
    control: u16,
    smtp: u16,
}

/// One bound listener for each engine.
#[derive(Debug)]
pub struct Listeners {
    /// DynamoDB and its streams.
    pub dynamodb: TcpListener,
    /// SQS.
    pub sqs: TcpListener,
    /// Lambda's event source mappings and CloudWatch.
    pub control: TcpListener,
    /// The catch-all mail server.
    pub smtp: TcpListener,
}

impl Listeners {
    /// Binds the ports named in `file`, free ones in place of taken ones, and writes down which they are.
    ///
    /// # Errors
    /// [`FolderError`] names the file, or the data folder's machine has no loopback port left.
    pub async fn bind(file: &Path) -> Result<Listeners, FolderError> {
        let kept = read_json::<Ports>(file, REMEDY)?.unwrap_or_default();
        let unusable = |source| FolderError::Unusable { file: file.to_owned(), source };
        let listeners = Listeners {
            dynamodb: bind(kept.dynamodb).await.map_err(unusable)?,
            sqs: bind(kept.sqs).await.map_err(unusable)?,
            control: bind(kept.control).await.map_err(unusable)?,
            smtp: bind(kept.smtp).await.map_err(unusable)?,
        };
        let port =
            |listener: &TcpListener| listener.local_addr().map(|address| address.port()).map_err(unusable);
        let bound = Ports {
            dynamodb: port(&listeners.dynamodb)?,
            sqs: port(&listeners.sqs)?,
            control: port(&listeners.control)?,
            smtp: port(&listeners.smtp)?,
        };
        if bound != kept {
            write_json(file, &bound)?;
        }
        Ok(listeners)
    }
}

async fn bind(port: u16) -> std::io::Result<TcpListener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(at(port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind(at(0)).await,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[tokio::test]
    async fn ports_are_kept_while_they_are_free() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("ports.json");
        let ports = |listeners: &Listeners| {
            [&listeners.dynamodb, &listeners.sqs, &listeners.control, &listeners.smtp]
                .map(|listener| listener.local_addr().unwrap().port())
        };
        let first = Listeners::bind(&file).await.unwrap();
        let before = ports(&first);
        drop(first);
        let Listeners { sqs: taken, .. } = Listeners::bind(&file).await.unwrap();
        let after = ports(&Listeners::bind(&file).await.unwrap());
        assert_eq!(taken.local_addr().unwrap().port(), before[1]);
        assert_eq!((after[0], after[2], after[3]), (before[0], before[2], before[3]));
        assert_ne!(after[1], before[1]);
    }
}
