use jiff::Timestamp;
use serde_json::Value;

use crate::{Fault, HandlerName, QueueId, QueueName, Secret};

/// A worker gets this many messages at once, and sends go out in chunks of as many.
pub const BATCH_SIZE: usize = 10;

/// A message that failed this often is a dead letter, unless its queue says otherwise.
pub const DEFAULT_MAX_FAILURES: u32 = 3;

/// The highest own limit: beyond it the redrive policy (20 receives) could come first.
pub const MAX_FAILURES_LIMIT: u32 = 10;

/// A registered queue: where messages go, by what right, and who works on them.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its id, for ever.
    pub id: QueueId,
    /// Its name, unique.
    pub name: QueueName,
    /// The engine behind it and the place there.
    pub destination: Destination,
    /// Foreign credentials, sealed; `None` = our own role.
    pub credentials: Option<Sealed>,
    /// The handler of messages that name none, or an unknown one.
    pub default_handler: Option<HandlerName>,
    /// JSON Schema that a payload must meet at the door.
    pub schema: Option<Value>,
    /// Whether order is kept per ordering key.
    pub fifo: bool,
    /// Whether our worker receives from it.
    pub worker: WorkerMode,
    /// The worker's event source mapping, once made.
    pub mapping: Option<String>,
    /// Where it stands in its life.
    pub state: QueueState,
    /// Failures after which a message is a dead letter.
    pub max_failures: u32,
    /// Where dead messages go; `None` = the queue has no redrive policy.
    pub dead_letter_queue: Option<SqsQueue>,
    /// Whether the SQS queues were made by us, and go when this registration is deleted.
    pub owned: bool,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
    /// Counts changes; a change is conditioned on it, so that none is lost.
    pub version: u64,
}

/// The engine behind a queue. Closed on purpose: a new engine is a new variant, and the compiler names every place that must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Amazon SQS.
    Sqs(SqsQueue),
}

/// An SQS queue's place. Its URL is derived, never stored: local ports change, places do not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SqsQueue {
    /// Such as `eu-west-1`.
    pub region: String,
    /// Twelve digits.
    pub account: String,
    /// The queue's own name, `.fifo` included.
    pub name: String,
}

/// Whether our worker receives from a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkerMode {
    /// An event source mapping feeds `sqs-worker`.
    Attached,
    /// Publish only: others receive.
    None,
}

/// Where a queue stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueueState {
    /// Saved, its resources not all made: the same request resumes it.
    Creating,
    /// In use.
    Ready,
    /// Being taken down: the same DELETE resumes it.
    Deleting,
}

/// What an event source mapping is doing, as Lambda says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingState {
    /// Messages are received.
    Enabled,
    /// Paused.
    Disabled,
    /// On its way from one to the other.
    Changing,
}

/// Encrypted bytes of credentials; only the sealer that made them can open them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Sealed(pub Vec<u8>);

/// A user name and a password for a queue's engine; for SQS an access key id and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// User name or access key id.
    pub username: Secret,
    /// Password or secret access key.
    pub password: Secret,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed(..)")
    }
}

impl Queue {
    /// The SQS queue behind it, if SQS it is.
    pub fn sqs(&self) -> Option<&SqsQueue> {
        let Destination::Sqs(place) = &self.destination;
        Some(place)
    }
}

impl SqsQueue {
    /// `arn:aws:sqs:REGION:ACCOUNT:NAME`, in the partition of the region.
    pub fn arn(&self) -> String {
        let partition = match &self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        };
        format!("arn:{partition}:sqs:{}:{}:{}", self.region, self.account, self.name)
    }

    /// Reads an ARN.
    pub fn from_arn(arn: &str) -> Option<SqsQueue> {
        let mut parts = arn.split(':');
        let (Some("arn"), Some(_), Some("sqs"), Some(region), Some(account), Some(name), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        (!region.is_empty() && !account.is_empty() && !name.is_empty()).then(|| SqsQueue {
            region: region.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The URL to call it by: under `endpoint` where one is set (the local engine), else AWS's own.
    pub fn url(&self, endpoint: Option<&str>) -> String {
        match endpoint {
            Some(endpoint) => format!("{}/{}/{}", endpoint.trim_end_matches('/'), self.account, self.name),
            None => {
                let suffix = if self.region.starts_with("cn-") { ".cn" } else { "" };
                format!("https://sqs.{}.amazonaws.com{suffix}/{}/{}", self.region, self.account, self.name)
            }
        }
    }

    /// Reads a queue URL: `https://sqs.REGION.amazonaws.com/ACCOUNT/NAME`, or under `endpoint` (then in `home_region`).
    /// Anything else is refused, so that no one can make us call a host of theirs. The fault's path is `url`.
    pub fn from_url(url: &str, endpoint: Option<&str>, home_region: &str) -> Result<SqsQueue, Fault> {
        let fault = || {
            let example = endpoint.unwrap_or("https://sqs.REGION.amazonaws.com");
            Fault::new("url", "queue-url", format!("the url of an SQS queue is {example}/ACCOUNT/NAME"))
        };
        let (region, path) = match endpoint.and_then(|e| url.strip_prefix(e.trim_end_matches('/'))) {
            Some(path) => (home_region.to_owned(), path),
            None if endpoint.is_some() => return Err(fault()),
            None => {
                let rest = url.strip_prefix("https://sqs.").ok_or_else(fault)?;
                let (region, path) = rest.split_once(".amazonaws.com").ok_or_else(fault)?;
                let path = if region.starts_with("cn-") {
                    path.strip_prefix(".cn").ok_or_else(fault)?
                } else {
                    path
                };
                (region.to_owned(), path)
            }
        };
        let mut parts = path.strip_prefix('/').ok_or_else(fault)?.split('/');
        let (Some(account), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(fault());
        };
        let region_fits = region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !region.is_empty();
        let account_fits = account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
        let stem = name.strip_suffix(".fifo").unwrap_or(name);
        if region_fits && account_fits && name.len() <= 80 && QueueName::parse(stem).is_ok() {
            Ok(SqsQueue { region, account: account.to_owned(), name: name.to_owned() })
        } else {
            Err(fault())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;

    #[test]
    fn a_url_names_a_place_and_a_foreign_host_is_refused() {
        let local = Some("http://127.0.0.1:9324");
        let check = |url: &str, endpoint: Option<&str>, arn: Option<&str>| {
            let place = SqsQueue::from_url(url, endpoint, "us-east-1").ok();
            assert_eq!(place.as_ref().map(SqsQueue::arn).as_deref(), arn, "{url}");
            if let Some(place) = place {
                assert_eq!(place.url(endpoint), url);
                assert_eq!(SqsQueue::from_arn(&place.arn()), Some(place));
            }
        };
        let arn = Some("arn:aws:sqs:eu-west-1:123456789012:orders");
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/orders", None, arn);
        check(
            "https://sqs.cn-north-1.amazonaws.com.cn/123456789012/a.fifo",
            None,
            Some("arn:aws-cn:sqs:cn-north-1:123456789012:a.fifo"),
        );
        check(
            "http://127.0.0.1:9324/000000000000/orders",
            local,
            Some("arn:aws:sqs:us-east-1:000000000000:orders"),
        );
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/orders", local, None);
        check("http://127.0.0.1:9324/000000000000/orders", None, None);
        check("http://127.0.0.1:93241/000000000000/orders", local, None);
        check("https://sqs.evil.example/.amazonaws.com/123456789012/orders", None, None);
        check("https://sqs.x@evil.amazonaws.com/123456789012/orders", None, None);
        check("http://sqs.eu-west-1.amazonaws.com/123456789012/orders", None, None);
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/a/b", None, None);
        check("https://sqs.eu-west-1.amazonaws.com/12345678901x/orders", None, None);
        check("https://sqs.eu-west-1.amazonaws.com/123456789012/..", None, None);
        check("", None, None);
    }
}
