//! The whole system in one process: engines beneath, functions above, and what AWS does between them.

mod brokers;
mod error;
mod first;
mod greeting;
mod ground;
mod outbox;
mod queues;
mod services;
mod tables;
mod worker;

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::Keys;
use aws_sdk_sqs::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use axum::Router;
use bootstrap::Aws;
use delivery::{CourierParts, Publisher, Writer};
use domain::{Clock, Secret};
use publish::PublishState;
use queue::{Engines, Queues, SqsConfig};
use queue_admin::{AdminState, Settings};
use tokio::net::TcpListener;
use zstorage::{Catalog, Jobs, Messages, Outbox, Records, TableNames};

use crate::control::Control;
use crate::engines::dynamodb::Durability;
use crate::engines::sqs::SqsEngine;
use crate::folder::DataFolder;
use crate::mapping::{BrokerMappings, BrokerParts, Functions, Mappings, Source, Streams, call_every};
use crate::runtime::Runtime;

pub use brokers::BrokerOptions;
use brokers::{BrokerAddresses, OwnBrokers, after_changes};
pub use error::StartError;
use first::AdminKey;
use greeting::Start;
use ground::{Ground, TABLES_FILE};
use queues::SystemQueue;
use services::{Service, Stopped};
use tables::{JOB_WORKER, JOBS, TableParts};
use worker::{WorkerParts, Workers};

/// Where everything on this machine is, in ARNs.
const REGION: &str = "us-east-1";
const ACCOUNT: &str = "000000000000";
const STACK: &str = "local";

const CATALOG: &str = "local-Catalog";
const MESSAGES: &str = "local-Messages";
const RECORDS: &str = "local-Records";
const OUTBOX: &str = "local-Outbox";

/// The function that mappings feed.
const WORKER: &str = "sqs-worker";

/// Its timeout, as in the template. Registrations are held against this one, mappings against what the house was started with.
const WORKER_TIMEOUT_SECS: u32 = 10;

/// What handlers are to do again for Kafka and RabbitMQ.
const RETRY: SystemQueue = SystemQueue {
    name: "retry",
    part: "the retry queue",
    function: WORKER,
    timeout_secs: WORKER_TIMEOUT_SECS,
};

/// A poll waits a few seconds; one that takes so long is lost.
const POLL_WITHIN: Duration = Duration::from_secs(20);

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
    /// Opens the folder, starts the engines, then the functions over them, and writes `runtime.json` last.
    ///
    /// # Errors
    /// [`StartError`] is one sentence that names what is in the way and what to do.
    pub async fn start(options: Options) -> Result<House, StartError> {
        House::start_with_timeout(options, Duration::from_secs(WORKER_TIMEOUT_SECS.into())).await
    }

    /// As [`House::start`], with workers that have `worker_timeout` for a batch instead of what they have on AWS: for a machine so busy
    /// that handlers would be stopped there. It must not be longer than messages are out of sight, which is a minute.
    ///
    /// # Errors
    /// As [`House::start`].
    pub async fn start_with_timeout(options: Options, worker_timeout: Duration) -> Result<House, StartError> {
        let clock = options.clock.clone();
        let folder = DataFolder::open(&options.data_dir)?;
        let runtime_file = folder.join("runtime.json");
        let kept_key = Runtime::read_admin_key(&runtime_file)?;
        let own = OwnBrokers::open(&options.brokers)?;
        let bundle = worker::bundle(&options.handlers_dir).await?;
        let door = TcpListener::bind(options.listen)
            .await
            .map_err(|error| StartError::address(options.listen, error))?;
        let address = door.local_addr().map_err(|error| StartError::address(options.listen, error))?;
        let mailbox = folder.join("mailbox");
        std::fs::create_dir_all(&mailbox).map_err(StartError::unusable(&mailbox))?;
        let key_file = folder.join("key");
        let sealer = first::sealer(&key_file, folder.join(TABLES_FILE).exists())?;
        let ground = Ground::open(&folder, options.durability, &clock).await?;
        let aws = Aws::local(REGION, ACCOUNT, ground.endpoints.clone());
        let sqs = ground.sqs.clone();
        let (smtp_url, closed) = (ground.smtp_url.clone(), ground.addresses()?);
        let writes = ground.writes();
        let (mut below, control) = ground.serve(&mailbox);

        let names = TableNames { catalog: CATALOG, messages: MESSAGES, records: RECORDS, outbox: OUTBOX };
        let made = zstorage::create_tables(&aws.dynamodb(), names).await;
        made.map_err(StartError::part("the tables"))?;
        let catalog = Catalog::new(aws.dynamodb(), CATALOG.to_owned(), clock.clone());
        let messages = Messages::new(aws.dynamodb(), MESSAGES.to_owned(), clock.clone());
        let queues = Queues::new(aws.sqs(SqsConfig::new));
        let outbox = Outbox::new(aws.dynamodb(), OUTBOX.to_owned(), clock.clone());
        let records = Records::new(aws.dynamodb(), RECORDS.to_owned(), outbox.clone(), clock.clone());
        let engines = Engines::new(queues.clone(), own.config(&closed));
        let workers = worker::start(WorkerParts {
            program: options.sandbox_program,
            bundle,
            catalog: catalog.clone(),
            messages: messages.clone(),
            records: records.clone(),
            queues: queues.clone(),
            retry: RETRY.place(),
            sealer: sealer.clone(),
            smtp_url,
            closed: closed.clone(),
            timeout: worker_timeout,
            clock: clock.clone(),
        })
        .await?;
        let source =
            Source { sqs: polling_client(&aws), endpoint: aws.endpoints.sqs.clone().unwrap_or_default() };
        let courier = CourierParts {
            records,
            outbox: outbox.clone(),
            catalog: catalog.clone(),
            engines: engines.clone(),
            sealer: sealer.clone(),
            clock: clock.clone(),
        };
        let tables = TableParts {
            catalog: catalog.clone(),
            records: courier.records.clone(),
            writer: Writer::new(courier.clone()),
            jobs: Jobs::new(aws.dynamodb(), MESSAGES.to_owned(), clock.clone()),
            queues: queues.clone(),
            sealer: sealer.clone(),
            clock: clock.clone(),
        };
        let Workers { sqs_worker, msk_worker, mq_worker } = workers;
        let functions = Functions::default().with(WORKER, sqs_worker).with(JOB_WORKER, tables.worker());
        let mappings = Mappings::open(folder.join("mappings.json"), source, functions, clock.clone())?;
        JOBS.attach(&queues, &mappings).await?;
        RETRY.attach(&queues, &mappings).await?;
        let (own_brokers, known) = (own.addresses(), own.known(&closed));
        let told = configuration(&key_file, &own);
        let brokers = BrokerMappings::new(BrokerParts {
            catalog: catalog.clone(),
            engines: engines.clone(),
            embedded: own.embedded,
            msk_worker,
            mq_worker,
        });
        let ages = sqs.clone();
        let desk = Control::new(
            REGION,
            ACCOUNT,
            mappings.clone(),
            move |queue: &str| ages.oldest_age_secs(queue),
            clock.clone(),
        )
        .with_function(format!("{STACK}-queue-admin"), told);
        below.push(Service::start("control", |stopped| serve(control, desk.router(), stopped)));

        let publisher =
            Publisher::new(messages.clone(), outbox.clone(), engines, sealer.clone(), clock.clone());
        let registry = queue_admin::router(AdminState {
            catalog: catalog.clone(),
            messages,
            jobs: tables.jobs.clone(),
            outbox,
            queues,
            mappings: queue::Mappings::new(aws.lambda(), WORKER.to_owned()),
            ages: queue::Ages::new(aws.cloudwatch()),
            sealer,
            clock: clock.clone(),
            settings: Settings {
                stack: STACK.to_owned(),
                region: REGION.to_owned(),
                account: ACCOUNT.to_owned(),
                sqs_endpoint: aws.endpoints.sqs.clone(),
                creation_allowed: true,
                worker_timeout_secs: WORKER_TIMEOUT_SECS,
                brokers: known,
            },
        })
        .layer(axum::middleware::from_fn_with_state(brokers.clone(), after_changes));
        let routes = publish::router(PublishState { catalog: catalog.clone(), publisher }).merge(registry);
        let api = api::serve(routes.merge(tables.router()), Keys::new(catalog.clone(), clock.clone()));
        let admin_key = first::admin_key(&catalog, kept_key, &clock).await;
        let (start, admin_key) = match admin_key.map_err(StartError::part("the admin key"))? {
            AdminKey::Kept(key) => (Start::Later, key),
            AdminKey::New(key) if options.samples => (Start::FirstWithSamples, key),
            AdminKey::New(key) => (Start::First, key),
        };
        if start == Start::FirstWithSamples {
            first::samples(&api, &admin_key).await?;
        }
        let runtime = Runtime {
            api: format!("http://{}", reachable(address)),
            sqs: aws.endpoints.sqs.clone().unwrap_or_default(),
            dynamodb: aws.endpoints.dynamodb.clone().unwrap_or_default(),
            admin_key,
            mailbox,
        };
        mappings.start().await;
        brokers.look().await.map_err(StartError::part("the mappings of brokers"))?;
        let looking = brokers.clone();
        below.push(Service::start("registry", |stopped| async move {
            looking.watch(stopped).await;
            Ok::<_, Infallible>(())
        }));
        let streams = outbox::streams(&folder, &aws, writes, courier.clone())?;
        let sweeper = outbox::sweeper(courier);
        let sweeper = Service::start("sweeper", |stopped| async move {
            call_every(sweeper, options.sweep_every, clock, stopped).await;
            Ok::<_, Infallible>(())
        });
        let api = Service::start("api", |stopped| serve(door, api, stopped));
        runtime.write(&runtime_file)?;
        let open = Some(address).filter(|address| !address.ip().is_loopback());
        Ok(House {
            runtime,
            runtime_file,
            start,
            open,
            sqs,
            mappings,
            own_brokers,
            brokers,
            streams,
            sweeper,
            api,
            below,
            worker_timeout,
            _folder: folder,
        })
    }

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

async fn serve(listener: TcpListener, router: Router, stopped: Stopped) -> io::Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stopped).await
}

/// Where tools on this machine reach what listens on `address`: "all addresses" is none that can be called.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(at) if at.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, at.port()).into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, at.port()).into(),
        address => address,
    }
}

/// What a deployed `queue-admin` is told by the template, with the values of this machine.
fn configuration(key_file: &Path, own: &OwnBrokers) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("ACCOUNT_ID", ACCOUNT.to_owned()),
        ("STACK_NAME", STACK.to_owned()),
        ("CATALOG_TABLE", CATALOG.to_owned()),
        ("MESSAGES_TABLE", MESSAGES.to_owned()),
        ("OUTBOX_TABLE", OUTBOX.to_owned()),
        ("WORKER_FUNCTION", WORKER.to_owned()),
        ("WORKER_TIMEOUT_SECS", WORKER_TIMEOUT_SECS.to_string()),
        ("QUEUE_CREATION", "allowed".to_owned()),
        ("KEY_FILE", key_file.display().to_string()),
    ];
    variables.extend(own.environment());
    variables
}

/// A client whose calls may take as long as a poll.
fn polling_client(aws: &Aws) -> aws_sdk_sqs::Client {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(POLL_WITHIN).build();
    aws.sqs(|region, endpoint, credentials, http_client| {
        let mut config = aws_sdk_sqs::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region))
            .credentials_provider(credentials)
            .http_client(http_client)
            .retry_config(RetryConfig::standard())
            .timeout_config(timeouts);
        config.set_endpoint_url(endpoint);
        aws_sdk_sqs::Client::from_conf(config.build())
    })
}
