use axum::Router;
use bootstrap::{Aws, Endpoints};
use queue::{Ages, Mappings, Queues, SqsConfig};
use queue_admin::{AdminState, Brokers, Settings};
use zstorage::Sealer;

use crate::engine::Engine;
use crate::store::{ACCOUNT, Answer, REGION, Store, call};

/// `queue-admin` with all that it stands on.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) engine: Engine,
    pub(crate) served: Router,
    pub(crate) key: String,
    _files: tempfile::TempDir,
}

impl House {
    pub(crate) async fn start() -> House {
        House::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> House {
        let (store, engine) = (Store::start().await, Engine::start().await);
        let files = tempfile::tempdir().unwrap();
        let file = files.path().join("key");
        Sealer::create_key_file(&file).unwrap();
        let endpoint = Some(engine.endpoint.clone());
        let endpoints = Endpoints {
            sqs: endpoint.clone(),
            lambda: endpoint.clone(),
            cloudwatch: endpoint.clone(),
            ..Endpoints::default()
        };
        let aws = Aws::local(REGION, ACCOUNT, endpoints);
        let mut settings = Settings {
            stack: "ql".into(),
            region: REGION.into(),
            account: ACCOUNT.into(),
            sqs_endpoint: endpoint,
            creation_allowed: true,
            worker_timeout_secs: 10,
            brokers: Brokers::default(),
        };
        change(&mut settings);
        let state = AdminState {
            catalog: store.catalog.clone(),
            messages: store.messages.clone(),
            jobs: store.jobs.clone(),
            outbox: store.outbox.clone(),
            queues: Queues::new(aws.sqs(SqsConfig::new)),
            mappings: Mappings::new(aws.lambda(), "sqs-worker".into()),
            ages: Ages::new(aws.cloudwatch()),
            sealer: Sealer::from_key_file(&file).unwrap(),
            clock: store.clock.clone(),
            settings,
        };
        let keys = api::Keys::new(store.catalog.clone(), store.clock.clone());
        let key = store.key(&["*"]).await;
        House { served: api::serve(queue_admin::router(state), keys), store, engine, key, _files: files }
    }

    pub(crate) async fn ask(&self, line: &str, body: &str) -> Answer {
        call(&self.served, &self.key, line, &[], body.as_bytes()).await
    }

    pub(crate) async fn ask_as(&self, key: &str, line: &str, body: &str) -> Answer {
        call(&self.served, key, line, &[], body.as_bytes()).await
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

    /// The URL of an SQS queue that others made.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.engine.endpoint)
    }

    /// Makes a queue; answers its id.
    pub(crate) async fn made(&self, body: &str) -> String {
        self.want(201, "POST /queue", body).await.json()["id"].as_str().unwrap().to_owned()
    }
}
