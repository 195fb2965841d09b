//! The embedded engines alone, in a process of their own that a test may kill: `it-engines FOLDER DYNAMODB-PORT SQS-PORT`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test's process may panic")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::Clock;
use queuelink::engines::dynamodb::{Durability, DynamoDbEngine};
use queuelink::engines::sqs::SqsEngine;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, dynamodb, sqs] = &arguments[..] else { panic!("three arguments: {arguments:?}") };
    // Whoever had the port before may not have let go of it yet.
    let listen = async |port: &String| {
        let address = SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            match TcpListener::bind(address).await {
                Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < end => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                bound => return bound.unwrap(),
            }
        }
    };
    let (dynamodb, sqs) = (listen(dynamodb).await, listen(sqs).await);
    let folder = Path::new(folder);
    let tables = DynamoDbEngine::open(&folder.join("dynamodb.sqlite"), Durability::Fast).unwrap();
    let address = sqs.local_addr().unwrap();
    let file = folder.join("sqs.sqlite");
    let queues = SqsEngine::open(&file, "us-east-1", "000000000000", address, Clock::system()).unwrap();
    let forever = std::future::pending::<()>;
    let (one, other) = tokio::join!(tables.serve(dynamodb, forever()), queues.serve(sqs, forever()));
    one.unwrap();
    other.unwrap();
}
