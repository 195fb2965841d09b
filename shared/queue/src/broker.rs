//! What Kafka and RabbitMQ have in common here.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use tokio::time::Instant;

use crate::{Accepted, Outgoing, SendError};

/// No send takes longer: whoever waits for the answer does so for 5 s at most, and something is written down before it.
pub(crate) const LONGEST: Duration = Duration::from_secs(4);

/// Clusters or brokers that are connected at once, and for how long unused.
pub(crate) const KEPT: u64 = 16;
pub(crate) const KEPT_IDLE: Duration = Duration::from_secs(3600);

/// Messages of one caller on their way at once.
const AT_ONCE: usize = 64;

/// No message is begun later than this after the first: whoever waits for the answer to many does so for 11 s at most.
const LAST_BEGUN: Duration = Duration::from_millis(6500);

/// Sends many, one result each, in their order. Those with the same ordering key follow one another, and behind one that
/// failed none of them is sent; all others go side by side. What was not sent is [`SendError::Unreachable`].
pub(crate) async fn send_each<'m, F>(
    messages: &'m [Outgoing],
    send: impl Fn(&'m Outgoing) -> F,
) -> Vec<Result<Accepted, SendError>>
where
    F: Future<Output = Result<Accepted, SendError>>,
{
    send_until(Instant::now() + LAST_BEGUN, messages, send).await
}

async fn send_until<'m, F>(
    last_begun: Instant,
    messages: &'m [Outgoing],
    send: impl Fn(&'m Outgoing) -> F,
) -> Vec<Result<Accepted, SendError>>
where
    F: Future<Output = Result<Accepted, SendError>>,
{
    let one_after_the_other = async |places: Vec<usize>| {
        let mut answers: Vec<(usize, Result<Accepted, SendError>)> = Vec::new();
        for place in places {
            let not_sent =
                |reason: &str| Err(SendError::Unreachable { reason: format!("not sent: {reason}") });
            let answer = if answers.iter().any(|(_, answer)| answer.is_err()) {
                not_sent("an earlier message with the same ordering key failed")
            } else if Instant::now() >= last_begun {
                not_sent("those before it took too long")
            } else {
                send(&messages[place]).await
            };
            answers.push((place, answer));
        }
        answers
    };
    let mut answered =
        futures::stream::iter(lines(messages)).map(one_after_the_other).buffer_unordered(AT_ONCE);
    let mut results: Vec<Option<Result<Accepted, SendError>>> = vec![None; messages.len()];
    while let Some(answers) = answered.next().await {
        for (place, answer) in answers {
            results[place] = Some(answer);
        }
    }
    results.into_iter().map(|result| result.expect("every message is in one line")).collect()
}

/// Which messages must follow one another.
fn lines(messages: &[Outgoing]) -> Vec<Vec<usize>> {
    let mut lines: Vec<Vec<usize>> = Vec::new();
    let mut of_key: HashMap<&str, usize> = HashMap::new();
    for (place, message) in messages.iter().enumerate() {
        let line = message.ordering_key.as_deref().map(|key| *of_key.entry(key).or_insert(lines.len()));
        match line {
            Some(line) if line < lines.len() => lines[line].push(place),
            _ => lines.push(vec![place]),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use std::sync::Mutex;

    use super::*;

    fn message(id: &str, key: Option<&str>) -> Outgoing {
        Outgoing {
            message_id: id.to_owned(),
            round: 0,
            body: String::new(),
            ordering_key: key.map(str::to_owned),
            delay_secs: 0,
            attributes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn behind_a_failure_nothing_of_its_key_is_sent_and_all_else_is() {
        let messages = [
            ("a1", Some("a")),
            ("b1", Some("b")),
            ("no", Some("a")),
            ("x", None),
            ("a3", Some("a")),
            ("b2", Some("b")),
        ]
        .map(|(id, key)| message(id, key));
        let sent = Mutex::new(Vec::new());
        let results = send_each(&messages, |message| {
            sent.lock().unwrap().push(message.message_id.clone());
            async move {
                match message.message_id.as_str() {
                    "no" => Err(SendError::Refused { code: "no".to_owned(), message: String::new() }),
                    id => Ok(Accepted { engine_id: id.to_owned() }),
                }
            }
        })
        .await;
        let told: Vec<String> = results
            .into_iter()
            .map(|result| match result {
                Ok(accepted) => accepted.engine_id,
                Err(SendError::Refused { .. }) => "refused".to_owned(),
                Err(error) => error.to_string(),
            })
            .collect();
        let behind =
            "the queue could not be reached: not sent: an earlier message with the same ordering key failed";
        assert_eq!(told, ["a1", "b1", "refused", "x", behind, "b2"]);
        let sent = sent.into_inner().unwrap();
        assert!(!sent.contains(&"a3".to_owned()) && sent.len() == 5, "{sent:?}");
    }

    #[tokio::test]
    async fn what_was_not_begun_in_time_was_surely_not_sent() {
        let messages = [message("x", None), message("a1", Some("a")), message("a2", Some("a"))];
        let results = send_until(Instant::now(), &messages, async |_| panic!("it is sent")).await;
        assert!(results.iter().all(|one| matches!(one, Err(SendError::Unreachable { .. }))), "{results:?}");
    }
}
