#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::fs;

use lettre::message::{Mailbox, MultiPart};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

struct Desk {
    folder: TempDir,
    port: u16,
}

async fn desk(limits: Limits) -> Desk {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = TempDir::new().unwrap();
    tokio::spawn(serve(listener, folder.path().to_owned(), limits, std::future::pending()));
    Desk { folder, port }
}

impl Desk {
    fn transport(&self) -> AsyncSmtpTransport<Tokio1Executor> {
        AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1").port(self.port).build()
    }

    fn mails(&self) -> Vec<String> {
        let mut files: Vec<_> =
            fs::read_dir(self.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.iter().all(|file| file.extension().is_some_and(|kind| kind == "eml")), "{files:?}");
        files.iter().map(|file| String::from_utf8(fs::read(file).unwrap()).unwrap()).collect()
    }

    /// Says all of `lines` at once, then reads all replies until the server hangs up.
    async fn say(&self, lines: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        stream.write_all(lines).await.unwrap();
        let mut replies = Vec::new();
        // A server that hangs up before it has read all resets the connection; what it said before is there.
        let _ = stream.read_to_end(&mut replies).await;
        String::from_utf8(replies).unwrap()
    }
}

fn mail(subject: &str) -> Message {
    let to: Mailbox = "João <joao@example.com>".parse().unwrap();
    Message::builder()
        .from("Queuelink <no-reply@example.com>".parse().unwrap())
        .to(to)
        .bcc("hidden@example.com".parse().unwrap())
        .subject(subject)
        .multipart(MultiPart::alternative_plain_html("olá\n.\n..dots\n".to_owned(), "<p>olá</p>".to_owned()))
        .unwrap()
}

#[tokio::test]
async fn each_mail_becomes_one_file_with_its_envelope() {
    let desk = desk(Limits::default()).await;
    let transport = desk.transport();
    for subject in ["first", "second"] {
        transport.send(mail(subject)).await.unwrap();
    }
    let mails = desk.mails();
    assert_eq!(mails.len(), 2);
    assert!(mails[0].starts_with(
        "Return-Path: <no-reply@example.com>\r\nX-Envelope-To: joao@example.com, hidden@example.com\r\n"
    ));
    assert!(mails[0].contains("Subject: first\r\n") && mails[1].contains("Subject: second\r\n"));
    assert!(!mails[0].contains("Bcc:"));
}

#[tokio::test]
async fn many_clients_at_once_lose_nothing() {
    let desk = desk(Limits { connections: 4, ..Limits::default() }).await;
    let sends = (0..20).map(|n| {
        let transport = desk.transport();
        async move { transport.send(mail(&format!("mail {n}."))).await.unwrap() }
    });
    futures::future::join_all(sends).await;
    let mails = desk.mails();
    for n in 0..20 {
        assert_eq!(
            mails.iter().filter(|mail| mail.contains(&format!("Subject: mail {n}.\r\n"))).count(),
            1,
            "{n}"
        );
    }
}

#[tokio::test]
async fn a_mail_over_the_limits_is_refused_and_the_next_is_taken() {
    let desk = desk(Limits { mail_bytes: 2000, ..Limits::default() }).await;
    let transport = desk.transport();
    let error = transport.send(mail(&"long ".repeat(1000))).await.unwrap_err();
    assert_eq!(error.status().map(|code| code.to_string()).as_deref(), Some("552"), "{error}");
    transport.send(mail("short")).await.unwrap();
    assert_eq!(desk.mails().len(), 1);
}

#[tokio::test]
async fn conversations_that_are_none_are_ended() {
    let desk = desk(Limits { line_bytes: 2000, recipients: 1, ..Limits::default() }).await;
    let page = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nHELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n";
    assert!(desk.say(page).await.contains("\r\n421 "));
    assert!(desk.say(&[b'x'; 3000]).await.contains("\r\n421 "));
    assert!(desk.say("nonsense\r\n".repeat(50).as_bytes()).await.matches("\r\n500 ").count() < 20);
    let crowd = desk.say(b"HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n").await;
    assert!(crowd.contains("\r\n452 "), "{crowd}");
    assert!(desk.mails().is_empty());
}
