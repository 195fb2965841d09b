//! Queues and the mappings that feed the worker. A mistake here loses messages or makes nine good ones wait for a bad one.

use serde_json::{Value, json};

use crate::template::stack::{Stack, target, text};

/// Lambda's advice, and the least it needs to hold back a throttled batch without losing its receipts.
const VISIBILITY_OF_TIMEOUTS: u64 = 6;

const FOURTEEN_DAYS_SECS: u64 = 14 * 24 * 60 * 60;

/// Function, event name and properties of every SQS event.
fn sqs_events(stack: &Stack) -> Vec<(&str, &str, &Value)> {
    let of = |id| stack.events(id, "SQS").into_iter().map(move |(name, event)| (id, name, event));
    stack.functions().into_iter().flat_map(of).collect()
}

/// Queues that a worker receives from.
fn sources(stack: &Stack) -> Vec<&str> {
    sqs_events(stack).into_iter().filter_map(|(_, _, event)| target(&event["Queue"])).collect()
}

/// Batches of ten, each message answered for itself, nothing filtered away (a filter deletes what does not match).
pub(super) fn events(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let events = sqs_events(stack);
    let of_brokers = |id: &&str| ["MskWorkerFunction", "MqWorkerFunction"].contains(id);
    let workers = stack.functions().into_iter().filter(|id| id.ends_with("WorkerFunction"));
    for worker in workers.filter(|id| !of_brokers(id)) {
        if !events.iter().any(|(id, ..)| *id == worker) {
            faults.push(format!("{worker}: has no SQS event"));
        }
    }
    for (id, name, event) in events {
        if event["BatchSize"] != domain::BATCH_SIZE {
            faults.push(format!("{id}.{name}: BatchSize is not {}", domain::BATCH_SIZE));
        }
        if event["FunctionResponseTypes"] != json!(["ReportBatchItemFailures"]) {
            faults.push(format!("{id}.{name}: does not report failures message by message"));
        }
        if !event["FilterCriteria"].is_null() {
            faults.push(format!("{id}.{name}: a filter deletes the messages that do not match"));
        }
        match (&event["ScalingConfig"]["MaximumConcurrency"], &event["ProvisionedPollerConfig"]) {
            (Value::Null, Value::Null) => faults.push(format!("{id}.{name}: nothing bounds its concurrency")),
            (Value::Null, _) | (_, Value::Null) => {}
            _ => faults
                .push(format!("{id}.{name}: AWS takes MaximumConcurrency or provisioned pollers, not both")),
        }
        if event["Enabled"] == json!(false) {
            faults.push(format!("{id}.{name}: is off"));
        }
    }
    faults
}

/// A message must not come back while its function may still run, nor while Lambda holds back its batch.
pub(super) fn visibility(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, name, event) in sqs_events(stack) {
        let queue = target(&event["Queue"]).unwrap_or_default();
        let visibility = stack.property(queue, "VisibilityTimeout").as_u64();
        let Some(timeout) = stack.setting(id, "Timeout").as_u64() else {
            faults.push(format!("{id}: its Timeout is not a number"));
            continue;
        };
        let window = event["MaximumBatchingWindowInSeconds"].as_u64().unwrap_or(0);
        let least = VISIBILITY_OF_TIMEOUTS * timeout + window;
        if visibility.is_none_or(|visibility| visibility < least) {
            faults.push(format!(
                "{queue}: VisibilityTimeout is under {least} s, six times the Timeout of {id} ({name})"
            ));
        }
    }
    faults
}

/// Every queue with a worker has a dead-letter queue, by the name that queue-admin would give it, kept 14 days.
pub(super) fn redrive(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for queue in sources(stack) {
        let policy = stack.property(queue, "RedrivePolicy");
        // Throttles and crashes count as receives: the worker's own counter must come first.
        let enough = policy["maxReceiveCount"]
            .as_u64()
            .is_some_and(|count| count > domain::MAX_FAILURES_LIMIT.max(5).into());
        if !enough {
            faults.push(format!("{queue}: maxReceiveCount is not above {}", domain::MAX_FAILURES_LIMIT));
        }
        let dead = target(&policy["deadLetterTargetArn"]).unwrap_or_default();
        if !stack.of_type("AWS::SQS::Queue").contains(&dead) {
            faults.push(format!("{queue}: has no dead-letter queue"));
            continue;
        }
        if stack.property(dead, "MessageRetentionPeriod") != FOURTEEN_DAYS_SECS {
            faults.push(format!("{dead}: does not keep messages for 14 days"));
        }
        if stack.property(queue, "FifoQueue") != stack.property(dead, "FifoQueue") {
            faults.push(format!("{dead}: is not of the kind of {queue}"));
        }
        let name = |id| text(stack.property(id, "QueueName")).unwrap_or_default();
        let (plain, fifo) =
            name(queue).strip_suffix(".fifo").map_or((name(queue), ""), |plain| (plain, ".fifo"));
        if name(dead) != format!("{plain}-dead{fifo}") {
            faults.push(format!("{dead}: is not called like {queue} with -dead"));
        }
        let allow = stack.property(dead, "RedriveAllowPolicy");
        let only =
            text(&allow["sourceQueueArns"][0]).is_some_and(|arn| arn.ends_with(&format!(":{}", name(queue))));
        if allow["redrivePermission"] != "byQueue" || !only {
            faults.push(format!("{dead}: takes dead letters of other queues than {queue}"));
        }
    }
    faults
}

/// Named after the stack, so that rights can be bound to it; tagged, encrypted.
pub(super) fn own(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for id in stack.of_type("AWS::SQS::Queue") {
        if !text(stack.property(id, "QueueName")).is_some_and(|name| name.starts_with("${AWS::StackName}-")) {
            faults.push(format!("{id}: its name does not begin with the stack's"));
        }
        if stack.property(id, "SqsManagedSseEnabled") != true {
            faults.push(format!("{id}: is not encrypted"));
        }
        if stack.property(id, "Tags")
            != &json!([{ "Key": "queuelink:stack", "Value": { "Ref": "AWS::StackName" } }])
        {
            faults.push(format!("{id}: does not carry the tag of queues of this stack"));
        }
    }
    faults
}
