//! A world for one run: the processes on one folder, and a seed that decides what happens to them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use tokio::task::JoinHandle;

use super::book::{Book, Verdict};
use super::cast::{Actor, Engines};
use super::lambda::{self, Lambda};
use super::writers::Writer;
use super::{EXACT, LEDGER};
use crate::support::house::{TestHouse, handlers};

/// What is left to do is done within this time.
const DRAINED_WITHIN: Duration = Duration::from_secs(240);

const WRITERS: u64 = 6;
const WRITING_PROCESSES: u64 = 3;
const WORKING_PROCESSES: usize = 2;

/// A mistake that is made on purpose, so that the books are known to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    /// One message is answered for, and no worker ever sees it.
    Loss,
    /// One message is put on its queue once more, under another id.
    Double,
}

pub struct World {
    seed: u64,
    admin_key: String,
    engines: Arc<Engines>,
    writers: Vec<Arc<Actor>>,
    publisher: Arc<Actor>,
    sweeper: Arc<Actor>,
    workers: Vec<Arc<Actor>>,
    book: Arc<Mutex<Book>>,
    lambda: Lambda,
    stopped: Arc<AtomicBool>,
    passing: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl World {
    pub async fn start(seed: u64, plant: Plant) -> World {
        let folder = tempfile::tempdir().unwrap();
        let (environment, admin_key) = found(folder.path()).await;
        let endpoint = |name: &str| {
            let found = environment.iter().find(|(variable, _)| *variable == name).unwrap();
            found.1.clone()
        };
        let (dynamodb, sqs) = (endpoint("AWS_ENDPOINT_URL_DYNAMODB"), endpoint("AWS_ENDPOINT_URL_SQS"));
        let port = |url: &str| url.rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
        let engines = Arc::new(Engines::start(folder.path(), port(&dynamodb), port(&sqs)));
        let actor = |name, binary| Arc::new(Actor::new(name, binary, &environment));
        let writers = (0..WRITING_PROCESSES)
            .map(|_| actor("zstorage-write", env!("CARGO_BIN_EXE_it-zstorage-write")))
            .collect();
        let workers: Vec<Arc<Actor>> = (0..WORKING_PROCESSES)
            .map(|_| actor("sqs-worker", env!("CARGO_BIN_EXE_it-sqs-worker")))
            .collect();
        let publisher = actor("outbox-publisher", env!("CARGO_BIN_EXE_it-outbox-publisher"));
        let sweeper = actor("outbox-sweeper", env!("CARGO_BIN_EXE_it-outbox-sweeper"));
        let book = Arc::<Mutex<Book>>::default();
        let parts = lambda::Parts {
            folder: folder.path().to_owned(),
            dynamodb: dynamodb.clone(),
            sqs,
            publisher: Arc::clone(&publisher),
            sweeper: Arc::clone(&sweeper),
            workers: workers.clone(),
            book: Arc::clone(&book),
            plant,
        };
        let lambda = Lambda::start(parts).await;
        let stopped = Arc::new(AtomicBool::new(false));
        let passing = tokio::spawn(lambda::let_time_pass(dynamodb, Arc::clone(&stopped)));
        World {
            seed,
            admin_key,
            engines,
            writers,
            publisher,
            sweeper,
            workers,
            book,
            lambda,
            stopped,
            passing,
            _folder: folder,
        }
    }

    /// So many writes, and so many kills among them.
    pub async fn write(&self, writes: u64, kills: u64) {
        let mut random = StdRng::seed_from_u64(self.seed);
        // At which write whom, and how long after its beginning.
        let mut plan: Vec<(u64, u32, Duration)> = (0..kills)
            .map(|_| {
                (
                    random.random_range(writes / 20..writes),
                    random.random(),
                    Duration::from_micros(random.random_range(0..30_000)),
                )
            })
            .collect();
        plan.sort_unstable();
        let begun = AtomicU64::new(0);
        let writer = async |number: u64| {
            let actor = Arc::clone(&self.writers[(number % WRITING_PROCESSES) as usize]);
            let mut writer = Writer::new(number, self.seed, actor, &self.admin_key, Arc::clone(&self.book));
            while begun.fetch_add(1, Ordering::SeqCst) < writes {
                writer.write().await;
            }
        };
        let killer = async {
            for (at, whom, after) in plan {
                while begun.load(Ordering::SeqCst) < at {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(after).await;
                self.kill(whom);
            }
        };
        let writing = futures::future::join_all((0..WRITERS).map(writer));
        tokio::join!(writing, killer);
    }

    fn kill(&self, whom: u32) {
        let actors: Vec<&Arc<Actor>> =
            self.writers.iter().chain(&self.workers).chain([&self.publisher, &self.sweeper]).collect();
        // The publisher and the sweeper are one each, and there is most to spoil with them.
        match whom as usize % (actors.len() + 3) {
            at if at < actors.len() => drop(actors[at].kill()),
            at if at == actors.len() => drop(self.publisher.kill()),
            at if at == actors.len() + 1 => drop(self.sweeper.kill()),
            _ => self.engines.kill_and_start(),
        }
    }

    pub async fn drain(&self) {
        self.drain_but(0).await;
    }

    /// Waits until all but `missing` of what is expected was handled, and nothing is under way any more.
    pub async fn drain_but(&self, missing: usize) {
        let end = Instant::now() + DRAINED_WITHIN;
        loop {
            let left = {
                let book = self.book.lock().unwrap();
                book.expected() - book.settled()
            };
            if left <= missing && self.lambda.is_quiet().await {
                return;
            }
            if Instant::now() >= end {
                println!("seed {}: not drained: {}", self.seed, self.report());
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn judge(&self) -> Verdict {
        self.book.lock().unwrap().judge()
    }

    pub fn kills(&self) -> u64 {
        let all = self.writers.iter().chain(&self.workers).chain([&self.publisher, &self.sweeper]);
        all.map(|actor| u64::from(actor.kills())).sum::<u64>() + u64::from(self.engines.kills())
    }

    /// What happened, in one line.
    pub fn report(&self) -> String {
        let kills = |actors: &[Arc<Actor>]| actors.iter().map(|actor| actor.kills()).sum::<u32>();
        let book = self.book.lock().unwrap();
        let Verdict { lost, unexpected, renamed, overtaken, repeats } = book.judge();
        format!(
            "{} messages expected, {} handled, {repeats} more than once; lost {}, unexpected {}, renamed {}, overtaken {}; killed: engines {}, writers {}, publisher {}, sweeper {}, workers {}",
            book.expected(),
            book.settled(),
            lost.len(),
            unexpected.len(),
            renamed.len(),
            overtaken.len(),
            self.engines.kills(),
            kills(&self.writers),
            self.publisher.kills(),
            self.sweeper.kills(),
            kills(&self.workers),
        )
    }

    pub async fn stop(self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.lambda.stop().await;
        self.passing.await.unwrap();
    }
}

/// Makes queues, tables and links through the API of a whole house, which then goes; gives the environment of the functions and
/// a key.
async fn found(folder: &Path) -> (Vec<(&'static str, String)>, String) {
    let house = TestHouse::start_with(|options| folder.clone_into(&mut options.data_dir)).await;
    for queue in
        [json!({"name": "plain"}), json!({"name": "ordered", "fifo": true}), json!({"name": "strict"})]
    {
        let mut queue = queue;
        queue["default-handler"] = json!("take");
        house.paused_queue(queue).await;
    }
    let fields =
        json!([{"apiName": "n", "type": "integer"}, {"apiName": "code", "type": "text", "unique": true}]);
    let links = [
        (LEDGER, json!({"queue": "plain", "on": ["create", "update", "delete"], "mode": "outbox"})),
        (LEDGER, json!({"queue": "ordered", "on": ["create", "update", "delete"], "mode": "outbox"})),
        (EXACT, json!({"queue": "strict", "on": ["create", "update"], "mode": "strict"})),
    ];
    for table in [LEDGER, EXACT] {
        let made = house.post("table", &json!({"apiName": table, "fields": fields})).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    for (table, link) in links {
        let made = house.post(&format!("table/{table}/link"), &link).await;
        assert_eq!(made.status, 201, "{}", made.body);
    }
    let mut environment = house.function_environment();
    for (name, value) in &mut environment {
        match *name {
            "KEY_FILE" => *value = folder.join("key").display().to_string(),
            "HANDLERS_DIR" => *value = handlers("probe").display().to_string(),
            _ => {}
        }
    }
    let admin_key = house.admin_key.clone();
    house.stop().await;
    (environment, admin_key)
}
