//! The handlers that ship, from event to mail.

use std::path::Path;
use std::sync::{Arc, Mutex};

use egress::Mailer;
use lua_host::{Bundle, Sandbox, SandboxConfig, run_tests};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{Bench, names, record_of, visibilities};

/// A mail server that takes every mail, except to `nobody@`, which it refuses, and `later@`, which it puts off.
async fn mail_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(session(BufReader::new(stream), Arc::clone(&kept)));
        }
    });
    (url, mails)
}

async fn session(mut stream: BufReader<TcpStream>, kept: Arc<Mutex<Vec<String>>>) {
    let mut mail: Option<String> = None;
    let mut answer = "220 here";
    loop {
        if !answer.is_empty() && stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        answer = match (&mut mail, line.trim_end()) {
            (Some(_), ".") => {
                kept.lock().unwrap().extend(mail.take());
                "250 kept"
            }
            (Some(mail), _) => {
                mail.push_str(&line);
                ""
            }
            (None, "DATA") => {
                mail = Some(String::new());
                "354 go on"
            }
            (None, line) if line.contains("<nobody@") => "550 no such mailbox",
            (None, line) if line.contains("<later@") => "451 come back",
            _ => "250 fine",
        };
    }
}

async fn bench() -> (Bench, Arc<Mutex<Vec<String>>>) {
    let (url, mails) = mail_server().await;
    let handlers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/handlers");
    let mailer = Mailer::new(&url, "Queuelink <noreply@example.org>", true).unwrap();
    (Bench::of(Bundle::from_dir(&handlers).unwrap(), Some(mailer)).await, mails)
}

fn record(id: &str, body: Value) -> Value {
    record_of("on-boarding", id, &body.to_string(), 1)
}

#[tokio::test]
async fn each_handler_sends_its_mail() {
    let (bench, mails) = bench().await;
    let batch = vec![
        record(
            "1",
            json!({"handler": "signup", "email": "ana@example.com", "name": "Ana", "link": "https://x.example/c?t=1"}),
        ),
        record(
            "2",
            json!({"handler": "signin", "email": "ana@example.com", "at": "2026-03-01T10:30:00Z", "device": "Firefox"}),
        ),
        record(
            "3",
            json!({"handler": "forgot-password", "email": "ana@example.com", "link": "https://x.example/r?t=2"}),
        ),
        record(
            "4",
            json!({"handler": "send_email", "to": "example@example.com", "subject": "First Message", "contents": "Contents of Message"}),
        ),
    ];
    assert!(bench.run(batch).await.is_empty());
    // Quoted-printable, as far as these mails need it.
    let plain = |mail: &String| mail.replace("=\r\n", "").replace("=3D", "=");
    let mails: Vec<String> = mails.lock().unwrap().iter().map(plain).collect();
    let check = |subject: &str, parts: &[&str]| {
        let line = format!("Subject: {subject}\r\n");
        let mail = mails
            .iter()
            .find(|mail| mail.contains(&line))
            .unwrap_or_else(|| panic!("no {subject}: {mails:?}"));
        for part in parts {
            assert!(mail.contains(part), "{part} in {mail}");
        }
    };
    check(
        "Welcome! Please confirm your address",
        &["Hello Ana,", "https://x.example/c?t=1", "Message-ID: <1.0.1@example.org>"],
    );
    check("New sign-in to your account", &["2026-03-01 10:30 UTC", "Firefox"]);
    check("Set a new password", &["https://x.example/r?t=2"]);
    check("First Message", &["To: example@example.com", "Contents of Message"]);
    assert_eq!(mails.len(), 4);
}

#[tokio::test]
async fn a_server_that_is_busy_brings_the_message_back() {
    let (bench, mails) = bench().await;
    let body = json!({"handler": "send_email", "to": "later@example.com", "subject": "a", "contents": "b"});
    assert_eq!(bench.run(vec![record("1", body)]).await, ["1"]);
    let calls = bench.double.calls();
    assert_eq!(visibilities(&calls).len(), 1, "{:?}", names(&calls));
    assert!(mails.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_tests_written_in_lua_pass() {
    let handlers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/handlers");
    let program = SandboxConfig::new(env!("CARGO_BIN_EXE_sqs-worker"));
    let sandbox = Sandbox::start(program, Bundle::from_dir(&handlers).unwrap()).await.unwrap();
    let results = run_tests(&sandbox, Some("on-boarding")).await;
    let failed: Vec<_> = results.iter().filter(|result| !result.passed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(results.len(), 17, "a test was left out");
}
