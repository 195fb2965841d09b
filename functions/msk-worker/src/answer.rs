//! What Lambda reads. It is a type of its own: one wrong name at the top would read as 'no failures', and the partition would
//! move on over records that nobody has.

use serde::Serialize;

/// The answer: the records that must come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KafkaBatchResponse {
    /// Empty = all is well.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// One record that must come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// Which one.
    pub item_identifier: ItemIdentifier,
}

/// A record's name in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ItemIdentifier {
    /// `topic-number`, as the event has it.
    pub partition: String,
    /// Its place there.
    pub offset: i64,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn the_answer_has_the_shape_that_lambda_reads() {
        let check = |ids: &[(&str, i64)], expect: &str| {
            let failure = |(partition, offset): &(&str, i64)| BatchItemFailure {
                item_identifier: ItemIdentifier { partition: (*partition).to_owned(), offset: *offset },
            };
            let response = KafkaBatchResponse { batch_item_failures: ids.iter().map(failure).collect() };
            assert_eq!(serde_json::to_string(&response).unwrap(), expect);
        };
        check(&[], r#"{"batchItemFailures":[]}"#);
        check(
            &[("orders-0", 15), ("orders-11", 9_007_199_254_740_993)],
            r#"{"batchItemFailures":[{"itemIdentifier":{"partition":"orders-0","offset":15}},{"itemIdentifier":{"partition":"orders-11","offset":9007199254740993}}]}"#,
        );
    }
}
