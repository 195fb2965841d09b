use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bootstrap::{Aws, Endpoints};
use domain::{
    Index, IndexId, IndexState, Job, JobId, JobKind, Link, LinkId, LinkMode, LinkPayload, Operations,
    QueueId, SqsQueue, Table, TableState,
};
use job_worker::JobWorker;
use queue::{JobsQueue, Queues, SqsConfig};
use serde_json::{Value, json};
use zstorage::{Catalog, DataKeys, OpenTable};

use crate::engine::Engine;
use crate::store::{ACCOUNT, REGION, client};
use crate::tables::{Tables, records_at};

const JOBS: &str = "ql-jobs";

const MINUTE: Duration = Duration::from_secs(60);

/// A worker of jobs with all that it stands on. It does slices of ten records.
pub(crate) struct House {
    pub(crate) tables: Tables,
    pub(crate) engine: Engine,
    pub(crate) worker: JobWorker,
    heard: AtomicUsize,
}

impl House {
    pub(crate) async fn start() -> House {
        let (tables, engine) = (Tables::start().await, Engine::start().await);
        engine.make(JOBS, &[]);
        let endpoints = Endpoints { sqs: Some(engine.endpoint.clone()), ..Endpoints::default() };
        let queues = Queues::new(Aws::local(REGION, ACCOUNT, endpoints).sqs(SqsConfig::new));
        let place = SqsQueue { region: REGION.into(), account: ACCOUNT.into(), name: JOBS.into() };
        let worker = JobWorker {
            catalog: tables.catalog().clone(),
            records: tables.records.clone(),
            jobs: tables.store.jobs.clone(),
            jobs_queue: JobsQueue::new(queues.clone(), place),
            queues,
            keys: DataKeys::new(tables.sealer().clone()),
            clock: tables.store.clock.clone(),
            slice_records: 10,
            slices_at_once: 1000,
        };
        House { tables, engine, worker, heard: AtomicUsize::new(0) }
    }

    /// Another process in place of the worker, which knows nothing.
    pub(crate) fn replace_worker(&mut self) {
        let (client, clock) = (client(&self.tables.store.endpoint), self.worker.clock.clone());
        self.worker = JobWorker {
            catalog: Catalog::new(client.clone(), "catalog".into(), clock.clone()),
            records: records_at(&self.tables.store.endpoint, &clock),
            keys: DataKeys::new(self.tables.sealer().clone()),
            ..self.worker.clone()
        };
    }

    /// The table as it is now.
    pub(crate) async fn open(&self, open: &OpenTable) -> OpenTable {
        let schema = self.worker.catalog.fresh_table(open.schema.table().prefix).await.unwrap().unwrap();
        OpenTable { schema, ..open.clone() }
    }

    /// Gives the table a strict link to a queue that nobody has.
    pub(crate) async fn add_strict_link(&self, open: &OpenTable) -> OpenTable {
        let table = self.open(open).await.schema.table().clone();
        let link = Link {
            id: LinkId { table: table.prefix, number: 1 },
            queue: QueueId::new(self.worker.clock.now(), &mut rand::rng()),
            on: Operations { create: true, update: true, delete: true },
            mode: LinkMode::Strict,
            condition: None,
            only_fields: Vec::new(),
            handler: None,
            payload: LinkPayload::Whole,
            ordering_key: None,
            enabled: true,
        };
        let new = Table { links: vec![link], next_link: 2, ..table.clone() };
        self.worker.catalog.update_table(&table, &new).await.unwrap();
        self.open(open).await
    }

    /// Adds an index over the first field of `open`, to be built by the job that is answered with the table as it is now.
    pub(crate) async fn add_index(&self, open: &OpenTable, unique: bool) -> (Job, OpenTable) {
        let table = self.open(open).await.schema.table().clone();
        let id = IndexId(table.next_index);
        let kind = JobKind::BuildIndex { table: table.prefix, index: id };
        let job = self.new_job(kind);
        let state = IndexState::Building { job: job.id.to_string() };
        let index = Index { id, fields: vec![table.fields[0].id], unique, slot: Some(1), state };
        let mut new = Table { next_index: id.0 + 1, ..table.clone() };
        new.indexes.push(index);
        self.begin(&table, &new, &job).await;
        (job, self.open(open).await)
    }

    /// Marks `open` as being deleted, by the job that is answered.
    pub(crate) async fn drop_table(&self, open: &OpenTable) -> Job {
        let table = self.open(open).await.schema.table().clone();
        let job = self.new_job(JobKind::DropTable { table: table.prefix });
        self.begin(&table, &Table { state: TableState::Deleting, ..table.clone() }, &job).await;
        job
    }

    fn new_job(&self, kind: JobKind) -> Job {
        let now = self.worker.clock.now();
        Job::new(JobId::new(now, &mut rand::rng()), kind, now)
    }

    async fn begin(&self, old: &Table, new: &Table, job: &Job) {
        let begun = self.worker.catalog.update_table_with_job(old, new, &self.worker.jobs, job).await;
        begun.unwrap();
    }

    pub(crate) async fn job(&self, job: &Job) -> Job {
        self.worker.jobs.job(job.id).await.unwrap().unwrap()
    }

    /// Gives the worker one message about `job`, received so often. Answers how many came back.
    pub(crate) async fn ring(&self, job: &Job, receives: u32) -> usize {
        self.hand(event(&json!({"job": job.id.to_string(), "slice": 0}).to_string(), receives)).await
    }

    /// As a message to a worker that has time for one slice.
    pub(crate) async fn ring_for_one_slice(&self, job: &Job) -> usize {
        let worker = JobWorker { slices_at_once: 1, ..self.worker.clone() };
        let event = event(&json!({"job": job.id.to_string(), "slice": 0}).to_string(), 1);
        worker.handle(event, MINUTE).await.unwrap().batch_item_failures.len()
    }

    pub(crate) async fn hand(&self, event: Value) -> usize {
        self.worker.handle(event, MINUTE).await.unwrap().batch_item_failures.len()
    }

    /// Messages sent since the last time.
    pub(crate) fn sent(&self) -> Vec<String> {
        let all = self.engine.bodies(JOBS);
        let before = self.heard.swap(all.len(), Ordering::Relaxed);
        all[before..].to_vec()
    }

    /// Does the job to its end, as its messages would.
    pub(crate) async fn finish(&self, job: &Job) -> Job {
        for _ in 0..200 {
            assert_eq!(self.ring(job, 1).await, 0);
            let now = self.job(job).await;
            if now.has_ended() {
                return now;
            }
        }
        panic!("the job does not end: {:?}", self.job(job).await);
    }
}

/// An SQS event of one message.
pub(crate) fn event(body: &str, receives: u32) -> Value {
    json!({"Records": [{
        "messageId": "m1", "receiptHandle": "r1", "body": body,
        "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{JOBS}"),
        "attributes": {"ApproximateReceiveCount": receives.to_string()},
    }]})
}
