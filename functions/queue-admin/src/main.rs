//! The Lambda function `queue-admin`.

use bootstrap::{Environment, init_tracing};

#[tokio::main]
async fn main() -> Result<(), lambda_http::Error> {
    let environment = Environment::from_process();
    init_tracing(&environment)?;
    lambda_http::run(queue_admin::start(&environment)?).await
}
