use crate::{Fault, QueueName};

/// The engine behind a queue. Closed on purpose: a new engine is a new variant, and the compiler names every place that must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// Amazon SQS.
    Sqs(SqsQueue),
    /// Apache Kafka, Amazon MSK included. The topic bears the queue's name.
    Kafka(KafkaTopic),
    /// RabbitMQ, Amazon MQ included. Its queue there bears the same name.
    RabbitMq(RabbitMqQueue),
}

/// The engines by their names alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Amazon SQS.
    Sqs,
    /// Apache Kafka.
    Kafka,
    /// RabbitMQ.
    RabbitMq,
}

/// A topic, but for its name, which is the queue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaTopic {
    /// The cluster; `None` = the one of this installation, wherever that is just now.
    pub cluster: Option<KafkaCluster>,
    /// The only partition to send to; `None` = by the ordering key, and without one any.
    pub partition: Option<i32>,
}

/// A cluster of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaCluster {
    /// `host:port`, several separated by commas: where to ask for the brokers.
    pub bootstrap: String,
    /// How it knows us.
    pub login: KafkaLogin,
}

/// How a cluster knows us. User name and password are the queue's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaLogin {
    /// It does not.
    Nobody {
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// SASL PLAIN: by user name and password as they are.
    Plain {
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// SASL SCRAM: by a proof of the password.
    Scram {
        /// The hash of the proof.
        hash: ScramHash,
        /// Whether the connection is encrypted.
        tls: bool,
    },
    /// MSK knows our own role; the connection is encrypted.
    MskIam {
        /// Of the cluster, such as `eu-west-1`.
        region: String,
    },
}

/// The hash by which SCRAM proves a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScramHash {
    /// SHA-256.
    Sha256,
    /// SHA-512: the one that MSK speaks.
    Sha512,
}

/// A queue of RabbitMQ, but for its name, which is the registered queue's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitMqQueue {
    /// The broker; `None` = the one of this installation.
    pub broker: Option<RabbitMqBroker>,
}

/// A broker of others. User name and password are the queue's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitMqBroker {
    /// Name or address.
    pub host: String,
    /// 5671 with TLS and 5672 without, if nobody says otherwise.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The virtual host, `/` as a rule.
    pub vhost: String,
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

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 3] = [Engine::Sqs, Engine::Kafka, Engine::RabbitMq];

    /// The `type` of a queue: `sqs`, `kafka`, `rabbitmq`.
    pub fn as_str(self) -> &'static str {
        match self {
            Engine::Sqs => "sqs",
            Engine::Kafka => "kafka",
            Engine::RabbitMq => "rabbitmq",
        }
    }

    /// What answers call its own id of a message: `sqs-id`; `kafka-id`, which is `topic-partition-offset`; `amqp-id`, which is the
    /// message's own id, for RabbitMQ gives none.
    pub fn id_name(self) -> &'static str {
        match self {
            Engine::Sqs => "sqs-id",
            Engine::Kafka => "kafka-id",
            Engine::RabbitMq => "amqp-id",
        }
    }
}

impl KafkaLogin {
    /// Its `sasl`: `plain`, `scram-sha-256`, `scram-sha-512`, `aws-msk-iam`; `None` = it is nobody's.
    pub fn sasl(&self) -> Option<&'static str> {
        match self {
            KafkaLogin::Nobody { .. } => None,
            KafkaLogin::Plain { .. } => Some("plain"),
            KafkaLogin::Scram { hash: ScramHash::Sha256, .. } => Some("scram-sha-256"),
            KafkaLogin::Scram { hash: ScramHash::Sha512, .. } => Some("scram-sha-512"),
            KafkaLogin::MskIam { .. } => Some("aws-msk-iam"),
        }
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> bool {
        match self {
            KafkaLogin::Nobody { tls } | KafkaLogin::Plain { tls } | KafkaLogin::Scram { tls, .. } => *tls,
            KafkaLogin::MskIam { .. } => true,
        }
    }

    /// Whether it is by the user name and the password of the queue.
    pub fn takes_credentials(&self) -> bool {
        matches!(self, KafkaLogin::Plain { .. } | KafkaLogin::Scram { .. })
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
