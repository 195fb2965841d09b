//! How a queue's destination stands in its item: `engine` by its name, `place` an ARN or, for brokers, a JSON text.

use domain::{
    Destination, KafkaCluster, KafkaLogin, KafkaTopic, RabbitMqBroker, RabbitMqQueue, ScramHash, SqsQueue,
};
use serde_json::{Value, json};

/// The text of `place`.
pub(super) fn write(destination: &Destination) -> String {
    match destination {
        Destination::Sqs(place) => place.arn(),
        Destination::Kafka(topic) => {
            let cluster = topic.cluster.as_ref().map(
                |cluster| json!({ "bootstrap": cluster.bootstrap, "login": login_words(&cluster.login) }),
            );
            json!({ "cluster": cluster, "partition": topic.partition }).to_string()
        }
        Destination::RabbitMq(queue) => {
            let broker = queue.broker.as_ref().map(|broker| {
                json!({ "host": broker.host, "port": broker.port, "tls": broker.tls, "vhost": broker.vhost })
            });
            json!({ "broker": broker }).to_string()
        }
    }
}

/// Reads it again; `None` = it is not of its engine's form.
pub(super) fn read(engine: &str, place: &str) -> Option<Destination> {
    match engine {
        "sqs" => SqsQueue::from_arn(place).map(Destination::Sqs),
        "kafka" => kafka(&serde_json::from_str(place).ok()?).map(Destination::Kafka),
        "rabbitmq" => rabbit_mq(&serde_json::from_str(place).ok()?).map(Destination::RabbitMq),
        _ => None,
    }
}

fn kafka(place: &Value) -> Option<KafkaTopic> {
    let partition = place.get("partition")?;
    let partition = match partition {
        Value::Null => None,
        number => Some(i32::try_from(number.as_i64()?).ok()?),
    };
    let cluster = match place.get("cluster")? {
        Value::Null => None,
        cluster => Some(KafkaCluster {
            bootstrap: cluster.get("bootstrap")?.as_str()?.to_owned(),
            login: login(cluster.get("login")?)?,
        }),
    };
    Some(KafkaTopic { cluster, partition })
}

fn rabbit_mq(place: &Value) -> Option<RabbitMqQueue> {
    let broker = match place.get("broker")? {
        Value::Null => None,
        broker => Some(RabbitMqBroker {
            host: broker.get("host")?.as_str()?.to_owned(),
            port: broker.get("port")?.as_u64()?.try_into().ok()?,
            tls: broker.get("tls")?.as_bool()?,
            vhost: broker.get("vhost")?.as_str()?.to_owned(),
        }),
    };
    Some(RabbitMqQueue { broker })
}

fn login_words(login: &KafkaLogin) -> Value {
    match login {
        KafkaLogin::Nobody { tls } => json!({ "sasl": null, "tls": tls }),
        KafkaLogin::Plain { tls } => json!({ "sasl": "plain", "tls": tls }),
        KafkaLogin::Scram { hash: ScramHash::Sha256, tls } => json!({ "sasl": "scram-sha-256", "tls": tls }),
        KafkaLogin::Scram { hash: ScramHash::Sha512, tls } => json!({ "sasl": "scram-sha-512", "tls": tls }),
        KafkaLogin::MskIam { region } => json!({ "sasl": "aws-msk-iam", "region": region }),
    }
}

fn login(words: &Value) -> Option<KafkaLogin> {
    let tls = || words.get("tls").and_then(Value::as_bool);
    let sasl = match words.get("sasl")? {
        Value::Null => return Some(KafkaLogin::Nobody { tls: tls()? }),
        sasl => sasl.as_str()?,
    };
    match sasl {
        "plain" => Some(KafkaLogin::Plain { tls: tls()? }),
        "scram-sha-256" => Some(KafkaLogin::Scram { hash: ScramHash::Sha256, tls: tls()? }),
        "scram-sha-512" => Some(KafkaLogin::Scram { hash: ScramHash::Sha512, tls: tls()? }),
        "aws-msk-iam" => Some(KafkaLogin::MskIam { region: words.get("region")?.as_str()?.to_owned() }),
        _ => None,
    }
}
