//! Servers that keep what they are told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::authority::Certificate;

/// When a mail server begins to speak TLS.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    FromTheFirstByte,
    AfterStartTls,
    Never,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heard: Lines,
}

type Lines = Arc<Mutex<String>>;

impl Server {
    pub(crate) async fn https(certificate: Certificate) -> Server {
        let acceptor = certificate.acceptor();
        Server::start(move |stream, heard| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let mut stream = BufReader::new(stream);
                while line(&mut stream, &heard).await.is_some_and(|line| !line.is_empty()) {}
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await
    }

    pub(crate) async fn smtp(certificate: Certificate, way: Heard) -> Server {
        let acceptor = certificate.acceptor();
        Server::start(move |stream, heard| smtp(stream, heard, acceptor.clone(), way)).await
    }

    async fn start<F>(serve: impl Fn(TcpStream, Lines) -> F + Send + 'static) -> Server
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server { address: listener.local_addr().unwrap(), heard: Lines::default() };
        let heard = Arc::clone(&server.heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&heard)));
            }
        });
        server
    }

    /// All lines, those outside of TLS too.
    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }
}

async fn smtp(stream: TcpStream, heard: Lines, acceptor: TlsAcceptor, way: Heard) {
    let mut stream = BufReader::new(stream);
    if way != Heard::FromTheFirstByte {
        let offers = if way == Heard::AfterStartTls { "250-here\r\n250 STARTTLS" } else { "250 here" };
        if !session(&mut stream, &heard, "220 here", offers).await {
            return;
        }
    }
    let Ok(stream) = acceptor.accept(stream.into_inner()).await else { return };
    let greeting = if way == Heard::FromTheFirstByte { "220 here" } else { "" };
    session(&mut BufReader::new(stream), &heard, greeting, "250-here\r\n250 AUTH PLAIN").await;
}

/// Whether it ended with the wish for TLS.
async fn session<S>(stream: &mut BufReader<S>, heard: &Lines, greeting: &str, offers: &str) -> bool
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut answer = greeting;
    let mut in_data = false;
    loop {
        if !answer.is_empty() && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return false;
        }
        let _ = stream.flush().await;
        let Some(said) = line(stream, heard).await else { return false };
        answer = match said.split(' ').next().unwrap_or_default() {
            "." => {
                in_data = false;
                "250 kept"
            }
            _ if in_data => "",
            "EHLO" => offers,
            "STARTTLS" if offers.contains("STARTTLS") => {
                return stream.write_all(b"220 go on\r\n").await.is_ok();
            }
            "STARTTLS" => "502 not here",
            "AUTH" => "235 welcome",
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
    }
}

async fn line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>, heard: &Lines) -> Option<String> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    heard.lock().unwrap().push_str(&line);
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}
