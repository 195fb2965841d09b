use std::collections::HashMap;

use aws_sdk_sqs::types::QueueAttributeName as Name;
use domain::SqsQueue;
use serde_json::{Value, json};

use crate::{AdminError, Queues};

/// A dead letter waits as long as SQS lets it: 14 days, seconds.
const DEAD_RETENTION_SECS: u32 = 14 * 24 * 3600;

/// The redrive policy is only the net for crashes: our own counter comes first by far.
const MAX_RECEIVES: u32 = 20;

/// On FIFO queues a message behind a failed one is received and returned as often as that one fails.
const MAX_RECEIVES_FIFO: u32 = 1000;

/// The tag by which a stack knows the queues that it made.
const STACK_TAG: &str = "queuelink:stack";

/// What SQS says of a queue. The counts are approximate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Messages that can be received now.
    pub visible: u64,
    /// Messages received and not settled yet.
    pub in_flight: u64,
    /// Messages that become visible later.
    pub delayed: u64,
    /// The largest message it takes, attributes included, bytes.
    pub max_message_bytes: usize,
    /// Its visibility timeout, seconds.
    pub visibility_secs: u32,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// Where its redrive policy puts dead messages.
    pub dead_letter_queue: Option<SqsQueue>,
    /// Receives after which it does.
    pub max_receive_count: Option<u32>,
}

impl Queues {
    /// What SQS says of `queue`, by our own role.
    ///
    /// # Errors
    /// [`AdminError::Missing`], [`AdminError::Denied`] and the rest.
    pub async fn describe(&self, queue: &SqsQueue) -> Result<QueueFacts, AdminError> {
        const OPERATION: &str = "describe a queue";
        let client = self.admin_client(&queue.region).await;
        let call = client.get_queue_attributes().queue_url(self.url(queue)).attribute_names(Name::All);
        let answer = call.send().await;
        let answer = answer
            .map_err(|error| AdminError::from_call(OPERATION, &format!("queue {}", queue.arn()), error))?;
        facts(&answer.attributes.unwrap_or_default()).map_err(|fault| AdminError::senseless(OPERATION, fault))
    }

    /// Makes the queue `name` and its dead-letter queue `<name>-dead` (`.fifo` is added to both for FIFO) in the home
    /// region, tagged with `stack`, and answers both, the queue first. Ones that this stack made before are taken, and
    /// brought to the settings asked for. `name` begins with the stack's already; `visibility_secs` is at least six
    /// times the worker's timeout.
    ///
    /// # Errors
    /// [`AdminError::Refused`] with `QueueNameExists` or `QueueAlreadyExists` when a queue of this name is someone else's; and the rest.
    pub async fn create_pair(
        &self,
        name: &str,
        fifo: bool,
        stack: &str,
        visibility_secs: u32,
    ) -> Result<(SqsQueue, SqsQueue), AdminError> {
        let suffix = if fifo { ".fifo" } else { "" };
        let retention = HashMap::from([(Name::MessageRetentionPeriod, DEAD_RETENTION_SECS.to_string())]);
        let dead = self.create(&format!("{name}-dead{suffix}"), fifo, stack, retention).await?;
        let max_receives = if fifo { MAX_RECEIVES_FIFO } else { MAX_RECEIVES };
        let redrive = json!({"deadLetterTargetArn": dead.arn(), "maxReceiveCount": max_receives});
        let settings = HashMap::from([
            (Name::VisibilityTimeout, visibility_secs.to_string()),
            (Name::RedrivePolicy, redrive.to_string()),
        ]);
        let queue = self.create(&format!("{name}{suffix}"), fifo, stack, settings).await?;
        Ok((queue, dead))
    }

    async fn create(
        &self,
        name: &str,
        fifo: bool,
        stack: &str,
        settings: HashMap<Name, String>,
    ) -> Result<SqsQueue, AdminError> {
        const OPERATION: &str = "create a queue";
        let client = self.admin_client(self.home_region()).await;
        let mut attributes = settings.clone();
        if fifo {
            attributes.insert(Name::FifoQueue, "true".to_owned());
        }
        let call =
            client.create_queue().queue_name(name).set_attributes(Some(attributes)).tags(STACK_TAG, stack);
        match call.send().await.map_err(|error| AdminError::from_call(OPERATION, name, error)) {
            Ok(answer) => self.place(OPERATION, answer.queue_url()),
            Err(refused) if exists(&refused) => self.adopt(name, stack, settings, refused).await,
            Err(error) => Err(error),
        }
    }

    /// Takes a queue that is there with other settings, if it is this stack's; else `refused` stands.
    async fn adopt(
        &self,
        name: &str,
        stack: &str,
        settings: HashMap<Name, String>,
        refused: AdminError,
    ) -> Result<SqsQueue, AdminError> {
        const OPERATION: &str = "look at a queue that is there already";
        let client = self.admin_client(self.home_region()).await;
        let answer = client.get_queue_url().queue_name(name).send().await;
        let answer = answer.map_err(|error| AdminError::from_call(OPERATION, name, error))?;
        let place = self.place(OPERATION, answer.queue_url())?;
        let tags = client.list_queue_tags().queue_url(self.url(&place)).send().await;
        let tags = tags.map_err(|error| AdminError::from_call(OPERATION, name, error))?;
        if tags.tags().and_then(|tags| tags.get(STACK_TAG)).map(String::as_str) != Some(stack) {
            return Err(refused);
        }
        self.set(&place, settings).await?;
        Ok(place)
    }

    /// Sets the visibility timeout of `queue`, seconds.
    ///
    /// # Errors
    /// As [`Queues::describe`].
    pub async fn tune(&self, queue: &SqsQueue, visibility_secs: u32) -> Result<(), AdminError> {
        self.set(queue, HashMap::from([(Name::VisibilityTimeout, visibility_secs.to_string())])).await
    }

    async fn set(&self, queue: &SqsQueue, settings: HashMap<Name, String>) -> Result<(), AdminError> {
        let client = self.admin_client(&queue.region).await;
        let call = client.set_queue_attributes().queue_url(self.url(queue)).set_attributes(Some(settings));
        let done = call.send().await;
        done.map(|_| ())
            .map_err(|error| AdminError::from_call("set a queue's attributes", &queue.arn(), error))
    }

    /// Deletes `queue` with all that is in it. One that is gone already is no error.
    ///
    /// # Errors
    /// [`AdminError::Denied`] and the rest, never [`AdminError::Missing`].
    pub async fn delete(&self, queue: &SqsQueue) -> Result<(), AdminError> {
        let client = self.admin_client(&queue.region).await;
        let done = client.delete_queue().queue_url(self.url(queue)).send().await;
        match done.map_err(|error| AdminError::from_call("delete a queue", &queue.arn(), error)) {
            Err(error) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }

    /// The place that a URL in an answer of our own engine names; its host is not looked at.
    fn place(&self, operation: &'static str, url: Option<&str>) -> Result<SqsQueue, AdminError> {
        let mut parts = url.unwrap_or_default().rsplit('/');
        match (parts.next(), parts.next()) {
            (Some(name), Some(account)) if !name.is_empty() && !account.is_empty() => Ok(SqsQueue {
                region: self.home_region().to_owned(),
                account: account.to_owned(),
                name: name.to_owned(),
            }),
            _ => Err(AdminError::senseless(operation, "the answer names no queue URL")),
        }
    }
}

/// Whether a queue of this name is there with other settings. SQS has two words for it, of its older and its newer protocol.
fn exists(error: &AdminError) -> bool {
    matches!(error, AdminError::Refused { code, .. } if code == "QueueNameExists" || code == "QueueAlreadyExists")
}

/// Reads a queue's attributes; the error names the one that is not as SQS documents it.
fn facts(attributes: &HashMap<Name, String>) -> Result<QueueFacts, String> {
    fn number<T: std::str::FromStr>(attributes: &HashMap<Name, String>, name: &Name) -> Result<T, String> {
        let text = attributes.get(name).ok_or_else(|| format!("{} is absent", name.as_str()))?;
        text.parse().map_err(|_| format!("{} is not a number", name.as_str()))
    }
    let redrive = attributes.get(&Name::RedrivePolicy).filter(|policy| !policy.is_empty());
    let redrive: Option<Value> =
        redrive.map(|policy| serde_json::from_str(policy)).transpose().map_err(|e| e.to_string())?;
    let dead = redrive.as_ref().and_then(|policy| policy["deadLetterTargetArn"].as_str());
    let dead =
        dead.map(|arn| SqsQueue::from_arn(arn).ok_or("deadLetterTargetArn is not an ARN")).transpose()?;
    // SQS gives back what was set: a number, or a text of digits.
    let count = redrive.as_ref().map(|policy| &policy["maxReceiveCount"]);
    let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    Ok(QueueFacts {
        visible: number(attributes, &Name::ApproximateNumberOfMessages)?,
        in_flight: number(attributes, &Name::ApproximateNumberOfMessagesNotVisible)?,
        delayed: number(attributes, &Name::ApproximateNumberOfMessagesDelayed)?,
        max_message_bytes: number(attributes, &Name::MaximumMessageSize)?,
        visibility_secs: number(attributes, &Name::VisibilityTimeout)?,
        fifo: attributes.get(&Name::FifoQueue).is_some_and(|fifo| fifo == "true"),
        dead_letter_queue: dead,
        max_receive_count: count.and_then(|count| u32::try_from(count).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_as_sqs_gives_them_and_what_is_missing_is_named() {
        let check =
            |extra: &[(Name, &str)], without: Option<Name>, expect: Result<(bool, Option<u32>), &str>| {
                let mut attributes: HashMap<Name, String> = [
                    (Name::ApproximateNumberOfMessages, "3"),
                    (Name::ApproximateNumberOfMessagesNotVisible, "2"),
                    (Name::ApproximateNumberOfMessagesDelayed, "1"),
                    (Name::MaximumMessageSize, "1048576"),
                    (Name::VisibilityTimeout, "60"),
                ]
                .iter()
                .chain(extra)
                .map(|(name, value)| (name.clone(), (*value).to_owned()))
                .collect();
                without.map(|name| attributes.remove(&name));
                let found = facts(&attributes);
                assert_eq!(
                    found.map(|facts| (facts.fifo, facts.max_receive_count)),
                    expect.map_err(str::to_owned)
                );
            };
        let arn = "arn:aws:sqs:us-east-1:000000000000:a-dead";
        let as_number = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":20}}"#);
        let as_text = format!(r#"{{"deadLetterTargetArn":"{arn}","maxReceiveCount":"20"}}"#);
        check(&[], None, Ok((false, None)));
        check(&[(Name::FifoQueue, "true")], None, Ok((true, None)));
        check(&[(Name::RedrivePolicy, &as_number)], None, Ok((false, Some(20))));
        check(&[(Name::RedrivePolicy, &as_text)], None, Ok((false, Some(20))));
        check(&[(Name::RedrivePolicy, "")], None, Ok((false, None)));
        check(
            &[(Name::RedrivePolicy, r#"{"deadLetterTargetArn":"x"}"#)],
            None,
            Err("deadLetterTargetArn is not an ARN"),
        );
        check(&[(Name::VisibilityTimeout, "soon")], None, Err("VisibilityTimeout is not a number"));
        check(&[], Some(Name::MaximumMessageSize), Err("MaximumMessageSize is absent"));
    }
}
