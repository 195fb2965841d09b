#![allow(clippy::unwrap_used, reason = "a test may panic")]
use std::sync::Mutex as Lock;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

/// A mail server that answers `RCPT` with `rcpt`, and keeps every line it is told.
async fn server(rcpt: &'static str) -> (SocketAddr, Arc<Lock<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = Arc::new(Lock::new(Vec::new()));
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(BufReader::new(stream), rcpt, Arc::clone(&kept)));
        }
    });
    (address, heard)
}

async fn session(
    mut stream: BufReader<tokio::net::TcpStream>,
    rcpt: &'static str,
    kept: Arc<Lock<Vec<String>>>,
) {
    let mut in_data = false;
    let mut answer = "220 here";
    loop {
        if !answer.is_empty() && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        let line = line.trim_end_matches(['\r', '\n']).to_owned();
        answer = match line.as_str() {
            "." if in_data => {
                in_data = false;
                "250 kept"
            }
            _ if in_data => "",
            "DATA" => {
                in_data = true;
                "354 go on"
            }
            line if line.starts_with("RCPT") => rcpt,
            _ => "250 fine",
        };
        kept.lock().unwrap().push(line);
    }
}

fn mail() -> Mail {
    Mail {
        id: Some("0BF1/0 #1".into()),
        to: vec!["João <joao@example.com>".into()],
        bcc: vec!["hidden@example.com".into()],
        subject: "Olá".into(),
        text: Some("first\n.\nRCPT TO:<x@example.com>\n".into()),
        html: Some("<p>first</p>".into()),
        ..Mail::default()
    }
}

fn mailer(address: SocketAddr) -> Mailer {
    Mailer::new(&format!("smtp://{address}"), "Queuelink <noreply@example.org>", true).unwrap()
}

#[tokio::test]
async fn a_mail_arrives_with_its_parts_and_without_its_hidden_recipients() {
    let (address, heard) = server("250 fine").await;
    let id = mailer(address).send(mail()).await.unwrap();
    assert_eq!(id, "<0BF1-0--1@example.org>");
    let heard = heard.lock().unwrap().clone();
    let has = |line: &str| assert!(heard.iter().any(|h| h.starts_with(line)), "{line} in {heard:#?}");
    has("MAIL FROM:<noreply@example.org>");
    has("RCPT TO:<joao@example.com>");
    has("RCPT TO:<hidden@example.com>");
    has("Message-ID: <0BF1-0--1@example.org>");
    has("From: Queuelink <noreply@example.org>");
    has("Subject: =?utf-8?b?");
    has("Content-Type: multipart/alternative;");
    has("..");
    assert!(!heard.iter().any(|line| line.starts_with("Bcc")));
    assert_eq!(heard.iter().filter(|line| line.starts_with("RCPT TO:<x@")).count(), 1, "only as text");
}

#[tokio::test]
async fn a_mailbox_that_is_not_there_is_refused_for_good_and_a_busy_server_is_not() {
    for (answer, retryable) in [("550 no such mailbox", false), ("451 try later", true)] {
        let (address, _) = server(answer).await;
        let error = mailer(address).send(mail()).await.unwrap_err();
        assert_eq!(error.is_retryable(), retryable, "{answer}: {error}");
    }
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = mailer(gone).send(mail()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn nothing_in_a_mail_can_begin_a_header_or_a_command() {
    let (address, heard) = server("250 fine").await;
    let check = async |change: fn(&mut Mail), field: &str| {
        let mut mail = mail();
        change(&mut mail);
        match mailer(address).send(mail).await {
            Err(error @ MailError::Invalid { field: found, .. }) => {
                assert_eq!(found, field);
                assert!(!error.is_retryable());
            }
            other => panic!("{field}: {other:?}"),
        }
    };
    check(|m| m.subject = "a\r\nBcc: x@example.com".into(), "subject").await;
    check(|m| m.subject = "a\nb".into(), "subject").await;
    check(|m| m.subject = "a\rb".into(), "subject").await;
    check(|m| m.subject = "x".repeat(901), "subject").await;
    check(|m| m.to = vec!["a@example.com\r\nRCPT TO:<x@example.com>".into()], "to").await;
    check(|m| m.to = vec!["\"a\nb\" <a@example.com>".into()], "to").await;
    check(|m| m.to = vec!["nobody".into()], "to").await;
    check(|m| m.to = vec![], "to").await;
    check(|m| m.to = vec!["a@example.com".into(); 51], "to").await;
    check(|m| m.cc = vec!["\0@example.com".into()], "cc").await;
    check(|m| m.bcc = vec!["a b@example.com".into()], "bcc").await;
    check(|m| m.from = Some("a@example.com\n".into()), "from").await;
    check(|m| m.reply_to = Some("\u{2028}a@example.com".into()), "reply_to").await;
    check(|m| (m.text, m.html) = (None, None), "text").await;
    check(|m| m.text = Some("x".repeat(2 << 20)), "text").await;
    assert!(heard.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_server_on_this_machine_is_refused_unless_allowed() {
    let (address, heard) = server("250 fine").await;
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let mailer =
            Mailer::new(&format!("smtp://{host}:{}", address.port()), "a@example.org", false).unwrap();
        let error = mailer.send(mail()).await.unwrap_err();
        assert!(matches!(error, MailError::Unresolved(_)), "{error}");
    }
    assert!(heard.lock().unwrap().is_empty());
}

#[test]
fn settings_are_checked_at_the_start() {
    let check = |url: &str, from: &str, good: bool| {
        let made = Mailer::new(url, from, false);
        assert_eq!(made.is_ok(), good, "{url} {from}: {:?}", made.err());
    };
    check("smtps://user:p%40ss@mail.example.com", "a@example.org", true);
    check("smtp://user:pass@mail.example.com:2525", "A <a@example.org>", true);
    check("smtp://mail.example.com?tls=none", "a@example.org", true);
    check("smtp://user:pass@127.0.0.1:25", "a@example.org", true);
    check("smtp://user:pass@mail.example.com?tls=none", "a@example.org", false);
    check("smtp://mail.example.com?tls=maybe", "a@example.org", false);
    check("smtps://user@mail.example.com", "a@example.org", false);
    check("http://mail.example.com", "a@example.org", false);
    check("smtp://", "a@example.org", false);
    check("mail.example.com", "a@example.org", false);
    check("smtps://mail.example.com", "nobody", false);
    check("smtps://mail.example.com", "a@example.org\r\nX: y", false);
}
