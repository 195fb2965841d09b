//! What a record costs: calls and units of each kind of request, and records per second beside the bare SDK.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use bootstrap::{Aws, Endpoints};
use domain::{ApiName, Clock, KeyId, RawFields, RecordId};
use futures::StreamExt;
use queuelink::engines::dynamodb::Durability;
use queuelink::{House, Options};
use serde_json::{Value, json};
use zstorage::{By, Catalog, DataKeys, OpenTable, Outbox, Query, Records, Sealer};

use crate::meter::{Bill, Meter};

/// Records written and read against the clock.
const RECORDS: usize = 2000;

/// So often, and the best counts.
const ROUNDS: usize = 3;

/// So often all is read in each of them: it takes a twentieth of a second.
const READINGS: usize = 5;

/// Requests under way at once.
const AT_ONCE: usize = 8;

/// Records of one page.
const PAGE: usize = 50;

/// Records of the largest page.
const LARGE_PAGE: usize = 200;

/// Items that a page of [`PAGE`] reads of each of four buckets, so that one call to each nearly always suffices.
const READ_OF_EACH: i32 = 21;

/// The local house's tables.
const CATALOG: &str = "local-Catalog";
const RECORDS_TABLE: &str = "local-Records";

struct Bench {
    house: House,
    _folder: tempfile::TempDir,
    client: Client,
    catalog: Catalog,
    keys: DataKeys,
    http: reqwest::Client,
}

/// Prints both tables.
pub(crate) async fn measure() {
    let bench = Bench::start().await;
    let field = |name: &str, kind: &str| json!({"apiName": name, "type": kind});
    let fields = [field("name", "text"), field("age", "integer"), field("city", "text")];
    let plain = bench.table("Plain", json!({"fields": fields})).await;
    let indexed = bench.table("Indexed", json!({"fields": fields, "indexes": [{"fields": ["age"]}]})).await;
    let mut unique = fields.to_vec();
    unique[0]["unique"] = json!(true);
    let unique = bench.table("Unique", json!({"fields": unique, "indexes": [{"fields": ["age"]}]})).await;

    println!("| request | AWS calls | write units | read units |\n|---|---|---|---|");
    bench.bill("no index, nothing unique", &plain).await;
    bench.bill("one index", &indexed).await;
    bench.bill("one index, one unique field", &unique).await;
    println!();
    bench.race(&plain).await;
    bench.house.stop().await;
}

impl Bench {
    async fn start() -> Bench {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder for the house");
        let data_dir = folder.path().join("data");
        let handlers_dir = folder.path().join("handlers");
        std::fs::create_dir_all(&handlers_dir).expect("a folder for handlers");
        let house = House::start(Options {
            listen: ([127, 0, 0, 1], 0).into(),
            data_dir: data_dir.clone(),
            handlers_dir,
            sandbox_program: std::env::current_exe().expect("this program has a path"),
            samples: false,
            durability: Durability::Fast,
            clock: Clock::system(),
            sweep_every: std::time::Duration::from_secs(60),
            brokers: queuelink::BrokerOptions::default(),
        })
        .await
        .expect("the house starts");
        let endpoints = Endpoints { dynamodb: Some(house.dynamodb().to_owned()), ..Endpoints::default() };
        let client = Aws::local("us-east-1", "000000000000", endpoints).dynamodb();
        let sealer = Sealer::from_key_file(&data_dir.join("key")).expect("the house has a key");
        Bench {
            catalog: Catalog::new(client.clone(), CATALOG.to_owned(), Clock::system()),
            keys: DataKeys::new(sealer),
            house,
            _folder: folder,
            client,
            http: reqwest::Client::new(),
        }
    }

    /// Makes a table over HTTP and opens it.
    async fn table(&self, name: &str, mut design: Value) -> OpenTable {
        design["apiName"] = json!(name);
        let url = format!("{}/api/v1/zstorage/table", self.house.api());
        let request = self.http.post(url).bearer_auth(self.house.admin_key().expose());
        let answer = request.body(design.to_string()).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 201, "{}", answer.text().await.unwrap_or_default());
        let name = ApiName::parse(name).expect("a name");
        let schema =
            self.catalog.table_by_name(&name).await.expect("the store answers").expect("the table is there");
        let keys = self.keys.of(schema.table()).await.expect("the table's key opens");
        OpenTable { schema, keys, queues: Arc::default() }
    }

    fn records(&self, client: Client) -> Records {
        let outbox = Outbox::new(client.clone(), "local-Outbox".to_owned(), Clock::system());
        Records::new(client, RECORDS_TABLE.to_owned(), outbox, Clock::system())
    }

    /// One row for each kind of request.
    async fn bill(&self, what: &str, table: &OpenTable) {
        let meter = Meter::default();
        let records = self.records(meter.on(&self.client));
        let row = |request: &str, bill: Bill| {
            println!("| {what}: {request} | {} | {} | {} |", bill.calls, bill.write_units, bill.read_units);
        };
        let made = records.create(table, &values(0), &by(None)).await.expect("a record is made");
        row("create", meter.take());
        records.create(table, &values(1), &by(Some(table))).await.expect("a record is made");
        row("create, with an idempotency key", meter.take());
        records.create(table, &values(1), &by(Some(table))).await.expect("an answer");
        row("the same again", meter.take());
        let id = made.record.id;
        let change = raw(json!({"city": "Ulm"}));
        records.update(table, id, &change, None, &by(None)).await.expect("the record is changed");
        row("update of one field", meter.take());
        let change = raw(json!({"name": "another", "age": 77}));
        records.update(table, id, &change, None, &by(None)).await.expect("the record is changed");
        row("update of all that is indexed", meter.take());
        records.get(table, id).await.expect("the store answers").expect("the record is there");
        row("get", meter.take());
        records.delete(table, id, None, &by(None)).await.expect("the record is removed");
        row("delete", meter.take());
        for at in 10..10 + 2 * PAGE {
            records.create(table, &values(at), &by(None)).await.expect("a record is made");
        }
        meter.take();
        let page = records.query(table, &first_page()).await.expect("a page");
        assert_eq!(page.records.len(), PAGE);
        row(&format!("page of {PAGE}"), meter.take());
    }

    /// Records per second, beside what the bare SDK does with the same items on the same engine: the best of some rounds, so
    /// that what else runs on the machine meets all of them alike.
    async fn race(&self, table: &OpenTable) {
        let records = self.records(self.client.clone());
        let mut best = [0.0_f64; 8];
        for round in 0..ROUNDS {
            let put = |at: usize| async move {
                let call =
                    self.client.put_item().table_name(RECORDS_TABLE).set_item(Some(item("put", round, at)));
                call.condition_expression("attribute_not_exists(pk)").send().await.expect("an item is put");
            };
            let transact = |at: usize| async move {
                let put =
                    Put::builder().table_name(RECORDS_TABLE).set_item(Some(item("transact", round, at)));
                let put = put.condition_expression("attribute_not_exists(pk)").build().expect("a whole put");
                let call = self.client.transact_write_items();
                let call = call.transact_items(TransactWriteItem::builder().put(put).build());
                call.send().await.expect("an item is put");
            };
            let create = |at: usize| {
                let records = &records;
                async move { drop(records.create(table, &values(at), &by(None)).await.expect("a record is made")) }
            };
            let wrote = [per_second(put).await, per_second(transact).await, per_second(create).await];
            for _ in 0..READINGS {
                let spread = self.bare_spread_pages(round).await;
                let [bare, page] = self.both_pages(&records, table, PAGE).await;
                let [large_bare, large_page] = self.both_pages(&records, table, LARGE_PAGE).await;
                let read = [bare, spread, page, large_bare, large_page];
                for (best, rate) in best.iter_mut().zip(wrote.into_iter().chain(read)) {
                    *best = best.max(rate);
                }
            }
        }
        let [put, transact, create, bare, spread, page, large_bare, large_page] = best;
        println!(
            "| {RECORDS} records, {AT_ONCE} requests at once | records per second | times the bare SDK's |"
        );
        println!("|---|---|---|");
        println!("| put by the bare SDK | {put:.0} | |");
        println!("| put in a transaction by the bare SDK | {transact:.0} | |");
        println!("| made in a table | {create:.0} | {:.2} |", transact / create);
        println!("| read in pages of {PAGE} by the bare SDK, one partition after the other | {bare:.0} | |");
        println!("| the same, a page over four partitions side by side | {spread:.0} | |");
        let (to_bare, to_spread) = (bare / page, spread / page);
        println!("| read in pages of {PAGE} from a table | {page:.0} | {to_bare:.2}, {to_spread:.2} |");
        println!("| read in pages of {LARGE_PAGE} by the bare SDK | {large_bare:.0} | |");
        let to_bare = large_bare / large_page;
        println!("| read in pages of {LARGE_PAGE} from a table | {large_page:.0} | {to_bare:.2} |");
    }

    /// Reads all of `table` by the bare SDK and as a table: how fast each is.
    async fn both_pages(&self, records: &Records, table: &OpenTable, size: usize) -> [f64; 2] {
        let (bare, bare_read) = self.bare_pages(table, size).await;
        let (page, page_read) = pages(records, table, size).await;
        assert_eq!(bare_read, page_read, "both read the whole table");
        [bare, page]
    }

    /// Reads the same records of the same table as [`pages`], one partition after the other: how fast, and how many.
    async fn bare_pages(&self, table: &OpenTable, size: usize) -> (f64, usize) {
        let (begun, mut read) = (Instant::now(), 0);
        let table = table.schema.table();
        for bucket in RecordId::buckets(table.buckets) {
            let mut next = None;
            loop {
                let call = self.client.query().table_name(RECORDS_TABLE).key_condition_expression("pk = :pk");
                let pk = AttributeValue::S(format!("{}#{bucket}", table.prefix));
                let call = call.expression_attribute_values(":pk", pk).limit(size as i32);
                let page = call.set_exclusive_start_key(next).send().await.expect("a page");
                read += page.items().len();
                next = page.last_evaluated_key;
                if next.is_none() {
                    break;
                }
            }
        }
        (rate(read, begun), read)
    }

    /// Reads what `put` wrote in this round in the order of age, as a table that is spread over four partitions must: a query to each for every page,
    /// of which the next page reads again what was not given.
    async fn bare_spread_pages(&self, round: usize) -> f64 {
        let begun = Instant::now();
        for first in (0..RECORDS).step_by(PAGE) {
            let of_bucket = |bucket: usize| {
                let call = self.client.query().table_name(RECORDS_TABLE);
                let call = call.key_condition_expression("pk = :pk AND sk >= :first").limit(READ_OF_EACH);
                let pk = AttributeValue::S(partition("put", round, bucket));
                let call = call.expression_attribute_values(":pk", pk);
                call.expression_attribute_values(":first", AttributeValue::S(sort_key(first))).send()
            };
            futures::future::try_join_all((0..4).map(of_bucket)).await.expect("a page");
        }
        rate(RECORDS, begun)
    }
}

/// Reads all of a table: how fast, and how many.
async fn pages(records: &Records, table: &OpenTable, size: usize) -> (f64, usize) {
    let (begun, mut read, mut query) = (Instant::now(), 0, Query { limit: size, ..Query::default() });
    loop {
        let page = records.query(table, &query).await.expect("a page");
        read += page.records.len();
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return (rate(read, begun), read);
        }
    }
}

async fn per_second<F: Future<Output = ()>>(write: impl Fn(usize) -> F) -> f64 {
    let begun = Instant::now();
    futures::stream::iter((0..RECORDS).map(write)).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    rate(RECORDS, begun)
}

fn rate(count: usize, begun: Instant) -> f64 {
    count as f64 / begun.elapsed().as_secs_f64()
}

fn first_page() -> Query {
    Query { limit: PAGE, ..Query::default() }
}

/// One caller; each table has an idempotency key of its own.
fn by(idempotency: Option<&OpenTable>) -> By {
    static CALLER: LazyLock<KeyId> = LazyLock::new(|| KeyId::new(Clock::system().now(), &mut rand::rng()));
    let key = |table: &OpenTable| (table.schema.table().api_name.to_string(), [7; 32]);
    By { caller: *CALLER, idempotency: idempotency.map(key), depth: 0 }
}

fn raw(values: Value) -> RawFields {
    serde_json::from_str(&values.to_string()).expect("an object")
}

fn values(at: usize) -> RawFields {
    raw(json!({"name": format!("Ada Lovelace {at}"), "age": at % 90, "city": "London"}))
}

fn partition(kind: &str, round: usize, bucket: usize) -> String {
    format!("bare#{kind}#{round}#{bucket}")
}

fn sort_key(at: usize) -> String {
    format!("A00001JA{at:022}")
}

/// What a record of `values` looks like in the store, without the table.
fn item(kind: &str, round: usize, at: usize) -> HashMap<String, AttributeValue> {
    let text = |text: String| AttributeValue::S(text);
    let number = |number: usize| AttributeValue::N(number.to_string());
    HashMap::from([
        ("pk".to_owned(), text(partition(kind, round, at % 4))),
        ("sk".to_owned(), text(sort_key(at))),
        ("v".to_owned(), number(1)),
        ("c".to_owned(), text("2026-01-01T00:00:00.000000000Z".to_owned())),
        ("u".to_owned(), text("2026-01-01T00:00:00.000000000Z".to_owned())),
        ("f1".to_owned(), text(format!("Ada Lovelace {at}"))),
        ("f2".to_owned(), number(at % 90)),
        ("f3".to_owned(), text("London".to_owned())),
        ("s".to_owned(), text(format!("ada lovelace {at} london"))),
    ])
}
