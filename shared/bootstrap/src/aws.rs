#[cfg(feature = "kms")]
use std::path::Path;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use domain::OnDemand;

use crate::Reader;
#[cfg(feature = "kms")]
use crate::{Sealing, StartError};

/// The roots that AWS's own endpoints chain to. Parsing five instead of the system's 140 is most of a cold start saved.
const AMAZON_ROOTS: &[u8] = include_bytes!("../certs/amazon-trust-services.pem");

/// Lambda freezes a process after each answer and may thaw it much later: a pooled connection older than this is likely dead.
const IDLE: Duration = Duration::from_secs(15);

/// Where the services are, when not at AWS's own addresses (`AWS_ENDPOINT_URL_*`, as in every AWS SDK).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `AWS_ENDPOINT_URL_CLOUDWATCH`
    pub cloudwatch: Option<String>,
    /// `AWS_ENDPOINT_URL_DYNAMODB`
    pub dynamodb: Option<String>,
    /// `AWS_ENDPOINT_URL_KMS`
    pub kms: Option<String>,
    /// `AWS_ENDPOINT_URL_LAMBDA`
    pub lambda: Option<String>,
    /// `AWS_ENDPOINT_URL_SQS`
    pub sqs: Option<String>,
}

/// What every AWS client of this process shares: place, identity, connections.
#[derive(Clone)]
pub struct Aws {
    /// The home region.
    pub region: String,
    /// The account's twelve digits.
    pub account: String,
    /// Other addresses than AWS's own.
    pub endpoints: Endpoints,
    credentials: SharedCredentialsProvider,
    http: SharedHttpClient,
}

impl Aws {
    /// From `AWS_REGION`, `ACCOUNT_ID`, the role's `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`,
    /// `AWS_ENDPOINT_URL_*`, and `TRUST_STORE` (`amazon`, the default, or `system` behind a proxy that re-signs TLS).
    ///
    /// On Lambda a role's credentials live as long as the process, so they are read once.
    pub fn read(reader: &mut Reader<'_>) -> Aws {
        let account = reader.required("ACCOUNT_ID");
        Aws { account, ..Aws::read_caller(reader) }
    }

    /// As [`Aws::read`] without `ACCOUNT_ID`, for a command that a person runs: it need not know the account to look
    /// around, and `account` is empty.
    pub fn read_caller(reader: &mut Reader<'_>) -> Aws {
        let region = reader.required("AWS_REGION");
        let (id, secret) = (reader.required("AWS_ACCESS_KEY_ID"), reader.required("AWS_SECRET_ACCESS_KEY"));
        let credentials =
            Credentials::new(id, secret, reader.optional("AWS_SESSION_TOKEN"), None, "environment");
        let endpoints = Endpoints {
            cloudwatch: reader.optional("AWS_ENDPOINT_URL_CLOUDWATCH"),
            dynamodb: reader.optional("AWS_ENDPOINT_URL_DYNAMODB"),
            kms: reader.optional("AWS_ENDPOINT_URL_KMS"),
            lambda: reader.optional("AWS_ENDPOINT_URL_LAMBDA"),
            sqs: reader.optional("AWS_ENDPOINT_URL_SQS"),
        };
        let system_roots = reader.switch("TRUST_STORE", "system", "amazon");
        Aws {
            region,
            account: String::new(),
            endpoints,
            credentials: SharedCredentialsProvider::new(credentials),
            http: https(system_roots),
        }
    }

    /// Loopback engines: every endpoint given, credentials that only such engines take, no TLS.
    pub fn local(region: &str, account: &str, endpoints: Endpoints) -> Aws {
        Aws {
            region: region.to_owned(),
            account: account.to_owned(),
            endpoints,
            credentials: SharedCredentialsProvider::new(Credentials::new(
                "local", "local", None, None, "local",
            )),
            http: aws_smithy_http_client::Builder::new().pool_idle_timeout(IDLE).build_http(),
        }
    }

    /// A client that not every invocation needs: made when it is first asked for. `aws.on_demand(Aws::kms)`.
    pub fn on_demand<C: 'static>(&self, client: fn(&Aws) -> C) -> OnDemand<C> {
        let aws = self.clone();
        OnDemand::new(move || client(&aws))
    }

    /// What SQS clients are made of, in the order region, endpoint, credentials, connections: whoever sends makes clients
    /// of its own, per region and credentials.
    pub fn sqs<T>(
        &self,
        make: impl FnOnce(String, Option<String>, SharedCredentialsProvider, SharedHttpClient) -> T,
    ) -> T {
        let (region, endpoint) = (self.region.clone(), self.endpoints.sqs.clone());
        make(region, endpoint, self.credentials.clone(), self.http.clone())
    }

    /// What seals and opens, as `sealing` says: made of a client of KMS, which few requests need, and the key's id, or of a
    /// key file's path.
    ///
    /// # Errors
    /// [`StartError::Seal`] with that of `key_file`.
    #[cfg(feature = "kms")]
    pub fn sealer<T, E: std::error::Error + Send + Sync + 'static>(
        &self,
        sealing: Sealing,
        kms: impl FnOnce(OnDemand<aws_sdk_kms::Client>, String) -> T,
        key_file: impl FnOnce(&Path) -> Result<T, E>,
    ) -> Result<T, StartError> {
        match sealing {
            Sealing::Kms(key_id) => Ok(kms(self.on_demand(Aws::kms), key_id)),
            Sealing::KeyFile(path) => key_file(&path).map_err(|error| StartError::Seal(Box::new(error))),
        }
    }
}

fn https(system_roots: bool) -> SharedHttpClient {
    let roots = if system_roots {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    };
    let tls = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .expect("the roots shipped with this crate are well formed");
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .pool_idle_timeout(IDLE)
        .build_https()
}

/// One method per service: a client of `$sdk` with our region, role and connections.
macro_rules! client {
    ($feature:literal, $name:ident, $sdk:ident) => {
        #[cfg(feature = $feature)]
        impl Aws {
            #[doc = concat!("A client of ", $feature, ". Retries stay on; every attempt is bounded.")]
            pub fn $name(&self) -> $sdk::Client {
                use $sdk::config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(8))
                    .build();
                let mut config = $sdk::Config::builder()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::new(self.region.clone()))
                    .credentials_provider(self.credentials.clone())
                    .http_client(self.http.clone())
                    .retry_config(RetryConfig::standard().with_max_attempts(3))
                    .timeout_config(timeouts);
                config.set_endpoint_url(self.endpoints.$name.clone());
                $sdk::Client::from_conf(config.build())
            }
        }
    };
}

client!("cloudwatch", cloudwatch, aws_sdk_cloudwatch);
client!("dynamodb", dynamodb, aws_sdk_dynamodb);
client!("kms", kms, aws_sdk_kms);
client!("lambda", lambda, aws_sdk_lambda);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Environment;

    #[test]
    fn a_person_needs_no_account_id() {
        let own =
            [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let environment = Environment::from_iter(own);
        let mut reader = environment.reader();
        let aws = Aws::read_caller(&mut reader);
        assert_eq!((reader.finish(), aws.region.as_str(), aws.account.as_str()), (Ok(()), "eu-west-1", ""));
    }

    #[test]
    fn a_process_without_its_role_says_all_that_is_missing() {
        let environment = Environment::from_iter([("AWS_REGION", "eu-west-1")]);
        let mut reader = environment.reader();
        Aws::read(&mut reader);
        let error = reader.finish().expect_err("three are missing").to_string();
        for name in ["ACCOUNT_ID", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            assert!(error.contains(name), "{error}");
        }
    }
}
