//! The template with its parameters given: what CloudFormation would refuse, and what it would make. Knows the functions that
//! our rules and conditions are written with, and panics at any other.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use serde_json::Value;

use super::our_stack;
use super::stack::{Stack, entries};

/// A deployment that is thought through, not made.
pub(super) struct Deployment<'a> {
    stack: &'a Stack,
    parameters: BTreeMap<&'a str, String>,
}

impl<'a> Deployment<'a> {
    /// With these parameters, and the others at their defaults.
    pub(super) fn new(stack: &'a Stack, given: &[(&'a str, &str)]) -> Deployment<'a> {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut parameters: BTreeMap<&str, String> =
            entries(stack.at("/Parameters")).map(|(name, about)| (name, plain(&about["Default"]))).collect();
        for (name, value) in given {
            parameters.insert(name, (*value).to_owned()).unwrap_or_else(|| panic!("{name} is a parameter"));
        }
        Deployment { stack, parameters }
    }

    /// What the template says against these parameters.
    pub(super) fn refused(&self) -> Vec<&'a str> {
        let rules = entries(self.stack.at("/Rules")).filter(|(_, rule)| self.is_true(&rule["RuleCondition"]));
        let assertions = rules.flat_map(|(_, rule)| rule["Assertions"].as_array().unwrap());
        let broken = assertions.filter(|assertion| !self.is_true(&assertion["Assert"]));
        broken.map(|assertion| assertion["AssertDescription"].as_str().unwrap()).collect()
    }

    /// Whether a resource would be made.
    pub(super) fn makes(&self, id: &str) -> bool {
        match self.stack.at(&format!("/Resources/{id}/Condition")) {
            Value::Null => true,
            Value::String(condition) => self.holds(condition),
            other => panic!("{id} has the condition {other}"),
        }
    }

    /// What hangs on a condition and would be made.
    pub(super) fn made(&self) -> Vec<&'a str> {
        let conditional =
            entries(self.stack.at("/Resources")).filter(|(_, resource)| !resource["Condition"].is_null());
        conditional.map(|(id, _)| id).filter(|id| self.makes(id)).collect()
    }

    fn holds(&self, condition: &str) -> bool {
        match self.stack.at(&format!("/Conditions/{condition}")) {
            Value::Null => panic!("there is no condition {condition}"),
            what => self.is_true(what),
        }
    }

    fn is_true(&self, value: &Value) -> bool {
        let (function, argument) = call(value);
        let all = || argument.as_array().unwrap().iter();
        match function {
            "Condition" => self.holds(argument.as_str().unwrap()),
            "Fn::Equals" => self.text(&argument[0]) == self.text(&argument[1]),
            "Fn::Not" => !self.is_true(&argument[0]),
            "Fn::And" => all().all(|part| self.is_true(part)),
            "Fn::Or" => all().any(|part| self.is_true(part)),
            other => panic!("a condition with {other}"),
        }
    }

    fn text(&self, value: &Value) -> String {
        if let Some(text) = value.as_str() {
            return text.to_owned();
        }
        let (function, argument) = call(value);
        match function {
            "Ref" => self.parameters[argument.as_str().unwrap()].clone(),
            "Fn::Select" => {
                let split = &argument[1]["Fn::Split"];
                let (whole, by) = (self.text(&split[1]), self.text(&split[0]));
                let at = usize::try_from(argument[0].as_u64().unwrap()).unwrap();
                whole.split(&by).nth(at).unwrap_or_else(|| panic!("{whole} has a part {at}")).to_owned()
            }
            "Fn::Sub" => {
                let replace = |text: String, (name, value): (&&str, &String)| {
                    text.replace(&format!("${{{name}}}"), value)
                };
                self.parameters.iter().fold(argument.as_str().unwrap().to_owned(), replace)
            }
            other => panic!("a text with {other}"),
        }
    }
}

/// The one function of `{"Fn::Equals": [...]}`, and what it is given.
fn call(value: &Value) -> (&str, &Value) {
    entries(value).next().unwrap_or_else(|| panic!("{value} calls a function"))
}

const CLUSTER: &str = "arn:aws:kafka:eu-west-1:000000000000:cluster/orders/0-1";
const BROKER: &str = "arn:aws:mq:eu-west-1:000000000000:broker:orders:b-0";
const LOGIN: &str = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:login";
const INSIDE: [(&str, &str); 2] = [("SubnetIds", "subnet-1,subnet-2"), ("SecurityGroupIds", "sg-1")];

#[test]
fn what_is_missing_is_named_before_anything_is_made() {
    let stack = our_stack();
    let check = |given: &[(&str, &str)], missing: &[&str]| {
        let refused = Deployment::new(&stack, given).refused();
        let names = |name: &&str| refused.iter().filter(|said| said.contains(*name)).count() == 1;
        assert!(missing.iter().all(names) && refused.len() == missing.len(), "{given:?}: {refused:?}");
    };
    let existing = [("Kafka", "existing"), ("KafkaBootstrap", "b:9098")];
    check(&[], &[]);
    check(&[("SmtpSecret", "smtp")], &["give MailFrom"]);
    check(&[("Kafka", "msk-serverless")], &[]);
    check(&[("Kafka", "msk-serverless"), ("KafkaTopics", "orders")], &[]);
    check(&[("KafkaTopics", "orders")], &["let Kafka be msk-serverless"]);
    check(&[("Kafka", "existing")], &["say where by KafkaBootstrap", "named by KafkaClusterArn"]);
    check(&existing, &["named by KafkaClusterArn"]);
    check(&[&existing[..], &[("KafkaLogin", "nobody-tls")]].concat(), &[]);
    check(
        &[&existing[..], &[("KafkaLogin", "nobody-tls"), ("KafkaTopics", "orders")]].concat(),
        &["existing with KafkaClusterArn"],
    );
    check(&[&existing[..], &[("KafkaClusterArn", CLUSTER)]].concat(), &["give SubnetIds"]);
    check(&[&existing[..], &[("KafkaClusterArn", CLUSTER)], &INSIDE[..]].concat(), &[]);
    check(&[("SubnetIds", "subnet-1")], &["give SecurityGroupIds"]);
    check(&INSIDE, &[]);
    check(&[&INSIDE[..], &[("Kafka", "msk-serverless")]].concat(), &["needs their VpcId"]);
    check(&[&INSIDE[..], &[("RabbitMq", "amazon-mq")]].concat(), &["needs their VpcId"]);
    check(&[&INSIDE[..], &[("RabbitMq", "amazon-mq"), ("VpcId", "vpc-1")]].concat(), &[]);
    check(&[("RabbitMq", "amazon-mq"), ("RabbitMqQueues", "orders")], &[]);
    check(&[("RabbitMqQueues", "orders")], &["let RabbitMq be amazon-mq"]);
    check(&[("RabbitMq", "existing")], &["by RabbitMqUrlSecret"]);
    let existing = [("RabbitMq", "existing"), ("RabbitMqUrlSecret", "url"), ("RabbitMqQueues", "orders")];
    check(&existing[..2], &[]);
    check(&existing, &["existing with RabbitMqBrokerArn"]);
    check(&[&existing[..], &[("RabbitMqBrokerArn", BROKER)]].concat(), &["and RabbitMqLoginSecretArn"]);
    check(
        &[&existing[..], &[("RabbitMqBrokerArn", BROKER), ("RabbitMqLoginSecretArn", LOGIN)]].concat(),
        &[],
    );
}

#[test]
fn only_what_was_asked_for_is_made() {
    let stack = our_stack();
    let check = |given: &[(&str, &str)], made: &[&[&str]]| {
        let deployment = Deployment::new(&stack, given);
        assert_eq!(deployment.refused(), [""; 0], "{given:?}");
        let mut made = made.concat();
        made.sort_unstable();
        assert_eq!(deployment.made(), made, "{given:?}");
    };
    let kafka_worker =
        ["MskWorkerFunction", "MskWorkerLogs", "MskWorkerRole", "KafkaFailureQueue", "KafkaTopic1"];
    let rabbitmq_worker = ["MqWorkerFunction", "MqWorkerLogs", "MqWorkerRole", "RabbitMqQueue1"];
    check(&[], &[]);
    check(&[("Kafka", "msk-serverless")], &[&["Network", "KafkaCluster", "SendToKafka"]]);
    check(
        &[("Kafka", "msk-serverless"), ("KafkaTopics", "a,b.c,d")],
        &[&["Network", "KafkaCluster", "SendToKafka", "KafkaTopic2", "KafkaTopic3"], &kafka_worker],
    );
    let existing = [("Kafka", "existing"), ("KafkaBootstrap", "b:9092"), ("KafkaLogin", "nobody")];
    check(&existing, &[&["KafkaCluster"]]);
    check(&[&existing[..], &INSIDE[..]].concat(), &[&["KafkaCluster", "Network"]]);
    let ours = [("KafkaClusterArn", CLUSTER), ("KafkaTopics", "a")];
    check(&[&existing[..], &ours[..], &INSIDE[..]].concat(), &[&["KafkaCluster", "Network"], &kafka_worker]);
    let by_role = [("Kafka", "existing"), ("KafkaBootstrap", "b:9098"), ("KafkaClusterArn", CLUSTER)];
    check(&[&by_role[..], &INSIDE[..]].concat(), &[&["KafkaCluster", "Network", "SendToKafka"]]);
    check(&[("RabbitMq", "amazon-mq")], &[&["Network", "RabbitMqBroker"]]);
    check(
        &[("RabbitMq", "amazon-mq"), ("RabbitMqQueues", "a,b,c,d,e")],
        &[
            &["Network", "RabbitMqBroker"],
            &["RabbitMqQueue2", "RabbitMqQueue3", "RabbitMqQueue4", "RabbitMqQueue5"],
            &rabbitmq_worker,
        ],
    );
    check(&[("RabbitMq", "existing"), ("RabbitMqUrlSecret", "url")], &[&["RabbitMqBroker"]]);
    check(&INSIDE, &[&["Network"]]);
}
