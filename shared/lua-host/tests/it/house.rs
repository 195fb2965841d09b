//! What every test here stands on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use lua_host::{
    Bundle, FailureKind, HandlerError, Host, HostCall, HostError, Job, Report, Sandbox, SandboxConfig,
    Verdict,
};
use serde_json::{Value, json};

/// Far enough away that only a handler that is never stopped meets it.
pub const LONG: Duration = Duration::from_secs(60);

pub fn config() -> SandboxConfig {
    SandboxConfig::new(env!("CARGO_BIN_EXE_lua-host-sandbox"))
}

/// A sandbox of these files; `x` stands for the file `x.luau`.
pub async fn sandbox(files: &[(&str, &str)]) -> Sandbox {
    sandbox_with(config(), files).await
}

pub async fn sandbox_with(config: SandboxConfig, files: &[(&str, &str)]) -> Sandbox {
    let files = files.iter().map(|(name, source)| (format!("{name}.luau"), (*source).to_owned()));
    Sandbox::start(config, Bundle::from_sources(files).unwrap()).await.unwrap()
}

/// The source of a handler whose body is these statements; `context` is in reach.
pub fn handler(statements: &str) -> String {
    format!("return function(context)\n{statements}\nend")
}

pub fn job(handler: &str, body: Value) -> Job {
    Job {
        handler: handler.to_owned(),
        context: json!({ "id": "0BF1", "queue": "q", "handler": handler, "attempt": 1, "attributes": {} }),
        body: body.to_string(),
        config: json!({ "greeting": "hello" }),
        secrets: BTreeMap::from([("token".to_owned(), "s3cret".to_owned())]),
        deadline: Instant::now() + LONG,
        cpu_budget: LONG,
    }
}

/// Runs statements as the one handler of a new sandbox.
pub async fn run(statements: &str) -> Report {
    run_with(statements, json!({}), Arc::new(Echo::default())).await
}

pub async fn run_with(statements: &str, body: Value, host: Arc<dyn Host>) -> Report {
    let sandbox = sandbox(&[("h", &handler(statements))]).await;
    sandbox.run(job("h", body), host).await
}

pub fn failure(report: &Report) -> &HandlerError {
    match &report.verdict {
        Verdict::Failed(error) => error,
        other => panic!("not a failure: {other:?}, log {:?}", report.log),
    }
}

pub fn kind(report: &Report) -> FailureKind {
    failure(report).kind
}

/// Answers every call with its own arguments, and remembers it. `fail.expected` and `fail.thrown` fail; `fail.panic` panics.
#[derive(Default)]
pub struct Echo {
    pub calls: Mutex<Vec<HostCall>>,
}

impl Host for Echo {
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        self.calls.lock().unwrap().push(call.clone());
        Box::pin(async move {
            let error = |expected| HostError {
                code: "refused".into(),
                message: "the far side says no".into(),
                retryable: true,
                expected,
            };
            match call.arguments["subject"].as_str() {
                Some("expected") => Err(error(true)),
                Some("thrown") => Err(error(false)),
                Some("panic") => panic!("as the test asked"),
                _ => Ok(call.arguments),
            }
        })
    }
}
