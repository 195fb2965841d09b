//! Real TLS servers on loopback, whose certificates are right, or wrong in one way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod authority;
mod servers;

use authority::{Authority, Certificate};
use egress::{FetchError, FetchPolicy, FetchRequest, Fetcher, Guard, Mail, MailError, Mailer, Trust};
use servers::{Heard, Server};

/// Every certificate a client must tell apart; only the first is to be believed.
fn certificates() -> [(&'static str, Certificate, Trust); 6] {
    let (ours, strange) = (Authority::new(), Authority::new());
    let trust = || Trust::default().and(ours.der()).unwrap();
    [
        ("a good one", ours.certificate("127.0.0.1", 2100), trust()),
        ("one for another name", ours.certificate("mail.example.com", 2100), trust()),
        ("one that has expired", ours.certificate("127.0.0.1", 2001), trust()),
        ("one of an authority that nobody knows", strange.certificate("127.0.0.1", 2100), trust()),
        ("one that vouches for itself", Certificate::of_its_own("127.0.0.1"), trust()),
        ("one whose authority was not added", ours.certificate("127.0.0.1", 2100), Trust::default()),
    ]
}

fn fetcher(trust: Trust) -> Fetcher {
    let guard = Guard::internet().with_loopback(true);
    Fetcher::new(FetchPolicy { guard, trust, ..FetchPolicy::default() })
}

fn mail() -> Mail {
    Mail {
        to: vec!["joao@example.com".into()],
        subject: "Hello".into(),
        text: Some("private words".into()),
        ..Mail::default()
    }
}

#[tokio::test]
async fn https_is_spoken_with_a_server_that_proves_its_name_and_no_other() {
    for (what, certificate, trust) in certificates() {
        let server = Server::https(certificate).await;
        let request = FetchRequest {
            url: format!("https://{}/secret-path", server.address),
            ..FetchRequest::default()
        };
        let answer = fetcher(trust).fetch(request).await;
        if what == "a good one" {
            assert_eq!(answer.unwrap().body, b"hello", "{what}");
            assert!(server.heard().contains("GET /secret-path HTTP/1.1"), "{what}");
        } else {
            assert!(matches!(answer, Err(FetchError::Connection(_))), "{what}: {answer:?}");
            assert_eq!(server.heard(), "", "{what}: nothing was said to it");
        }
    }
}

#[tokio::test]
async fn a_name_is_proven_as_an_address_is() {
    let ours = Authority::new();
    let trust = Trust::default().and(ours.der()).unwrap();
    let server = Server::https(ours.certificate("localhost", 2100)).await;
    let fetcher = fetcher(trust);
    let get = async |host: &str| {
        let url = format!("https://{host}:{}/", server.address.port());
        fetcher.fetch(FetchRequest { url, ..FetchRequest::default() }).await
    };
    assert_eq!(get("localhost").await.unwrap().status, 200);
    assert!(get("127.0.0.1").await.is_err(), "the certificate does not name the address");
}

#[tokio::test]
async fn mail_goes_to_a_server_that_proves_its_name_and_no_word_of_it_to_another() {
    let ways = [("smtps", "", Heard::FromTheFirstByte), ("smtp", "?tls=required", Heard::AfterStartTls)];
    for (scheme, query, way) in ways {
        for (what, certificate, trust) in certificates() {
            let server = Server::smtp(certificate, way).await;
            let url = format!("{scheme}://user:passw0rd@{}{query}", server.address);
            let mailer = Mailer::trusting(&trust, &url, "noreply@example.org", true).unwrap();
            let sent = mailer.send(mail()).await;
            let heard = server.heard();
            if what == "a good one" {
                sent.unwrap();
                assert!(
                    heard.contains("AUTH ") && heard.contains("private words"),
                    "{scheme} {what}: {heard}"
                );
            } else {
                assert!(matches!(sent, Err(MailError::Unavailable(_))), "{scheme} {what}: {sent:?}");
                for word in ["AUTH", "MAIL FROM", "private words"] {
                    assert!(!heard.contains(word), "{scheme} {what}: {heard}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_offers_no_tls_gets_neither_password_nor_mail() {
    let ours = Authority::new();
    let trust = Trust::default().and(ours.der()).unwrap();
    let server = Server::smtp(ours.certificate("127.0.0.1", 2100), Heard::Never).await;
    let url = format!("smtp://user:passw0rd@{}?tls=required", server.address);
    let sent = Mailer::trusting(&trust, &url, "noreply@example.org", true).unwrap().send(mail()).await;
    assert!(sent.is_err());
    let heard = server.heard();
    assert!(heard.contains("EHLO") && !heard.contains("AUTH") && !heard.contains("MAIL FROM"), "{heard}");
}

#[test]
fn what_is_no_certificate_is_not_added() {
    assert!(Trust::default().and(b"-----BEGIN CERTIFICATE-----".to_vec()).is_err());
    assert!(Trust::default().and(Vec::new()).is_err());
}
