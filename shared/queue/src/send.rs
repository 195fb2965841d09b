use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::SdkError;
use aws_sdk_sqs::operation::send_message::{SendMessageError, SendMessageOutput};
use aws_sdk_sqs::types::BatchResultErrorEntry;
use aws_smithy_runtime_api::http::Response;
use domain::{Credentials, SqsQueue};
use futures::StreamExt;
use tokio::time::{Instant, sleep};

use crate::chunks::{Weight, plan};
use crate::clients::SEND_ATTEMPT;
use crate::error::Failed;
use crate::outgoing::{Accepted, Outgoing};
use crate::{Queues, SendError};

/// The pause before the second and last attempt.
const PAUSE: Duration = Duration::from_millis(80);

const ATTEMPTS: usize = 2;

// What `Queues::send` promises of its time. Its limits follow one another, so on a busy machine no clock beside a send can
// tell whether they are too long.
const _: () = assert!(ATTEMPTS == 2 && 2 * SEND_ATTEMPT.as_millis() + PAUSE.as_millis() < 3_500);

/// The one attempt of a message that has no second: longer than each of two.
const ONLY_ATTEMPT: Duration = Duration::from_millis(3600);

/// Chunks on their way at once to a queue that keeps no order.
const CHUNKS_AT_ONCE: usize = 4;

/// No chunk is begun later than this after the first: whoever waits for the answer does so for 30 s at most.
const LAST_CHUNK: Duration = Duration::from_secs(9);

/// A queue and the right to send to it.
#[derive(Clone, PartialEq, Eq)]
pub struct SqsPlace {
    /// The queue.
    pub queue: SqsQueue,
    /// Foreign credentials, opened; `None` = our own role.
    pub credentials: Option<Credentials>,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
}

impl fmt::Debug for SqsPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsPlace")
            .field("queue", &self.queue)
            .field("fifo", &self.fifo)
            .finish_non_exhaustive()
    }
}

impl Queues {
    /// Sends one message: one HTTP request, and a second one if the first was throttled or did not come through. Takes
    /// 3.5 s at most.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the queue all the same.
    pub async fn send(&self, to: &SqsPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        let client = self.sending_client(&to.queue.region, to.credentials.as_ref()).await;
        let call = message.fill(client.send_message().queue_url(self.url(&to.queue)), to);
        let mut before: Option<SendError> = None;
        let mut attempt = 1;
        loop {
            let failed = match told(call.clone().send().await) {
                Ok(accepted) => return Ok(accepted),
                Err(failed) => failed,
            };
            let known = match before {
                Some(before) => before.then(failed.error),
                None => failed.error,
            };
            if !failed.again || attempt == ATTEMPTS {
                return Err(known);
            }
            before = Some(known);
            attempt += 1;
            sleep(PAUSE).await;
        }
    }

    /// Sends one message by one HTTP request and no second, whatever comes of it: for who must know what became of that one.
    /// Takes 3.6 s at most.
    ///
    /// # Errors
    /// [`SendError`] says whether the message may be on the queue all the same.
    pub async fn send_once(&self, to: &SqsPlace, message: &Outgoing) -> Result<Accepted, SendError> {
        let client = self.sending_client(&to.queue.region, to.credentials.as_ref()).await;
        let call = message.fill(client.send_message().queue_url(self.url(&to.queue)), to);
        let patient = TimeoutConfig::builder().operation_attempt_timeout(ONLY_ATTEMPT).build();
        let patient = aws_sdk_sqs::config::Builder::new().timeout_config(patient);
        told(call.customize().config_override(patient).send().await).map_err(|failed| failed.error)
    }

    /// Sends many messages in as few calls as their number, weight and order allow; one result per message, in order.
    ///
    /// On a FIFO queue the calls follow one another, and once a message has failed, those behind it with the same
    /// ordering key are not sent. Once a whole call came to nothing because the engine is not there, no further one
    /// is begun, nor 9 s after the first; what was not sent is [`SendError::Unreachable`].
    pub async fn send_all(&self, to: &SqsPlace, messages: &[Outgoing]) -> Vec<Result<Accepted, SendError>> {
        let client = self.sending_client(&to.queue.region, to.credentials.as_ref()).await;
        let weights: Vec<Weight<'_>> = messages
            .iter()
            .map(|message| Weight {
                bytes: message.bytes(),
                ordering_key: message.ordering_key.as_deref().filter(|_| to.fifo),
            })
            .collect();
        let chunks = plan(&weights);
        let url = self.url(&to.queue);
        let mut results: Vec<Option<Result<Accepted, SendError>>> = vec![None; messages.len()];
        let (down, end) = (AtomicBool::new(false), Instant::now() + LAST_CHUNK);
        let send = async |places: Vec<usize>| {
            let chunk: Vec<&Outgoing> = places.iter().map(|place| &messages[*place]).collect();
            let answers = if down.load(Ordering::Relaxed) || Instant::now() >= end {
                let reason = "not sent: the engine did not take what went before";
                chunk.iter().map(|_| Err(SendError::Unreachable { reason: reason.to_owned() })).collect()
            } else {
                send_chunk(&client, &url, to, &chunk).await
            };
            let gone = |answer: &Result<Accepted, SendError>| {
                matches!(answer, Err(SendError::Unreachable { .. } | SendError::Unanswered { .. }))
            };
            if answers.iter().all(gone) {
                down.store(true, Ordering::Relaxed);
            }
            (places, answers)
        };
        if to.fifo {
            let mut stopped: HashSet<&str> = HashSet::new();
            for places in chunks {
                let (held, free): (Vec<usize>, Vec<usize>) = places
                    .into_iter()
                    .partition(|place| weights[*place].ordering_key.is_some_and(|key| stopped.contains(key)));
                for place in held {
                    let reason = "not sent: an earlier message with the same ordering key failed".to_owned();
                    results[place] = Some(Err(SendError::Unreachable { reason }));
                }
                if free.is_empty() {
                    continue;
                }
                let (places, answers) = send(free).await;
                for (place, answer) in places.into_iter().zip(answers) {
                    if answer.is_err() {
                        stopped.extend(weights[place].ordering_key);
                    }
                    results[place] = Some(answer);
                }
            }
        } else {
            let mut answered = futures::stream::iter(chunks).map(send).buffer_unordered(CHUNKS_AT_ONCE);
            while let Some((places, answers)) = answered.next().await {
                for (place, answer) in places.into_iter().zip(answers) {
                    results[place] = Some(answer);
                }
            }
        }
        results.into_iter().map(|result| result.expect("every message is in one chunk")).collect()
    }
}

/// What the answer to one message says.
fn told(answer: Result<SendMessageOutput, SdkError<SendMessageError, Response>>) -> Result<Accepted, Failed> {
    match answer {
        Ok(answer) => {
            let engine_id =
                answer.message_id.ok_or_else(|| Failed::unanswered("the answer names no message"))?;
            Ok(Accepted { engine_id })
        }
        Err(error) => Err(Failed::from_call(&error)),
    }
}

/// Sends one chunk; whatever of it is worth a second attempt gets one, together. Both halves of the answer are read.
async fn send_chunk(
    client: &Client,
    url: &str,
    to: &SqsPlace,
    chunk: &[&Outgoing],
) -> Vec<Result<Accepted, SendError>> {
    let mut results: Vec<Option<Result<Accepted, SendError>>> = vec![None; chunk.len()];
    let mut open: Vec<usize> = (0..chunk.len()).collect();
    for attempt in 1..=ATTEMPTS {
        let entries = open.iter().map(|at| chunk[*at].entry(*at, to)).collect();
        let answer = client.send_message_batch().queue_url(url).set_entries(Some(entries)).send().await;
        if let Err(error) = &answer
            && open.len() > 1
            && Failed::from_call(error).error.is_of_the_message()
        {
            // Which of them it means, or whether all together are too much for this queue, only smaller calls tell.
            for half in open.chunks(open.len().div_ceil(2)) {
                let messages: Vec<&Outgoing> = half.iter().map(|at| chunk[*at]).collect();
                let answers = Box::pin(send_chunk(client, url, to, &messages)).await;
                for (at, answer) in half.iter().zip(answers) {
                    results[*at] = Some(known(results[*at].take(), answer));
                }
            }
            break;
        }
        let mut again = Vec::new();
        for at in open {
            let id = at.to_string();
            let outcome = match &answer {
                Err(error) => Err(Failed::from_call(error)),
                Ok(answer) => {
                    let taken = answer.successful().iter().find(|entry| entry.id() == id);
                    let failed = answer.failed().iter().find(|entry| entry.id() == id);
                    match (taken, failed) {
                        (Some(taken), _) => Ok(Accepted { engine_id: taken.message_id().to_owned() }),
                        (None, Some(failed)) => Err(judge(failed)),
                        (None, None) => Err(Failed::unanswered("the answer passes this message over")),
                    }
                }
            };
            if outcome.as_ref().is_err_and(|failed| failed.again) {
                again.push(at);
            }
            results[at] = Some(known(results[at].take(), outcome.map_err(|failed| failed.error)));
        }
        open = again;
        if open.is_empty() || attempt == ATTEMPTS {
            break;
        }
        sleep(PAUSE).await;
    }
    results.into_iter().map(|result| result.expect("every message of the chunk was asked for")).collect()
}

/// What is known of a message after one attempt more.
fn known(
    before: Option<Result<Accepted, SendError>>,
    outcome: Result<Accepted, SendError>,
) -> Result<Accepted, SendError> {
    match before {
        Some(Err(before)) => outcome.map_err(|error| before.then(error)),
        _ => outcome,
    }
}

/// One failed entry of a batch. A fault of ours is certain, a fault of theirs is not.
fn judge(failed: &BatchResultErrorEntry) -> Failed {
    let message = failed.message().unwrap_or_default();
    let refused = Failed::refused(failed.code(), message);
    if failed.sender_fault() || refused.again {
        refused
    } else {
        Failed::unanswered(format!("{} {message}", failed.code()))
    }
}
