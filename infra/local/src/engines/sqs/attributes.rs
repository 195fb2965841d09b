//! The attributes of a queue: which there are, which values they take, and what they are if nobody set them.

use super::refusal::Refusal;
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, ops::RangeInclusive};

/// What an attribute may be set to.
enum Rule {
    /// A whole number within bounds.
    Number(RangeInclusive<i64>),
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// Anything; kept and given back, without effect here.
    Text,
    /// Which dead-letter queue, and after how many receives. Its target is checked where the queues are known.
    Redrive,
    /// Who may use this queue as dead-letter queue.
    RedriveAllow,
}

struct Attribute {
    name: &'static str,
    rule: Rule,
    default: Option<&'static str>,
    fifo_only: bool,
}

const fn attribute(name: &'static str, rule: Rule, default: Option<&'static str>) -> Attribute {
    Attribute { name, rule, default, fifo_only: false }
}

const fn fifo(name: &'static str, rule: Rule, default: Option<&'static str>) -> Attribute {
    Attribute { name, rule, default, fifo_only: true }
}

/// All that can be set, from the SQS API reference (`CreateQueue`).
const ATTRIBUTES: &[Attribute] = &[
    attribute("DelaySeconds", Rule::Number(0..=900), Some("0")),
    attribute("MaximumMessageSize", Rule::Number(1024..=1_048_576), Some("1048576")),
    attribute("MessageRetentionPeriod", Rule::Number(60..=1_209_600), Some("345600")),
    attribute("ReceiveMessageWaitTimeSeconds", Rule::Number(0..=20), Some("0")),
    attribute("VisibilityTimeout", Rule::Number(0..=43_200), Some("30")),
    attribute("Policy", Rule::Text, None),
    attribute("RedrivePolicy", Rule::Redrive, None),
    attribute("RedriveAllowPolicy", Rule::RedriveAllow, None),
    attribute("KmsMasterKeyId", Rule::Text, None),
    attribute("KmsDataKeyReusePeriodSeconds", Rule::Number(60..=86_400), None),
    attribute("SqsManagedSseEnabled", Rule::Flag, Some("true")),
    fifo("FifoQueue", Rule::Flag, None),
    fifo("ContentBasedDeduplication", Rule::Flag, Some("false")),
    fifo("DeduplicationScope", Rule::Word(&["queue", "messageGroup"]), Some("queue")),
    fifo("FifoThroughputLimit", Rule::Word(&["perQueue", "perMessageGroupId"]), Some("perQueue")),
];

/// Attributes that are counted or known, never set.
pub(super) const READ_ONLY: &[&str] = &[
    "QueueArn",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
];

/// Where a queue's messages go that were received too often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RedrivePolicy {
    pub(super) target_arn: String,
    /// So many receives are allowed; the next one finds the message gone.
    pub(super) max_receive_count: i64,
}

/// The attributes somebody set on a queue.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Attributes(BTreeMap<String, String>);

impl Attributes {
    /// Checks values to be set on a queue, and brings them into their one written form. An empty text is kept:
    /// it removes the attribute when it is merged.
    pub(super) fn check(wanted: &BTreeMap<String, String>, is_fifo: bool) -> Result<Attributes, Refusal> {
        let checked = wanted.iter().map(|(name, value)| {
            let known = ATTRIBUTES.iter().find(|known| known.name == name && (is_fifo || !known.fifo_only));
            let known = known.ok_or_else(|| Refusal::unknown_attribute(name))?;
            Ok((name.clone(), known.written(value)?))
        });
        checked.collect::<Result<_, Refusal>>().map(Attributes)
    }

    /// Attributes as they were stored: checked before.
    pub(super) fn stored(attributes: BTreeMap<String, String>) -> Attributes {
        Attributes(attributes)
    }

    /// Takes over `newer`; an empty text removes.
    pub(super) fn merge(&mut self, newer: Attributes) {
        for (name, value) in newer.0 {
            if value.is_empty() {
                self.0.remove(&name);
            } else {
                self.0.insert(name, value);
            }
        }
    }

    /// The name of the first attribute that is asked for in `wanted` and is not so here.
    pub(super) fn first_difference<'a>(&self, wanted: &'a Attributes) -> Option<&'a str> {
        wanted
            .0
            .iter()
            .find(|(name, value)| self.get(name).unwrap_or_default() != *value)
            .map(|(name, _)| &**name)
    }

    /// An attribute as it was set, else its default.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let default = || ATTRIBUTES.iter().find(|known| known.name == name).and_then(|known| known.default);
        self.0.get(name).map(String::as_str).or_else(default)
    }

    /// A number among the attributes. 0 where there is none.
    pub(super) fn number(&self, name: &str) -> i64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(0)
    }

    /// A flag among the attributes.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    pub(super) fn redrive(&self) -> Option<RedrivePolicy> {
        self.get("RedrivePolicy").and_then(|text| parse_redrive(text).ok())
    }

    /// Whether the queue with this ARN may send its dead letters here.
    pub(super) fn takes_dead_letters_of(&self, source_arn: &str) -> bool {
        let policy: Value =
            self.get("RedriveAllowPolicy").and_then(|text| text.parse().ok()).unwrap_or_default();
        match policy["redrivePermission"].as_str() {
            Some("denyAll") => false,
            Some("byQueue") => policy["sourceQueueArns"]
                .as_array()
                .is_some_and(|arns| arns.iter().any(|arn| arn == source_arn)),
            _ => true,
        }
    }

    /// What `GetQueueAttributes` gives for `All`, but for what is counted.
    pub(super) fn effective(&self, is_fifo: bool) -> impl Iterator<Item = (&'static str, &str)> {
        let fitting = ATTRIBUTES.iter().filter(move |known| is_fifo || !known.fifo_only);
        fitting.filter_map(|known| self.get(known.name).map(|value| (known.name, value)))
    }

    /// Whether an attribute of this name can be asked for.
    pub(super) fn is_known(name: &str) -> bool {
        READ_ONLY.contains(&name) || ATTRIBUTES.iter().any(|known| known.name == name)
    }
}

impl Attribute {
    /// The value in its one written form.
    fn written(&self, value: &str) -> Result<String, Refusal> {
        let refused = || Refusal::attribute_value(self.name);
        match &self.rule {
            Rule::Number(bounds) => {
                let number: i64 = value.parse().map_err(|_| refused())?;
                if bounds.contains(&number) { Ok(number.to_string()) } else { Err(refused()) }
            }
            Rule::Flag => match value {
                "true" | "false" => Ok(value.to_owned()),
                _ if value.eq_ignore_ascii_case("true") => Ok("true".to_owned()),
                _ if value.eq_ignore_ascii_case("false") => Ok("false".to_owned()),
                _ => Err(refused()),
            },
            Rule::Word(words) => words.contains(&value).then(|| value.to_owned()).ok_or_else(refused),
            Rule::Text => Ok(value.to_owned()),
            Rule::Redrive | Rule::RedriveAllow if value.is_empty() => Ok(String::new()),
            Rule::Redrive => parse_redrive(value).map(|policy| {
                json!({"deadLetterTargetArn": policy.target_arn, "maxReceiveCount": policy.max_receive_count})
                    .to_string()
            }),
            Rule::RedriveAllow => {
                let policy: Value = value.parse().map_err(|_| refused())?;
                let known =
                    matches!(policy["redrivePermission"].as_str(), Some("allowAll" | "denyAll" | "byQueue"));
                if known { Ok(policy.to_string()) } else { Err(refused()) }
            }
        }
    }
}

/// `maxReceiveCount` comes as a number or as text, from 1 to 1000.
fn parse_redrive(text: &str) -> Result<RedrivePolicy, Refusal> {
    let refused = |reason: &str| Refusal::invalid_value(text, "RedrivePolicy", reason);
    let policy: Value = text.parse().map_err(|_| refused("Redrive policy is not a valid JSON map."))?;
    let target_arn = policy["deadLetterTargetArn"].as_str().ok_or_else(|| {
        refused("Redrive policy does not contain mandatory attribute: deadLetterTargetArn.")
    })?;
    let count = &policy["maxReceiveCount"];
    let max_receive_count = count
        .as_i64()
        .or_else(|| count.as_str().and_then(|text| text.parse().ok()))
        .ok_or_else(|| refused("Redrive policy does not contain mandatory attribute: maxReceiveCount."))?;
    if !(1..=1000).contains(&max_receive_count) {
        return Err(refused("Invalid value for maxReceiveCount; it must be between 1 and 1000."));
    }
    Ok(RedrivePolicy { target_arn: target_arn.to_owned(), max_receive_count })
}
