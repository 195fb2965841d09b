use std::sync::Arc;

use axum::Router;
use bootstrap::{Aws, Endpoints};
use domain::{ApiName, Destination, KeyId, Queue, QueueState, RawFields, SqsQueue};
use queue::{JobsQueue, Queues, SqsConfig};
use zstorage::{By, DataKeys, OpenTable, Outbox, Records, Sealer};
use zstorage_schema::SchemaState;

use crate::engine::Engine;
use crate::registered::queue_at;
use crate::store::{ACCOUNT, Answer, REGION, Store, call, client};

/// The queue of the jobs.
pub(crate) const JOBS: &str = "ql-jobs";

/// A table with a field of most kinds.
pub(crate) const STUDENT: &str = r#"{"apiName":"Student","label":"Students","fields":[
    {"apiName":"email","type":"email","required":true,"unique":true},
    {"apiName":"name","type":"text","max-length":200},
    {"apiName":"age","type":"integer","min":0},
    {"apiName":"fee","type":"currency","min":"0.00"},
    {"apiName":"status","type":"picklist","values":["new","paid"],"default":"new"},
    {"apiName":"notes","type":"json"},
    {"apiName":"secret","type":"encrypted-text"},
    {"apiName":"grown","type":"formula","expression":"age != null && age >= 18","result":"boolean"}],
    "rules":[{"name":"adult","on":["create","update"],"expression":"new.age >= 18","message":"must be 18"}],
    "indexes":[{"fields":["age"]},{"fields":["status","age"]}]}"#;

/// `zstorage-schema` with all that it stands on.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) state: SchemaState,
    pub(crate) served: Router,
    pub(crate) key: String,
    _files: tempfile::TempDir,
}

impl House {
    pub(crate) async fn start() -> House {
        let (store, engine) = (Store::start().await, Engine::start().await);
        engine.make(JOBS, &[]);
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let endpoints = Endpoints { sqs: Some(engine.endpoint.clone()), ..Endpoints::default() };
        let queues = Queues::new(Aws::local(REGION, ACCOUNT, endpoints).sqs(SqsConfig::new));
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: JOBS.into() };
        let state = SchemaState {
            catalog: store.catalog.clone(),
            records: Records::new(
                client(&store.endpoint),
                "records".into(),
                Outbox::new(client(&store.endpoint), "outbox".into(), store.clock.clone()),
                store.clock.clone(),
            ),
            jobs: store.jobs.clone(),
            jobs_queue: JobsQueue::new(queues, place),
            keys: DataKeys::new(sealer.clone()),
            sealer,
            clock: store.clock.clone(),
            job_delay_secs: 60,
            trial_records: 20,
        };
        let keys = api::Keys::new(store.catalog.clone(), store.clock.clone());
        let key = store.key(&["*"]).await;
        let served = api::serve(zstorage_schema::router(state.clone()), keys);
        House { store, engine, state, served, key, _files: files }
    }

    /// One with the table [`STUDENT`].
    pub(crate) async fn with_student() -> House {
        let house = House::start().await;
        house.want(201, "POST /table", STUDENT).await;
        house
    }

    pub(crate) async fn ask(&self, line: &str, body: &str) -> Answer {
        call(&self.served, &self.key, line, &[], body.as_bytes()).await
    }

    pub(crate) async fn ask_with(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        call(&self.served, &self.key, line, headers, body.as_bytes()).await
    }

    pub(crate) async fn ask_as(&self, scopes: &[&str], line: &str, body: &str) -> Answer {
        let key = self.store.key(scopes).await;
        call(&self.served, &key, line, &[], body.as_bytes()).await
    }

    /// Asks, and wants this status.
    pub(crate) async fn want(&self, status: u16, line: &str, body: &str) -> Answer {
        let answer = self.ask(line, body).await;
        assert_eq!(answer.status, status, "{line} {body}: {}", answer.text);
        if status >= 400 {
            answer.problem();
        }
        answer
    }

    /// Asks, and wants 422 with these paths and codes.
    pub(crate) async fn refused(&self, line: &str, body: &str, expect: &[(&str, &str)]) {
        let answer = self.want(422, line, body).await;
        let found = answer.faults();
        let found: Vec<_> = found.iter().map(|(path, code)| (path.as_str(), code.as_str())).collect();
        assert_eq!(found, expect, "{line} {body}: {}", answer.text);
    }

    /// A registered queue; tells its id.
    pub(crate) async fn queue(&self, name: &str, fifo: bool) -> String {
        self.registered(name, fifo, QueueState::Ready).await
    }

    /// A standard queue in this state.
    pub(crate) async fn queue_in(&self, name: &str, state: QueueState) -> String {
        self.registered(name, false, state).await
    }

    /// A queue of the installation's own Kafka or RabbitMQ.
    pub(crate) async fn queue_of(&self, name: &str, destination: Destination) {
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: name.into() };
        let queue = Queue { destination, ..queue_at(name, place, self.store.clock.now()) };
        self.store.catalog.create_queue(&queue).await.unwrap();
    }

    async fn registered(&self, name: &str, fifo: bool, state: QueueState) -> String {
        let suffix = if fifo { ".fifo" } else { "" };
        let place =
            SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: format!("ql-{name}{suffix}") };
        let queue = Queue { fifo, state, ..queue_at(name, place, self.store.clock.now()) };
        self.store.catalog.create_queue(&queue).await.unwrap();
        queue.id.to_string()
    }

    pub(crate) async fn open(&self, table: &str) -> OpenTable {
        let schema =
            self.store.catalog.table_by_name(&ApiName::parse(table).unwrap()).await.unwrap().unwrap();
        let keys = self.state.keys.of(schema.table()).await.unwrap();
        OpenTable { keys, schema, queues: Arc::default() }
    }

    /// A new record, past the API; tells its id.
    pub(crate) async fn record(&self, table: &str, fields: &str) -> String {
        let fields: RawFields = serde_json::from_str(fields).unwrap();
        let by =
            By { caller: KeyId::new(self.store.clock.now(), &mut rand::rng()), idempotency: None, depth: 0 };
        let open = self.open(table).await;
        self.state.records.create(&open, &fields, &by).await.unwrap().record.id.to_string()
    }
}
