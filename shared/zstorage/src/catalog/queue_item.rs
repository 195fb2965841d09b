use domain::{Engine, HandlerName, Queue, QueueId, QueueName, QueueState, Sealed, SqsQueue, WorkerMode};

use super::destination_text;
use crate::StoreError;
use crate::item::{Item, Reader, Writer, bytes, number, text};

/// The partition of all queues; the sort key is the id.
pub(super) const PK: &str = "queue";

/// The attribute that a search looks into.
pub(super) const FOLDED_NAME: &str = "name-folded";

/// A name as it is searched: its case does not count.
pub(super) fn fold(name: &str) -> String {
    name.to_lowercase()
}

pub(super) fn write(queue: &Queue) -> Item {
    Writer::new(PK, &queue.id.to_string())
        .set("name", text(&queue.name))
        .set(FOLDED_NAME, text(fold(queue.name.as_str())))
        .set("engine", text(queue.engine().as_str()))
        .set("place", text(destination_text::write(&queue.destination)))
        .set_some("credentials", queue.credentials.as_ref().map(|sealed| bytes(&sealed.0)))
        .set_some("default-handler", queue.default_handler.as_ref().map(text))
        .set_some("schema", queue.schema.as_ref().map(text))
        .set("fifo", aws_sdk_dynamodb::types::AttributeValue::Bool(queue.fifo))
        .set("worker", text(worker_word(queue.worker)))
        .set_some("mapping", queue.mapping.as_ref().map(text))
        .set("state", text(state_word(queue.state)))
        .set("max-failures", number(queue.max_failures))
        .set_some("dead-letter-queue", queue.dead_letter_queue.as_ref().map(|place| text(place.arn())))
        .set("owned", aws_sdk_dynamodb::types::AttributeValue::Bool(queue.owned))
        .set("created-at", text(queue.created_at))
        .set("updated-at", text(queue.updated_at))
        .set("version", number(queue.version))
        .done()
}

pub(super) fn read(item: &Item) -> Result<Queue, StoreError> {
    let reader = Reader(item);
    let place = |name: &str| {
        let arn = reader.text_or_none(name)?;
        arn.map(|arn| SqsQueue::from_arn(arn).ok_or_else(|| reader.fault(name, "is not an ARN"))).transpose()
    };
    let unknown = |name: &str| reader.fault(name, "is a word we do not know");
    let engine = reader.text("engine")?;
    if Engine::ALL.iter().all(|known| known.as_str() != engine) {
        return Err(unknown("engine"));
    }
    let destination = destination_text::read(engine, reader.text("place")?)
        .ok_or_else(|| reader.fault("place", "is not of its engine's form"))?;
    let schema = reader.text_or_none("schema")?.map(serde_json::from_str).transpose();
    let handler = reader.text_or_none("default-handler")?.map(HandlerName::parse).transpose();
    Ok(Queue {
        id: id(item)?,
        name: QueueName::parse(reader.text("name")?)
            .map_err(|_| reader.fault("name", "is not of its form"))?,
        destination,
        credentials: reader.bytes_or_none("credentials")?.map(|sealed| Sealed(sealed.to_vec())),
        default_handler: handler.map_err(|_| reader.fault("default-handler", "is not of its form"))?,
        schema: schema.map_err(|_| reader.fault("schema", "is not JSON"))?,
        fifo: reader.flag("fifo")?,
        worker: worker(reader.text("worker")?).ok_or_else(|| unknown("worker"))?,
        mapping: reader.text_or_none("mapping")?.map(str::to_owned),
        state: state(reader.text("state")?).ok_or_else(|| unknown("state"))?,
        max_failures: reader.number("max-failures")?,
        dead_letter_queue: place("dead-letter-queue")?,
        owned: reader.flag("owned")?,
        created_at: reader.parsed("created-at")?,
        updated_at: reader.parsed("updated-at")?,
        version: reader.number("version")?,
    })
}

/// A queue's id, its item's sort key.
pub(super) fn id(item: &Item) -> Result<QueueId, StoreError> {
    Reader(item).parsed("sk")
}

fn worker_word(worker: WorkerMode) -> &'static str {
    match worker {
        WorkerMode::Attached => "attached",
        WorkerMode::None => "none",
    }
}

fn worker(word: &str) -> Option<WorkerMode> {
    [WorkerMode::Attached, WorkerMode::None].into_iter().find(|worker| worker_word(*worker) == word)
}

pub(super) fn state_word(state: QueueState) -> &'static str {
    match state {
        QueueState::Creating => "creating",
        QueueState::Ready => "ready",
        QueueState::Deleting => "deleting",
    }
}

fn state(word: &str) -> Option<QueueState> {
    [QueueState::Creating, QueueState::Ready, QueueState::Deleting]
        .into_iter()
        .find(|s| state_word(*s) == word)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use domain::{
        Destination, KafkaCluster, KafkaLogin, KafkaTopic, RabbitMqBroker, RabbitMqQueue, ScramHash,
    };
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn places() -> impl Strategy<Value = SqsQueue> {
        ("[a-z]{2}-[a-z]{4,9}-[1-9]", "[0-9]{12}", "[A-Za-z0-9_-]{1,75}(\\.fifo)?")
            .prop_map(|(region, account, name)| SqsQueue { region, account, name })
    }

    fn logins() -> impl Strategy<Value = KafkaLogin> {
        let hash = prop_oneof![Just(ScramHash::Sha256), Just(ScramHash::Sha512)];
        prop_oneof![
            any::<bool>().prop_map(|tls| KafkaLogin::Nobody { tls }),
            any::<bool>().prop_map(|tls| KafkaLogin::Plain { tls }),
            (hash, any::<bool>()).prop_map(|(hash, tls)| KafkaLogin::Scram { hash, tls }),
            "[a-z]{2}-[a-z]{4,9}-[1-9]".prop_map(|region| KafkaLogin::MskIam { region }),
        ]
    }

    fn destinations() -> impl Strategy<Value = Destination> {
        let cluster =
            ("\\PC{1,40}", logins()).prop_map(|(bootstrap, login)| KafkaCluster { bootstrap, login });
        let kafka = (proptest::option::of(cluster), proptest::option::of(0..i32::MAX));
        let broker = ("\\PC{1,40}", any::<u16>(), any::<bool>(), "\\PC{0,20}")
            .prop_map(|(host, port, tls, vhost)| RabbitMqBroker { host, port, tls, vhost });
        prop_oneof![
            places().prop_map(Destination::Sqs),
            kafka.prop_map(|(cluster, partition)| Destination::Kafka(KafkaTopic { cluster, partition })),
            proptest::option::of(broker).prop_map(|broker| Destination::RabbitMq(RabbitMqQueue { broker })),
        ]
    }

    fn times() -> impl Strategy<Value = Timestamp> {
        (-377_705_023_201_i64..=253_402_207_200, 0..1_000_000_000_i32)
            .prop_map(|(secs, nanos)| Timestamp::new(secs, nanos).unwrap_or(Timestamp::UNIX_EPOCH))
    }

    fn schemas() -> impl Strategy<Value = Value> {
        ("\\PC{0,40}", any::<i64>(), any::<bool>())
            .prop_map(|(title, number, flag)| json!({"title": title, "maximum": number, "required": [title], "x": flag}))
    }

    prop_compose! {
        fn queues()(
            random in any::<u64>(), name in "[A-Za-z0-9_-]{1,80}", destination in destinations(), dead in proptest::option::of(places()),
            credentials in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)),
            handler in proptest::option::of("[a-z0-9_-]{1,64}(/[a-z]{1,64})?"), schema in proptest::option::of(schemas()),
            fifo in any::<bool>(), attached in any::<bool>(), owned in any::<bool>(), state in 0..3_usize,
            mapping in proptest::option::of("[0-9a-f-]{36}"), max_failures in any::<u32>(),
            created_at in times(), updated_at in times(), version in any::<u64>(),
        ) -> Queue {
            let mut random: rand::rngs::StdRng = rand::SeedableRng::seed_from_u64(random);
            Queue {
                id: QueueId::new(Timestamp::UNIX_EPOCH, &mut random),
                name: QueueName::parse(&name).unwrap(),
                destination,
                credentials: credentials.map(Sealed),
                default_handler: handler.map(|name| HandlerName::parse(&name).unwrap()),
                schema,
                fifo,
                worker: if attached { WorkerMode::Attached } else { WorkerMode::None },
                mapping,
                state: [QueueState::Creating, QueueState::Ready, QueueState::Deleting][state],
                max_failures,
                dead_letter_queue: dead,
                owned,
                created_at,
                updated_at,
                version,
            }
        }
    }

    proptest! {
        #[test]
        fn a_queue_is_read_back_as_it_was_written(queue in queues()) {
            prop_assert_eq!(read(&write(&queue)).unwrap(), queue);
        }

        #[test]
        fn an_item_that_lacks_or_garbles_anything_is_an_error_that_names_it_and_shows_no_value(
            queue in queues(), at in any::<prop::sample::Index>()
        ) {
            let whole = write(&queue);
            let mut names: Vec<&String> = whole.keys().filter(|name| *name != "pk" && *name != FOLDED_NAME).collect();
            names.sort();
            let name = names[at.index(names.len())].clone();
            let mut garbled = whole.clone();
            garbled.insert(name.clone(), aws_sdk_dynamodb::types::AttributeValue::Null(true));
            let error = read(&garbled).unwrap_err().to_string();
            prop_assert!(error.contains(&name), "{}", error);
            let mut cut = whole.clone();
            cut.remove(&name);
            let optional = ["credentials", "default-handler", "schema", "mapping", "dead-letter-queue"];
            prop_assert_eq!(read(&cut).is_ok(), optional.contains(&name.as_str()), "without {}", name);
        }
    }
}
