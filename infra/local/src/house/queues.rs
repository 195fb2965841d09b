//! Queues of the system itself: each with its dead-letter queue and the mapping that feeds its function, made at the start where
//! they are not there yet.

use domain::SqsQueue;
use queue::Queues;

use super::{ACCOUNT, REGION, STACK, StartError};
use crate::mapping::{MappingError, Mappings, NewMapping};

/// A queue of the system, and who is fed from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct SystemQueue {
    /// Behind the stack's name.
    pub(super) name: &'static str,
    /// What people call it.
    pub(super) part: &'static str,
    /// The function.
    pub(super) function: &'static str,
    /// Its timeout; the queue's visibility is six times that, seconds.
    pub(super) timeout_secs: u32,
}

impl SystemQueue {
    /// Where it lies.
    pub(super) fn place(&self) -> SqsQueue {
        let name = format!("{STACK}-{}", self.name);
        SqsQueue { region: REGION.to_owned(), account: ACCOUNT.to_owned(), name }
    }

    /// Makes it with its dead-letter queue and its mapping, where they are not there yet.
    pub(super) async fn attach(&self, queues: &Queues, mappings: &Mappings) -> Result<(), StartError> {
        let place = self.place();
        let made = queues.create_pair(&place.name, false, STACK, self.timeout_secs * 6).await;
        made.map_err(StartError::part(self.part))?;
        let mapping = NewMapping {
            source_arn: place.arn(),
            function: self.function.to_owned(),
            enabled: true,
            batch_size: 10,
            reports_failures: true,
            maximum_concurrency: None,
        };
        match mappings.create(mapping).await {
            Ok(_) | Err(MappingError::Exists(_)) => Ok(()),
            Err(error) => Err(StartError::part(self.part)(error)),
        }
    }
}
