//! The Lambda function `outbox-sweeper`.

use std::process::ExitCode;

use bootstrap::{Environment, exit_code, init_tracing};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    exit_code(sweep())
}

/// On one thread: it waits for queues and the store.
#[tokio::main(flavor = "current_thread")]
async fn sweep() -> Result<(), Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    let sweeper = &outbox_sweeper::start(&environment)?;
    let handle = async |event: LambdaEvent<Value>| sweeper.handle_until(event.context.deadline()).await;
    lambda_runtime::run(service_fn(handle)).await
}
