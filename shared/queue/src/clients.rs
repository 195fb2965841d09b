use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials as AwsCredentials;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region, SharedCredentialsProvider, SharedHttpClient};
use domain::{Credentials, OnDemand, SqsQueue};
use moka::future::Cache;
use sha2::{Digest, Sha256};

/// A connection that is not there by then will not come.
const CONNECT: Duration = Duration::from_secs(1);

/// One attempt to send: two of them and the pause between stay below 3.5 s.
pub(crate) const SEND_ATTEMPT: Duration = Duration::from_millis(1700);

/// One attempt of a call that looks after a queue.
const ADMIN_ATTEMPT: Duration = Duration::from_secs(3);

/// Such a call with all its attempts.
const ADMIN_CALL: Duration = Duration::from_secs(8);

/// Clients of other regions and foreign credentials that are kept at once, and for how long unused.
const KEPT: u64 = 64;
const KEPT_IDLE: Duration = Duration::from_secs(3600);

/// How to reach SQS by our own role.
#[derive(Clone)]
pub struct SqsConfig {
    /// The home region, where queues are created.
    pub region: String,
    /// Where SQS is, if not at AWS: `http://HOST:PORT` of the local engine, for every region.
    pub endpoint: Option<String>,
    /// Our own role's credentials.
    pub credentials: SharedCredentialsProvider,
    /// The HTTP client, shared with other services: one pool of connections.
    pub http_client: SharedHttpClient,
}

impl SqsConfig {
    /// Our own role in its home `region`, at `endpoint` if not at AWS, over the connections of `http_client`.
    pub fn new(
        region: String,
        endpoint: Option<String>,
        credentials: SharedCredentialsProvider,
        http_client: SharedHttpClient,
    ) -> SqsConfig {
        SqsConfig { region, endpoint, credentials, http_client }
    }
}

impl fmt::Debug for SqsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqsConfig")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// SQS: sending, and looking after queues. Cheap to clone; clones share their clients.
///
/// A client is made for each region and each pair of credentials when it is first needed, and let go when it was not
/// used for an hour or 64 others came after it. That of the home region and our own role stays.
///
/// A function that sends in every invocation makes that one in its start, by [`Queues::ready_to_send`].
#[derive(Clone)]
pub struct Queues(Arc<Inner>);

struct Inner {
    config: SqsConfig,
    home: Clients,
    others: Cache<Who, Clients>,
}

/// Whose client, and where. Credentials stand in it as a hash.
#[derive(PartialEq, Eq, Hash)]
struct Who {
    region: String,
    credentials: Option<[u8; 32]>,
}

/// Two ways to talk to the same place, each made when it is first used.
#[derive(Clone)]
struct Clients {
    /// Without retries of the SDK: whoever sends must know what happened to each attempt.
    sending: OnDemand<Client>,
    /// With the SDK's retries: these calls do the same however often they are made.
    admin: OnDemand<Client>,
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queues").field(&self.0.config).finish()
    }
}

impl Queues {
    /// Makes no client yet and connects to nothing.
    pub fn new(config: SqsConfig) -> Queues {
        let home = Clients::new(&config, &config.region, config.credentials.clone());
        let others = Cache::builder().max_capacity(KEPT).time_to_idle(KEPT_IDLE).build();
        Queues(Arc::new(Inner { config, home, others }))
    }

    /// Makes the client that sends to the home region. It connects to nothing.
    #[must_use]
    pub fn ready_to_send(self) -> Queues {
        let _: &Client = &self.0.home.sending;
        self
    }

    /// The client that sends to queues in `region`, by `credentials` or our own role.
    pub(crate) async fn sending_client(&self, region: &str, credentials: Option<&Credentials>) -> Client {
        self.clients(region, credentials).await.sending.deref().clone()
    }

    /// The client that looks after queues in `region`, by our own role.
    pub(crate) async fn admin_client(&self, region: &str) -> Client {
        self.clients(region, None).await.admin.deref().clone()
    }

    async fn clients(&self, region: &str, credentials: Option<&Credentials>) -> Clients {
        let config = &self.0.config;
        if credentials.is_none() && region == config.region {
            return self.0.home.clone();
        }
        let who = Who { region: region.to_owned(), credentials: credentials.map(fingerprint) };
        let made = async {
            let provider = match credentials {
                None => config.credentials.clone(),
                Some(foreign) => {
                    let (id, secret) = (foreign.username.expose(), foreign.password.expose());
                    SharedCredentialsProvider::new(AwsCredentials::new(id, secret, None, None, "queue"))
                }
            };
            Clients::new(config, region, provider)
        };
        self.0.others.get_with(who, made).await
    }

    /// The URL of a queue.
    pub(crate) fn url(&self, queue: &SqsQueue) -> String {
        queue.url(self.0.config.endpoint.as_deref())
    }

    /// Our own role.
    #[cfg(all(feature = "kafka", feature = "rabbitmq"))]
    pub(crate) fn role(&self) -> SharedCredentialsProvider {
        self.0.config.credentials.clone()
    }

    /// The home region.
    pub(crate) fn home_region(&self) -> &str {
        &self.0.config.region
    }
}

impl Clients {
    fn new(config: &SqsConfig, region: &str, credentials: SharedCredentialsProvider) -> Clients {
        let make = |retry: RetryConfig, timeouts: TimeoutConfig| {
            let (region, credentials) = (Region::new(region.to_owned()), credentials.clone());
            let (endpoint, http_client) = (config.endpoint.clone(), config.http_client.clone());
            OnDemand::new(move || {
                let mut builder = aws_sdk_sqs::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(region)
                    .credentials_provider(credentials)
                    .http_client(http_client)
                    .retry_config(retry)
                    .timeout_config(timeouts);
                builder.set_endpoint_url(endpoint);
                Client::from_conf(builder.build())
            })
        };
        let timeouts = || TimeoutConfig::builder().connect_timeout(CONNECT);
        let admin = timeouts().operation_attempt_timeout(ADMIN_ATTEMPT).operation_timeout(ADMIN_CALL);
        Clients {
            sending: make(
                RetryConfig::disabled(),
                timeouts().operation_attempt_timeout(SEND_ATTEMPT).build(),
            ),
            admin: make(RetryConfig::standard().with_max_attempts(3), admin.build()),
        }
    }
}

/// A hash to know the same credentials by, without keeping them.
pub(crate) fn fingerprint(credentials: &Credentials) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [credentials.username.expose(), credentials.password.expose()] {
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
