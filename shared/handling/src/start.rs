//! From the environment to [`Handling`]: what every worker starts with, whatever it receives from.

use std::path::PathBuf;

use bootstrap::{Aws, Reader, Sealing};
use domain::{Clock, SqsQueue};
use egress::{FetchPolicy, Fetcher, Guard, Mailer, SmtpConfigError};
use lua_host::{Bundle, BundleError, SandboxConfig};
use queue::{Queues, RetryQueue, SqsConfig};
use serde_json::{Value, json};
use zstorage::{Catalog, Messages, Outbox, Records, Sealer};

use crate::{
    BrokerHandling, DEFAULT_CPU_BUDGET, Door, DoorParts, Handlers, HandlersError, HandlersParts, Handling,
    HandlingParts,
};

/// Why a worker cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment is not complete, or secrets of packages could not be opened.
    #[error(transparent)]
    Ground(#[from] bootstrap::StartError),
    /// The mail server's settings are wrong.
    #[error(transparent)]
    Smtp(#[from] SmtpConfigError),
    /// The handlers cannot be read or compiled.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The sandbox does not start, or what shipped cannot be used.
    #[error(transparent)]
    Handlers(#[from] HandlersError),
    /// Our own program, which is the sandbox's too, cannot be found.
    #[error("the path of this program cannot be found, and the sandbox is the same program")]
    Program(#[source] std::io::Error),
}

/// What a worker's handling is told by the environment.
pub struct HandlingSettings {
    aws: Aws,
    catalog_table: String,
    messages_table: String,
    records_table: String,
    outbox_table: String,
    retry_queue: String,
    handlers: PathBuf,
    sealing: Sealing,
    mail: Option<(String, String)>,
    handler_config: Value,
    allow_loopback: bool,
}

/// What a worker stands on.
pub struct Ground {
    /// Messages to their handlers.
    pub handling: Handling,
    /// Sends, and sets visibilities.
    pub queues: Queues,
    /// The stack's retry queue.
    pub retry_queue: SqsQueue,
}

impl HandlingSettings {
    /// `CATALOG_TABLE`, `MESSAGES_TABLE`, `RECORDS_TABLE`, `OUTBOX_TABLE`, `HANDLERS_DIR`; `RETRY_QUEUE`, the name of the stack's
    /// queue; `KMS_KEY_ID` or `KEY_FILE` for the secrets of packages; `SMTP_URL` with `MAIL_FROM` (without them `mail.send`
    /// throws); `HANDLER_CONFIG`, a JSON object that handlers see as `context.config`; `ALLOW_LOOPBACK` on one's own machine.
    pub fn read(reader: &mut Reader<'_>) -> HandlingSettings {
        let mail = match (reader.optional("SMTP_URL"), reader.optional("MAIL_FROM")) {
            (Some(url), Some(from)) => Some((url, from)),
            (Some(_), None) => {
                reader.fault("MAIL_FROM is missing: mail through SMTP_URL would have no sender");
                None
            }
            (None, _) => None,
        };
        let handler_config = reader.parsed("HANDLER_CONFIG", json!({}));
        if !handler_config.is_object() {
            reader.fault(
                "HANDLER_CONFIG is wrong: it must be a JSON object, which handlers see as context.config",
            );
        }
        HandlingSettings {
            aws: Aws::read(reader),
            catalog_table: reader.required("CATALOG_TABLE"),
            messages_table: reader.required("MESSAGES_TABLE"),
            records_table: reader.required("RECORDS_TABLE"),
            outbox_table: reader.required("OUTBOX_TABLE"),
            retry_queue: reader.required("RETRY_QUEUE"),
            handlers: reader.required("HANDLERS_DIR").into(),
            sealing: reader.sealing(),
            mail,
            handler_config,
            allow_loopback: reader.switch("ALLOW_LOOPBACK", "true", "false"),
        }
    }

    /// Starts the sandbox, by running this same program again: its main must begin with [`lua_host::sandbox_entry`].
    pub async fn start(self) -> Result<Ground, StartError> {
        let bundle = Bundle::from_dir(&self.handlers)?;
        let program = std::env::current_exe().map_err(StartError::Program)?;
        let sealer = self.aws.sealer(self.sealing, Sealer::kms, Sealer::from_key_file)?;
        let loopback = self.allow_loopback;
        let mailer = self.mail.map(|(url, from)| Mailer::new(&url, &from, loopback)).transpose()?;
        let guard = Guard::internet().with_loopback(loopback);
        let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
        let queues = Queues::new(self.aws.sqs(SqsConfig::new));
        let (dynamodb, clock) = (self.aws.dynamodb(), Clock::system());
        let catalog = Catalog::new(dynamodb.clone(), self.catalog_table, clock.clone());
        let outbox = Outbox::new(dynamodb.clone(), self.outbox_table, clock.clone());
        let Aws { region, account, .. } = self.aws;
        let retry_queue = SqsQueue { region, account, name: self.retry_queue };
        let handlers = Handlers::start(HandlersParts {
            sandbox: SandboxConfig::new(program),
            shipped: bundle,
            catalog: catalog.clone(),
            sealer,
            clock: clock.clone(),
        });
        let handling = Handling::new(HandlingParts {
            handlers: handlers.await?,
            catalog,
            messages: Messages::new(dynamodb.clone(), self.messages_table, clock.clone()),
            records: Records::new(dynamodb, self.records_table, outbox, clock.clone()),
            queues: queues.clone(),
            door: Door::new(DoorParts { mailer, fetcher }),
            clock,
            config: self.handler_config,
            cpu_budget: DEFAULT_CPU_BUDGET,
        });
        Ok(Ground { handling, queues, retry_queue })
    }
}

impl Ground {
    /// The handling of what comes from Kafka or RabbitMQ.
    pub fn broker(self) -> BrokerHandling {
        BrokerHandling::new(self.handling, RetryQueue::new(self.queues, self.retry_queue))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use bootstrap::Environment;

    use super::*;

    fn faults(variables: &[(&str, &str)]) -> String {
        let environment: Environment = variables.iter().copied().collect();
        let mut reader = environment.reader();
        HandlingSettings::read(&mut reader);
        reader.finish().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn one_error_names_all_that_is_missing() {
        let said =
            faults(&[("SMTP_URL", "smtp://mail"), ("HANDLER_CONFIG", "[1]"), ("ALLOW_LOOPBACK", "yes")]);
        for part in [
            "CATALOG_TABLE",
            "MESSAGES_TABLE",
            "RECORDS_TABLE",
            "OUTBOX_TABLE",
            "HANDLERS_DIR",
            "KMS_KEY_ID",
            "MAIL_FROM",
            "HANDLER_CONFIG",
            "ALLOW_LOOPBACK",
            "AWS_REGION",
            "RETRY_QUEUE",
        ] {
            assert!(said.contains(part), "{part} in: {said}");
        }
    }
}
