//! Event source mappings: what Lambda does between a queue, a topic, or a stream of a table, and a function, done here.
//!
//! No library has these pollers, so they are ours, held to the documented rules by tables of tests. Mappings are kept in
//! one file of the data folder; a poller runs for each that is enabled.

mod brokers;
mod event;
mod function;
mod kafka;
mod kept;
mod poller;
mod rabbitmq;
mod schedule;
mod settle;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use domain::{Clock, SqsQueue, causes};
use jiff::Timestamp;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::folder::FolderError;
use poller::{Poller, Work, poll};

pub use brokers::{BrokerMappings, BrokerParts};
pub(crate) use function::bare_name;
pub use function::{Function, Functions, InvocationError};
pub use schedule::call_every;
pub use settle::{Deletion, settle};
pub use stream::{Filter, FilterError, StreamMapping, StreamSource, Streams};

/// Lambda's bound for queues without a batching window.
const MAX_BATCH: u8 = 10;

/// Batches of one mapping at the same time, where the mapping does not say: Lambda starts with five pollers too.
const DEFAULT_AT_ONCE: u16 = 5;

/// What is asked for when a mapping is made.
#[derive(Debug, Clone)]
pub struct NewMapping {
    /// The queue.
    pub source_arn: String,
    /// The function, in any spelling that Lambda takes.
    pub function: String,
    /// Whether it starts to receive at once.
    pub enabled: bool,
    /// 1 to 10.
    pub batch_size: u8,
    /// Whether the function's answers name failures.
    pub reports_failures: bool,
    /// Batches at the same time, 2 to 1,000; Lambda's `MaximumConcurrency`.
    pub maximum_concurrency: Option<u16>,
}

/// What may be changed of a mapping; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// Whether it receives.
    pub enabled: Option<bool>,
    /// 1 to 10.
    pub batch_size: Option<u8>,
    /// Whether the function's answers name failures.
    pub reports_failures: Option<bool>,
    /// 2 to 1,000.
    pub maximum_concurrency: Option<Option<u16>>,
}

/// A mapping as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its id.
    pub uuid: Uuid,
    /// The queue.
    pub source_arn: String,
    /// The bare name of the function.
    pub function: String,
    /// Whether it is meant to receive.
    pub enabled: bool,
    /// Messages in one batch.
    pub batch_size: u8,
    /// Whether the function's answers name failures.
    pub reports_failures: bool,
    /// Batches at the same time.
    pub maximum_concurrency: Option<u16>,
    /// When it was last changed.
    pub modified_at: Timestamp,
}

/// What a mapping is doing, in Lambda's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It receives.
    Enabled,
    /// Its last poll or batch is still under way.
    Disabling,
    /// It rests.
    Disabled,
}

/// Why a mapping was not made, found or changed.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// The queue and the function have one already.
    #[error("an event source mapping of this queue and this function exists already: UUID {0}")]
    Exists(Uuid),
    /// There is no such mapping.
    #[error("there is no event source mapping {0}")]
    NoMapping(String),
    /// There is no such function.
    #[error("there is no function {0} here")]
    NoFunction(String),
    /// A parameter is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The file of mappings could not be written.
    #[error(transparent)]
    NotKept(#[from] FolderError),
}

/// Where the pollers receive.
#[derive(Debug, Clone)]
pub struct Source {
    /// A client of the SQS engine whose calls may take as long as a poll.
    pub sqs: Client,
    /// The engine's address, such as `http://127.0.0.1:9324`.
    pub endpoint: String,
}

/// All mappings and their pollers. Clones share them.
#[derive(Debug, Clone)]
pub struct Mappings(Arc<House>);

#[derive(Debug)]
struct House {
    file: PathBuf,
    source: Source,
    functions: Functions,
    clock: Clock,
    entries: Mutex<BTreeMap<Uuid, Entry>>,
    /// Pollers of mappings that were deleted or work otherwise now, until their last batch has ended.
    retired: Mutex<Vec<Poller>>,
}

#[derive(Debug)]
struct Entry {
    mapping: Mapping,
    /// Running while the mapping is enabled; after a pause it may be ending still.
    poller: Option<Poller>,
}

impl Mappings {
    /// Reads the mappings kept in `file`. No poller runs before [`Mappings::start`].
    ///
    /// # Errors
    /// [`FolderError`] names the file.
    pub fn open(
        file: PathBuf,
        source: Source,
        functions: Functions,
        clock: Clock,
    ) -> Result<Mappings, FolderError> {
        let entry = |mapping: Mapping| (mapping.uuid, Entry { mapping, poller: None });
        let entries = Mutex::new(kept::read(&file)?.into_iter().map(entry).collect());
        Ok(Mappings(Arc::new(House { file, source, functions, clock, entries, retired: Mutex::default() })))
    }

    /// Starts the pollers of all enabled mappings.
    pub async fn start(&self) {
        for entry in self.0.entries.lock().await.values_mut() {
            self.0.turn(entry).await;
        }
    }

    /// Makes a mapping, kept before the answer.
    ///
    /// # Errors
    /// As Lambda: the pair exists, the function does not, the queue does not or its messages would come back while
    /// the function still runs.
    pub async fn create(&self, new: NewMapping) -> Result<(Mapping, State), MappingError> {
        let function = function::bare_name(&new.function).to_owned();
        let Some(known) = self.0.functions.get(&function) else {
            return Err(MappingError::NoFunction(function));
        };
        check_numbers(new.batch_size, new.maximum_concurrency)?;
        self.0.check_queue(&new.source_arn, known.timeout()).await?;

        let mut entries = self.0.entries.lock().await;
        let same = |mapping: &Mapping| mapping.source_arn == new.source_arn && mapping.function == function;
        if let Some(entry) = entries.values().find(|entry| same(&entry.mapping)) {
            return Err(MappingError::Exists(entry.mapping.uuid));
        }
        let mapping = Mapping {
            uuid: Uuid::now_v7(),
            source_arn: new.source_arn,
            function,
            enabled: new.enabled,
            batch_size: new.batch_size,
            reports_failures: new.reports_failures,
            maximum_concurrency: new.maximum_concurrency,
            modified_at: self.0.clock.now(),
        };
        self.0.keep(&entries, Some(&mapping), None).await?;
        let mut entry = Entry { mapping: mapping.clone(), poller: None };
        self.0.turn(&mut entry).await;
        let state = entry.state();
        entries.insert(mapping.uuid, entry);
        Ok((mapping, state))
    }

    /// One mapping.
    ///
    /// # Errors
    /// [`MappingError::NoMapping`].
    pub async fn get(&self, uuid: &str) -> Result<(Mapping, State), MappingError> {
        let entries = self.0.entries.lock().await;
        let entry = find(&entries, uuid)?;
        Ok((entry.mapping.clone(), entry.state()))
    }

    /// All mappings, the oldest first.
    pub async fn list(&self) -> Vec<(Mapping, State)> {
        self.0.entries.lock().await.values().map(|entry| (entry.mapping.clone(), entry.state())).collect()
    }

    /// Changes a mapping, kept before the answer.
    ///
    /// # Errors
    /// [`MappingError::NoMapping`], [`MappingError::Invalid`], [`MappingError::NotKept`].
    pub async fn update(&self, uuid: &str, change: Change) -> Result<(Mapping, State), MappingError> {
        let mut entries = self.0.entries.lock().await;
        let mut mapping = find(&entries, uuid)?.mapping.clone();
        mapping.enabled = change.enabled.unwrap_or(mapping.enabled);
        mapping.batch_size = change.batch_size.unwrap_or(mapping.batch_size);
        mapping.reports_failures = change.reports_failures.unwrap_or(mapping.reports_failures);
        mapping.maximum_concurrency = change.maximum_concurrency.unwrap_or(mapping.maximum_concurrency);
        check_numbers(mapping.batch_size, mapping.maximum_concurrency)?;
        mapping.modified_at = self.0.clock.now();
        self.0.keep(&entries, Some(&mapping), None).await?;

        let entry = entries.get_mut(&mapping.uuid).expect("it was found under this lock");
        let way_of_working =
            |mapping: &Mapping| (mapping.batch_size, mapping.reports_failures, mapping.maximum_concurrency);
        let works_otherwise = way_of_working(&entry.mapping) != way_of_working(&mapping);
        entry.mapping = mapping.clone();
        if let Some(poller) = entry.poller.as_ref().filter(|_| works_otherwise || !mapping.enabled) {
            poller.stop();
        }
        self.0.turn(entry).await;
        Ok((mapping, entry.state()))
    }

    /// Takes a mapping away. Its last batch still ends.
    ///
    /// # Errors
    /// [`MappingError::NoMapping`], [`MappingError::NotKept`].
    pub async fn delete(&self, uuid: &str) -> Result<Mapping, MappingError> {
        let mut entries = self.0.entries.lock().await;
        let mapping = find(&entries, uuid)?.mapping.clone();
        self.0.keep(&entries, None, Some(mapping.uuid)).await?;
        if let Some(Entry { poller: Some(poller), .. }) = entries.remove(&mapping.uuid) {
            self.0.retire(poller).await;
        }
        Ok(mapping)
    }

    /// Ends all polls at once, so that a stop of the engine finds none waiting.
    pub async fn stop_polling(&self) {
        for entry in self.0.entries.lock().await.values() {
            entry.poller.iter().for_each(Poller::stop);
        }
    }

    /// Ends all pollers; batches in hand have `within` to finish.
    pub async fn end(&self, within: Duration) {
        let mut entries = self.0.entries.lock().await;
        let mut pollers: Vec<Poller> = entries.values_mut().filter_map(|entry| entry.poller.take()).collect();
        pollers.append(&mut *self.0.retired.lock().await);
        futures::future::join_all(pollers.into_iter().map(|poller| poller.end(within))).await;
    }
}

impl House {
    /// Lets a poller end by itself.
    async fn retire(&self, poller: Poller) {
        poller.stop();
        let mut retired = self.retired.lock().await;
        retired.retain(|poller| !poller.has_ended());
        retired.push(poller);
    }

    /// Makes a poller of `entry` run, if it is enabled and none runs that was not told to stop.
    async fn turn(&self, entry: &mut Entry) {
        let Entry { mapping, poller } = entry;
        if !mapping.enabled || poller.as_ref().is_some_and(|poller| !poller.is_stopping()) {
            return;
        }
        let (Some(queue), Some(function)) =
            (SqsQueue::from_arn(&mapping.source_arn), self.functions.get(&mapping.function))
        else {
            tracing::warn!(mapping.uuid = %mapping.uuid, function.name = mapping.function, "a mapping's queue or function is not known here");
            return;
        };
        if let Some(old) = poller.take() {
            self.retire(old).await;
        }
        let work = Work {
            sqs: self.source.sqs.clone(),
            url: queue.url(Some(&self.source.endpoint)),
            queue,
            function: function.clone(),
            batch_size: mapping.batch_size.into(),
            at_once: mapping.maximum_concurrency.unwrap_or(DEFAULT_AT_ONCE).into(),
            reports_failures: mapping.reports_failures,
        };
        *poller = Some(Poller::start(|stopped| poll(work, stopped)));
    }

    /// Lambda's own checks of a queue: it is there, and its messages stay hidden while the function runs.
    async fn check_queue(&self, arn: &str, timeout: Duration) -> Result<(), MappingError> {
        let invalid = |message: String| MappingError::Invalid(message);
        let queue = SqsQueue::from_arn(arn)
            .ok_or_else(|| invalid(format!("'{arn}' is not the ARN of an SQS queue")))?;
        let url = queue.url(Some(&self.source.endpoint));
        let asked = self
            .source
            .sqs
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(QueueAttributeName::VisibilityTimeout);
        let told = asked.send().await.map_err(|error| {
            let reason = causes(&error);
            invalid(format!("the queue {arn} cannot be received from: {reason}"))
        })?;
        let visibility = told
            .attributes()
            .and_then(|attributes| attributes.get(&QueueAttributeName::VisibilityTimeout))
            .and_then(|secs| secs.parse().ok())
            .map_or(Duration::MAX, Duration::from_secs);
        if visibility < timeout {
            let (visibility, timeout) = (visibility.as_secs(), timeout.as_secs());
            return Err(invalid(format!(
                "the queue's visibility timeout of {visibility} seconds is less than the function's timeout of {timeout} seconds"
            )));
        }
        Ok(())
    }

    /// Writes the file as it will be with `changed` in place and without `gone`.
    async fn keep(
        &self,
        entries: &BTreeMap<Uuid, Entry>,
        changed: Option<&Mapping>,
        gone: Option<Uuid>,
    ) -> Result<(), FolderError> {
        let mut mappings: BTreeMap<Uuid, Mapping> =
            entries.iter().map(|(uuid, entry)| (*uuid, entry.mapping.clone())).collect();
        mappings.extend(changed.map(|mapping| (mapping.uuid, mapping.clone())));
        mappings.retain(|uuid, _| Some(*uuid) != gone);
        let file = self.file.clone();
        let written = tokio::task::spawn_blocking(move || kept::write(&file, mappings.values())).await;
        written.expect("writing a file does not panic")
    }
}

impl Entry {
    fn state(&self) -> State {
        match &self.poller {
            _ if self.mapping.enabled => State::Enabled,
            Some(poller) if !poller.has_ended() => State::Disabling,
            _ => State::Disabled,
        }
    }
}

fn find<'e>(entries: &'e BTreeMap<Uuid, Entry>, uuid: &str) -> Result<&'e Entry, MappingError> {
    let found = Uuid::try_parse(uuid).ok().and_then(|uuid| entries.get(&uuid));
    found.ok_or_else(|| MappingError::NoMapping(uuid.to_owned()))
}

fn check_numbers(batch_size: u8, maximum_concurrency: Option<u16>) -> Result<(), MappingError> {
    if !(1..=MAX_BATCH).contains(&batch_size) {
        return Err(MappingError::Invalid(format!(
            "BatchSize is 1 to {MAX_BATCH} where there is no batching window"
        )));
    }
    if maximum_concurrency.is_some_and(|at_once| !(2..=1000).contains(&at_once)) {
        return Err(MappingError::Invalid("MaximumConcurrency is 2 to 1000".to_owned()));
    }
    Ok(())
}
