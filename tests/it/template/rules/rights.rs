//! Who may do what. Each function has only its own rights, and every wildcard that AWS forces on us is explained here.

use serde_json::{Value, json};

use crate::template::stack::{Stack, Statement, entries, list, target, text};

/// Actions that AWS lets nobody bind to a resource, with what binds them instead.
const WITHOUT_RESOURCE: &[(&str, &str)] = &[
    ("cloudwatch:GetMetricData", "knows no resources: it reads numbers, no messages"),
    (
        "lambda:CreateEventSourceMapping",
        "a mapping has no name before it is made: bound by the function's ARN",
    ),
    ("lambda:ListEventSourceMappings", "knows no resources: it lists, it changes nothing"),
    ("ec2:AssignPrivateIpAddresses", OF_LAMBDA),
    ("ec2:CreateNetworkInterface", OF_LAMBDA),
    ("ec2:DeleteNetworkInterface", OF_LAMBDA),
    ("ec2:DescribeNetworkInterfaces", OF_LAMBDA),
    ("ec2:DescribeSecurityGroups", OF_LAMBDA),
    ("ec2:DescribeSubnets", OF_LAMBDA),
    ("ec2:DescribeVpcs", OF_LAMBDA),
    ("ec2:UnassignPrivateIpAddresses", OF_LAMBDA),
];

/// Lambda itself, or its poller, joins a network by the function's role: bound by a denial to the function's own program.
const OF_LAMBDA: &str = "an interface has no name before it is made: denied to the program";

/// Texts of resources that may end in a wildcard: what is made at run time, under a prefix of ours.
const PREFIXES: &[(&str, &str)] = &[
    (
        ":sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}-",
        "queues made at run time are named after the stack",
    ),
    (":event-source-mapping:*", "mappings are named by AWS: bound by the function's ARN"),
    ("${KafkaCluster.Outputs.TopicsArn}/*", "a registered queue is a topic: bound by the cluster"),
    (
        "${KafkaCluster.Outputs.GroupsArn}/${AWS::StackName}-*",
        "each topic is read under a name of its own: bound by the cluster and the stack",
    ),
];

/// Every statement that allows something, with its function.
pub(super) fn every_right(stack: &Stack) -> Vec<(&str, Statement)> {
    let of = |id| stack.rights(id).into_iter().map(move |statement| (id, statement));
    stack.functions().into_iter().flat_map(of).collect()
}

/// One role for each function, that only Lambda takes on, written out in statements of our own.
pub(super) fn roles(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    let mut taken = Vec::new();
    for id in stack.functions() {
        let Some(role) = target(stack.property(id, "Role")) else {
            faults.push(format!("{id}: has no role of its own, so SAM would add AWS's broad ones"));
            continue;
        };
        if taken.contains(&role) {
            faults.push(format!("{id}: shares {role} with another function"));
        }
        taken.push(role);
        if !stack.property(id, "Policies").is_null() {
            faults.push(format!("{id}: has policies beside its role"));
        }
        if !stack.property(role, "ManagedPolicyArns").is_null() {
            faults.push(format!("{role}: AWS's managed policies are broader than any function needs"));
        }
        let trust = stack.property(role, "AssumeRolePolicyDocument/Statement");
        let lambda = json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }]);
        if trust != &lambda {
            faults.push(format!("{role}: others than Lambda may take it on"));
        }
        let rights = stack.statements(role);
        let is_said = |right: &Statement| {
            ["Allow", "Deny"].iter().any(|effect| right.whole["Effect"] == *effect)
                && right.whole["Sid"].is_string()
        };
        if !rights.iter().all(is_said) {
            faults
                .push(format!("{role}: every statement has an Effect, and a Sid that says what it is about"));
        }
        let group = target(stack.property(id, "LoggingConfig/LogGroup")).unwrap_or_default();
        let writes_log = |right: &Statement| {
            right.whole["Effect"] == "Allow"
                && right.actions == ["logs:CreateLogStream", "logs:PutLogEvents"]
                && list(&right.whole["Resource"]) == [&json!({ "Fn::GetAtt": [group, "Arn"] })]
        };
        if !rights.iter().any(writes_log) {
            faults.push(format!("{role}: may not write to {group}"));
        }
    }
    for id in stack.of_type("AWS::IAM::Policy") {
        let ours = |role: &&Value| target(role).is_some_and(|role| taken.contains(&role));
        let roles = list(stack.property(id, "Roles"));
        if roles.is_empty() || !roles.iter().all(ours) {
            faults.push(format!("{id}: is not given to roles of functions alone"));
        }
    }
    faults
}

/// No wildcard in an action; in a resource only where AWS leaves no other way.
pub(super) fn wildcards(stack: &Stack) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, right) in every_right(stack) {
        let place = format!("{id}.{}", right.sid);
        for word in ["NotAction", "NotResource", "NotPrincipal"] {
            if !right.whole[word].is_null() {
                faults.push(format!("{place}: {word} allows what nobody thought of"));
            }
        }
        faults.extend(
            right
                .actions
                .iter()
                .filter(|a| a.contains('*'))
                .map(|action| format!("{place}: allows {action}")),
        );
        for resource in &right.resources {
            let Some(resource) = text(resource) else { continue };
            let bare: Vec<_> = right
                .actions
                .iter()
                .filter(|a| !WITHOUT_RESOURCE.iter().any(|(free, _)| free == a))
                .collect();
            if resource == "*" && !bare.is_empty() {
                faults.push(format!("{place}: {bare:?} on every resource there is"));
            }
            let explained = PREFIXES.iter().any(|(part, _)| {
                let whole = part.ends_with('*');
                if whole { resource.ends_with(part) } else { resource.contains(part) }
            });
            if resource != "*" && resource.contains('*') && !explained {
                faults.push(format!("{place}: nothing explains the wildcard in {resource}"));
            }
        }
    }
    faults
}

/// What the key may be used for: a queue's credentials, the secrets of a package, the keys of a table. One statement is about
/// one of them.
const SEALED: &[(&str, &[&str])] =
    &[("queue", &["queue-id"]), ("package", &["package", "secret"]), ("table", &["table"])];

/// Who may seal or open what, and nothing else: the worker runs code of users, so no queue's credentials open to it.
const SEALERS: &[(&str, &[&str], &[&str])] = &[
    ("JobWorkerFunction", &["kms:Decrypt"], &["table"]),
    ("MqWorkerFunction", &["kms:Decrypt"], &["package"]),
    ("MskWorkerFunction", &["kms:Decrypt"], &["package"]),
    ("OutboxPublisherFunction", &["kms:Decrypt"], &["queue"]),
    ("OutboxSweeperFunction", &["kms:Decrypt"], &["queue"]),
    ("PublishFunction", &["kms:Decrypt"], &["queue"]),
    ("QueueAdminFunction", &["kms:Encrypt"], &["queue", "package"]),
    ("SqsWorkerFunction", &["kms:Decrypt"], &["package"]),
    ("ZstorageReadFunction", &["kms:Decrypt"], &["table"]),
    ("ZstorageSchemaFunction", &["kms:GenerateDataKey", "kms:Decrypt"], &["table"]),
    ("ZstorageWriteFunction", &["kms:Decrypt"], &["table", "queue"]),
];

/// The condition that binds the key to a context: these keys, all of them, and no others.
fn context(keys: &[&str]) -> Value {
    let there = keys.iter().map(|key| (format!("kms:EncryptionContext:{key}"), json!("false")));
    json!({
        "ForAllValues:StringEquals": { "kms:EncryptionContextKeys": keys },
        "Null": there.collect::<serde_json::Map<_, _>>(),
    })
}

/// Keys only for what is sealed, each function for its own part of that; mappings only of our worker.
pub(super) fn conditions(stack: &Stack) -> Vec<String> {
    let our_worker =
        json!({ "ArnEquals": { "lambda:FunctionArn": { "Fn::GetAtt": ["SqsWorkerFunction", "Arn"] } } });
    let mut faults = Vec::new();
    let mut check = |place: String, right: &Statement| {
        let condition = &right.whole["Condition"];
        let uses_key = |action: &String| {
            matches!(action.as_str(), "kms:Encrypt" | "kms:Decrypt" | "kms:GenerateDataKey")
        };
        if right.actions.iter().any(uses_key) {
            let sealed =
                SEALED.iter().find(|(_, keys)| *condition == context(keys)).map(|(sealed, _)| *sealed);
            let may = |(function, actions, what): &(&str, &[&str], &[&str])| {
                place.split('.').next() == Some(function)
                    && right.actions.iter().all(|action| actions.contains(&action.as_str()))
                    && sealed.is_some_and(|sealed| what.contains(&sealed))
            };
            match sealed {
                None => faults.push(format!("{place}: the key is not bound to what is sealed by it")),
                Some(sealed) if !place.starts_with("CredentialsKey.") && !SEALERS.iter().any(may) => {
                    faults.push(format!("{place}: {:?} of a {sealed} is not its duty", right.actions));
                }
                Some(_) => {}
            }
        }
        let of_mapping = |action: &String| action.contains("EventSourceMapping") && !action.contains("List");
        if right.actions.iter().any(of_mapping) && condition != &our_worker {
            faults.push(format!("{place}: mappings of other functions than our worker could be changed"));
        }
    };
    for (id, right) in every_right(stack) {
        check(format!("{id}.{}", right.sid), &right);
    }
    for right in stack.key_policy() {
        check(format!("CredentialsKey.{}", right.sid), &right);
    }
    faults
}

impl Stack {
    /// Statements of the key's own policy, where `*` is that key.
    pub(super) fn key_policy(&self) -> Vec<Statement> {
        let key = self.property("CredentialsKey", "KeyPolicy/Statement");
        list(key).into_iter().map(Statement::new).collect()
    }

    /// Names of the parameters.
    pub(super) fn parameters(&self) -> Vec<&str> {
        entries(self.at("/Parameters")).map(|(name, _)| name).collect()
    }
}
