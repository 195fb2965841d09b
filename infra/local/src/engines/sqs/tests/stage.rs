//! Where the behaviours are played: the queue `work`, its dead-letter queue `dead`, and one step after the other.

use super::world::{World, arn};
use Step::{Ack, After, Back, Counts, Dead, Find, Redrive, Refused, Send, SendIn, SendLate};
use aws_sdk_sqs::error::ProvideErrorMetadata;
use std::collections::HashMap;

/// One step of a behaviour.
pub(super) enum Step {
    /// Send this body.
    Send(&'static str),
    /// Send (group, deduplication id, body).
    SendIn(&'static str, &'static str, &'static str),
    /// Send a body that is to be seen after so many seconds.
    SendLate(&'static str, i32),
    /// Receive up to ten: exactly these bodies, in this order.
    Find(&'static [&'static str]),
    /// Receive from the dead-letter queue: exactly these.
    Dead(&'static [&'static str]),
    /// Delete the message last received with this body.
    Ack(&'static str),
    /// Let it be visible again in so many seconds.
    Back(&'static str, i32),
    /// An `Ack` or `Back` that is refused with this code.
    Refused(&'static Step, &'static str),
    /// Turn the clock.
    After(i64),
    /// Visible, in flight, delayed.
    Counts(i32, i32, i32),
    /// Start a move task on the dead-letter queue.
    Redrive,
}

/// What a queue is made with.
pub(super) type Attributes = &'static [(&'static str, &'static str)];

/// A world, its two queues and the latest receipt handle per body.
pub(super) struct Stage {
    world: World,
    work: String,
    dead: String,
    dead_arn: String,
    receipts: HashMap<String, String>,
}

impl Stage {
    pub(super) async fn set(attributes: Attributes) -> Stage {
        let world = World::start().await;
        let is_fifo = attributes.contains(&("FifoQueue", "true"));
        let suffix = if is_fifo { ".fifo" } else { "" };
        let dead_name = format!("dead{suffix}");
        let dead = world.make(&dead_name, if is_fifo { &[("FifoQueue", "true")] } else { &[] }).await;
        let dead_arn = arn(&dead_name);
        let policy = format!(r#"{{"deadLetterTargetArn":"{dead_arn}","maxReceiveCount":"2"}}"#);
        let attributes = [attributes, &[("RedrivePolicy", policy.as_str())]].concat();
        let work = world.make(&format!("work{suffix}"), &attributes).await;
        Stage { world, work, dead, dead_arn, receipts: HashMap::new() }
    }

    async fn find(&mut self, url: &str, expect: &[&str]) -> Result<(), String> {
        let found = self.world.receive(url).await;
        let bodies: Vec<_> = found.iter().map(|message| message.body().unwrap_or_default()).collect();
        if bodies != expect {
            return Err(format!("expected {expect:?}, found {bodies:?}"));
        }
        for message in found {
            self.receipts.insert(message.body.unwrap(), message.receipt_handle.unwrap());
        }
        Ok(())
    }

    /// Settles a message. The code of the refusal, if it was refused.
    async fn settle(&self, step: &Step) -> Option<String> {
        let client = &self.world.client;
        let code = |error: &dyn ProvideErrorMetadata| error.code().unwrap_or_default().to_owned();
        match step {
            Ack(body) => {
                let request =
                    client.delete_message().queue_url(&self.work).receipt_handle(&self.receipts[*body]);
                request.send().await.err().map(|error| code(&error))
            }
            Back(body, secs) => {
                let request = client.change_message_visibility().queue_url(&self.work);
                let request = request.receipt_handle(&self.receipts[*body]).visibility_timeout(*secs);
                request.send().await.err().map(|error| code(&error))
            }
            _ => Some("only Ack and Back settle".to_owned()),
        }
    }

    pub(super) async fn step(&mut self, step: &Step) -> Result<(), String> {
        let client = self.world.client.clone();
        let message = client.send_message().queue_url(&self.work);
        let expect = |found: Option<String>, expected: Option<&str>| match found.as_deref() == expected {
            true => Ok(()),
            false => Err(format!("expected {expected:?}, got {found:?}")),
        };
        match step {
            Send(body) => {
                drop(message.message_body(*body).send().await.map_err(|error| format!("{error:?}"))?)
            }
            SendIn(group, id, body) => {
                let id = Some((*id).to_owned()).filter(|id| !id.is_empty());
                let message =
                    message.message_body(*body).message_group_id(*group).set_message_deduplication_id(id);
                message.send().await.map_err(|error| format!("{error:?}"))?;
            }
            SendLate(body, secs) => {
                let message = message.message_body(*body).delay_seconds(*secs);
                message.send().await.map_err(|error| format!("{error:?}"))?;
            }
            Find(bodies) => self.find(&self.work.clone(), bodies).await?,
            Dead(bodies) => self.find(&self.dead.clone(), bodies).await?,
            Ack(_) | Back(..) => expect(self.settle(step).await, None)?,
            Refused(step, code) => expect(self.settle(step).await, Some(code))?,
            After(secs) => self.world.advance_secs(*secs),
            Counts(visible, in_flight, delayed) => {
                let mut counts = Vec::new();
                for state in ["", "NotVisible", "Delayed"] {
                    let name = format!("ApproximateNumberOfMessages{state}");
                    counts.push(self.world.attribute(&self.work, &name).await);
                }
                let expected = [visible, in_flight, delayed].map(ToString::to_string);
                if counts != expected {
                    return Err(format!("expected {expected:?}, counted {counts:?}"));
                }
            }
            Redrive => {
                let request = client.start_message_move_task().source_arn(&self.dead_arn);
                request.send().await.map_err(|error| format!("{error:?}"))?;
            }
        }
        Ok(())
    }
}
