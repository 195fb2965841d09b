//! The ground floor: the engines and the mailbox, opened and served on loopback ports.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use bootstrap::Endpoints;
use domain::Clock;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::services::Service;
use super::{ACCOUNT, REGION, StartError};
use crate::engines::EngineError;
use crate::engines::dynamodb::{Durability, DynamoDbEngine};
use crate::engines::sqs::SqsEngine;
use crate::folder::DataFolder;
use crate::mailbox::{self, Limits};
use crate::ports::Listeners;

/// The file of all tables.
pub(super) const TABLES_FILE: &str = "dynamodb.sqlite";

/// The file of all SQS queues.
const QUEUES_FILE: &str = "sqs.sqlite";

/// Engines that are open, on ports that are bound.
pub(super) struct Ground {
    pub(super) endpoints: Endpoints,
    pub(super) smtp_url: String,
    pub(super) sqs: SqsEngine,
    dynamodb: DynamoDbEngine,
    listeners: Listeners,
}

impl Ground {
    /// Opens the files and binds the ports.
    pub(super) async fn open(
        folder: &DataFolder,
        durability: Durability,
        clock: &Clock,
    ) -> Result<Ground, StartError> {
        let listeners = Listeners::bind(&folder.join("ports.json")).await?;
        let at_sqs = address(&listeners.sqs)?;
        let (tables, queues, clock) = (folder.join(TABLES_FILE), folder.join(QUEUES_FILE), clock.clone());
        // Each file is read through once.
        let opened = tokio::task::spawn_blocking(move || {
            let dynamodb = DynamoDbEngine::open(&tables, durability)?;
            let sqs = SqsEngine::open(&queues, REGION, ACCOUNT, at_sqs, clock)?;
            Ok::<_, EngineError>((dynamodb, sqs))
        });
        let (dynamodb, sqs) = opened.await.map_err(StartError::part("the engines"))??;
        let url = |listener| address(listener).map(|address| format!("http://{address}"));
        let control = url(&listeners.control)?;
        let endpoints = Endpoints {
            cloudwatch: Some(control.clone()),
            dynamodb: Some(url(&listeners.dynamodb)?),
            // Nothing is sealed by KMS here, so nothing may reach for it.
            kms: None,
            lambda: Some(control),
            sqs: Some(url(&listeners.sqs)?),
        };
        let smtp_url = format!("smtp://{}", address(&listeners.smtp)?);
        Ok(Ground { endpoints, smtp_url, sqs, dynamodb, listeners })
    }

    /// Where everything listens that asks for no key.
    pub(super) fn addresses(&self) -> Result<Vec<SocketAddr>, StartError> {
        let Listeners { dynamodb, sqs, control, smtp } = &self.listeners;
        [dynamodb, sqs, control, smtp].into_iter().map(address).collect()
    }

    /// News of writes to the tables.
    pub(super) fn writes(&self) -> watch::Receiver<u64> {
        self.dynamodb.writes()
    }

    /// Serves all of it; the port of the control endpoint is handed back, for the functions come first.
    pub(super) fn serve(self, mailbox: &Path) -> (Vec<Service>, TcpListener) {
        let Listeners { dynamodb, sqs, control, smtp } = self.listeners;
        let mails = mailbox.to_owned();
        let services = vec![
            Service::start("dynamodb", |stopped| self.dynamodb.serve(dynamodb, stopped)),
            Service::start("sqs", |stopped| self.sqs.serve(sqs, stopped)),
            Service::start("mailbox", |stopped| async move {
                mailbox::serve(smtp, mails, Limits::default(), stopped).await;
                Ok::<_, Infallible>(())
            }),
        ];
        (services, control)
    }
}

fn address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(StartError::part("a port of an engine"))
}
