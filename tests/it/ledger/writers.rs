//! The writers: each owns its records, writes one after another, and asks again under the same idempotency key until it knows
//! what became of a write. So the books know exactly which writes stand.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::book::{Book, Due};
use super::cast::Actor;
use super::{EXACT, LEDGER, ORDERED, PLAIN, STRICT};
use crate::bootstraps::event;

/// A write whose outcome is not known after this long is a failure of the test.
const KNOWN_WITHIN: Duration = Duration::from_secs(150);

/// A record of a writer.
struct Mine {
    table: &'static str,
    id: String,
    version: u64,
}

pub struct Writer {
    actor: Arc<Actor>,
    admin_key: String,
    book: Arc<Mutex<Book>>,
    name: String,
    random: StdRng,
    mine: Vec<Mine>,
    writes: u64,
}

impl Writer {
    pub fn new(number: u64, seed: u64, actor: Arc<Actor>, admin_key: &str, book: Arc<Mutex<Book>>) -> Writer {
        Writer {
            actor,
            admin_key: admin_key.to_owned(),
            book,
            name: format!("{seed}-{number}"),
            random: StdRng::seed_from_u64(seed ^ (number + 1)),
            mine: Vec::new(),
            writes: 0,
        }
    }

    /// One write: a new record, a change or a removal, and what it must bring about.
    pub async fn write(&mut self) {
        self.writes += 1;
        let fresh = self.mine.is_empty() || self.random.random_ratio(1, 3);
        if fresh {
            let table = if self.random.random_ratio(1, 4) { EXACT } else { LEDGER };
            let fields = json!({"apiName": table, "fields": {"n": self.writes}});
            let made = self.until_known("POST", "record/new", &fields).await;
            let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
            self.mine.push(Mine { table, id: id.clone(), version: 1 });
            return self.expect(table, &id, 1, "create");
        }
        let at = self.random.random_range(0..self.mine.len());
        let (table, path) = (self.mine[at].table, format!("record/{}", self.mine[at].id));
        if self.random.random_ratio(1, 8) {
            self.until_known("DELETE", &path, &Value::Null).await;
            let gone = self.mine.swap_remove(at);
            return self.expect(table, &gone.id, gone.version + 1, "delete");
        }
        let changed = self.until_known("PUT", &path, &json!({"fields": {"n": self.writes}})).await;
        let record = &mut self.mine[at];
        assert_eq!(
            changed["version"],
            record.version + 1,
            "no write of another's came in between: {changed}"
        );
        record.version += 1;
        let (id, version) = (record.id.clone(), record.version);
        self.expect(table, &id, version, "update");
    }

    /// Notes which messages the write must have made, by the links that the tables were given.
    fn expect(&self, table: &str, record: &str, version: u64, operation: &str) {
        let queues: &[&str] = match (table, operation) {
            (LEDGER, _) => &[PLAIN, ORDERED],
            (_, "delete") => &[],
            _ => &[STRICT],
        };
        for queue in queues {
            let due = Due { queue: (*queue).to_owned(), record: record.to_owned(), version };
            self.book.lock().unwrap().expect(due);
        }
    }

    /// Asks until the answer says what became of the write.
    async fn until_known(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let path = format!("/api/v1/zstorage/{path}");
        let mut request = event("list-queues", &[("@KEY@", &self.admin_key)]);
        request["rawPath"] = json!(path);
        request["requestContext"]["http"]["path"] = json!(path);
        request["requestContext"]["http"]["method"] = json!(method);
        request["headers"]["idempotency-key"] = json!(format!("{}-{}", self.name, self.writes));
        request["body"] = json!(if body.is_null() { String::new() } else { body.to_string() });
        let end = Instant::now() + KNOWN_WITHIN;
        loop {
            let told = match self.actor.call(request.clone()).await {
                Ok(Ok(answer)) => {
                    let document = answer["body"].as_str().and_then(|text| serde_json::from_str(text).ok());
                    let document: Value = document.unwrap_or_default();
                    match answer["statusCode"].as_u64() {
                        Some(200 | 201 | 204) => return document,
                        // Held, in flight, or out of order for now.
                        Some(409 | 429 | 500 | 502 | 503 | 504) => document.to_string(),
                        _ => panic!("{method} {path}: {answer}"),
                    }
                }
                Ok(Err(error)) => error.to_string(),
                Err(_died) => "killed".to_owned(),
            };
            assert!(Instant::now() < end, "{method} {path} of {}: last {told}", self.name);
            let pause_ms = self.random.random_range(20..120);
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        }
    }
}
