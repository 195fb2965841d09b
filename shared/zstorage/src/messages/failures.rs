use aws_sdk_dynamodb::types::ReturnValue;
use domain::QueueId;

use super::{Messages, MessagesError, TTL, message_pk};
use crate::StoreError;
use crate::item::{Reader, key, number, text};
use crate::table::{held_by_a_transaction, patiently};

/// A counter outlives the longest retention of a queue, seconds.
const KEPT_SECS: i64 = 14 * 24 * 3600;

/// Of the last error this much is kept, bytes.
const ERROR_BYTES: usize = 2048;

/// A message that travels on to another queue starts there with all its attempts.
fn sk(round: u32, queue: QueueId) -> String {
    format!("f#{round:010}#{queue}")
}

impl Messages {
    /// Counts one more failure of this message on this queue in this round, and answers how many there are now. Kept 14 days.
    ///
    /// An answer lost on the wire is asked for again, so a failure may, rarely, count twice; never not at all.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn add_failure(
        &self,
        message_id: &str,
        round: u32,
        queue: QueueId,
        error: &str,
    ) -> Result<u32, MessagesError> {
        const OPERATION: &str = "count a failure";
        let call = self
            .table
            .client
            .update_item()
            .table_name(&self.table.name)
            .set_key(Some(key(&message_pk(message_id), &sk(round, queue))))
            .update_expression("ADD #failures :one SET #error = :error, #ttl = :ttl")
            .expression_attribute_names("#failures", "failures")
            .expression_attribute_names("#error", "error")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":error", text(&error[..error.floor_char_boundary(ERROR_BYTES)]))
            .expression_attribute_values(":ttl", number(self.secs_from_now(KEPT_SECS)))
            .return_values(ReturnValue::AllNew);
        let answer = patiently(|| call.clone().send(), held_by_a_transaction).await;
        let answer = answer.map_err(|error| StoreError::from_call(OPERATION, error))?;
        Ok(Reader(&answer.attributes.unwrap_or_default()).number("failures")?)
    }

    /// How often this message has failed on this queue in this round.
    ///
    /// # Errors
    /// The store's alone.
    pub async fn failures(&self, message_id: &str, round: u32, queue: QueueId) -> Result<u32, MessagesError> {
        let item = self.table.get("read the failures", &message_pk(message_id), &sk(round, queue)).await?;
        Ok(item.map_or(Ok(0), |item| Reader(&item).number("failures"))?)
    }
}
