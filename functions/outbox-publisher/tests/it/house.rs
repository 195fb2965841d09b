//! What the two functions of the outbox stand on in tests.
#![allow(dead_code, reason = "each test binary that includes this file uses a part of it")]

use std::net::SocketAddr;

use bootstrap::{Aws, Endpoints};
use delivery::{Courier, CourierParts};
use domain::{EntryKey, EntryState, MessageId, OutboxEntry, QueueId, SqsQueue};
use jiff::Timestamp;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use tokio::net::TcpSocket;
use zstorage::{Outbox, Records, Sealer};

use crate::engine::Engine;
use crate::registered::queue_at;
use crate::store::{ACCOUNT, REGION, Store, client};

pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) courier: Courier,
    pub(crate) queue: QueueId,
    sealer: Sealer,
    /// Bound and not listening: who connects is refused, and the port is nobody else's for as long as the house stands.
    nobody: TcpSocket,
    _files: tempfile::TempDir,
}

impl House {
    /// A house with one queue that keeps no order, `ql-events`.
    pub(crate) async fn start() -> House {
        let (store, engine) = (Store::start().await, Engine::start().await);
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let queue = register(&store, &engine).await;
        let courier = courier(&store, &engine, &sealer, store.outbox.clone());
        let nobody = TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        House { store, engine, courier, queue, sealer, nobody, _files: files }
    }

    /// An outbox that is not there.
    pub(crate) fn outbox_out_of_reach(&self) -> Outbox {
        self.outbox_at(self.nobody.local_addr().unwrap())
    }

    /// The outbox of the store at this address.
    pub(crate) fn outbox_at(&self, address: SocketAddr) -> Outbox {
        Outbox::new(client(&format!("http://{address}")), "outbox".into(), self.store.clock.clone())
    }

    /// A courier whose outbox is not there.
    pub(crate) fn courier_without_outbox(&self) -> Courier {
        courier(&self.store, &self.engine, &self.sealer, self.outbox_out_of_reach())
    }

    /// Saves an entry, in whatever state it says.
    pub(crate) async fn put(&self, entry: &OutboxEntry) {
        self.store.outbox.schedule(entry).await.unwrap();
    }

    pub(crate) async fn state_of(&self, key: &EntryKey) -> Option<EntryState> {
        self.store.outbox.entry(key).await.unwrap().map(|entry| entry.state)
    }

    /// A message for a date, on our queue.
    pub(crate) fn scheduled(&self, at: Timestamp) -> OutboxEntry {
        let message_id = MessageId::new(Timestamp::now(), &mut rand::rng());
        OutboxEntry {
            key: EntryKey::Scheduled(message_id),
            message_id,
            queue: self.queue,
            body: format!("{{\"for\":\"{at}\"}}"),
            ordering_key: None,
            ordered: false,
            origin: None,
            round: 0,
            notes: Vec::new(),
            state: EntryState::Scheduled,
            failures: 0,
            lease: 0,
            committed_at: Timestamp::now(),
            next_attempt_at: Some(at),
            reason: None,
            engine_id: None,
        }
    }
}

fn courier(store: &Store, engine: &Engine, sealer: &Sealer, outbox: Outbox) -> Courier {
    let endpoints = Endpoints { sqs: Some(engine.endpoint.clone()), ..Endpoints::default() };
    let aws = Aws::local(REGION, ACCOUNT, endpoints);
    let clock = store.clock.clone();
    Courier::new(CourierParts {
        records: Records::new(client(&store.endpoint), "records".into(), outbox.clone(), clock.clone()),
        outbox,
        catalog: store.catalog.clone(),
        engines: Engines::new(Queues::new(aws.sqs(SqsConfig::new)), BrokersConfig::none()),
        sealer: sealer.clone(),
        clock,
    })
}

async fn register(store: &Store, engine: &Engine) -> QueueId {
    engine.make("ql-events", &[]);
    let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: "ql-events".into() };
    let queue = queue_at("events", place, store.clock.now());
    store.catalog.create_queue(&queue).await.unwrap();
    queue.id
}
