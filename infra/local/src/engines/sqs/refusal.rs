//! A request refused, as SQS words it.

use serde_json::{Value, json};

/// Why a request (or one entry of a batch) was refused. Two names each, because SQS once spoke another protocol:
/// the shape of the JSON protocol, and the older code that SDKs still match on (`x-amzn-query-error`).
#[derive(Debug)]
pub(super) struct Refusal {
    /// The error's shape in the JSON protocol.
    pub(super) shape: &'static str,
    /// The error's code in the Query protocol.
    pub(super) code: &'static str,
    /// For a person.
    pub(super) message: String,
    /// Whether the sender could have avoided it; if not, it is a fault of ours (500).
    pub(super) sender_fault: bool,
}

impl Refusal {
    fn new(shape: &'static str, code: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { shape, code, message: message.into(), sender_fault: true }
    }

    pub(super) fn no_such_queue() -> Refusal {
        Refusal::new(
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            "The specified queue does not exist.",
        )
    }

    pub(super) fn queue_exists(attribute: &str) -> Refusal {
        Refusal::new(
            "QueueNameExists",
            "QueueAlreadyExists",
            format!(
                "A queue already exists with the same name and a different value for attribute {attribute}"
            ),
        )
    }

    pub(super) fn missing(parameter: &str) -> Refusal {
        Refusal::new(
            "MissingParameter",
            "MissingParameter",
            format!("The request must contain the parameter {parameter}."),
        )
    }

    pub(super) fn invalid(message: impl Into<String>) -> Refusal {
        Refusal::new("InvalidParameterValue", "InvalidParameterValue", message)
    }

    /// The usual sentence: which value, of which parameter, and why.
    pub(super) fn invalid_value(value: impl std::fmt::Display, parameter: &str, reason: &str) -> Refusal {
        Refusal::invalid(format!("Value {value} for parameter {parameter} is invalid. Reason: {reason}"))
    }

    pub(super) fn unknown_attribute(name: &str) -> Refusal {
        Refusal::new("InvalidAttributeName", "InvalidAttributeName", format!("Unknown Attribute {name}."))
    }

    pub(super) fn attribute_value(name: &str) -> Refusal {
        Refusal::new(
            "InvalidAttributeValue",
            "InvalidAttributeValue",
            format!("Invalid value for the parameter {name}."),
        )
    }

    pub(super) fn contents(message: impl Into<String>) -> Refusal {
        Refusal::new("InvalidMessageContents", "InvalidMessageContents", message)
    }

    pub(super) fn receipt_handle(handle: &str) -> Refusal {
        Refusal::new(
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
            format!("The input receipt handle \"{handle}\" is not a valid receipt handle."),
        )
    }

    pub(super) fn not_in_flight() -> Refusal {
        Refusal::new(
            "MessageNotInflight",
            "AWS.SimpleQueueService.MessageNotInflight",
            "The specified message isn't in flight.",
        )
    }

    pub(super) fn no_resource(message: impl Into<String>) -> Refusal {
        Refusal::new("ResourceNotFoundException", "ResourceNotFoundException", message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Refusal {
        Refusal::new("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation", message)
    }

    pub(super) fn empty_batch() -> Refusal {
        Refusal::new(
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one entry in the request.",
        )
    }

    pub(super) fn too_many_entries(count: usize) -> Refusal {
        Refusal::new(
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!("Maximum number of entries per request are 10. You have sent {count}."),
        )
    }

    pub(super) fn entry_id() -> Refusal {
        Refusal::new(
            "InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
            "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.",
        )
    }

    pub(super) fn equal_entry_ids(id: &str) -> Refusal {
        Refusal::new(
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
            format!("Id {id} repeated."),
        )
    }

    pub(super) fn batch_too_long(bytes: usize) -> Refusal {
        Refusal::new(
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than 1048576 bytes. You have sent {bytes} bytes."),
        )
    }

    pub(super) fn malformed(message: impl Into<String>) -> Refusal {
        Refusal::new("SerializationException", "MalformedInput", message)
    }

    pub(super) fn unknown_operation(operation: &str) -> Refusal {
        Refusal::new(
            "UnknownOperationException",
            "InvalidAction",
            format!("The action {operation} is not valid for this endpoint."),
        )
    }

    pub(super) fn internal() -> Refusal {
        let message = "The engine failed inside this request.";
        Refusal { sender_fault: false, ..Refusal::new("InternalFailure", "InternalFailure", message) }
    }

    /// As the body of an error answer.
    pub(super) fn body(&self) -> Value {
        json!({"__type": format!("com.amazonaws.sqs#{}", self.shape), "message": self.message})
    }

    /// As the entry of a batch answer's `Failed`.
    pub(super) fn entry(&self, id: &str) -> Value {
        json!({"Id": id, "Code": self.code, "Message": self.message, "SenderFault": self.sender_fault})
    }
}

impl From<rusqlite::Error> for Refusal {
    /// A failing store is said once, here; the caller learns only that it was not its fault.
    fn from(error: rusqlite::Error) -> Refusal {
        tracing::error!(%error, "the file of the local SQS cannot be read or written");
        Refusal::internal()
    }
}

impl From<serde_json::Error> for Refusal {
    /// `missing field` is serde's wording for what SQS calls a missing parameter.
    fn from(error: serde_json::Error) -> Refusal {
        let text = error.to_string();
        match text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`')) {
            Some((field, _)) => Refusal::missing(field),
            None => Refusal::malformed(text),
        }
    }
}
