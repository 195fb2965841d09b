//! Kafka and RabbitMQ: what is asked for by parameters, what feeds their workers, what tells senders where they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::template::deployment::Deployment;
use crate::template::stack::{Stack, Statement, entries, list, target, text};
use crate::tree;

/// What sends to brokers.
pub(super) const SENDERS: &[&str] =
    &["PublishFunction", "ZstorageWriteFunction", "OutboxPublisherFunction", "OutboxSweeperFunction"];

/// What runs handlers.
const WORKERS: &[&str] = &["SqsWorkerFunction", "MskWorkerFunction", "MqWorkerFunction"];

/// Topics, or queues, that the template has room for.
const ROOM: usize = 5;

const TOPIC: &str = "infra/aws/kafka-topic.yaml";
const QUEUE: &str = "infra/aws/rabbitmq-queue.yaml";

fn output(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, "Outputs", name] })
}

fn attribute(id: &str, name: &str) -> Value {
    json!({ "Fn::GetAtt": [id, name] })
}

fn if_there(condition: &str, value: &Value) -> Value {
    json!({ "Fn::If": [condition, value, { "Ref": "AWS::NoValue" }] })
}

/// A new stack has no broker, no network, none of their workers and nothing that is paid by the hour.
pub(super) fn off(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, values) in
        [("Kafka", ["off", "msk-serverless", "existing"]), ("RabbitMq", ["off", "amazon-mq", "existing"])]
    {
        let parameter = &stack.at("/Parameters")[name];
        if parameter["Default"] != "off" || parameter["AllowedValues"] != json!(values) {
            faults.push(format!("{name}: is not off by default, and else one of {values:?}"));
        }
    }
    let plain = Deployment::new(stack, &[]);
    let nested = stack.of_type("AWS::CloudFormation::Stack").into_iter();
    let of_brokers = ["MskWorkerFunction", "MqWorkerFunction", "KafkaFailureQueue", "SendToKafka"];
    let unasked = nested.chain(of_brokers).filter(|id| plain.makes(id));
    faults.extend(unasked.map(|id| format!("{id}: is made though nobody asked for it")));
    faults
}

/// Each nested stack is a template of ours that gets what it asks for and tells what it is asked; each such template is used.
pub(super) fn nested(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let mut used = BTreeSet::new();
    for id in stack.of_type("AWS::CloudFormation::Stack") {
        let path = stack.property(id, "TemplateURL").as_str().unwrap_or_default();
        let Some(template) = stack.nested.get(path) else {
            faults.push(format!("{id}: {path} is no template of infra/aws"));
            continue;
        };
        used.insert(path);
        let given: BTreeSet<&str> = entries(stack.property(id, "Parameters")).map(|(name, _)| name).collect();
        let known: BTreeSet<&str> = entries(&template["Parameters"]).map(|(name, _)| name).collect();
        let optional = |name: &&&str| !template["Parameters"][**name]["Default"].is_null();
        faults.extend(given.difference(&known).map(|name| format!("{id}: {path} knows no {name}")));
        faults.extend(
            known
                .difference(&given)
                .filter(|name| !optional(name))
                .map(|name| format!("{id}: {path} is not given {name}")),
        );
        let told: BTreeSet<&str> = entries(&template["Outputs"]).map(|(name, _)| name).collect();
        let mut asked = BTreeSet::new();
        outputs(&stack.template, id, &mut asked);
        faults.extend(
            asked
                .iter()
                .filter(|name| !told.contains(name.as_str()))
                .map(|name| format!("{id}: {path} does not tell {name}")),
        );
    }
    let idle = stack.nested.keys().filter(|path| !used.contains(path.as_str()));
    faults.extend(idle.map(|path| format!("{path}: is used nowhere")));
    faults
}

/// Names of a nested stack's outputs that are used anywhere below `value`.
fn outputs(value: &Value, id: &str, found: &mut BTreeSet<String>) {
    if let (Some(name), true) = (value["Fn::GetAtt"][2].as_str(), value["Fn::GetAtt"][0] == id) {
        found.insert(name.to_owned());
    }
    for part in text(value).unwrap_or_default().split(&format!("${{{id}.Outputs.")).skip(1) {
        found.extend(part.split('}').next().map(str::to_owned));
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| outputs(item, id, found)),
        Value::Object(map) => map.values().for_each(|item| outputs(item, id, found)),
        _ => {}
    }
}

/// Each name in the parameter has a mapping of its own, which neither loses what came before it nor stands still for one bad record.
pub(super) fn mappings(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let answers = json!(["ReportBatchItemFailures"]);
    let expect = [
        (TOPIC, "StartingPosition", json!("TRIM_HORIZON"), "what came before the mapping is lost"),
        (TOPIC, "BatchSize", json!(domain::BATCH_SIZE), "the worker takes ten"),
        (TOPIC, "MaximumBatchingWindowInSeconds", json!(0), "records wait for others"),
        (
            TOPIC,
            "ProvisionedPollerConfig/MinimumPollers",
            json!(1),
            "no answer is read without pollers of its own",
        ),
        (TOPIC, "FunctionResponseTypes", answers, "a record that the retry queue refused is lost"),
        (TOPIC, "BisectBatchOnFunctionError", json!(true), "a bad record takes its batch along"),
        (TOPIC, "MaximumRetryAttempts", json!(10_000), "an outage loses records"),
        (TOPIC, "MaximumRecordAgeInSeconds", json!(604_800), "what has long been waiting is given up"),
        (
            TOPIC,
            "DestinationConfig/OnFailure/Destination",
            json!({ "Ref": "FailureQueueArn" }),
            "nothing notes what was given up",
        ),
        (
            TOPIC,
            "AmazonManagedKafkaEventSourceConfig/ConsumerGroupId",
            json!({ "Ref": "ConsumerGroup" }),
            "a new mapping begins anew",
        ),
        (TOPIC, "Topics", json!([{ "Ref": "Topic" }]), "it reads another topic"),
        (TOPIC, "FilterCriteria", Value::Null, "a filter drops what does not match"),
        (TOPIC, "Enabled", Value::Null, "is off"),
        (QUEUE, "BatchSize", json!(domain::BATCH_SIZE), "the worker takes ten"),
        (QUEUE, "MaximumBatchingWindowInSeconds", json!(0), "messages wait for others"),
        (QUEUE, "Queues", json!([{ "Ref": "Queue" }]), "it reads another queue"),
        (
            QUEUE,
            "SourceAccessConfigurations",
            json!([
                { "Type": "BASIC_AUTH", "URI": { "Ref": "LoginSecretArn" } },
                { "Type": "VIRTUAL_HOST", "URI": { "Ref": "VirtualHost" } },
            ]),
            "it cannot log in",
        ),
        (QUEUE, "FilterCriteria", Value::Null, "a filter drops what does not match"),
        (QUEUE, "Enabled", Value::Null, "is off"),
    ];
    for (path, key, expect, why) in expect {
        if stack.nested_at(path, &format!("/Resources/Mapping/Properties/{key}")) != &expect {
            faults.push(format!("{path}: {key} is not {expect}: {why}"));
        }
    }
    if stack.variables("MskWorkerFunction").get("REPORT_BATCH_ITEM_FAILURES").copied() != Some(&json!("true"))
    {
        faults.push("MskWorkerFunction: does not answer as its mappings expect it".into());
    }
    faults.extend(slots(stack, "KafkaTopic", "KafkaTopics", "Topic", "MskWorkerFunction"));
    faults.extend(slots(stack, "RabbitMqQueue", "RabbitMqQueues", "Queue", "MqWorkerFunction"));
    faults
}

/// As many mappings as names, each its own.
fn slots(stack: &Stack, prefix: &str, parameter: &str, what: &str, worker: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let names = ["a", "b", "c", "d", "e"];
    for some in 0..=ROOM {
        let given = [("Kafka", "msk-serverless"), ("RabbitMq", "amazon-mq")];
        let joined = names[..some].join(",");
        let deployment = Deployment::new(stack, &[given[0], given[1], (parameter, &joined)]);
        let made = (1..=ROOM).filter(|slot| deployment.makes(&format!("{prefix}{slot}")));
        if made.collect::<Vec<_>>() != (1..=some).collect::<Vec<_>>() {
            faults.push(format!("{prefix}: of {some} names not each has a mapping"));
        }
        if deployment.makes(worker) != (some > 0) {
            faults.push(format!("{worker}: is there without work, or not there with {some} names"));
        }
    }
    for slot in 1..=ROOM {
        let id = format!("{prefix}{slot}");
        let given = stack.property(&id, "Parameters");
        let list = json!({ "Fn::Sub": format!("${{{parameter}}},,,,") });
        if given[what] != json!({ "Fn::Select": [slot - 1, { "Fn::Split": [",", list] }] }) {
            faults.push(format!("{id}: is not about name {slot} of {parameter}"));
        }
        let mut expect = vec![("WorkerArn", attribute(worker, "Arn"))];
        if prefix == "KafkaTopic" {
            let group =
                json!({ "Fn::Sub": [format!("${{AWS::StackName}}-${{{what}}}"), { what: given[what] }] });
            expect.extend([
                ("ClusterArn", output("KafkaCluster", "ClusterArn")),
                ("ConsumerGroup", group),
                ("FailureQueueArn", attribute("KafkaFailureQueue", "Arn")),
                ("MaximumPollers", json!({ "Ref": "KafkaPollers" })),
            ]);
        } else {
            expect.extend([
                ("BrokerArn", output("RabbitMqBroker", "BrokerArn")),
                ("LoginSecretArn", output("RabbitMqBroker", "LoginSecretArn")),
                ("VirtualHost", json!({ "Ref": "RabbitMqVirtualHost" })),
            ]);
        }
        let wrong = expect.into_iter().filter(|(key, expect)| &given[*key] != expect);
        faults.extend(wrong.map(|(key, expect)| format!("{id}: {key} is not {expect}")));
    }
    let notes = stack.property("KafkaFailureQueue", "MessageRetentionPeriod");
    if notes != &json!(14 * 24 * 60 * 60) {
        faults.push("KafkaFailureQueue: does not keep what was given up for 14 days".into());
    }
    faults
}

/// What comes from brokers and cannot be settled at once waits in one queue, and every worker does there what it does elsewhere.
pub(super) fn retries(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let events = stack.events("SqsWorkerFunction", "SQS");
    if !events.iter().any(|(_, event)| target(&event["Queue"]) == Some("RetryQueue")) {
        faults.push("RetryQueue: nobody receives from it".into());
    }
    for (id, name) in [("RetryQueue", "retry"), ("RetryDeadLetterQueue", "retry-dead")] {
        if text(stack.property(id, "QueueName")) != Some(&format!("${{AWS::StackName}}-{name}")) {
            faults.push(format!("{id}: is not called {name}, as the API knows it"));
        }
        if stack.property(id, "MessageRetentionPeriod") != &json!(14 * 24 * 60 * 60) {
            faults.push(format!("{id}: does not keep messages for 14 days"));
        }
    }
    let held: BTreeSet<&str> =
        ["GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem"].into();
    for id in WORKERS {
        let variables = stack.variables(id);
        for name in ["RETRY_QUEUE", "RECORDS_TABLE"] {
            if !variables.contains_key(name) {
                faults.push(format!("{id}: is not told {name}"));
            }
        }
        for key in ["Timeout", "MemorySize", "Layers"] {
            if stack.setting(id, key) != stack.setting("SqsWorkerFunction", key) {
                faults.push(format!("{id}: {key} is not that of sqs-worker, which runs the same handlers"));
            }
        }
        let rights = stack.rights(id);
        let may = |action: &str, on: &Value| {
            let allows = |right: &Statement| right.actions.iter().any(|own| own == action);
            rights.iter().any(|right| allows(right) && right.resources.contains(on))
        };
        if !may("sqs:SendMessage", &attribute("RetryQueue", "Arn")) {
            faults.push(format!("{id}: may not send to the retry queue"));
        }
        for table in ["RecordsTable", "OutboxTable"] {
            let lacks =
                held.iter().filter(|action| !may(&format!("dynamodb:{action}"), &attribute(table, "Arn")));
            faults.extend(
                lacks.map(|action| format!("{id}: lacks {action} on {table}, by which held writes stand")),
            );
        }
    }
    faults
}

/// Whoever sends knows where, and has the right; nobody else knows the broker's password.
pub(super) fn senders(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let url = "{{resolve:secretsmanager:${RabbitMqBroker.Outputs.UrlSecret}:SecretString}}";
    let bootstrap = if_there("HasKafka", &output("KafkaCluster", "Bootstrap"));
    let login = json!({ "Fn::If": ["OwnKafka", "aws-msk-iam", { "Ref": "KafkaLogin" }] });
    let of_senders = [
        ("KAFKA_BOOTSTRAP", bootstrap.clone()),
        ("KAFKA_LOGIN", if_there("HasKafka", &login)),
        ("RABBITMQ_URL", if_there("HasRabbitMq", &json!({ "Fn::Sub": url }))),
    ];
    let of_admin = [
        ("KAFKA_BOOTSTRAP", bootstrap),
        ("KAFKA_TOPICS", if_there("HasMskWorker", &json!({ "Ref": "KafkaTopics" }))),
        ("RABBITMQ_QUEUES", if_there("HasMqWorker", &json!({ "Ref": "RabbitMqQueues" }))),
        ("RABBITMQ_URL", if_there("HasRabbitMq", &json!("amqps://"))),
    ];
    for id in stack.functions() {
        let variables = stack.variables(id);
        let expect = match id {
            id if SENDERS.contains(&id) => &of_senders[..],
            "QueueAdminFunction" => &of_admin[..],
            _ => &[],
        };
        for (name, expect) in expect {
            if variables.get(name).copied() != Some(expect) {
                faults.push(format!("{id}: {name} is not {expect}"));
            }
        }
        let knows = |value: &&Value| value.to_string().contains("RabbitMqBroker.Outputs.UrlSecret");
        if !SENDERS.contains(&id) && variables.values().any(knows) {
            faults.push(format!("{id}: knows the password of RabbitMQ, and sends nothing there"));
        }
        let mut missing = ["Connect", "WriteDataIdempotently", "DescribeTopic", "WriteData"]
            .map(|action| format!("kafka-cluster:{action}"))
            .to_vec();
        for right in stack.rights(id) {
            missing.retain(|action| !right.actions.contains(action));
        }
        if SENDERS.contains(&id) && !missing.is_empty() {
            faults.push(format!("{id}: sends to Kafka without {missing:?}"));
        }
    }
    if list(stack.property("SendToKafka", "Roles")).len() != SENDERS.len() {
        faults.push("SendToKafka: is given to others than those who send".into());
    }
    faults
}

/// Programs that connect to brokers of others are released with TLS; the others do not carry it.
pub(super) fn encryption(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for program in &stack.programs {
        let capitals = program.name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        let sends = SENDERS.contains(&(capitals.collect::<String>() + "Function").as_str());
        let expect: &[&str] = if sends { &["kafka-tls"] } else { &[] };
        let name = &program.name;
        if program.features != expect {
            faults.push(format!("{name}: is released with {:?}, not with {expect:?}", program.features));
        }
        let manifest = tree::read(&format!("functions/{name}/Cargo.toml"));
        for feature in &program.features {
            if !manifest.lines().any(|line| line.starts_with(&format!("{feature} = "))) {
                faults.push(format!("{name}: has no feature {feature}"));
            }
        }
    }
    faults
}
