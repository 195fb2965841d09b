//! What every function has: a folder, a runtime, a log, a whole environment.

use serde_json::{Value, json};

use crate::template::stack::{Stack, branches, target, text};
use crate::tree;

/// Read when there, and never set on AWS.
const LOCAL_ONLY: &[&str] = &["ALLOW_LOOPBACK", "KAFKA_NOTE", "KAFKA_TLS", "KEY_FILE", "TRUST_STORE"];

/// Lambda sets these itself, and refuses a template that does.
const RESERVED: &str = "AWS_";

/// `sqs-worker` -> `SqsWorkerFunction`
fn logical_id(folder: &str) -> String {
    let capital = |word: &str| word[..1].to_uppercase() + &word[1..];
    folder.split('-').map(capital).collect::<String>() + "Function"
}

/// Folder = package = binary = resource, both ways. (Folder = package is the layering test's.)
pub(super) fn folders(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for program in &stack.programs {
        let (name, id) = (&program.name, logical_id(&program.name));
        if !stack.functions().contains(&id.as_str()) {
            faults.push(format!("functions/{name} has no resource {id}"));
            continue;
        }
        let expect = [
            ("CodeUri", json!(format!("functions/{name}"))),
            ("FunctionName", json!({ "Fn::Sub": format!("${{AWS::StackName}}-{name}") })),
        ];
        for (key, expect) in expect {
            if stack.property(&id, key) != &expect {
                faults.push(format!("{id}: {key} is not {expect}"));
            }
        }
    }
    let known: Vec<String> = stack.programs.iter().map(|program| logical_id(&program.name)).collect();
    let strangers = stack.functions().into_iter().filter(|id| !known.iter().any(|known| known == id));
    faults.extend(strangers.map(|id| format!("{id} has no folder in functions/")));
    faults
}

/// Rust on Amazon Linux 2023, built per folder by cargo-lambda, for the architecture of the parameter.
pub(super) fn runtime(stack: &Stack) -> Vec<String> {
    let expect = [
        ("Runtime", json!("provided.al2023")),
        ("Handler", json!("bootstrap")),
        ("Architectures", json!([{ "Ref": "Architecture" }])),
    ];
    let mut faults = Vec::new();
    for id in stack.functions() {
        for (key, expect) in &expect {
            if stack.setting(id, key) != expect {
                faults.push(format!("{id}: {key} is not {expect}"));
            }
        }
        if stack.at(&format!("/Resources/{id}/Metadata/BuildMethod")) != "rust-cargolambda" {
            faults.push(format!("{id}: BuildMethod is not rust-cargolambda"));
        }
    }
    let architecture = stack.at("/Parameters/Architecture");
    if architecture["Default"] != "x86_64" || architecture["AllowedValues"] != json!(["x86_64", "arm64"]) {
        faults.push("Architecture: not x86_64 by default, arm64 by choice".into());
    }
    faults
}

/// Every function and the API write to a log group of the template, and every log group ends some day.
pub(super) fn logs(stack: &Stack) -> Vec<String> {
    let groups = stack.of_type("AWS::Logs::LogGroup");
    let retention = json!({ "Ref": "LogRetentionDays" });
    let mut faults: Vec<String> = groups
        .iter()
        .filter(|id| stack.property(id, "RetentionInDays") != &retention)
        .map(|id| format!("{id}: RetentionInDays is not the parameter LogRetentionDays"))
        .collect();
    let mut taken = Vec::new();
    let functions =
        stack.functions().into_iter().map(|id| (id, stack.property(id, "LoggingConfig/LogGroup")));
    let apis = stack.of_type("AWS::Serverless::HttpApi").into_iter();
    let apis = apis.map(|id| (id, stack.property(id, "AccessLogSettings/DestinationArn")));
    for (id, group) in functions.chain(apis) {
        match target(group) {
            Some(group) if groups.contains(&group) && !taken.contains(&group) => taken.push(group),
            _ => faults.push(format!("{id}: has no log group of its own in the template")),
        }
    }
    faults
}

/// Every variable that a program reads is set, those it must have whatever the parameters say; none is set in vain.
pub(super) fn environment(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for program in &stack.programs {
        let id = logical_id(&program.name);
        let set = stack.variables(&id);
        for (name, required) in &program.variables {
            if name.starts_with(RESERVED) || LOCAL_ONLY.contains(&name.as_str()) {
                continue;
            }
            match set.get(name.as_str()) {
                None => faults.push(format!("{id}: reads {name}, which is not set")),
                Some(value)
                    if *required
                        && branches(value).len()
                            != value["Fn::If"].as_array().map_or(1, |parts| parts.len() - 1) =>
                {
                    faults.push(format!("{id}: must have {name}, which is not always set"));
                }
                Some(_) => {}
            }
        }
        for (name, value) in &set {
            if name.starts_with(RESERVED) {
                faults.push(format!("{id}: sets {name}, which Lambda reserves"));
            }
            if !program.variables.contains_key(*name)
                && stack.at("/Globals/Function/Environment/Variables")[*name].is_null()
            {
                faults.push(format!("{id}: sets {name}, which it does not read"));
            }
            if !(value.is_string() || value.is_object()) {
                faults.push(format!("{id}: {name} is not a text: quote it"));
            }
        }
    }
    faults
}

/// The same fact, said in two places, is the same.
pub(super) fn agreement(stack: &Stack) -> Vec<String> {
    let timeout = stack.property("SqsWorkerFunction", "Timeout");
    let arn = |id: &str| json!({ "Fn::GetAtt": [id, "Arn"] });
    let expect = [
        ("WORKER_TIMEOUT_SECS", json!(timeout.to_string())),
        ("WORKER_FUNCTION", arn("SqsWorkerFunction")),
        ("KMS_KEY_ID", arn("CredentialsKey")),
        ("QUEUE_CREATION", json!({ "Ref": "QueueCreation" })),
        ("CATALOG_TABLE", json!({ "Ref": "CatalogTable" })),
        ("MESSAGES_TABLE", json!({ "Ref": "MessagesTable" })),
        ("RECORDS_TABLE", json!({ "Ref": "RecordsTable" })),
        ("OUTBOX_TABLE", json!({ "Ref": "OutboxTable" })),
        ("JOBS_QUEUE", json!({ "Fn::GetAtt": ["JobsQueue", "QueueName"] })),
        ("RETRY_QUEUE", json!({ "Fn::GetAtt": ["RetryQueue", "QueueName"] })),
        ("STACK_NAME", json!({ "Ref": "AWS::StackName" })),
        ("ACCOUNT_ID", json!({ "Ref": "AWS::AccountId" })),
    ];
    let mut faults = Vec::new();
    for id in stack.functions() {
        let set = stack.variables(id);
        for (name, expect) in &expect {
            if set.get(name).is_some_and(|value| *value != expect) {
                faults.push(format!("{id}: {name} is not {expect}"));
            }
        }
    }
    let delay =
        stack.variables("ZstorageSchemaFunction").get("JOB_DELAY_SECS").and_then(|value| value.as_str());
    // A catalog's cache lives 10 s, a request that began before its end 30 s; SQS delays 900 s at most.
    if delay.and_then(|secs| secs.parse::<u32>().ok()).is_none_or(|secs| !(45..=900).contains(&secs)) {
        faults.push("ZstorageSchemaFunction: JOB_DELAY_SECS is not 45 to 900".into());
    }
    // `?wait=published` looks for 25 s, and the write before it takes its time.
    if stack.setting("ZstorageWriteFunction", "Timeout").as_u64().is_none_or(|timeout| timeout < 28) {
        faults.push("ZstorageWriteFunction: its Timeout ends a wait for a message's publication".into());
    }
    if stack.at("/Parameters/QueueCreation/AllowedValues") != &json!(["allowed", "refused"]) {
        faults.push("QueueCreation: its values are not the two words that queue-admin knows".into());
    }
    faults
}

/// Whoever reads `HANDLERS_DIR` has the layer made of `infra/handlers`, which unpacks to `/opt`.
pub(super) fn handlers(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for id in stack.functions() {
        let Some(folder) = stack.variables(id).get("HANDLERS_DIR").copied() else { continue };
        if folder != "/opt" {
            faults.push(format!("{id}: HANDLERS_DIR is not /opt, where layers are unpacked"));
        }
        let layer = target(&stack.property(id, "Layers")[0]).unwrap_or_default();
        let content = text(stack.property(layer, "ContentUri")).unwrap_or_default();
        let is_layer = stack.of_type("AWS::Serverless::LayerVersion").contains(&layer);
        if !is_layer || content != "infra/handlers" || !tree::root(content).is_dir() {
            faults.push(format!("{id}: its first layer is not made of infra/handlers"));
        }
        if stack.property(layer, "CompatibleRuntimes") != &Value::from(vec!["provided.al2023"]) {
            faults.push(format!("{layer}: CompatibleRuntimes is not that of the functions"));
        }
    }
    faults
}
