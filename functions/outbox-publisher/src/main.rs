//! The Lambda function `outbox-publisher`.

use std::process::ExitCode;

use bootstrap::{Environment, exit_code, init_tracing};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    exit_code(listen())
}

/// On one thread: it waits for queues and the store.
#[tokio::main(flavor = "current_thread")]
async fn listen() -> Result<(), Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    let publisher = &outbox_publisher::start(&environment).await?;
    let handle =
        async |call: LambdaEvent<Value>| publisher.handle_until(call.payload, call.context.deadline()).await;
    lambda_runtime::run(service_fn(handle)).await
}
