use axum::Router;
use bootstrap::{Aws, Endpoints};
use delivery::{CourierParts, Writer};
use domain::{QueueId, SqsQueue};
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use zstorage::Records;
use zstorage_write::WriteState;

use crate::engine::Engine;
use crate::kafka::on_kafka;
use crate::registered::queue_at;
use crate::store::{ACCOUNT, Answer, REGION, call};
use crate::tables::Tables;

/// `zstorage-write` with all that it stands on.
pub(crate) struct House {
    pub(crate) tables: Tables,
    pub(crate) engine: Engine,
    pub(crate) served: Router,
    pub(crate) key: String,
}

impl House {
    pub(crate) async fn start() -> House {
        let tables = Tables::start().await;
        let records = tables.records.clone();
        House::over(tables, records).await
    }

    /// With other records than those of its tables: some out of reach, say.
    pub(crate) async fn over(tables: Tables, records: Records) -> House {
        House::of(tables, records, BrokersConfig::none()).await
    }

    /// With brokers of its own beside SQS.
    pub(crate) async fn beside(brokers: BrokersConfig) -> House {
        let tables = Tables::start().await;
        let records = tables.records.clone();
        House::of(tables, records, brokers).await
    }

    async fn of(tables: Tables, records: Records, brokers: BrokersConfig) -> House {
        let engine = Engine::start().await;
        let endpoints = Endpoints { sqs: Some(engine.endpoint.clone()), ..Endpoints::default() };
        let writer = Writer::new(CourierParts {
            outbox: tables.store.outbox.clone(),
            records,
            catalog: tables.store.catalog.clone(),
            engines: Engines::new(
                Queues::new(Aws::local(REGION, ACCOUNT, endpoints).sqs(SqsConfig::new)),
                brokers,
            ),
            sealer: tables.sealer().clone(),
            clock: tables.store.clock.clone(),
        });
        let state = WriteState { tables: tables.tables.clone(), writer };
        let keys = api::Keys::new(tables.store.catalog.clone(), tables.store.clock.clone());
        let key = tables.store.key(&["*"]).await;
        House { served: api::serve(zstorage_write::router(state), keys), engine, tables, key }
    }

    /// A queue that is registered, a topic of the installation's own Kafka.
    pub(crate) async fn topic(&self, name: &str) -> QueueId {
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: name.into() };
        let mut queue = queue_at(name, place, self.tables.store.clock.now());
        on_kafka(&mut queue);
        self.tables.store.catalog.create_queue(&queue).await.unwrap();
        queue.id
    }

    /// A queue that is registered, and there as `ql-NAME`.
    pub(crate) async fn queue(&self, name: &str) -> QueueId {
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: format!("ql-{name}") };
        let queue = queue_at(name, place, self.tables.store.clock.now());
        self.engine.make(&format!("ql-{name}"), &[]);
        self.tables.store.catalog.create_queue(&queue).await.unwrap();
        queue.id
    }

    pub(crate) async fn ask(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        call(&self.served, &self.key, line, headers, body.as_bytes()).await
    }

    /// Asks with a key of these scopes.
    pub(crate) async fn ask_as(&self, scopes: &[&str], line: &str, body: &str) -> Answer {
        let key = self.tables.store.key(scopes).await;
        call(&self.served, &key, line, &[], body.as_bytes()).await
    }
}
