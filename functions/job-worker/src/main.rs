//! The Lambda function `job-worker`.

use std::process::ExitCode;

use bootstrap::{Environment, exit_code, init_tracing};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    exit_code(work())
}

/// On one thread: it waits for the store.
#[tokio::main(flavor = "current_thread")]
async fn work() -> Result<(), Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    let worker = &job_worker::start(&environment)?;
    let handle =
        async |event: LambdaEvent<Value>| worker.handle_until(event.payload, event.context.deadline()).await;
    lambda_runtime::run(service_fn(handle)).await
}
