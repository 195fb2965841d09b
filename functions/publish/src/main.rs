//! The Lambda function `publish`.

use std::process::ExitCode;

use bootstrap::{Environment, exit_code, init_tracing};

fn main() -> ExitCode {
    exit_code(serve())
}

/// On one thread: Lambda gives an instance one request at a time.
#[tokio::main(flavor = "current_thread")]
async fn serve() -> Result<(), lambda_http::Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    lambda_http::run(publish::start(&environment).await?).await
}
