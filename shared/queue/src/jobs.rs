use domain::{JobId, SqsQueue};
use serde_json::{Value, json};

use crate::{Outgoing, Queues, SendError, SqsPlace};

/// The queue that keeps jobs going: each message lets `job-worker` do some slices of a job and send the next.
#[derive(Debug, Clone)]
pub struct JobsQueue {
    queues: Queues,
    place: SqsPlace,
}

impl JobsQueue {
    /// The jobs' queue at `queue`, reached by our own role.
    pub fn new(queues: Queues, queue: SqsQueue) -> JobsQueue {
        JobsQueue { queues, place: SqsPlace { queue, credentials: None, fifo: false } }
    }

    /// Sends the message that lets `job` go on with `slice`, after `delay_secs` (at most 900).
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn ring(&self, job: JobId, slice: u64, delay_secs: u32) -> Result<(), SendError> {
        let message = Outgoing {
            message_id: job.to_string(),
            round: 0,
            body: body(job, slice),
            ordering_key: None,
            delay_secs,
            attributes: Vec::new(),
        };
        self.queues.send(&self.place, &message).await.map(|_| ())
    }
}

/// `{"job":ID,"slice":n}`: the number is for whoever reads the queue; how far the job is, it says itself.
fn body(job: JobId, slice: u64) -> String {
    json!({ "job": job.to_string(), "slice": slice }).to_string()
}

/// The job that such a message is about; `None` for a message of another kind.
pub fn job_of(body: &str) -> Option<JobId> {
    let value: Value = serde_json::from_str(body).ok()?;
    value["job"].as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_message_names_its_job_and_others_name_none() {
        let id = "0AJ01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap();
        assert_eq!(job_of(&body(id, 7)), Some(id));
        for other in ["", "7", "[]", "{}", r#"{"job":7}"#, r#"{"job":"0AV01ARZ3NDEKTSV4RRFFQ69G5FAV"}"#] {
            assert_eq!(job_of(other), None, "{other}");
        }
    }
}
