//! One batch through the function: attempts, halves, and what is given up.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::event::{Seen, event};
use super::follow::{Next, Shard, Work};
use crate::mapping::settle::{Reported, reported};

/// The largest event that Lambda calls a function with, bytes.
pub(super) const MAX_EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Records that passed the filter, the oldest first; at least one.
#[derive(Debug)]
pub(super) struct Batch<'w> {
    pub(super) work: &'w Work,
    pub(super) shard: &'w Shard,
    pub(super) records: Vec<Seen>,
}

/// A part of a batch that waits for its turn.
#[derive(Debug)]
struct Slice {
    records: Vec<Seen>,
    /// Calls of the function that failed since the first of these records was reached.
    attempts: u32,
}

/// Why records are given up, in Lambda's words.
#[derive(Debug, Clone, Copy)]
enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

impl Batch<'_> {
    /// Calls the function until all records are done with or given up, in order; the place is kept behind each that is.
    /// What is left when it is told to stop comes again after the next start.
    ///
    /// Where the documentation says nothing, this is our reading of it: an answer that names failures but not the first
    /// record is progress, and the attempts are counted anew from there.
    pub(super) async fn run(self, stopped: &mut watch::Receiver<bool>) -> Next {
        let Batch { work, shard, records } = self;
        let mapping = &work.mapping;
        let mut todo = VecDeque::from([Slice { records, attempts: 0 }]);
        while let Some(mut slice) = todo.pop_front() {
            let too_old = slice.records.iter().take_while(|record| work.is_too_old(record)).count();
            if too_old > 0 {
                let rest = slice.records.split_off(too_old);
                work.give_up(shard, &slice, Condition::RecordAgeExceeded).await;
                slice = Slice { records: rest, attempts: 0 };
            }
            let Some(last) = slice.records.last() else { continue };
            let last = last.sequence_number.clone();
            match work.call(&slice).await {
                Reported::Success => {
                    work.done(shard, &last).await;
                    continue;
                }
                Reported::These(failed) => {
                    let lowest = failed.into_iter().min().unwrap_or(0);
                    let rest = slice.records.split_off(lowest);
                    if let Some(done) = slice.records.last() {
                        work.done(shard, &done.sequence_number).await;
                        slice.attempts = 0;
                    } else {
                        slice.attempts += 1;
                    }
                    slice.records = rest;
                }
                // Halving does not count as an attempt.
                Reported::Failure if mapping.bisects && slice.records.len() > 1 => {
                    let second = slice.records.split_off(slice.records.len() / 2);
                    todo.push_front(Slice { records: second, attempts: slice.attempts });
                }
                Reported::Failure => slice.attempts += 1,
            }
            if slice.attempts > mapping.retries {
                work.give_up(shard, &slice, Condition::RetryAttemptsExhausted).await;
                continue;
            }
            let pause = mapping.retry_pause * (1 << slice.attempts.min(5));
            todo.push_front(slice);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopped.changed() => {}
            }
            if *stopped.borrow_and_update() {
                return Next::Stop;
            }
        }
        Next::GoOn
    }
}

impl Work {
    async fn call(&self, slice: &Slice) -> Reported {
        let answer = self.function.invoke(event(&slice.records)).await;
        if let Err(error) = &answer {
            tracing::warn!(
                table.name = self.mapping.table,
                function.name = self.mapping.function,
                batch.size = slice.records.len(),
                %error,
                "the batch of a stream failed as a whole"
            );
        }
        let numbers: Vec<&str> = slice.records.iter().map(|record| record.sequence_number.as_str()).collect();
        reported(&numbers, answer.map(Some))
    }

    fn is_too_old(&self, record: &Seen) -> bool {
        let age = self.clock.now().duration_since(record.written_at);
        Duration::try_from(age).is_ok_and(|age| age > self.mapping.max_age)
    }

    /// Tells of records that the function never did, and goes past them. Only the outbox row says what they were.
    async fn give_up(&self, shard: &Shard, slice: &Slice, condition: Condition) {
        let (Some(first), Some(last)) = (slice.records.first(), slice.records.last()) else { return };
        tracing::error!(
            table.name = self.mapping.table,
            function.name = self.mapping.function,
            batch.size = slice.records.len(),
            stream.condition = ?condition,
            "records of a stream are given up"
        );
        let failure = json!({
            "requestContext": {
                "requestId": Uuid::new_v4().to_string(),
                "functionArn": self.mapping.function,
                "condition": format!("{condition:?}"),
                "approximateInvokeCount": slice.attempts,
            },
            "version": "1.0",
            "timestamp": self.clock.now().to_string(),
            "DDBStreamBatchInfo": {
                "shardId": shard.id,
                "startSequenceNumber": first.sequence_number,
                "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": first.written_at.to_string(),
                "approximateArrivalOfLastRecord": last.written_at.to_string(),
                "batchSize": slice.records.len(),
                "streamArn": shard.stream_arn,
            },
        });
        self.failures.tell(failure).await;
        self.done(shard, &last.sequence_number).await;
    }
}
