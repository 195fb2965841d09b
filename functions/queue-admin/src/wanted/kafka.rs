//! The rules for topics of Kafka.

use api::{Fields, Given};
use domain::{
    BrokerAddress, Destination, Engine, Fault, Faults, KafkaCluster, KafkaLogin, KafkaTopic, ScramHash,
};

use super::{Asked, Place, broker};
use crate::Settings;

/// What only topics of Kafka have.
pub(super) struct Own {
    sasl: Given<Sasl>,
    tls: Given<bool>,
    region: Given<String>,
    partition: Given<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sasl {
    Plain,
    Scram(ScramHash),
    MskIam,
}

impl Own {
    pub(super) const FIELDS: &[&str] = &["sasl", "tls", "region", "partition"];

    pub(super) fn read(fields: &mut Fields<'_>) -> Own {
        Own {
            sasl: fields.parsed("sasl", sasl),
            tls: fields.flag("tls"),
            region: fields.parsed("region", region),
            partition: partition(fields),
        }
    }

    pub(super) fn place(self, asked: &Asked<'_>, faults: &mut Faults) -> Option<Place> {
        if asked.name.is_some_and(|name| name.as_str().starts_with("__")) {
            faults.add(
                "name",
                "reserved",
                "Kafka keeps topics that begin with __ for itself; choose another name",
            );
        }
        let is_own = asked.url_is_left_out();
        let cluster = match asked.url {
            Given::Absent | Given::Null => {
                let said = [
                    ("sasl", self.sasl.is_said()),
                    ("tls", self.tls.is_said()),
                    ("region", self.region.is_said()),
                ];
                broker::own(Engine::Kafka, asked, &said, faults);
                Some(None)
            }
            Given::Wrong => {
                self.login(asked, faults);
                None
            }
            Given::Is(url) => {
                let addresses = faults.take(KafkaCluster::addresses(url));
                broker::guarded(addresses.as_deref().unwrap_or_default(), asked.settings, faults);
                let login = self.login(asked, faults);
                if let (Some(addresses), Some(KafkaLogin::MskIam { region })) = (&addresses, &login) {
                    of_msk(addresses, region, faults);
                }
                addresses.zip(login).map(|(addresses, login)| {
                    let bootstrap: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                    Some(KafkaCluster { bootstrap: bootstrap.join(","), login })
                })
            }
        };
        let worker = broker::worker(Engine::Kafka, is_own, asked, faults);
        let topic = KafkaTopic { cluster: cluster?, partition: self.partition.value() };
        Some(Place { destination: Destination::Kafka(topic), owned: false, worker })
    }

    /// How a cluster of others knows us. With a password or our own role the connection is encrypted, unless it is said that the
    /// password shall go in clear.
    fn login(&self, asked: &Asked<'_>, faults: &mut Faults) -> Option<KafkaLogin> {
        let tls = |usual| match self.tls {
            Given::Is(tls) => tls,
            Given::Absent | Given::Null | Given::Wrong => usual,
        };
        let sasl = match &self.sasl {
            Given::Wrong => return None,
            Given::Is(sasl) => Some(*sasl),
            Given::Absent | Given::Null => asked.has_credentials.then_some(Sasl::Scram(ScramHash::Sha512)),
        };
        if sasl != Some(Sasl::MskIam) && self.region.is_said() {
            faults.add("region", "region", "only \"sasl\": \"aws-msk-iam\" has a region: leave 'region' out");
        }
        if matches!(sasl, Some(Sasl::Plain | Sasl::Scram(_))) && !asked.has_credentials {
            faults.add("username", "required", "this 'sasl' is by user name and password: give both");
        }
        let login = match sasl {
            None => KafkaLogin::Nobody { tls: tls(false) },
            Some(Sasl::Plain) => KafkaLogin::Plain { tls: tls(true) },
            Some(Sasl::Scram(hash)) => KafkaLogin::Scram { hash, tls: tls(true) },
            Some(Sasl::MskIam) => {
                if asked.has_credentials {
                    let message = "aws-msk-iam shows our own role: leave user name and password out";
                    faults.add("username", "own-role", message);
                }
                if self.tls == Given::Is(false) {
                    faults.add("tls", "tls", "aws-msk-iam is always encrypted: leave 'tls' out");
                }
                let home = || asked.settings.region.clone();
                KafkaLogin::MskIam { region: self.region.clone().value().unwrap_or_else(home) }
            }
        };
        built(&login, asked.settings, faults);
        Some(login)
    }
}

/// Refuses what those who send were not built for.
fn built(login: &KafkaLogin, settings: &Settings, faults: &mut Faults) {
    let needs_nothing = matches!(login, KafkaLogin::Nobody { tls: false } | KafkaLogin::Plain { tls: false });
    if needs_nothing || settings.brokers.kafka_tls {
        return;
    }
    let path = match login {
        KafkaLogin::Nobody { .. } | KafkaLogin::Plain { .. } => "tls",
        KafkaLogin::Scram { .. } | KafkaLogin::MskIam { .. } => "sasl",
    };
    let message = "this build has neither TLS nor SCRAM for Kafka: build it with the cargo feature kafka-tls, or say \"tls\": false, \
                   and with a user \"sasl\": \"plain\"";
    faults.add(path, "not-in-this-build", message);
}

/// Our role's proof lets whoever gets it act as we may, on any cluster of the region: it is shown to MSK alone.
fn of_msk(addresses: &[BrokerAddress], region: &str, faults: &mut Faults) {
    let china = if region.starts_with("cn-") { ".cn" } else { "" };
    let ends =
        ["kafka", "kafka-serverless"].map(|service| format!(".{service}.{region}.amazonaws.com{china}"));
    let is_there = |address: &BrokerAddress| ends.iter().any(|end| address.host().ends_with(end));
    if !addresses.iter().all(is_there) {
        let message = format!(
            "with aws-msk-iam all brokers are those of MSK in {region}: names that end in {} or {}. Is the region another one?",
            ends[0], ends[1]
        );
        faults.add("url", "msk-address", message);
    }
}

fn sasl(text: &str) -> Result<Sasl, Fault> {
    match text {
        "plain" => Ok(Sasl::Plain),
        "scram-sha-256" => Ok(Sasl::Scram(ScramHash::Sha256)),
        "scram-sha-512" => Ok(Sasl::Scram(ScramHash::Sha512)),
        "aws-msk-iam" => Ok(Sasl::MskIam),
        _ => {
            let message = "'sasl' is \"plain\", \"scram-sha-256\", \"scram-sha-512\" or \"aws-msk-iam\"";
            Err(Fault::new("sasl", "value", message))
        }
    }
}

fn region(text: &str) -> Result<String, Fault> {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if (1..=32).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new("region", "form", "a region is written like eu-west-1"))
    }
}

fn partition(fields: &mut Fields<'_>) -> Given<i32> {
    match fields.number("partition") {
        Given::Is(number) => match i32::try_from(number) {
            Ok(number) => Given::Is(number),
            Err(_too_large) => {
                fields.wrong("partition", "range", format!("'partition' is 0 to {}", i32::MAX))
            }
        },
        Given::Absent => Given::Absent,
        Given::Null => Given::Null,
        Given::Wrong => Given::Wrong,
    }
}
