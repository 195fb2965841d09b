//! How a house comes to stand: the engines first, then the functions over them, then what AWS does between the two.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use api::Keys;
use aws_sdk_sqs::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use axum::Router;
use bootstrap::Aws;
use delivery::{CourierParts, Publisher, Writer};
use publish::PublishState;
use queue::{Engines, Queues, SqsConfig};
use queue_admin::{AdminState, Settings};
use tokio::net::TcpListener;
use zstorage::{Catalog, Jobs, Messages, Outbox, Records, TableNames};

use super::brokers::{OwnBrokers, after_changes};
use super::first::{self, AdminKey};
use super::greeting::Start;
use super::ground::{Ground, TABLES_FILE};
use super::queues::SystemQueue;
use super::services::{Service, Stopped};
use super::tables::{JOB_WORKER, JOBS, TableParts};
use super::worker::{self, WorkerParts, Workers};
use super::{ACCOUNT, CATALOG, House, MESSAGES, OUTBOX, Options, RECORDS, REGION, STACK, StartError, outbox};
use crate::control::Control;
use crate::folder::DataFolder;
use crate::mapping::{BrokerMappings, BrokerParts, Functions, Mappings, Source, call_every};
use crate::runtime::Runtime;

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
