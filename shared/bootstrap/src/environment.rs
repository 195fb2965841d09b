use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use domain::{Credentials, Fault, Guard, KafkaCluster, KafkaLogin, RabbitMqBroker};

/// Everything that is wrong with the environment, at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the environment is not complete: {}", faults.join("; "))]
pub struct ConfigError {
    faults: Vec<String>,
}

/// The variables a process was started with.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Those of this process. Variables that are not UTF-8 are left out: none of ours can be.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn from_process() -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Environment(std::env::vars_os().filter_map(text).collect())
    }

    /// A reader that notes every fault until [`Reader::finish`].
    pub fn reader(&self) -> Reader<'_> {
        Reader { environment: self, faults: Vec::new() }
    }

    /// One variable; an empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Environment {
        Environment(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Reads variables and gathers what is wrong with them. Values read after a fault are placeholders that
/// [`Reader::finish`] keeps from ever being used.
pub struct Reader<'e> {
    environment: &'e Environment,
    faults: Vec<String>,
}

/// How credentials of queues are sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sealing {
    /// By this AWS KMS key (id, ARN or alias).
    Kms(String),
    /// By the key in this file, on one's own machine.
    KeyFile(PathBuf),
}

impl Reader<'_> {
    /// A variable that must be there.
    pub fn required(&mut self, name: &str) -> String {
        self.environment.get(name).map(str::to_owned).unwrap_or_else(|| {
            self.faults.push(format!("{name} is missing"));
            String::new()
        })
    }

    /// A variable that may be there.
    pub fn optional(&self, name: &str) -> Option<String> {
        self.environment.get(name).map(str::to_owned)
    }

    /// A variable of type `T`, or `default` where it is absent. A value that is no `T` is a fault, never the default.
    pub fn parsed<T>(&mut self, name: &str, default: T) -> T
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.environment.get(name).map(str::parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                self.faults.push(format!("{name} is wrong ({error})"));
                default
            }
        }
    }

    /// `QUEUE_CREATION`-like switches: `yes` or `no` by these two words, `no` where absent.
    pub fn switch(&mut self, name: &str, yes: &str, no: &str) -> bool {
        match self.environment.get(name) {
            None => false,
            Some(word) if word == yes => true,
            Some(word) if word == no => false,
            Some(_) => {
                self.faults.push(format!("{name} must be '{yes}' or '{no}'"));
                false
            }
        }
    }

    /// `KMS_KEY_ID` or `KEY_FILE`: exactly one of them.
    pub fn sealing(&mut self) -> Sealing {
        match (self.optional("KMS_KEY_ID"), self.optional("KEY_FILE")) {
            (Some(key), None) => Sealing::Kms(key),
            (None, Some(file)) => Sealing::KeyFile(file.into()),
            (given, _) => {
                let verb = if given.is_some() { "both are set" } else { "neither is set" };
                self.faults.push(format!(
                    "exactly one of KMS_KEY_ID and KEY_FILE must be set, {verb}: credentials of queues could not be opened"
                ));
                Sealing::KeyFile(PathBuf::new())
            }
        }
    }

    /// The brokers of this installation, as `make` takes them: its Kafka cluster, its RabbitMQ broker and who we are there, and what
    /// is held against the addresses of any broker. `KAFKA_BOOTSTRAP` (`HOST:PORT,...`) with `KAFKA_LOGIN` (`nobody`, the
    /// default; `nobody-tls`; `aws-msk-iam`, in `AWS_REGION`); `RABBITMQ_URL` (`amqp[s]://USER:PASSWORD@HOST[:PORT][/VHOST]`); this
    /// machine only with `ALLOW_LOOPBACK`.
    pub fn brokers<T>(
        &mut self,
        make: impl FnOnce(Option<KafkaCluster>, Option<(RabbitMqBroker, Credentials)>, Guard) -> T,
    ) -> T {
        let guard = Guard::operator().with_loopback(self.switch("ALLOW_LOOPBACK", "true", "false"));
        let login = match self.environment.get("KAFKA_LOGIN") {
            None | Some("nobody") => KafkaLogin::Nobody { tls: false },
            Some("nobody-tls") => KafkaLogin::Nobody { tls: true },
            Some("aws-msk-iam") => {
                KafkaLogin::MskIam { region: self.optional("AWS_REGION").unwrap_or_default() }
            }
            Some(_) => {
                self.fault("KAFKA_LOGIN must be 'nobody', 'nobody-tls' or 'aws-msk-iam'");
                KafkaLogin::Nobody { tls: false }
            }
        };
        let kafka = self.noted("KAFKA_BOOTSTRAP", |text| {
            let addresses = KafkaCluster::addresses(text)?;
            let bootstrap = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            Ok(KafkaCluster { bootstrap, login })
        });
        let rabbitmq = self.noted("RABBITMQ_URL", RabbitMqBroker::with_user);
        make(kafka, rabbitmq, guard)
    }

    /// What `read` makes of a variable that may be there. What is wrong with it is noted without its value, which may be a secret.
    fn noted<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, Fault>) -> Option<T> {
        let read = self.environment.get(name).map(read)?;
        read.map_err(|fault| self.fault(format!("{name} is wrong ({})", fault.message))).ok()
    }

    /// Notes a fault found by a check across fields.
    pub fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// `Ok` when all was well; else one error that names every fault.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigError { faults: self.faults }) }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    type Brokers = (Option<KafkaCluster>, Option<(RabbitMqBroker, Credentials)>, Guard);

    fn brokers(variables: &[(&str, &str)]) -> (Brokers, Result<(), ConfigError>) {
        let environment = variables.iter().copied().collect::<Environment>();
        let mut reader = environment.reader();
        (reader.brokers(|kafka, rabbitmq, guard| (kafka, rabbitmq, guard)), reader.finish())
    }

    #[test]
    fn the_brokers_of_an_installation_are_told_by_its_variables() {
        let ((kafka, rabbitmq, guard), fine) =
            brokers(&[("KAFKA_BOOTSTRAP", ""), ("KAFKA_LOGIN", "aws-msk-iam")]);
        assert_eq!((kafka, rabbitmq.is_none(), fine), (None, true, Ok(())));
        let here: SocketAddr = ([127, 0, 0, 1], 9092).into();
        assert!(guard.check(here).is_err());

        let check = |login: &[(&str, &str)], expect: KafkaLogin| {
            let variables =
                [&[("KAFKA_BOOTSTRAP", "B:9092, 10.1:9093"), ("AWS_REGION", "eu-west-1")], login].concat();
            let ((kafka, ..), fine) = brokers(&variables);
            let bootstrap = "b:9092,10.0.0.1:9093".to_owned();
            assert_eq!((kafka, fine), (Some(KafkaCluster { bootstrap, login: expect }), Ok(())));
        };
        check(&[], KafkaLogin::Nobody { tls: false });
        check(&[("KAFKA_LOGIN", "nobody")], KafkaLogin::Nobody { tls: false });
        check(&[("KAFKA_LOGIN", "nobody-tls")], KafkaLogin::Nobody { tls: true });
        check(&[("KAFKA_LOGIN", "aws-msk-iam")], KafkaLogin::MskIam { region: "eu-west-1".to_owned() });

        let variables = [("RABBITMQ_URL", "amqp://ada:s3cret@127.0.0.1:5673"), ("ALLOW_LOOPBACK", "true")];
        let ((_, rabbitmq, guard), fine) = brokers(&variables);
        let (broker, user) = rabbitmq.expect("it is told");
        assert_eq!(
            (broker.url().as_str(), user.username.expose(), fine),
            ("amqp://127.0.0.1:5673", "ada", Ok(()))
        );
        assert!(guard.check(here).is_ok());
    }

    #[test]
    fn what_is_wrong_with_brokers_is_said_without_their_secrets() {
        let (_, error) = brokers(&[
            ("KAFKA_BOOTSTRAP", "PLAINTEXT://b:9092"),
            ("KAFKA_LOGIN", "plain"),
            ("RABBITMQ_URL", "amqp://ada:s3cret@b:0"),
            ("ALLOW_LOOPBACK", "yes"),
        ]);
        let error = error.expect_err("all are wrong").to_string();
        for name in ["KAFKA_BOOTSTRAP", "KAFKA_LOGIN", "RABBITMQ_URL", "ALLOW_LOOPBACK"] {
            assert!(error.contains(name), "{error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
    }

    #[test]
    fn one_error_names_all_that_is_missing_or_wrong() {
        let environment =
            Environment::from_iter([("TIMEOUT", "ten"), ("CREATION", "maybe"), ("EMPTY", ""), ("GOOD", "3")]);
        let mut reader = environment.reader();
        assert_eq!(reader.parsed("GOOD", 1), 3);
        assert_eq!(reader.parsed("ABSENT", 1), 1);
        reader.required("EMPTY");
        reader.required("TABLE");
        reader.parsed("TIMEOUT", 10_u32);
        reader.switch("CREATION", "allowed", "refused");
        reader.sealing();
        let error = reader.finish().expect_err("five things are wrong").to_string();
        for part in [
            "EMPTY is missing",
            "TABLE is missing",
            "TIMEOUT is wrong",
            "CREATION must be 'allowed' or 'refused'",
            "neither is set",
        ] {
            assert!(error.contains(part), "{part} in: {error}");
        }
    }
}
