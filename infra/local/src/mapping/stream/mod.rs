//! Event source mappings of DynamoDB streams: what Lambda does between a table's stream and a function.
//!
//! As documented, one shard at a time and in order: batches of what passes the filter, up to 6 MB; an answer that names
//! failures goes on at the lowest of them; a batch that fails as a whole is halved; a record that fails again and again, or
//! is too old, is given up, which a line of a file tells. The place reached is kept on disk behind each batch, so what
//! died in between comes again.
//!
//! These mappings are part of the house, as they are part of the template on AWS: nobody makes them at run time.

mod batch;
mod event;
mod filter;
mod follow;
mod kept;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodbstreams::Client;
use domain::Clock;
use tokio::sync::watch;

use super::function::Functions;
use super::poller::Poller;
use crate::folder::FolderError;
use kept::{Failures, Places};

pub use filter::{Filter, FilterError};

/// One mapping, with the words of the template.
#[derive(Debug, Clone)]
pub struct StreamMapping {
    /// Whose stream.
    pub table: String,
    /// The bare name of the function.
    pub function: String,
    /// What the function is to see; the rest is passed over.
    pub filter: Filter,
    /// `BatchSize`
    pub batch_size: u16,
    /// `BisectBatchOnFunctionError`
    pub bisects: bool,
    /// `MaximumRetryAttempts`
    pub retries: u32,
    /// `MaximumRecordAgeInSeconds`
    pub max_age: Duration,
    /// The pause before the first attempt that follows a failure; doubled up to 32 times of it.
    pub retry_pause: Duration,
    /// The stream is asked once in this time while nothing is written: what expires is removed without a write of ours.
    pub idle: Duration,
}

/// Where streams are read.
#[derive(Debug, Clone)]
pub struct StreamSource {
    /// A client of the DynamoDB engine.
    pub client: Client,
    /// Counts the engine's writes. Lambda asks each shard four times a second; here the asking follows a write at once, and
    /// an idle engine is asked as seldom as the mapping says.
    pub writes: watch::Receiver<u64>,
}

/// All mappings of streams and their pollers.
#[derive(Debug)]
pub struct Streams {
    source: StreamSource,
    functions: Functions,
    clock: Clock,
    places: Arc<Places>,
    failures: Arc<Failures>,
    pollers: Vec<Poller>,
}

impl Streams {
    /// Reads the places kept in `places`; what is given up is told in `failures`, one line of JSON each, worded as Lambda's
    /// message to an on-failure queue.
    ///
    /// `clock` must be the one the engine stamps its stream records by: their age is measured with it.
    ///
    /// # Errors
    /// [`FolderError`] names the file.
    pub fn open(
        places: PathBuf,
        failures: PathBuf,
        source: StreamSource,
        functions: Functions,
        clock: Clock,
    ) -> Result<Streams, FolderError> {
        let places = Arc::new(Places::open(places)?);
        let failures = Arc::new(Failures::new(failures));
        Ok(Streams { source, functions, clock, places, failures, pollers: Vec::new() })
    }

    /// Starts to feed `mapping`'s function. Each table's mapping is started once.
    pub fn start(&mut self, mapping: StreamMapping) {
        let Some(function) = self.functions.get(&mapping.function).cloned() else {
            tracing::error!(function.name = mapping.function, "a stream's function is not known here");
            return;
        };
        let work = follow::Work {
            source: self.source.clone(),
            mapping,
            function,
            clock: self.clock.clone(),
            places: Arc::clone(&self.places),
            failures: Arc::clone(&self.failures),
        };
        self.pollers.push(Poller::start(|stopped| follow::poll(work, stopped)));
    }

    /// Begins no more batches.
    pub fn stop(&self) {
        self.pollers.iter().for_each(Poller::stop);
    }

    /// Ends all pollers; batches in hand have `within` to finish.
    pub async fn end(self, within: Duration) {
        futures::future::join_all(self.pollers.into_iter().map(|poller| poller.end(within))).await;
    }
}
