#![allow(dead_code, reason = "each test binary that includes this file uses a part of it")]

use std::time::Duration;

use axum::Router;
use bootstrap::{Aws, Endpoints};
use delivery::Publisher;
use domain::{Clock, Credentials, Queue, QueueId, Secret, SqsQueue};
use publish::PublishState;
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::{Messages, Outbox, Sealer};

use crate::engine::Engine;
use crate::registered::queue_at;
use crate::store::{ACCOUNT, Answer, REGION, Store, call, client};

/// A caller is promised an answer within 5 s, and `delivery` asserts that its limits add up to less. By this time, on
/// a machine that has other things to do, it is plain that they were kept and nothing was waited out.
pub(crate) const ANSWERED_WITHIN: Duration = Duration::from_secs(15);

/// `publish` with all that it stands on.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) served: Router,
    pub(crate) key: String,
    sealer: Sealer,
    _files: tempfile::TempDir,
}

impl House {
    pub(crate) async fn start() -> House {
        House::before(Engine::start().await).await
    }

    /// With an engine of its own.
    pub(crate) async fn before(engine: Engine) -> House {
        House::beside(engine, BrokersConfig::none()).await
    }

    /// With brokers of its own beside an engine of its own.
    pub(crate) async fn beside(engine: Engine, brokers: BrokersConfig) -> House {
        let store = Store::start().await;
        let messages = store.messages.clone();
        House::of(store, messages, engine, brokers).await
    }

    /// With Messages of its own: one that is out of reach, say.
    pub(crate) async fn over(messages: Messages) -> House {
        House::of(Store::start().await, messages, Engine::start().await, BrokersConfig::none()).await
    }

    async fn of(store: Store, messages: Messages, engine: Engine, brokers: BrokersConfig) -> House {
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let sealer = Sealer::from_key_file(&file).unwrap();
        let endpoints = Endpoints { sqs: Some(engine.endpoint.clone()), ..Endpoints::default() };
        let queues = Queues::new(Aws::local(REGION, ACCOUNT, endpoints).sqs(SqsConfig::new));
        let outbox = Outbox::new(client(&store.endpoint), "outbox".into(), Clock::system());
        let publisher =
            Publisher::new(messages, outbox, Engines::new(queues, brokers), sealer.clone(), Clock::system());
        let state = PublishState { catalog: store.catalog.clone(), publisher };
        let served =
            api::serve(publish::router(state), api::Keys::new(store.catalog.clone(), store.clock.clone()));
        let key = store.key(&["*"]).await;
        House { store, engine, served, key, sealer, _files: files }
    }

    /// A queue that is registered, and there.
    pub(crate) async fn queue(&self, name: &str, change: impl FnOnce(&mut Queue)) -> Queue {
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: format!("ql-{name}") };
        let mut queue = queue_at(name, place, self.store.clock.now());
        change(&mut queue);
        self.engine.make(&format!("ql-{name}"), &[]);
        self.store.catalog.create_queue(&queue).await.unwrap();
        queue
    }

    pub(crate) async fn seal(&self, queue: QueueId) -> domain::Sealed {
        let credentials =
            Credentials { username: Secret::new("AKIAFOREIGN"), password: Secret::new("foreign-secret") };
        self.sealer.seal(queue, &credentials).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        call(&self.served, &self.key, &format!("POST {path}"), headers, body.as_ref()).await
    }
}
