use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;

/// Why the store could not answer. What it says holds for both tables.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Other writers were at the same items for as long as we could wait. Nothing was changed.
    #[error("the store is busy with other writers: {operation} was given up")]
    Busy {
        /// What was asked of it.
        operation: &'static str,
    },
    /// The call failed.
    #[error("the store did not carry out: {operation}")]
    Call {
        /// What was asked of it.
        operation: &'static str,
        /// Whether the same call may work later.
        retryable: bool,
        /// What the SDK says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An item is not of the form that we write: someone else wrote it, or a later version of us.
    #[error("the stored item {item} cannot be read: {fault}")]
    Item {
        /// Its partition and sort key.
        item: String,
        /// What is wrong with it; names of attributes, never values.
        fault: String,
    },
}

impl StoreError {
    /// Whether the same request may work in a moment.
    pub fn is_retryable(&self) -> bool {
        match self {
            StoreError::Busy { .. } => true,
            StoreError::Call { retryable, .. } => *retryable,
            StoreError::Item { .. } => false,
        }
    }

    /// What `error` means for whoever asked for `operation`.
    pub(crate) fn from_call<E>(operation: &'static str, error: SdkError<E>) -> StoreError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        match error.code() {
            Some(code) if is_contention(code) => StoreError::Busy { operation },
            code => {
                let retryable = match &error {
                    SdkError::ServiceError(refusal) => {
                        refusal.raw().status().is_server_error() || code.is_some_and(is_throttle)
                    }
                    SdkError::ConstructionFailure(_) => false,
                    _ => true,
                };
                StoreError::Call { operation, retryable, source: Box::new(error) }
            }
        }
    }
}

/// Another transaction held one of the items: the SDK gives these up at once, a moment later they work.
pub(crate) fn is_contention(code: &str) -> bool {
    matches!(code, "TransactionConflictException" | "TransactionInProgressException")
}

fn is_throttle(code: &str) -> bool {
    matches!(code, "ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded")
}

/// What a cancelled transaction says of its actions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// The conditions of the actions at these places do not hold: sending again changes nothing.
    Conditions(Vec<usize>),
    /// Conflicts and throttles alone: the same request may work in a moment.
    Contention,
    /// Anything else.
    Other,
}

/// Reads the reasons of a refused transaction. SDKs do not: they never send a cancelled one again.
pub(crate) fn cancelled(error: &SdkError<TransactWriteItemsError>) -> Cancelled {
    let Some(TransactWriteItemsError::TransactionCanceledException(exception)) = error.as_service_error()
    else {
        return match error.code() {
            Some(code) if is_contention(code) => Cancelled::Contention,
            _ => Cancelled::Other,
        };
    };
    let codes: Vec<&str> =
        exception.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
    verdict(&codes)
}

fn verdict(codes: &[&str]) -> Cancelled {
    let failed: Vec<usize> = codes
        .iter()
        .enumerate()
        .filter(|(_, code)| **code == "ConditionalCheckFailed")
        .map(|(at, _)| at)
        .collect();
    let contention = |code: &&str| {
        matches!(*code, "TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
    };
    if !failed.is_empty() {
        Cancelled::Conditions(failed)
    } else if codes.iter().any(contention) && codes.iter().all(|code| contention(code) || *code == "None") {
        Cancelled::Contention
    } else {
        Cancelled::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_condition_outweighs_a_conflict_and_a_conflict_alone_is_worth_another_try() {
        let check = |codes: &[&str], expect: Cancelled| assert_eq!(verdict(codes), expect, "{codes:?}");
        check(&["None", "ConditionalCheckFailed", "None"], Cancelled::Conditions(vec![1]));
        check(&["TransactionConflict", "ConditionalCheckFailed"], Cancelled::Conditions(vec![1]));
        check(&["ConditionalCheckFailed", "ConditionalCheckFailed"], Cancelled::Conditions(vec![0, 1]));
        check(&["TransactionConflict", "None"], Cancelled::Contention);
        check(&["ThrottlingError"], Cancelled::Contention);
        check(&["None", "ProvisionedThroughputExceeded"], Cancelled::Contention);
        check(&["TransactionConflict", "ValidationError"], Cancelled::Other);
        check(&["ItemCollectionSizeLimitExceeded"], Cancelled::Other);
        check(&["None"], Cancelled::Other);
        check(&[], Cancelled::Other);
    }
}
