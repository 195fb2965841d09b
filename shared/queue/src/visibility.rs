use aws_sdk_sqs::types::ChangeMessageVisibilityBatchRequestEntry as Entry;
use domain::{BATCH_SIZE, SqsQueue};

use crate::{AdminError, Queues};

/// A message whose visibility stays as it was: it comes back when its queue's own timeout is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotMoved {
    /// The receipt handle that was given.
    pub receipt_handle: String,
    /// What SQS said, one line.
    pub reason: String,
}

impl Queues {
    /// Lets messages of `queue` that are in flight come back after so many seconds (0 to 43,200), by receipt handle: one
    /// call for every ten. Answers those for which it did not work; that is no reason to stop, only a longer or shorter wait.
    pub async fn set_visibility(&self, queue: &SqsQueue, messages: &[(String, u32)]) -> Vec<NotMoved> {
        let client = self.admin_client(&queue.region).await;
        let url = self.url(queue);
        let mut not_moved = Vec::new();
        for chunk in messages.chunks(BATCH_SIZE) {
            let entries = chunk.iter().enumerate().map(|(id, (receipt_handle, secs))| {
                let secs = i32::try_from(*secs).unwrap_or(i32::MAX);
                let entry = Entry::builder()
                    .id(id.to_string())
                    .receipt_handle(receipt_handle)
                    .visibility_timeout(secs);
                entry.build().expect("id and receipt handle are set")
            });
            let call =
                client.change_message_visibility_batch().queue_url(&url).set_entries(Some(entries.collect()));
            let answer = call.send().await.map_err(|error| {
                AdminError::from_call("set the visibility of messages", &queue.arn(), error).to_string()
            });
            for (id, (receipt_handle, _)) in chunk.iter().enumerate() {
                let id = id.to_string();
                let reason = match &answer {
                    Err(reason) => reason.clone(),
                    Ok(answer) if answer.successful().iter().any(|entry| entry.id() == id) => continue,
                    Ok(answer) => answer.failed().iter().find(|entry| entry.id() == id).map_or_else(
                        || "the answer passes this message over".to_owned(),
                        |failed| format!("{} {}", failed.code(), failed.message().unwrap_or_default()),
                    ),
                };
                not_moved.push(NotMoved { receipt_handle: receipt_handle.clone(), reason });
            }
        }
        not_moved
    }
}
