//! What each function is there for, and what it never does.

use serde_json::{Value, json};

use super::rights::every_right;
use crate::template::stack::{Stack, Statement, list, target, text};

/// What only Lambda's pollers do by the role of a worker, whose program runs code of users: denied to that.
const OF_POLLERS: &[&str] = &["ec2:", "mq:", "secretsmanager:"];

/// Functions that work for users: they all run the same handlers, so none may do more than another.
const WORKERS: &[&str] = &["SqsWorkerFunction", "MskWorkerFunction", "MqWorkerFunction"];

/// What no worker ever does.
const WORKERS_NEVER: &[(&str, &[&str])] = &[
    ("CatalogTable", &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete"]),
    // A held write is let stand by the steps of the store, one item each.
    ("RecordsTable", &["dynamodb:BatchWrite", "dynamodb:PartiQL"]),
    ("OutboxTable", &["dynamodb:BatchWrite", "dynamodb:PartiQL"]),
    (
        "*",
        &[
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kafka-cluster:Create",
            "kafka-cluster:Delete",
            "kafka-cluster:Write",
            "lambda:",
            "sqs:Create",
            "sqs:DeleteQueue",
            "sqs:Set",
            "sqs:Purge",
        ],
    ),
];

/// What a function never does, whatever a statement says: resource (`*` = any) and beginnings of actions.
const NEVER: &[(&str, &str, &[&str])] = &[
    ("PublishFunction", "CatalogTable", &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete"]),
    (
        "PublishFunction",
        "*",
        &["sqs:Receive", "sqs:Delete", "sqs:Create", "sqs:Set", "sqs:Purge", "lambda:", "kms:Encrypt"],
    ),
    (
        "QueueAdminFunction",
        "*",
        &[
            "sqs:Send",
            "sqs:Receive",
            "sqs:DeleteMessage",
            "sqs:Purge",
            "lambda:Invoke",
            "lambda:UpdateFunction",
            "kms:Decrypt",
        ],
    ),
    ("QueueAdminFunction", "MessagesTable", &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete"]),
    // Whoever reads records cannot write: neither records nor anything else.
    (
        "ZstorageReadFunction",
        "*",
        &[
            "dynamodb:Put",
            "dynamodb:Update",
            "dynamodb:Delete",
            "dynamodb:BatchWrite",
            "dynamodb:ConditionCheck",
            "dynamodb:PartiQL",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "sqs:",
            "lambda:",
        ],
    ),
    (
        "ZstorageWriteFunction",
        "CatalogTable",
        &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete", "dynamodb:BatchWrite"],
    ),
    ("ZstorageWriteFunction", "MessagesTable", &["dynamodb:"]),
    // A strict link's message is sent by the write itself; nothing is received there.
    (
        "ZstorageWriteFunction",
        "*",
        &[
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "sqs:Receive",
            "sqs:Delete",
            "sqs:Create",
            "sqs:Set",
            "sqs:Purge",
            "lambda:",
        ],
    ),
    // Designs of tables are one thing, records another: only jobs write both.
    (
        "ZstorageSchemaFunction",
        "RecordsTable",
        &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete", "dynamodb:BatchWrite"],
    ),
    ("ZstorageSchemaFunction", "*", &["kms:Encrypt", "sqs:Receive", "sqs:Delete", "sqs:Create", "lambda:"]),
    (
        "JobWorkerFunction",
        "*",
        &["kms:Encrypt", "kms:GenerateDataKey", "sqs:Create", "sqs:DeleteQueue", "lambda:"],
    ),
    ("PublishFunction", "RecordsTable", &["dynamodb:"]),
    // Entries are made by writes and publishes, marked by those who send them, and let go by time.
    ("PublishFunction", "OutboxTable", &["dynamodb:Update", "dynamodb:Delete", "dynamodb:Query"]),
    ("QueueAdminFunction", "OutboxTable", &["dynamodb:Put", "dynamodb:Delete"]),
    ("ZstorageSchemaFunction", "OutboxTable", &["dynamodb:"]),
    ("OutboxPublisherFunction", "OutboxTable", &["dynamodb:Put", "dynamodb:Delete"]),
    // What rings for it concerns entries that are due: their records stand already.
    ("OutboxPublisherFunction", "RecordsTable", &["dynamodb:"]),
    ("OutboxPublisherFunction", "MessagesTable", &["dynamodb:"]),
    ("OutboxPublisherFunction", "CatalogTable", &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete"]),
    ("OutboxPublisherFunction", "*", SENDERS_NEVER),
    ("OutboxSweeperFunction", "MessagesTable", &["dynamodb:"]),
    ("OutboxSweeperFunction", "CatalogTable", &["dynamodb:Put", "dynamodb:Update", "dynamodb:Delete"]),
    ("OutboxSweeperFunction", "*", SENDERS_NEVER),
    ("QueueAdminFunction", "RecordsTable", &["dynamodb:"]),
];

/// What sends the outbox's messages neither receives nor makes queues, and seals nothing.
const SENDERS_NEVER: &[&str] = &[
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "lambda:",
    "sqs:Create",
    "sqs:Delete",
    "sqs:Purge",
    "sqs:Receive",
    "sqs:Set",
];

/// Actions that are no one's: they take, or give away, the whole stack.
const NOBODY: &[&str] =
    &["iam:", "sts:", "dynamodb:Scan", "dynamodb:DeleteTable", "kms:CreateGrant", "secretsmanager:", "s3:"];

/// What a function is not there for, it cannot do.
pub(super) fn duties(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, right) in every_right(stack) {
        let on = |resource: &Value, name: &str| {
            let is_part = |text: &str| text.starts_with(&format!("${{{name}.Arn}}"));
            name == "*" || target(resource) == Some(name) || text(resource).is_some_and(is_part)
        };
        let own = NEVER.iter().filter(|(function, ..)| *function == id);
        let own = own.map(|(_, name, beginnings)| (*name, *beginnings));
        let of_workers = WORKERS_NEVER.iter().copied().filter(|_| WORKERS.contains(&id));
        for (name, beginnings) in own.chain(of_workers) {
            if right.resources.iter().any(|resource| on(resource, name)) {
                faults.extend(
                    forbidden(&right, beginnings)
                        .map(|action| format!("{id}.{}: {action} on {name}", right.sid)),
                );
            }
        }
        if !is_login(id, &right) {
            faults.extend(
                forbidden(&right, NOBODY)
                    .map(|action| format!("{id}.{}: {action} is no function's duty", right.sid)),
            );
        }
        let sends = right.actions.iter().any(|action| action == "sqs:SendMessage");
        if WORKERS.contains(&id) && sends && !right.resources.iter().all(|arn| takes_back(id, arn)) {
            faults.push(format!("{id}.{}: sends to other queues than dead-letter queues", right.sid));
        }
        for action in forbidden(&right, OF_POLLERS) {
            let program = |denial: &Statement| {
                let function = &denial.whole["Condition"]["ArnLike"]["lambda:SourceFunctionArn"];
                let its_own = text(function).is_some_and(|arn| {
                    let name = text(stack.property(id, "FunctionName")).unwrap_or_default();
                    arn.ends_with(&format!(":function:{name}"))
                        || arn.ends_with(":function:${AWS::StackName}-*")
                });
                its_own && denial.actions.contains(action) && denial.whole["Resource"] == "*"
            };
            if !stack.denials(id).iter().any(program) {
                faults.push(format!(
                    "{id}.{}: {action} is Lambda's, and its program may do it, too",
                    right.sid
                ));
            }
        }
    }
    let makes_queues =
        |right: &Value| list(&right["Action"]).iter().any(|action| *action == "sqs:CreateQueue");
    for statement in list(stack.property("QueueAdminRole", "Policies/0/PolicyDocument/Statement")) {
        if makes_queues(statement) {
            faults.push("QueueAdminFunction: may make queues even where QueueCreation refuses it".into());
        }
    }
    faults
}

/// The one secret that is read by a role: Lambda's poller logs in to the broker with it.
fn is_login(function: &str, right: &Statement) -> bool {
    let login = json!({ "Fn::GetAtt": ["RabbitMqBroker", "Outputs", "LoginSecretArn"] });
    function == "MqWorkerFunction"
        && right.actions == ["secretsmanager:GetSecretValue"]
        && right.resources == [login]
}

/// Whether a worker may send to a queue: to dead-letter queues, to the retry queue, and Lambda's own notes to theirs.
fn takes_back(function: &str, queue: &Value) -> bool {
    let dead = text(queue).is_some_and(|arn| arn.ends_with("-dead") || arn.ends_with("-dead.fifo"));
    let notes = function == "MskWorkerFunction" && target(queue) == Some("KafkaFailureQueue");
    dead || notes || target(queue).is_some_and(|id| ["RetryQueue", "RetryDeadLetterQueue"].contains(&id))
}

fn forbidden<'a>(right: &'a Statement, beginnings: &'a [&str]) -> impl Iterator<Item = &'a String> {
    right.actions.iter().filter(|action| beginnings.iter().any(|beginning| action.starts_with(beginning)))
}
