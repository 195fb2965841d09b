//! What a linked write costs, and how long it is until its handler runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bootstrap::{Aws, Endpoints};
use delivery::{Courier, CourierParts, Writer};
use domain::{ApiName, Clock, EntryKey, KeyId};
use queue::{BrokersConfig, Engines, Queues, SqsConfig};
use queuelink::engines::dynamodb::Durability;
use queuelink::{House, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zstorage::{By, Catalog, DataKeys, OpenTable, Outbox, Records, Sealer, Seen, TableNames};

use crate::meter::Meter;

/// Writes whose way to their handlers is measured, one after the other.
const WRITES: usize = 500;

/// When each write's handler was heard of, by the write's number.
type Heard = Arc<Mutex<HashMap<usize, Instant>>>;

pub(crate) async fn measure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("a folder for the house");
    let handlers = folder.path().join("handlers/bench");
    std::fs::create_dir_all(&handlers).expect("a folder for the handler");
    let handler = r#"local http = require("@std/http")
        return function(context)
            http.fetch(context.message.body.url)
            context.runtime.AckMessage()
        end"#;
    std::fs::write(handlers.join("tell.luau"), handler).expect("a handler");
    let data_dir = folder.path().join("data");
    let house = House::start(Options {
        listen: ([127, 0, 0, 1], 0).into(),
        data_dir: data_dir.clone(),
        handlers_dir: folder.path().join("handlers"),
        sandbox_program: std::env::current_exe().expect("this program has a path"),
        samples: false,
        durability: Durability::Fast,
        clock: Clock::system(),
        sweep_every: Duration::from_secs(60),
        brokers: queuelink::BrokerOptions::default(),
    })
    .await
    .expect("the house starts");
    let client = reqwest::Client::new();
    let call = async |path: &str, body: Value| -> Value {
        let url = format!("{}/api/v1/zstorage/{path}", house.api());
        let request = client.post(url).bearer_auth(house.admin_key().expose()).body(body.to_string());
        let answer = request.send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        serde_json::from_slice(&answer.bytes().await.expect("a body")).unwrap_or(Value::Null)
    };
    let (url, heard) = listen().await;
    call("queue", json!({"name": "bench", "type": "sqs"})).await;
    call("queue", json!({"name": "nobody", "type": "sqs", "worker": "none"})).await;
    call("queue", json!({"name": "line", "type": "sqs", "worker": "none", "fifo": true})).await;
    let fields = json!([{"apiName": "n", "type": "integer"}]);
    for (table, link) in [
        (
            "Told",
            json!({"queue": "bench", "on": ["create"], "payload": {"handler": "tell", "url": format!("{url}/${{new.n}}")}}),
        ),
        ("Plain", json!({"queue": "nobody", "on": ["create", "update"]})),
        ("Ordered", json!({"queue": "line", "on": ["create", "update"]})),
        ("Strict", json!({"queue": "nobody", "on": ["create", "update"], "mode": "strict"})),
    ] {
        call("table", json!({"apiName": table, "fields": fields})).await;
        call(&format!("table/{table}/link"), link).await;
    }

    bill(&house, &data_dir).await;
    let (mut answered, mut handled) = (Vec::new(), Vec::new());
    for n in 0..WRITES {
        let begun = Instant::now();
        call("record/new", json!({"apiName": "Told", "fields": {"n": n}})).await;
        answered.push(begun.elapsed().as_secs_f64() * 1e6);
        let at = loop {
            match heard.lock().unwrap_or_else(PoisonError::into_inner).get(&n) {
                Some(at) => break *at,
                None => assert!(begun.elapsed() < Duration::from_secs(30), "write {n} is not heard of"),
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        };
        handled.push(at.duration_since(begun).as_secs_f64() * 1e6);
    }
    crate::spread("linked write, from request to answer", &mut answered);
    crate::spread("linked write, from request to its handler", &mut handled);
    house.stop().await;
}

/// Calls and units of a linked write, and of its message's way to the queue.
async fn bill(house: &House, data_dir: &std::path::Path) {
    let endpoints = Endpoints {
        dynamodb: Some(house.dynamodb().to_owned()),
        sqs: Some(house.sqs().to_owned()),
        ..Endpoints::default()
    };
    let aws = Aws::local("us-east-1", "000000000000", endpoints);
    let meter = Meter::default();
    let client = meter.on(&aws.dynamodb());
    let sealer = Sealer::from_key_file(&data_dir.join("key")).expect("the house has a key");
    let catalog = Catalog::new(aws.dynamodb(), "local-Catalog".to_owned(), Clock::system());
    // Of our own: at the house's outbox its publisher would be first.
    let names = TableNames {
        catalog: "bench-Catalog",
        messages: "bench-Messages",
        records: "bench-Records",
        outbox: "bench-Outbox",
    };
    zstorage::create_tables(&aws.dynamodb(), names).await.expect("the tables are made");
    let outbox = Outbox::new(client.clone(), names.outbox.to_owned(), Clock::system());
    let parts = CourierParts {
        records: Records::new(client, names.records.to_owned(), outbox.clone(), Clock::system()),
        outbox: outbox.clone(),
        catalog: catalog.clone(),
        engines: Engines::new(Queues::new(aws.sqs(SqsConfig::new)), BrokersConfig::none()),
        sealer: sealer.clone(),
        clock: Clock::system(),
    };
    let (courier, writer) = (Courier::new(parts.clone()), Writer::new(parts));
    println!("| request | DynamoDB calls | write units | read units |\n|---|---|---|---|");
    let row = |request: String| {
        let bill = meter.take();
        println!("| {request} | {} | {} | {} |", bill.calls, bill.write_units, bill.read_units);
    };
    let by = By { caller: KeyId::new(Clock::system().now(), &mut rand::rng()), idempotency: None, depth: 0 };
    let given = |n: u32| serde_json::from_value(json!({"n": n})).expect("an object");
    for name in ["Plain", "Ordered", "Strict"] {
        let api_name = ApiName::parse(name).expect("a name");
        let found = catalog.table_by_name(&api_name).await.expect("the store answers");
        let schema = found.expect("the table is there");
        let keys = DataKeys::new(sealer.clone()).of(schema.table()).await.expect("the table's key opens");
        let table = OpenTable { schema, keys, queues: Arc::default() };
        let made = writer.create(&table, &given(1), &by, false).await.expect("a record is made");
        row(format!("{name}: create with one link"));
        if name != "Strict" {
            let seen = seen(&outbox, &made.messages[0].entry).await;
            meter.take();
            courier.ring(vec![seen], Duration::from_secs(20)).await;
            row(format!("{name}: its message, from the stream"));
        }
        let id = made.written.record.id;
        writer.update(&table, id, &given(2), None, &by, false).await.expect("a record is changed");
        row(format!("{name}: update with one link"));
    }
}

async fn seen(outbox: &Outbox, key: &EntryKey) -> Seen {
    Seen::Whole(outbox.entry(key).await.expect("the store answers").expect("the entry is there"))
}

/// A server that hears of handlers: its address, and what it has heard.
async fn listen() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let heard = Heard::default();
    let told = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let at = Instant::now();
            let told = Arc::clone(&told);
            tokio::spawn(async move {
                let mut request = [0; 2048];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let path = String::from_utf8_lossy(&request[..length]);
                let number =
                    path.split(' ').nth(1).and_then(|path| path.trim_start_matches('/').parse().ok());
                if let Some(number) = number {
                    told.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_insert(at);
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                // A handler that hears no answer is none of our business.
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (url, heard)
}
