//! Messages of strict links whose writers were killed before they could let their writes stand: on a real engine.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use domain::{
    ApiName, Clock, EntryKey, EntryState, Field, FieldId, FieldKind, KeyId, Link, LinkId, LinkMode,
    LinkPayload, Operations, OutboxEntry, QueueId, Record, RecordId, Table, TablePrefix, TableSchema,
    TableState, TextRules,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use zstorage::{By, DataKeys, OpenTable, Records, TableNames, WriteError, Written, create_tables};

use crate::bench::{Bench, names, record, record_of, visibilities};

/// A table of students with one strict link.
async fn students(bench: &Bench) -> OpenTable {
    let prefix = TablePrefix::nth(7).unwrap();
    let (data_key, _) = bench.sealer.new_data_key(prefix).await.unwrap();
    let name = |name: &str| ApiName::parse(name).unwrap();
    let link = Link {
        id: LinkId { table: prefix, number: 1 },
        queue: QueueId::new(Timestamp::now(), &mut rand::rng()),
        on: Operations { create: true, update: true, delete: true },
        mode: LinkMode::Strict,
        condition: None,
        only_fields: Vec::new(),
        handler: None,
        payload: LinkPayload::Whole,
        ordering_key: None,
        enabled: true,
    };
    let field = Field {
        id: FieldId(1),
        api_name: name("name"),
        label: None,
        kind: FieldKind::Text(TextRules::default()),
        required: false,
        default: None,
    };
    let table = Table {
        prefix,
        api_name: name("Student"),
        label: None,
        fields: vec![field],
        next_field: 2,
        rules: Vec::new(),
        indexes: Vec::new(),
        next_index: 1,
        links: vec![link],
        next_link: 2,
        buckets: 1,
        data_key,
        state: TableState::Ready,
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
        version: 1,
    };
    let keys = DataKeys::new(bench.sealer.clone()).of(&table).await.unwrap();
    OpenTable { schema: Arc::new(TableSchema::compile(table).unwrap()), keys, queues: Arc::default() }
}

/// A worker, the engine that it shares with writers, and what its handler sees.
struct School {
    bench: Bench,
    open: OpenTable,
    seen: Arc<Mutex<Vec<Option<Record>>>>,
    /// Whose readability a handler that looks is told.
    watched: Arc<Mutex<Option<RecordId>>>,
    probe: String,
}

impl School {
    async fn new() -> School {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb = format!("http://{}", listener.local_addr().unwrap());
        let database = dynoxide::Database::memory().unwrap();
        tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, std::future::pending()));
        let endpoints =
            bootstrap::Endpoints { dynamodb: Some(dynamodb.clone()), ..bootstrap::Endpoints::default() };
        let client = bootstrap::Aws::local("eu-west-1", "000000000000", endpoints).dynamodb();
        let names =
            TableNames { catalog: "catalog", messages: "messages", records: "records", outbox: "outbox" };
        create_tables(&client, names).await.unwrap();
        let bench = Bench::over(dynamodb).await;
        let open = students(&bench).await;
        let (seen, watched) = (Arc::default(), Arc::<Mutex<Option<RecordId>>>::default());
        let probe = probe(bench.records.clone(), open.clone(), Arc::clone(&watched), Arc::clone(&seen)).await;
        School { bench, open, seen, watched, probe }
    }

    fn by() -> By {
        let caller = KeyId::new(Clock::system().now(), &mut rand::rng());
        By { caller, idempotency: None, depth: 0 }
    }

    async fn create(&self, name: &str) -> Written {
        let fields = serde_json::from_value(json!({ "name": name })).unwrap();
        self.bench.records.create(&self.open, &fields, &School::by()).await.unwrap()
    }

    async fn delete(&self, id: RecordId) -> Result<Written, WriteError> {
        self.bench.records.delete(&self.open, id, None, &School::by()).await
    }

    async fn update(&self, id: RecordId, name: &str) -> Written {
        let fields = serde_json::from_value(json!({ "name": name })).unwrap();
        self.bench.records.update(&self.open, id, &fields, None, &School::by()).await.unwrap()
    }

    /// The message of a held write as SQS hands it over, for a handler that looks at `record`.
    fn message(&self, held: &OutboxEntry) -> Value {
        *self.watched.lock().unwrap() = held.key.record();
        let body = json!({ "handler": "look", "probe": self.probe }).to_string();
        let mut record = record_of("orders", "sqs-1", &body, 1);
        for (name, value) in [
            ("message-id", held.message_id.to_string()),
            ("round", "0".to_owned()),
            ("held", held.key.to_string()),
        ] {
            record["messageAttributes"][name] = json!({ "stringValue": value, "dataType": "String" });
        }
        record
    }

    /// Hands a message over; what its handler saw of the record.
    async fn handle(&self, message: Value) -> Option<Record> {
        assert!(self.bench.run(vec![message]).await.is_empty());
        self.seen.lock().unwrap().pop().expect("the handler has looked")
    }

    async fn state(&self, key: &EntryKey) -> Option<(EntryState, Option<String>)> {
        let entry = self.bench.outbox.entry(key).await.unwrap();
        entry.map(|entry| (entry.state, entry.engine_id))
    }
}

/// A server that looks at the watched record as soon as it is asked.
async fn probe(
    records: Records,
    open: OpenTable,
    watched: Arc<Mutex<Option<RecordId>>>,
    seen: Arc<Mutex<Vec<Option<Record>>>>,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let look = async move || {
        let id = watched.lock().unwrap().unwrap();
        let record = records.get(&open, id).await.unwrap();
        seen.lock().unwrap().push(record);
        "seen"
    };
    let router = Router::new().route("/", get(look));
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

fn held(written: &Written) -> &OutboxEntry {
    &written.held.as_ref().expect("it is held").entry
}

#[tokio::test]
async fn a_handler_finds_the_record_as_its_message_says_though_its_writer_is_gone() {
    let school = School::new().await;
    let made = school.create("Ana").await;
    assert_eq!(school.bench.records.get(&school.open, made.record.id).await.unwrap(), None);
    assert_eq!(school.handle(school.message(held(&made))).await.as_ref(), Some(&made.record));
    let published = Some((EntryState::Published, Some("sqs-1".to_owned())));
    assert_eq!(school.state(&held(&made).key).await, published);
    let changed = school.update(made.record.id, "Bia").await;
    let message = school.message(held(&changed));
    assert_eq!(school.handle(message.clone()).await.as_ref(), Some(&changed.record));
    // Delivered twice, it changes nothing the second time, whatever was written since.
    let later = school.update(made.record.id, "Eva").await;
    assert_eq!(school.handle(message).await.as_ref(), Some(&changed.record), "the later write is held still");
    assert!(school.delete(made.record.id).await.is_err(), "it is held");
    assert_eq!(school.handle(school.message(held(&later))).await, Some(later.record));
    let gone = school.delete(made.record.id).await.unwrap();
    assert_eq!(school.handle(school.message(held(&gone))).await, None);
}

#[tokio::test]
async fn the_message_of_a_write_that_was_undone_is_handled_and_lets_no_other_stand() {
    let school = School::new().await;
    let undone = school.create("Ana").await;
    assert!(school.bench.records.undo(held(&undone)).await.unwrap());
    assert_eq!(school.handle(school.message(held(&undone))).await, None);
    // The next write of a record may be held under the key of the one that was undone.
    let made = school.create("Bia").await;
    school.handle(school.message(held(&made))).await;
    let first = school.update(made.record.id, "one").await;
    assert!(school.bench.records.undo(held(&first)).await.unwrap());
    let second = school.update(made.record.id, "two").await;
    assert_eq!(held(&first).key, held(&second).key);
    assert_eq!(school.handle(school.message(held(&first))).await, Some(made.record));
    assert_eq!(school.state(&held(&second).key).await, Some((EntryState::Held, None)));
}

#[tokio::test]
async fn a_message_of_kafka_lets_its_write_stand_by_way_of_the_retry_queue_too() {
    let school = School::new().await;
    let made = school.create("Ana").await;
    let mut record = school.message(held(&made));
    record["eventSourceARN"] = json!(crate::bench::place("stack-retry").arn());
    let queue = school.bench.register("orders").await;
    let text = |text: &str| json!({ "stringValue": text, "dataType": "String" });
    let own = json!({ "held": held(&made).key.to_string() }).to_string();
    record["messageAttributes"]["queue-id"] = text(&queue.to_string());
    record["messageAttributes"]["engine-id"] = text("orders-0-7");
    record["messageAttributes"]["attributes"] = text(&own);
    record["messageAttributes"]["held"] = Value::Null;
    assert_eq!(school.handle(record).await, Some(made.record));
}

#[tokio::test]
async fn while_the_store_is_gone_such_a_message_comes_back_without_a_strike_and_is_not_run() {
    let bench = Bench::with_queue("orders", |_| {}).await;
    let key = "A04301M7ZTJCATXWZ2XSHZF3G869J5.0ALA04000001.1";
    let with = |held: &str, handler: &str| {
        let mut record = record("m", handler, 1);
        for (name, value) in [("message-id", "0BF01ARZ3NDEKTSV4RRFFQ69G5FAV"), ("held", held)] {
            record["messageAttributes"][name] = json!({ "stringValue": value, "dataType": "String" });
        }
        record
    };
    bench.run(vec![record("warm", "ack", 1)]).await;
    bench.double.refuse(&["GetItem", "Query"]);
    bench.double.calls();
    assert_eq!(bench.run(vec![with(key, "throw")]).await, ["m"]);
    let calls = bench.double.calls();
    assert!(!names(&calls).contains(&"UpdateItem") && names(&calls).contains(&"GetItem"), "{calls:?}");
    assert_eq!(visibilities(&calls).len(), 1);
    // What is none of ours keeps nobody from work, and costs no look.
    bench.double.refuse(&[]);
    for garbled in ["", "x", "a.b.c", &key.to_lowercase(), &format!("{key}.1")] {
        assert!(bench.run(vec![with(garbled, "ack")]).await.is_empty(), "{garbled}");
        assert_eq!(names(&bench.double.calls()), Vec::<&str>::new(), "{garbled}");
    }
}
