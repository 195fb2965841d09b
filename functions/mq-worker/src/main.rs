//! The Lambda function `mq-worker`. The same program, started again by itself, is the sandbox.

use std::process::ExitCode;

use bootstrap::{Environment, exit_code, init_tracing};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

fn main() -> ExitCode {
    lua_host::sandbox_entry();
    exit_code(work())
}

/// On one thread: it waits for others. Handlers compute in the sandbox, hashes on threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn work() -> Result<(), Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    let worker = &mq_worker::start(&environment).await?;
    let handle =
        async |event: LambdaEvent<Value>| worker.handle_until(event.payload, event.context.deadline()).await;
    lambda_runtime::run(service_fn(handle)).await
}
