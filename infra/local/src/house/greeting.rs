//! What a person reads at the terminal.

use std::fmt::Write;
use std::net::SocketAddr;

use api::BASE;

use super::brokers::BrokerAddresses;
use crate::runtime::Runtime;

/// Which start this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// The first, with sample queues.
    FirstWithSamples,
    /// The first, without.
    First,
    /// A later one.
    Later,
}

const QUEUE: &str = r#"{"name":"on-boarding","type":"sqs","default-handler":"send_email"}"#;

const MAIL: &str = r#"{"handler":"send_email","to":"example@example.com","subject":"First Message","contents":"Contents of Message"}"#;

const STUDENT: &str = r#"{"apiName":"Estudante","fields":{"nome":"Ana","email":"ana@example.com"}}"#;

/// The start line, last so that it stands right above what follows; before it where the brokers are, and at the first start the
/// admin key, this once, and three commands to try. `open` is where the API listens if other machines can reach it.
pub(super) fn greeting(
    start: Start,
    open: Option<SocketAddr>,
    brokers: &BrokerAddresses,
    runtime: &Runtime,
    runtime_file: &str,
) -> String {
    let Runtime { api, admin_key, mailbox, .. } = runtime;
    let mailbox = mailbox.display();
    let careful = open.map_or_else(String::new, |address| {
        format!(
            "Careful: the API listens on {address}, so other machines can reach it, and keys travel unencrypted.\n"
        )
    });
    let ready = format!(
        "{careful}{}Queuelink is ready at {api} (mailbox: {mailbox}, for tools: {runtime_file}). Ctrl-C stops it.\n",
        brokers.lines()
    );
    if start == Start::Later {
        return ready;
    }
    let key = admin_key.expose();
    let call = |path: &str, body: Option<&str>| {
        let body =
            body.map(|body| format!(" -H 'content-type: application/json' -d '{body}'")).unwrap_or_default();
        format!("curl -sS '{api}{BASE}{path}' -H 'x-api-key: {key}'{body}")
    };
    let register = ("register a queue", call("/queue", Some(QUEUE)));
    let publish = (
        "publish a message; the handler send_email makes a mail of it",
        call("/queue/a/on-boarding/publish", Some(MAIL)),
    );
    let write = (
        "write a record; its message is on the queue etx-event-log when the answer comes",
        call("/record/new?wait=published", Some(STUDENT)),
    );
    let read = ("read the mail", format!("cat '{mailbox}'/*.eml"));
    let commands = if start == Start::First { [register, publish, read] } else { [publish, read, write] };
    let mut text = format!(
        "The admin API key, shown this once (later it is only in {runtime_file}):\n  {key}\n\nThree commands to try:\n"
    );
    for (at, (what, command)) in commands.iter().enumerate() {
        write!(text, "\n{}. {what}:\n  {command}\n", at + 1).expect("a String takes every write");
    }
    text + "\n" + &ready
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Secret;

    fn runtime() -> Runtime {
        Runtime {
            api: "http://127.0.0.1:8787".into(),
            sqs: String::new(),
            dynamodb: String::new(),
            admin_key: Secret::new("ql_key"),
            mailbox: "/data/mailbox".into(),
        }
    }

    fn brokers() -> BrokerAddresses {
        BrokerAddresses { kafka: "127.0.0.1:9092".into(), embedded: true, rabbitmq: None }
    }

    #[test]
    fn the_key_is_shown_once_with_three_commands() {
        let first = greeting(Start::FirstWithSamples, None, &brokers(), &runtime(), "/data/runtime.json");
        let last = first.lines().last().unwrap_or_default();
        assert!(last.starts_with("Queuelink is ready at http://127.0.0.1:8787 "), "{first}");
        assert!(first.contains(
            "  curl -sS 'http://127.0.0.1:8787/api/v1/zstorage/queue/a/on-boarding/publish' -H 'x-api-key: ql_key' \
             -H 'content-type: application/json' -d '{\"handler\":\"send_email\","
        ));
        assert!(first.contains("  cat '/data/mailbox'/*.eml\n"));
        assert!(
            first.contains("/record/new?wait=published' ") && first.contains("\"apiName\":\"Estudante\"")
        );
        let without = greeting(Start::First, None, &brokers(), &runtime(), "/data/runtime.json");
        assert!(without.contains("-d '{\"name\":\"on-boarding\","));
        for text in [first, without] {
            assert_eq!(text.matches("\n  curl ").count() + text.matches("\n  cat ").count(), 3, "{text}");
        }
        let later = greeting(Start::Later, None, &brokers(), &runtime(), "/data/runtime.json");
        assert!(!later.contains("ql_key") && later.lines().count() == 2, "{later}");
        assert!(later.starts_with("Kafka is embedded at 127.0.0.1:9092, in memory: "), "{later}");
        let open = "0.0.0.0:8787".parse().ok();
        let open = greeting(Start::Later, open, &brokers(), &runtime(), "/data/runtime.json");
        assert!(
            open.starts_with("Careful: the API listens on 0.0.0.0:8787") && open.ends_with(&later),
            "{open}"
        );
    }
}
