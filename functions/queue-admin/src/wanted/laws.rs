#![allow(clippy::unwrap_used, reason = "a test may panic")]
//! What holds between a request and the document of what it registered.

use domain::{Queue, QueueId, QueueState, Sealed};
use jiff::Timestamp;
use proptest::prelude::*;

use super::tests::settings;
use super::*;
use crate::documents;

/// `expect`: worker and the whole place as its document has it.
#[test]
fn what_is_not_said_is_what_is_safe() {
    let check = |body: &str, worker: &str, expect: Value| {
        let queue = queue(wanted(body, &settings()));
        let document = documents::of_queue(&queue, &settings());
        assert_eq!(document["worker"], worker, "{body}");
        for (member, expect) in expect.as_object().unwrap() {
            assert_eq!(document.get(member), Some(expect), "{body} {member}");
        }
    };
    let own = serde_json::json!({ "url": null, "own-broker": true, "sasl": null, "tls": null, "region": null, "partition": null });
    check(r#"{"name":"orders","type":"kafka"}"#, "attached", own.clone());
    check(r#"{"name":"other","type":"kafka"}"#, "none", own);
    let place = |url: &str, sasl: Option<&str>, tls: bool, region: Option<&str>| serde_json::json!({ "url": url, "own-broker": false, "sasl": sasl, "tls": tls, "region": region });
    check(
        r#"{"name":"orders","type":"kafka","url":"B:9092, c:1"}"#,
        "none",
        place("b:9092,c:1", None, false, None),
    );
    let user = r#""username":"u","password":"p""#;
    check(
        &format!(r#"{{"name":"orders","type":"kafka","url":"b:9092",{user}}}"#),
        "none",
        place("b:9092", Some("scram-sha-512"), true, None),
    );
    check(
        &format!(r#"{{"name":"orders","type":"kafka","url":"b:9092","sasl":"plain",{user}}}"#),
        "none",
        place("b:9092", Some("plain"), true, None),
    );
    let msk = "b.kafka.eu-west-1.amazonaws.com:9098";
    check(
        &format!(r#"{{"name":"orders","type":"kafka","url":"{msk}","sasl":"aws-msk-iam"}}"#),
        "none",
        place(msk, Some("aws-msk-iam"), true, Some("eu-west-1")),
    );
    let own = serde_json::json!({ "url": null, "own-broker": true, "tls": null });
    check(r#"{"name":"orders","type":"rabbitmq"}"#, "attached", own);
    check(
        &format!(r#"{{"name":"orders","type":"rabbitmq","url":"amqps://B:5671/%2f",{user}}}"#),
        "none",
        serde_json::json!({ "url": "amqps://b", "own-broker": false, "tls": true }),
    );
}

fn wanted(body: &str, settings: &Settings) -> Wanted {
    Wanted::read(Fields::read(body).unwrap(), settings).1.unwrap_or_else(|faults| panic!("{body}: {faults}"))
}

/// The queue that is registered.
fn queue(wanted: Wanted) -> Queue {
    Queue {
        id: QueueId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()),
        name: wanted.name,
        destination: wanted.destination,
        credentials: wanted.credentials.map(|_| Sealed(vec![1])),
        default_handler: wanted.default_handler,
        schema: wanted.schema,
        fifo: wanted.fifo,
        worker: wanted.worker,
        mapping: None,
        state: QueueState::Ready,
        max_failures: wanted.max_failures,
        dead_letter_queue: None,
        owned: wanted.owned,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    }
}

fn kafka_body() -> impl Strategy<Value = Value> {
    let login = proptest::option::of(prop_oneof![
        Just("plain"),
        Just("scram-sha-256"),
        Just("scram-sha-512"),
        Just("aws-msk-iam"),
    ]);
    let url = proptest::option::of(
        "[a-z]{1,6}(\\.[a-z]{2,4}){0,2}:[1-9][0-9]{0,3}( ?, ?10\\.[0-9]\\.[0-9]\\.[0-9]:9092){0,2}",
    );
    (url, login, proptest::option::of(any::<bool>()), any::<bool>(), proptest::option::of(0..=i32::MAX))
        .prop_map(|(url, sasl, tls, user, partition)| {
            let mut body = serde_json::json!({ "name": "orders", "type": "kafka", "partition": partition });
            if let Some(url) = url {
                let is_msk = sasl == Some("aws-msk-iam");
                body["url"] = match is_msk {
                    true => "b-1.x.kafka.eu-west-1.amazonaws.com:9098".into(),
                    false => url.into(),
                };
                body["sasl"] = sasl.into();
                body["tls"] = tls.filter(|_| !is_msk).into();
                if (user || sasl.is_some()) && !is_msk {
                    (body["username"], body["password"]) = ("Ada".into(), "s3cret".into());
                }
            }
            body
        })
}

fn rabbitmq_body() -> impl Strategy<Value = Value> {
    let url = "[a-z]{1,6}(\\.[a-z]{2,4}){0,2}(:[1-9][0-9]{0,3})?(/([a-z]|%2F|%20|%C3%A9){0,6})?";
    proptest::option::of((any::<bool>(), url)).prop_map(|url| {
        let mut body = serde_json::json!({ "name": "orders", "type": "rabbitmq" });
        if let Some((tls, place)) = url {
            body["url"] = format!("amqp{}://{place}", if tls { "s" } else { "" }).into();
            (body["tls"], body["username"], body["password"]) = (tls.into(), "Ada".into(), "s3cret".into());
        }
        body
    })
}

proptest! {
    /// What is shown, with the secrets that never are, registers the same again. No address has capital letters, so what is
    /// found of "Ada" is hers.
    #[test]
    fn a_queue_is_registered_again_from_its_own_document(body in prop_oneof![kafka_body(), rabbitmq_body()]) {
        let settings = settings();
        let registered = queue(wanted(&body.to_string(), &settings));
        let document = documents::of_queue(&registered, &settings);
        prop_assert!(!document.to_string().contains("s3cret") && !document.to_string().contains("Ada"));
        let mut again = serde_json::json!({});
        for field in COMMON.iter().chain(Own::fields(Some(registered.engine()))) {
            if let Some(value) = document.get(*field).or_else(|| body.get(*field)) {
                again[*field] = value.clone();
            }
        }
        let again = wanted(&again.to_string(), &settings);
        prop_assert!(again.is_begun_as(&registered), "{document}");
        prop_assert_eq!(documents::of_queue(&queue(again), &settings)["url"].clone(), document["url"].clone());
    }

    #[test]
    fn reading_never_panics_and_quotes_no_secret(
        engine in "sqs|kafka|rabbitmq|[a-z]{0,3}",
        url in "(amqps?://|https://)?(ada:s3cret@)?[a-zA-Z0-9:@/%.,?#\\[\\]é \\\\-]{0,40}",
        password in "s3cret[ é!]?",
        fields in proptest::collection::vec(("(name|sasl|tls|region|partition|fifo|worker|username|x)", any::<i64>()), 0..5),
    ) {
        let mut body = serde_json::json!({ "name": "a", "type": engine, "url": url, "password": password });
        for (field, value) in fields {
            body[field] = match value % 5 {
                0 => value.into(),
                1 => Value::Null,
                2 => (value > 0).into(),
                3 => "plain".into(),
                _ => value.to_string().into(),
            };
        }
        let (_, wanted) = Wanted::read(Fields::read(&body.to_string()).unwrap(), &settings());
        if let Err(faults) = wanted {
            prop_assert!(!faults.is_empty());
            prop_assert!(!faults.to_string().contains("s3cret"), "{faults}");
        }
    }
}
