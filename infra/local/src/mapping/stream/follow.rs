//! One stream at work: find its shard, read it from the place kept, give the function what passes the filter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use domain::{Clock, causes};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::batch::{Batch, MAX_EVENT_BYTES};
use super::event::Seen;
use super::kept::{Failures, Place, Places};
use super::{StreamMapping, StreamSource};
use crate::mapping::function::Function;

/// No two questions are closer than this: what is written in between comes in one batch.
const PACE: Duration = Duration::from_millis(10);

/// Pauses while the stream cannot be read: this long at first, doubled six times at most.
const TROUBLE: Duration = Duration::from_millis(100);

/// What a poller works with.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) source: StreamSource,
    pub(super) mapping: StreamMapping,
    pub(super) function: Function,
    pub(super) clock: Clock,
    pub(super) places: Arc<Places>,
    pub(super) failures: Arc<Failures>,
}

/// The one shard of a stream of this engine.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    pub(super) stream_arn: String,
    pub(super) id: String,
}

/// Why a stream cannot be read for now.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("the table {0} has no stream")]
    NoStream(String),
    #[error("the stream's {operation} failed: {reason}")]
    Call { operation: &'static str, reason: String },
}

/// Whether to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Stop,
}

/// Reads until it is told to stop.
pub(super) async fn poll(work: Work, mut stopped: watch::Receiver<bool>) {
    let mut failures = 0;
    while !*stopped.borrow_and_update() {
        let Err(error) = work.follow(&mut stopped, &mut failures).await else { break };
        // An iterator that expired is an everyday thing, and cured by the next turn.
        if failures == 1 {
            tracing::warn!(table.name = work.mapping.table, %error, "cannot read this table's stream, trying on");
        }
        tokio::select! {
            () = sleep(TROUBLE * (1 << failures.min(6))) => {}
            _ = stopped.changed() => {}
        }
        failures += 1;
    }
}

impl Work {
    /// Reads on from the place kept until it is told to stop or a call fails. Each read that succeeds sets `failures` to 0.
    async fn follow(
        &self,
        stopped: &mut watch::Receiver<bool>,
        failures: &mut u32,
    ) -> Result<(), FollowError> {
        let mut writes = self.source.writes.clone();
        let shard = self.shard().await?;
        let mut iterator = self.iterator(&shard).await?;
        while !*stopped.borrow_and_update() {
            // What is written from here on is news, even if this read has it already.
            writes.mark_unchanged();
            let asked_at = Instant::now();
            let read = self
                .source
                .client
                .get_records()
                .shard_iterator(&iterator)
                .limit(i32::from(self.mapping.batch_size))
                .send()
                .await;
            let read = read.map_err(call("GetRecords"))?;
            *failures = 0;
            let count = read.records().len();
            for batch in self.batches(&shard, read.records()) {
                if batch.run(stopped).await == Next::Stop {
                    return Ok(());
                }
            }
            let Some(next) = read.next_shard_iterator else {
                return Err(FollowError::Call {
                    operation: "GetRecords",
                    reason: "the shard is closed".to_owned(),
                });
            };
            iterator = next;
            if count == 0 {
                tokio::select! {
                    // An error means that the engine is going down, and so are we.
                    _ = writes.changed() => {}
                    () = sleep(self.mapping.idle) => {}
                    _ = stopped.changed() => {}
                }
            }
            if count < self.mapping.batch_size.into() {
                sleep_until(asked_at + PACE).await;
            }
        }
        Ok(())
    }

    /// What of `records` passes the filter, cut where Lambda cuts: a function is called with 6 MB at most.
    fn batches<'w>(
        &'w self,
        shard: &'w Shard,
        records: &[aws_sdk_dynamodbstreams::types::Record],
    ) -> VecDeque<Batch<'w>> {
        let mut batches: VecDeque<Vec<Seen>> = VecDeque::new();
        let mut bytes = 0;
        for record in records {
            let seen = Seen::of(&shard.stream_arn, record);
            if !self.mapping.filter.passes(&seen.json) {
                continue;
            }
            let more = seen.json.to_string().len();
            bytes += more;
            match batches.back_mut().filter(|_| bytes <= MAX_EVENT_BYTES) {
                Some(batch) => batch.push(seen),
                None => {
                    bytes = more;
                    batches.push_back(vec![seen]);
                }
            }
        }
        batches.into_iter().map(|records| Batch { work: self, shard, records }).collect()
    }

    /// The table's stream as it is now, and its shard.
    async fn shard(&self) -> Result<Shard, FollowError> {
        let (client, table) = (&self.source.client, &self.mapping.table);
        let streams = client.list_streams().table_name(table).send().await.map_err(call("ListStreams"))?;
        let none = || FollowError::NoStream(table.clone());
        let arn = streams.streams().first().and_then(|stream| stream.stream_arn()).ok_or_else(none)?;
        let told = client.describe_stream().stream_arn(arn).send().await.map_err(call("DescribeStream"))?;
        let shards = told.stream_description().map(|stream| stream.shards()).unwrap_or_default();
        let id = shards.first().and_then(|shard| shard.shard_id()).ok_or_else(none)?;
        Ok(Shard { stream_arn: arn.to_owned(), id: id.to_owned() })
    }

    /// Behind the place kept; at the oldest record if none is, or if what follows it is gone after a day.
    async fn iterator(&self, shard: &Shard) -> Result<String, FollowError> {
        let kept = self.places.of(&self.key());
        let kept = kept.filter(|place| place.stream_arn == shard.stream_arn && place.shard_id == shard.id);
        if let Some(place) = kept {
            let asked = self.iterator_at(shard, Some(place.sequence_number)).await;
            match asked {
                Err(error) if is_no_place(&error) => {
                    tracing::warn!(
                        table.name = self.mapping.table,
                        "this table's stream no longer has the place kept in it, going on at its oldest record"
                    );
                }
                asked => return asked.map_err(call("GetShardIterator")),
            }
        }
        self.iterator_at(shard, None).await.map_err(call("GetShardIterator"))
    }

    async fn iterator_at(
        &self,
        shard: &Shard,
        after: Option<String>,
    ) -> Result<String, GetShardIteratorError> {
        let kind = if after.is_some() {
            ShardIteratorType::AfterSequenceNumber
        } else {
            ShardIteratorType::TrimHorizon
        };
        let asked = self
            .source
            .client
            .get_shard_iterator()
            .stream_arn(&shard.stream_arn)
            .shard_id(&shard.id)
            .shard_iterator_type(kind)
            .set_sequence_number(after);
        let told =
            asked.send().await.map_err(aws_sdk_dynamodbstreams::error::SdkError::into_service_error)?;
        Ok(told.shard_iterator.unwrap_or_default())
    }

    /// Keeps `sequence_number` as the last that is done with.
    pub(super) async fn done(&self, shard: &Shard, sequence_number: &str) {
        let place = Place {
            stream_arn: shard.stream_arn.clone(),
            shard_id: shard.id.clone(),
            sequence_number: sequence_number.to_owned(),
        };
        self.places.keep(self.key(), place).await;
    }

    fn key(&self) -> String {
        format!("{} -> {}", self.mapping.table, self.mapping.function)
    }
}

/// Whether the stream does not know the place it was asked for: what followed it is gone after a day, or the number was kept by an
/// engine that counted otherwise. To ask again would be the same answer for ever.
fn is_no_place(error: &GetShardIteratorError) -> bool {
    error.is_trimmed_data_access_exception() || error.meta().code() == Some("ValidationException")
}

fn call<E: std::error::Error>(operation: &'static str) -> impl Fn(E) -> FollowError {
    move |error| FollowError::Call { operation, reason: causes(&error) }
}
