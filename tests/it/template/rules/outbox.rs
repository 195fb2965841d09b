//! What rings for the outbox, what sweeps it, and who is told when either falls silent.

use serde_json::{Value, json};

use crate::template::stack::{Stack, branches, target};

const PUBLISHER: &str = "OutboxPublisherFunction";
const SWEEPER: &str = "OutboxSweeperFunction";

/// What rings: a new entry that is due. Marks and parts are no news, and what is held or waits for a date is the sweeper's.
fn ring() -> Value {
    json!({ "eventName": ["INSERT"], "dynamodb": { "NewImage": { "state": { "S": ["due"] } } } })
}

/// Function, event name and properties of every event of a stream.
fn stream_events(stack: &Stack) -> Vec<(&str, &str, &Value)> {
    let of = |id| stack.events(id, "DynamoDB").into_iter().map(move |(name, event)| (id, name, event));
    stack.functions().into_iter().flat_map(of).collect()
}

/// A bad record holds up its shard for an hour at most, loses nobody's neighbours, and whatever is given up is noted.
pub(super) fn doorbell(stack: &Stack) -> Vec<String> {
    let events = stream_events(stack);
    let mut faults = Vec::new();
    if events.iter().map(|(id, ..)| *id).collect::<Vec<_>>() != [PUBLISHER] {
        faults.push(format!("the outbox's stream does not ring at {PUBLISHER} once, and there alone"));
    }
    let expect = [
        ("StartingPosition", json!("TRIM_HORIZON"), "what came before the mapping is lost"),
        ("BatchSize", json!(100), "a call is to serve many"),
        ("ParallelizationFactor", json!(1), "a record's entries could overtake each other"),
        ("BisectBatchOnFunctionError", json!(true), "a bad record takes its batch along"),
        ("MaximumRetryAttempts", json!(10), "a bad record blocks its shard"),
        ("MaximumRecordAgeInSeconds", json!(3600), "a bad record blocks its shard"),
        ("FunctionResponseTypes", json!(["ReportBatchItemFailures"]), "one failure returns the whole batch"),
    ];
    for (id, name, event) in events {
        let place = format!("{id}.{name}");
        for (key, expect, why) in &expect {
            if &event[*key] != expect {
                faults.push(format!("{place}: {key} is not {expect}: {why}"));
            }
        }
        if event["MaximumBatchingWindowInSeconds"].as_u64().unwrap_or(0) > 0 {
            faults.push(format!("{place}: a write's message waits for others"));
        }
        if event["Enabled"] == json!(false) {
            faults.push(format!("{place}: is off"));
        }
        let patterns: Vec<Option<Value>> = event["FilterCriteria"]["Filters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|filter| serde_json::from_str(filter["Pattern"].as_str().unwrap_or_default()).ok())
            .collect();
        if patterns != [Some(ring())] {
            faults.push(format!("{place}: the filter is not {}", ring()));
        }
        faults.extend(source(stack, id, event).into_iter().map(|fault| format!("{place}: {fault}")));
        faults.extend(given_up(stack, event).into_iter().map(|fault| format!("{place}: {fault}")));
    }
    faults
}

/// The stream is one that a table of ours has, with images, and the function's role may read it.
fn source(stack: &Stack, function: &str, event: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let stream = &event["Stream"];
    let table = target(stream).unwrap_or_default();
    let is_stream = stream["Fn::GetAtt"][1] == "StreamArn";
    if !is_stream || stack.property(table, "StreamSpecification/StreamViewType") != "NEW_IMAGE" {
        faults.push("its stream is not that of a table with new images".to_owned());
    }
    for action in ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"] {
        let action = format!("dynamodb:{action}");
        let allows = |right: &crate::template::stack::Statement| {
            right.actions.contains(&action) && right.resources == [stream.clone()]
        };
        if !stack.rights(function).iter().any(allows) {
            faults.push(format!("its role lacks {action} on the stream"));
        }
    }
    faults
}

/// Where Lambda notes what it gave up: a queue of the template that keeps it for 14 days.
fn given_up(stack: &Stack, event: &Value) -> Vec<String> {
    let failed = &event["DestinationConfig"]["OnFailure"];
    let queue = target(&failed["Destination"]).unwrap_or_default();
    if failed["Type"] != "SQS" || !stack.of_type("AWS::SQS::Queue").contains(&queue) {
        return vec!["nothing notes what was given up".to_owned()];
    }
    if stack.property(queue, "MessageRetentionPeriod") != 14 * 24 * 60 * 60 {
        return vec![format!("{queue} does not keep what was given up for 14 days")];
    }
    Vec::new()
}

/// Every minute, once: a run that failed is made good by the next one.
pub(super) fn schedule(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let events = stack.events(SWEEPER, "Schedule");
    match events[..] {
        [(name, event)] => {
            if event["Schedule"] != "rate(1 minute)" {
                faults.push(format!("{SWEEPER}.{name}: does not run every minute"));
            }
            if event["Enabled"] == json!(false) {
                faults.push(format!("{SWEEPER}.{name}: is off"));
            }
        }
        _ => faults.push(format!("{SWEEPER}: has not one schedule")),
    }
    if stack.property(SWEEPER, "EventInvokeConfig/MaximumRetryAttempts") != 0 {
        faults.push(format!("{SWEEPER}: runs that failed pile up on the next ones"));
    }
    for id in [PUBLISHER, SWEEPER] {
        // The sweeper's leases last 60 s, and an entry is the sweeper's 60 s after it was committed.
        if stack.setting(id, "Timeout").as_u64().is_none_or(|timeout| !(10..=60).contains(&timeout)) {
            faults.push(format!("{id}: its Timeout is not 10 to 60 s, for which a lease lasts"));
        }
    }
    faults
}

/// Each metric has an alarm over this stack's own numbers, which goes to the topic of the parameter.
pub(super) fn alarms(stack: &Stack) -> Vec<String> {
    let own = json!([{ "Name": "Stack", "Value": { "Ref": "AWS::StackName" } }]);
    let publisher = json!([{ "Name": "FunctionName", "Value": { "Ref": PUBLISHER } }]);
    let metrics = [
        ("AWS/Lambda", "IteratorAge", &publisher, "notBreaching", [60, 5, 60_000]),
        (outbox_sweeper::NAMESPACE, outbox_sweeper::LAG_SECONDS, &own, "breaching", [60, 5, 300]),
        (outbox_sweeper::NAMESPACE, outbox_sweeper::PARKED_ENTRIES, &own, "notBreaching", [60, 1, 0]),
    ];
    let alarms = stack.of_type("AWS::CloudWatch::Alarm");
    let mut faults = Vec::new();
    for (namespace, metric, dimensions, missing, [period, periods, threshold]) in metrics {
        let watches = |id: &&&str| {
            let property = |path| stack.property(id, path);
            property("Namespace") == namespace
                && property("MetricName") == metric
                && property("Dimensions") == dimensions
                && property("Statistic") == "Maximum"
                && property("ComparisonOperator") == "GreaterThanThreshold"
                && property("TreatMissingData") == missing
                && property("Period") == period
                && property("EvaluationPeriods") == periods
                && property("Threshold") == threshold
        };
        if alarms.iter().filter(watches).count() != 1 {
            faults.push(format!("no one alarm watches {namespace} {metric}"));
        }
    }
    for id in alarms {
        for key in ["AlarmActions", "OKActions"] {
            let actions = branches(stack.property(id, key));
            if actions != [&json!([{ "Ref": "AlarmTopicArn" }])] {
                faults.push(format!("{id}: {key} are not the topic of AlarmTopicArn"));
            }
        }
        if stack.property(id, "ActionsEnabled") == &json!(false) {
            faults.push(format!("{id}: tells nobody"));
        }
    }
    faults
}
