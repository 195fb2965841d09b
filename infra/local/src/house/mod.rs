//! The whole system in one process: engines beneath, functions above, and what AWS does between them.

mod brokers;
mod error;
mod first;
mod greeting;
mod ground;
mod outbox;
mod queues;
mod services;
mod start;
mod tables;
mod worker;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::{Clock, Secret};

use crate::engines::dynamodb::Durability;
use crate::engines::sqs::SqsEngine;
use crate::folder::DataFolder;
use crate::mapping::{BrokerMappings, Mappings, Streams};
use crate::runtime::Runtime;

use brokers::BrokerAddresses;
pub use brokers::BrokerOptions;
pub use error::StartError;
use greeting::Start;
use services::Service;

/// Where everything on this machine is, in ARNs.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
const STACK: &str = "local";

const CATALOG: &str = "local-Catalog";
const MESSAGES: &str = "local-Messages";
const RECORDS: &str = "local-Records";
const OUTBOX: &str = "local-Outbox";

/// Requests in work at a stop may take so long.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// Batches in work may take as long as their function may, and this much more to delete their messages.
const LAST_DELETIONS: Duration = Duration::from_secs(2);

/// How a house is to be.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address of the HTTP API; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder that keeps everything.
    pub data_dir: PathBuf,
    /// The folder of the Lua handlers.
    pub handlers_dir: PathBuf,
    /// A program whose main begins with `lua_host::sandbox_entry()`: this one, outside of tests.
    pub sandbox_program: PathBuf,
    /// Whether the first start makes sample queues.
    pub samples: bool,
    /// What a write to a table has to survive.
    pub durability: Durability,
    /// What time it is, for engines and functions alike.
    pub clock: Clock,
    /// How often the outbox is swept: what its stream missed, and what has come due. A minute on AWS.
    pub sweep_every: Duration,
    /// The brokers beside the embedded engines.
    pub brokers: BrokerOptions,
}

/// A running house. It should be stopped by [`House::stop`]; if it is dropped instead, or killed, the next start finds
/// all that was acknowledged.
pub struct House {
    runtime: Runtime,
    runtime_file: PathBuf,
    start: Start,
    /// Where the API listens, if other machines can reach it.
    open: Option<SocketAddr>,
    sqs: SqsEngine,
    mappings: Mappings,
    own_brokers: BrokerAddresses,
    brokers: BrokerMappings,
    streams: Streams,
    sweeper: Service,
    api: Service,
    below: Vec<Service>,
    worker_timeout: Duration,
    _folder: DataFolder,
}

impl House {
    /// The address of the HTTP API, such as `http://127.0.0.1:8787`.
    pub fn api(&self) -> &str {
        &self.runtime.api
    }

    /// The address of the SQS engine.
    pub fn sqs(&self) -> &str {
        &self.runtime.sqs
    }

    /// The address of the DynamoDB engine.
    pub fn dynamodb(&self) -> &str {
        &self.runtime.dynamodb
    }

    /// Where the Kafka is in which queues without a `url` lie: `HOST:PORT`.
    pub fn kafka(&self) -> &str {
        &self.own_brokers.kafka
    }

    /// An API key that may do everything.
    pub fn admin_key(&self) -> &Secret {
        &self.runtime.admin_key
    }

    /// The folder that mail falls into: one `.eml` file each.
    pub fn mailbox(&self) -> &Path {
        &self.runtime.mailbox
    }

    /// What a person reads at the terminal once the house stands.
    pub fn greeting(&self) -> String {
        let file = self.runtime_file.display().to_string();
        greeting::greeting(self.start, self.open, &self.own_brokers, &self.runtime, &file)
    }

    /// Stops in order: no new requests, no new batches, then what is in work is finished (batches within the worker's
    /// timeout, requests within 3 s), then the engines.
    pub async fn stop(self) {
        self.api.close();
        self.mappings.stop_polling().await;
        self.brokers.stop_polling().await;
        self.streams.stop();
        self.sqs.close();
        let batches = self.worker_timeout + LAST_DELETIONS;
        tokio::join!(
            self.api.end(LAST_REQUESTS),
            self.mappings.end(batches),
            self.brokers.end(batches),
            self.streams.end(batches),
            self.sweeper.end(LAST_REQUESTS),
        );
        futures::future::join_all(self.below.into_iter().map(|service| service.end(LAST_REQUESTS))).await;
    }
}

impl fmt::Debug for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("House").field("api", &self.runtime.api).finish_non_exhaustive()
    }
}
