//! What the API of a stack made at run time, and how it goes: CloudFormation knows nothing of it.

use std::fmt::Write;

use domain::{Destination, Queue, RabbitMqBroker, causes};

use super::{Stack, StackError};

/// Queues read at once.
const PAGE: usize = 100;

/// What stands and falls with a registry.
#[derive(Debug)]
pub struct Leaving {
    /// Made by the API: these go.
    pub made: Vec<Queue>,
    /// Registered, on SQS by their URL: these stay, as do all of Kafka and RabbitMQ.
    pub registered: Vec<Queue>,
    /// How many messages lie in each of `made`, in its dead-letter queue too; `None` = SQS did not say.
    messages: Vec<Option<u64>>,
}

impl Leaving {
    /// Looks through the registry of `stack`; changes nothing.
    ///
    /// # Errors
    /// [`StackError::List`].
    pub async fn read(stack: &Stack) -> Result<Leaving, StackError> {
        let (mut queues, mut cursor) = (Vec::new(), None);
        loop {
            let page = stack.admin.catalog.list_queues(None, PAGE, cursor.as_ref()).await;
            let page = page.map_err(StackError::List)?;
            queues.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let (made, registered): (Vec<Queue>, Vec<Queue>) = queues.into_iter().partition(|queue| queue.owned);
        let mut messages = Vec::new();
        for queue in &made {
            messages.push(stack.count(queue).await);
        }
        Ok(Leaving { made, registered, messages })
    }

    /// All of it in words.
    pub fn describe(&self, stack: &Stack) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("a String takes every write");
        let Stack { name, region, .. } = stack;
        if self.made.is_empty() {
            line(format!("The API of the stack {name} in {region} made no queues that are still there."));
        } else {
            line(format!(
                "Made by the API of the stack {name} in {region}. Each goes for good: its messages, its"
            ));
            line("dead-letter queue, the worker's mapping, its registration.".to_owned());
        }
        for (queue, messages) in self.made.iter().zip(&self.messages) {
            let messages =
                messages.map_or("messages unknown".to_owned(), |count| format!("{count} messages"));
            line(format!("  {}  {}, {messages}", queue.name, place(queue)));
        }
        if !self.registered.is_empty() {
            line(
                "Registered, not made. They stay, as do their mappings; `sam delete` takes those of the"
                    .to_owned(),
            );
            line("template, others go by `aws lambda delete-event-source-mapping --uuid`.".to_owned());
        }
        for queue in &self.registered {
            let mapping = queue.mapping.as_ref().map(|uuid| format!(", mapping {uuid}")).unwrap_or_default();
            line(format!("  {}  {}{mapping}", queue.name, place(queue)));
        }
        text
    }
}

fn place(queue: &Queue) -> String {
    let at =
        |place: Option<String>| place.map_or("on the installation's own".to_owned(), |at| format!("at {at}"));
    match &queue.destination {
        Destination::Sqs(sqs) => sqs.arn(),
        Destination::Kafka(topic) => {
            format!("Kafka topic {}", at(topic.cluster.as_ref().map(|cluster| cluster.bootstrap.clone())))
        }
        Destination::RabbitMq(there) => {
            format!("RabbitMQ queue {}", at(there.broker.as_ref().map(RabbitMqBroker::url)))
        }
    }
}

/// Removes all that the API made, one queue after the other, and tells of each by `say`. One that cannot be removed does
/// not keep the others.
///
/// # Errors
/// [`StackError::Remain`].
pub async fn destroy(
    stack: &Stack,
    leaving: &Leaving,
    mut say: impl FnMut(String),
) -> Result<(), StackError> {
    let mut left = 0;
    for queue in &leaving.made {
        match stack.admin.remove_queue(queue).await {
            Ok(()) => say(format!("removed {}", queue.name)),
            Err(error) => {
                left += 1;
                say(format!("NOT removed {}: {}", queue.name, causes(&error)));
            }
        }
    }
    if left > 0 { Err(StackError::Remain { left, all: leaving.made.len() }) } else { Ok(()) }
}

impl Stack {
    /// Messages of a queue and its dead-letter queue, about. A queue that is gone, or never came to be, has none.
    async fn count(&self, queue: &Queue) -> Option<u64> {
        let mut count = 0;
        for place in queue.sqs().into_iter().chain(&queue.dead_letter_queue) {
            match self.admin.queues.describe(place).await {
                Ok(facts) => count += facts.visible + facts.in_flight + facts.delayed,
                Err(error) if error.is_missing() => {}
                Err(_not_told) => return None,
            }
        }
        Some(count)
    }
}
