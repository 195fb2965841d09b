use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use domain::{
    ApiKey, Destination, KafkaLogin, KafkaTopic, Letter, LetterBody, LetterOrigin, LetterState, MappingState,
    Queue, QueueState, RabbitMqBroker, RabbitMqQueue, WorkerMode,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::Settings;

/// A queue as callers see it: everything but its secrets.
pub(crate) fn of_queue(queue: &Queue, settings: &Settings) -> Value {
    let endpoint = settings.sqs_endpoint.as_deref();
    let mut document = json!({
        "id": queue.id.to_string(),
        "name": queue.name.as_str(),
        "type": queue.engine().as_str(),
        "credentials": { "set": queue.credentials.is_some() },
        "default-handler": queue.default_handler.as_ref().map(|handler| handler.as_str()),
        "schema": queue.schema,
        "worker": worker(queue.worker),
        "max-failures": queue.max_failures,
        "state": state(queue.state),
        "owned": queue.owned,
        "dead-letter-queue": queue.dead_letter_queue.as_ref().map(|dead| dead.url(endpoint)),
        "created-at": queue.created_at.to_string(),
        "updated-at": queue.updated_at.to_string(),
    });
    let place = match &queue.destination {
        Destination::Sqs(sqs) => {
            json!({ "url": sqs.url(endpoint), "region": sqs.region, "fifo": queue.fifo })
        }
        Destination::Kafka(topic) => of_topic(topic),
        Destination::RabbitMq(there) => of_rabbit_mq(there),
    };
    if let (Value::Object(members), Value::Object(place)) = (&mut document, place) {
        let is_own = place.get("own-broker") == Some(&Value::Bool(true));
        members.extend(place);
        if let Some(note) =
            settings.brokers.own(queue.engine()).and_then(|own| own.note.as_ref()).filter(|_| is_own)
        {
            members.insert("note".to_owned(), json!(note));
        }
    }
    document
}

/// A topic's place. How the installation's own cluster is reached is its operator's affair.
fn of_topic(topic: &KafkaTopic) -> Value {
    let login = topic.cluster.as_ref().map(|cluster| &cluster.login);
    let region = match login {
        Some(KafkaLogin::MskIam { region }) => Some(region),
        _ => None,
    };
    json!({
        "url": topic.cluster.as_ref().map(|cluster| &cluster.bootstrap),
        "own-broker": topic.cluster.is_none(),
        "sasl": login.and_then(KafkaLogin::sasl),
        "tls": login.map(KafkaLogin::tls),
        "region": region,
        "partition": topic.partition,
    })
}

fn of_rabbit_mq(queue: &RabbitMqQueue) -> Value {
    json!({
        "url": queue.broker.as_ref().map(RabbitMqBroker::url),
        "own-broker": queue.broker.is_none(),
        "tls": queue.broker.as_ref().map(|broker| broker.tls),
    })
}

pub(crate) fn mapping(state: MappingState) -> &'static str {
    match state {
        MappingState::Enabled => "enabled",
        MappingState::Disabled => "disabled",
        MappingState::Changing => "changing",
    }
}

fn worker(mode: WorkerMode) -> &'static str {
    match mode {
        WorkerMode::Attached => "attached",
        WorkerMode::None => "none",
    }
}

fn state(state: QueueState) -> &'static str {
    match state {
        QueueState::Creating => "creating",
        QueueState::Ready => "ready",
        QueueState::Deleting => "deleting",
    }
}

/// A key as callers see it: without its secrets, which nobody knows any more.
pub(crate) fn of_key(key: &ApiKey) -> Value {
    json!({
        "id": key.id.to_string(),
        "label": key.label,
        "scopes": key.scopes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "secrets": key.secret_hashes.len(),
        "created-at": key.created_at.to_string(),
        "expires-at": key.expires_at.map(|at| at.to_string()),
        "revoked-at": key.revoked_at.map(|at| at.to_string()),
    })
}

/// One round of a dead letter.
pub(crate) fn of_letter(letter: &Letter) -> Value {
    let mut document = json!({
        "round": letter.round,
        "queue-id": letter.queue_id.to_string(),
        "queue-name": letter.queue_name.as_str(),
        "reason": { "code": letter.reason.code, "message": letter.reason.message },
        "attempts": letter.attempts,
        "handler": letter.handler.as_ref().map(|handler| handler.as_str()),
        "log": letter.log,
        "ordering-key": letter.ordering_key,
        "died-at": letter.died_at.to_string(),
        "state": match letter.state {
            LetterState::Open => "open",
            LetterState::Closed => "closed",
        },
    });
    let origin = match letter.origin {
        LetterOrigin::Worker => "worker",
        LetterOrigin::Publish { outcome_unknown, may_have_been_retried } => {
            document["may-have-been-retried"] = json!(may_have_been_retried);
            document["outcome"] = json!(if outcome_unknown { "unknown" } else { "refused" });
            "publish"
        }
    };
    document["origin"] = json!(origin);
    document
}

/// A message's letters as JSON text. Written by hand where a payload stands: it must be shown as it was sent, and a
/// parsed value would already be another. One that is no text stands in base64, which `payload-encoding` says.
pub(crate) fn of_letters(message_id: &str, letters: &[Letter]) -> String {
    let rounds: Vec<String> = letters
        .iter()
        .map(|letter| {
            let document = of_letter(letter).to_string();
            match &letter.body {
                None => document,
                Some(body) => {
                    let open = document.strip_suffix('}').unwrap_or(&document);
                    match body {
                        LetterBody::Text(text) => format!("{open},\"payload\":{}}}", payload(text)),
                        LetterBody::Bytes(bytes) => format!(
                            "{open},\"payload\":\"{}\",\"payload-encoding\":\"base64\"}}",
                            BASE64.encode(bytes)
                        ),
                    }
                }
            }
        })
        .collect();
    format!("{{\"message-id\":{},\"rounds\":[{}]}}", json!(message_id), rounds.join(","))
}

/// The body as it was sent if it is JSON (what was published always is), else as a JSON string.
pub(crate) fn payload(body: &str) -> String {
    match serde_json::from_str::<&RawValue>(body) {
        Ok(raw) => raw.get().to_owned(),
        Err(_) => json!(body).to_string(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;
    use domain::{DeadReason, QueueId, QueueName};
    use jiff::Timestamp;

    #[test]
    fn a_payload_is_shown_as_it_was_sent() {
        let check = |body: Option<LetterBody>, expect: Option<&str>| {
            let letter = Letter {
                message_id: "m".into(),
                round: 0,
                queue_id: QueueId::new(Timestamp::UNIX_EPOCH, &mut rand::rng()),
                queue_name: QueueName::parse("orders").unwrap(),
                origin: LetterOrigin::Publish { outcome_unknown: true, may_have_been_retried: false },
                reason: DeadReason::new("refused", "\"no\""),
                body,
                ordering_key: None,
                attempts: 1,
                handler: None,
                log: String::new(),
                died_at: Timestamp::UNIX_EPOCH,
                state: LetterState::Open,
            };
            let text = of_letters("m\"", &[letter]);
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["rounds"][0]["outcome"], "unknown");
            match expect {
                Some(expect) => assert!(text.contains(&format!("\"payload\":{expect}}}")), "{text}"),
                None => assert_eq!(read["rounds"][0].get("payload"), None),
            }
        };
        check(None, None);
        let text = |text: &str| Some(LetterBody::Text(text.to_owned()));
        check(text("{\"n\": 1.0e2}"), Some("{\"n\": 1.0e2}"));
        check(text("no json"), Some("\"no json\""));
        let bytes = Some(LetterBody::Bytes(vec![0xff, 0]));
        check(bytes, Some("\"/wA=\",\"payload-encoding\":\"base64\""));
    }
}
