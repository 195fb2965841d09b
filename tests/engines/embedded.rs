//! The embedded engines alone, in a process of their own that a test may kill: `it-engines FOLDER DYNAMODB-PORT SQS-PORT`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test's process may panic")]

use std::net::SocketAddr;
use std::path::Path;

use domain::Clock;
use queuelink::engines::dynamodb::{Durability, DynamoDbEngine};
use queuelink::engines::sqs::SqsEngine;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, dynamodb, sqs] = &arguments[..] else { panic!("three arguments: {arguments:?}") };
    let listen = async |port: &String| {
        TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))).await.unwrap()
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
