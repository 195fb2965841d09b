use std::path::PathBuf;

use bootstrap::{Aws, Environment, Reader, Sealing};
use domain::Clock;
use egress::{FetchPolicy, Fetcher, Guard, Mailer, SmtpConfigError};
use handling::{
    DEFAULT_CPU_BUDGET, Door, DoorParts, Handlers, HandlersError, HandlersParts, Handling, HandlingParts,
};
use lua_host::{Bundle, BundleError, SandboxConfig};
use queue::{Queues, SqsConfig};
use serde_json::{Value, json};
use zstorage::{Catalog, Messages, Sealer};

use crate::SqsWorker;

/// Why the function cannot start.
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

/// What is read from the environment.
struct Settings {
    aws: Aws,
    catalog_table: String,
    messages_table: String,
    handlers: PathBuf,
    sealing: Sealing,
    mail: Option<(String, String)>,
    handler_config: Value,
    allow_loopback: bool,
}

impl Settings {
    /// `CATALOG_TABLE`, `MESSAGES_TABLE`, `HANDLERS_DIR`; `KMS_KEY_ID` or `KEY_FILE` for the secrets of packages; `SMTP_URL` with `MAIL_FROM` (without them `mail.send` throws);
    /// `HANDLER_CONFIG`, a JSON object that handlers see as `context.config`; `ALLOW_LOOPBACK` on one's own machine.
    fn read(reader: &mut Reader<'_>) -> Settings {
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
        Settings {
            aws: Aws::read(reader),
            catalog_table: reader.required("CATALOG_TABLE"),
            messages_table: reader.required("MESSAGES_TABLE"),
            handlers: reader.required("HANDLERS_DIR").into(),
            sealing: reader.sealing(),
            mail,
            handler_config,
            allow_loopback: reader.switch("ALLOW_LOOPBACK", "true", "false"),
        }
    }
}

/// The whole function, from the environment it was started with; one error names all that is missing. The sandbox is
/// started here, in init, by running this same program again: its main must begin with [`lua_host::sandbox_entry`].
pub async fn start(environment: &Environment) -> Result<SqsWorker, StartError> {
    let mut reader = environment.reader();
    let settings = Settings::read(&mut reader);
    reader.finish().map_err(bootstrap::StartError::from)?;
    let bundle = Bundle::from_dir(&settings.handlers)?;
    let program = std::env::current_exe().map_err(StartError::Program)?;
    let sealer = settings.aws.sealer(settings.sealing, Sealer::kms, Sealer::from_key_file)?;
    let loopback = settings.allow_loopback;
    let mailer = settings.mail.map(|(url, from)| Mailer::new(&url, &from, loopback)).transpose()?;
    let guard = Guard::internet().with_loopback(loopback);
    let fetcher = Fetcher::new(FetchPolicy { guard, ..FetchPolicy::default() });
    let queues = Queues::new(settings.aws.sqs(SqsConfig::new));
    let (dynamodb, clock) = (settings.aws.dynamodb(), Clock::system());
    let catalog = Catalog::new(dynamodb.clone(), settings.catalog_table, clock.clone());
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
        messages: Messages::new(dynamodb, settings.messages_table, clock.clone()),
        queues: queues.clone(),
        door: Door::new(DoorParts { mailer, fetcher }),
        clock,
        config: settings.handler_config,
        cpu_budget: DEFAULT_CPU_BUDGET,
    });
    Ok(SqsWorker::new(handling, queues))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    fn faults(variables: &[(&str, &str)]) -> String {
        let environment: Environment = variables.iter().copied().collect();
        let mut reader = environment.reader();
        Settings::read(&mut reader);
        reader.finish().err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn one_error_names_all_that_is_missing() {
        let said =
            faults(&[("SMTP_URL", "smtp://mail"), ("HANDLER_CONFIG", "[1]"), ("ALLOW_LOOPBACK", "yes")]);
        for part in [
            "CATALOG_TABLE",
            "MESSAGES_TABLE",
            "HANDLERS_DIR",
            "KMS_KEY_ID",
            "MAIL_FROM",
            "HANDLER_CONFIG",
            "ALLOW_LOOPBACK",
            "AWS_REGION",
        ] {
            assert!(said.contains(part), "{part} in: {said}");
        }
    }
}
