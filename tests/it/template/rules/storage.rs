//! What is kept, what can be set, what is told.

use serde_json::json;

use crate::template::stack::{Stack, list, text};

/// Kept when the stack goes or a table would be replaced; restorable to any second of 35 days; encrypted; paid by use.
pub(super) fn tables(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let tables = stack.of_type("AWS::DynamoDB::Table");
    if tables != ["CatalogTable", "MessagesTable", "OutboxTable", "RecordsTable"] {
        faults.push(format!("the tables are {tables:?}"));
    }
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let expect = [
        ("BillingMode", json!("PAY_PER_REQUEST")),
        ("KeySchema", json!([key("pk", "HASH"), key("sk", "RANGE")])),
        ("TimeToLiveSpecification", json!({ "AttributeName": "expires-at", "Enabled": true })),
        ("PointInTimeRecoverySpecification", json!({ "PointInTimeRecoveryEnabled": true })),
        ("SSESpecification", json!({ "SSEEnabled": true })),
        ("DeletionProtectionEnabled", json!({ "Ref": "DeletionProtection" })),
    ];
    for id in tables {
        faults.extend(kept(stack, id));
        if id != "OutboxTable" && !stack.property(id, "StreamSpecification").is_null() {
            faults.push(format!("{id}: nobody listens to its stream"));
        }
        for (name, expect) in &expect {
            if stack.property(id, name) != expect {
                faults.push(format!("{id}: {name} is not {expect}"));
            }
        }
    }
    faults.extend(indexes(stack));
    faults.extend(outbox(stack));
    faults
}

/// The outbox's index of what is due, and its stream, as the store makes them for itself where there is no template.
fn outbox(stack: &Stack) -> Vec<String> {
    let attribute = |name: &str, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let due = json!({
        "IndexName": "due",
        "KeySchema": [
            { "AttributeName": "due", "KeyType": "HASH" },
            { "AttributeName": "next-attempt-at", "KeyType": "RANGE" },
        ],
        "Projection": { "ProjectionType": "INCLUDE", "NonKeyAttributes": ["state", "due-since"] },
    });
    let keys = [("pk", "S"), ("sk", "S"), ("due", "S"), ("next-attempt-at", "N")];
    let expect = [
        ("GlobalSecondaryIndexes", json!([due])),
        ("AttributeDefinitions", json!(keys.map(|(name, kind)| attribute(name, kind)))),
        ("StreamSpecification", json!({ "StreamViewType": "NEW_IMAGE" })),
    ];
    let wrong = expect.iter().filter(|(name, expect)| stack.property("OutboxTable", name) != expect);
    wrong.map(|(name, expect)| format!("OutboxTable: {name} is not {expect}")).collect()
}

/// The five indexes that all tables share, as the store makes them for itself where there is no template.
fn indexes(stack: &Stack) -> Vec<String> {
    let index = |slot: usize| {
        json!({
            "IndexName": format!("index-{slot}"),
            "KeySchema": [
                { "AttributeName": format!("i{slot}pk"), "KeyType": "HASH" },
                { "AttributeName": format!("i{slot}sk"), "KeyType": "RANGE" },
            ],
            "Projection": { "ProjectionType": "ALL" },
        })
    };
    let attribute = |name: String, kind: &str| json!({ "AttributeName": name, "AttributeType": kind });
    let keys = ["pk", "sk"].map(|name| attribute(name.to_owned(), "S"));
    let of_slot = |slot| [attribute(format!("i{slot}pk"), "S"), attribute(format!("i{slot}sk"), "B")];
    let slots = 1..=domain::MAX_INDEXES;
    let attributes: Vec<_> = keys.into_iter().chain(slots.clone().flat_map(of_slot)).collect();
    let expect = [
        ("GlobalSecondaryIndexes", json!(slots.map(index).collect::<Vec<_>>())),
        ("AttributeDefinitions", json!(attributes)),
    ];
    let wrong = expect.iter().filter(|(name, expect)| stack.property("RecordsTable", name) != expect);
    wrong.map(|(name, expect)| format!("RecordsTable: {name} is not {expect}")).collect()
}

/// The key turns every year, outlives the stack, and its policy names what it allows.
pub(super) fn key(stack: &Stack) -> Vec<String> {
    let mut faults = kept(stack, "CredentialsKey");
    if stack.property("CredentialsKey", "EnableKeyRotation") != true {
        faults.push("CredentialsKey: does not rotate".into());
    }
    for right in stack.key_policy() {
        faults.extend(
            right
                .actions
                .iter()
                .filter(|a| a.contains('*'))
                .map(|a| format!("CredentialsKey.{}: allows {a}", right.sid)),
        );
        let account = "arn:${AWS::Partition}:iam::${AWS::AccountId}:root";
        if text(&right.whole["Principal"]["AWS"]) != Some(account) {
            faults.push(format!("CredentialsKey.{}: is open to others than this account", right.sid));
        }
    }
    faults
}

fn kept(stack: &Stack, id: &str) -> Vec<String> {
    let policies = ["DeletionPolicy", "UpdateReplacePolicy"].into_iter();
    let lost = policies.filter(|policy| stack.at(&format!("/Resources/{id}/{policy}")) != "Retain");
    lost.map(|policy| format!("{id}: {policy} is not Retain")).collect()
}

/// Each says what it is for, has a default (so that the first deployment asks nothing), stands in the form, and is used.
pub(super) fn parameters(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let groups = list(stack.at("/Metadata/AWS::CloudFormation::Interface/ParameterGroups"));
    let shown: Vec<&str> =
        groups.iter().flat_map(|group| list(&group["Parameters"])).filter_map(|name| name.as_str()).collect();
    for name in stack.parameters() {
        let parameter = &stack.at("/Parameters")[name];
        if parameter["Description"].as_str().is_none_or(|text| text.len() <= 20) {
            faults.push(format!("{name}: does not say what it is for"));
        }
        if parameter["Default"].is_null() {
            faults.push(format!("{name}: has no default"));
        }
        if shown.iter().filter(|shown| **shown == name).count() != 1 {
            faults.push(format!("{name}: does not stand in one group of the form"));
        }
        let rest = ["Conditions", "Globals", "Resources"]
            .map(|part| stack.at(&format!("/{part}")).to_string())
            .concat();
        if !rest.contains(&format!("{{\"Ref\":\"{name}\"}}")) && !rest.contains(&format!("${{{name}}}")) {
            faults.push(format!("{name}: is used nowhere"));
        }
    }
    faults
}

/// What a person needs after a deployment.
pub(super) fn outputs(stack: &Stack) -> Vec<String> {
    let names = [
        "ApiUrl",
        "CatalogTable",
        "MessagesTable",
        "RecordsTable",
        "OutboxTable",
        "OutboxFailureQueueUrl",
        "KafkaBootstrap",
        "KafkaFailureQueueUrl",
        "NetworkAddress",
        "RetryDeadLetterQueueUrl",
        "OnBoardingDeadLetterQueueUrl",
        "OnBoardingQueueUrl",
    ];
    let missing = names.into_iter().filter(|name| stack.at("/Outputs")[*name]["Value"].is_null());
    missing.map(|name| format!("{name} is not told")).collect()
}

/// CloudFormation's documentation does not promise anchors and aliases: say it twice instead.
pub(super) fn aliases(stack: &Stack) -> Vec<String> {
    let value = |line: &str| line.split_once(": ").map(|(_, value)| value.trim_start().to_owned());
    let is_alias = |line: &&str| value(line).is_some_and(|value| value.starts_with(['&', '*']));
    stack.text.lines().filter(is_alias).map(|line| format!("an alias or anchor: {}", line.trim())).collect()
}
