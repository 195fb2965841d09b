use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a proxy does with what the broker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// The next answer is swallowed, and its connection cut; then all passes again.
    CutOnce,
    /// Every answer is swallowed, and its connection cut.
    Cut,
}

/// Stands before a broker on this machine.
pub(crate) struct Proxy {
    mode: Arc<Mutex<Mode>>,
}

impl Proxy {
    pub(crate) async fn open(at: u16, broker: u16) -> Proxy {
        let mode = Arc::new(Mutex::new(Mode::Pass));
        let listener = TcpListener::bind(("127.0.0.1", at)).await.unwrap();
        let shared = Arc::clone(&mode);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let broker = TcpStream::connect(("127.0.0.1", broker)).await.unwrap();
                tokio::spawn(carry(client, broker, Arc::clone(&shared)));
            }
        });
        Proxy { mode }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }
}

async fn carry(client: TcpStream, broker: TcpStream, mode: Arc<Mutex<Mode>>) {
    let ((mut from_client, mut to_client), (mut from_broker, mut to_broker)) =
        (client.into_split(), broker.into_split());
    let up = tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_broker).await });
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from_broker.read(&mut bytes).await {
        let now = {
            let mut mode = mode.lock().unwrap();
            let now = *mode;
            if now == Mode::CutOnce {
                *mode = Mode::Pass;
            }
            now
        };
        if now != Mode::Pass || to_client.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    up.abort();
}
