use domain::{BrokerAddress, Credentials, ScramHash};
use rdkafka::ClientConfig;

use super::KafkaSecurity;
use super::progress::TOLD_EVERY_MS;

/// What holds for every cluster. librdkafka looks once a second for records whose time is over, so one is reported at the latest
/// 3.4 s after it was handed over; what is known of it then takes two moments of the statistics more. 4 s hold for all.
const SETTINGS: &[(&str, &str)] = &[
    ("client.id", "queuelink"),
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // A caller waits for each record: none waits for company.
    ("linger.ms", "0"),
    ("message.timeout.ms", "2400"),
    ("request.timeout.ms", "2000"),
    ("socket.timeout.ms", "2000"),
    ("socket.connection.setup.timeout.ms", "2000"),
    ("socket.keepalive.enable", "true"),
    // A frozen function's connections die meanwhile; an old one is better closed by us than found dead.
    ("connections.max.idle.ms", "180000"),
    ("reconnect.backoff.max.ms", "1000"),
    // The same key goes where Java's clients put it.
    ("partitioner", "murmur2_random"),
    ("allow.auto.create.topics", "false"),
    ("topic.metadata.propagation.max.ms", "1000"),
    // Room for the largest body: the topic's own limit is for the broker to say.
    ("message.max.bytes", "2097152"),
    ("queue.buffering.max.kbytes", "65536"),
    ("statistics.interval.ms", TOLD_EVERY_MS),
];

/// The producer of the cluster at `bootstrap`; where the connection is encrypted, `roots`, in PEM, may vouch for its brokers.
pub(super) fn settings(
    bootstrap: &[BrokerAddress],
    security: &KafkaSecurity,
    roots: Option<String>,
) -> ClientConfig {
    let mut config = ClientConfig::new();
    let bootstrap: Vec<String> = bootstrap.iter().map(ToString::to_string).collect();
    config.set("bootstrap.servers", bootstrap.join(","));
    for (key, value) in SETTINGS {
        config.set(*key, *value);
    }
    let protocol = match security {
        KafkaSecurity::Plaintext => "plaintext",
        KafkaSecurity::Tls => "ssl",
        KafkaSecurity::SaslPlain { credentials, tls } => sasl(&mut config, "PLAIN", credentials, *tls),
        KafkaSecurity::SaslScram { credentials, hash, tls } => {
            let mechanism = match hash {
                ScramHash::Sha256 => "SCRAM-SHA-256",
                ScramHash::Sha512 => "SCRAM-SHA-512",
            };
            sasl(&mut config, mechanism, credentials, *tls)
        }
        KafkaSecurity::MskIam { .. } => {
            config.set("sasl.mechanism", "OAUTHBEARER");
            "sasl_ssl"
        }
    };
    config.set("security.protocol", protocol);
    if let Some(roots) = roots {
        // The OpenSSL that is linked would look for authorities where it was built.
        config.set("ssl.ca.pem", roots);
    }
    config
}

/// Shows who we are by `credentials`; the protocol that does.
fn sasl(config: &mut ClientConfig, mechanism: &str, credentials: &Credentials, tls: bool) -> &'static str {
    config.set("sasl.mechanism", mechanism);
    config.set("sasl.username", credentials.username.expose());
    config.set("sasl.password", credentials.password.expose());
    if tls { "sasl_ssl" } else { "sasl_plaintext" }
}
