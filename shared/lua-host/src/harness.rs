//! Tests of handlers, written in Lua: the handler runs as ever, only its door is recorded.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};

use crate::{Host, HostCall, HostError, Job, LogLine, Report, Sandbox, Verdict, bundle::FileKind};

/// What one file of tests may take, and each handler in it.
const FILE_TIME: Duration = Duration::from_secs(60);
const RUN_TIME: Duration = Duration::from_secs(10);

/// How one test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// The file: `on-boarding/tests/signup`.
    pub file: String,
    /// The test's sentence; empty when the file itself failed.
    pub name: String,
    /// What was not as expected; nothing when the test passed.
    pub failure: Option<String>,
}

impl TestResult {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// Runs every test of a package, or of the whole bundle: each file under a folder `tests`, one after the other.
///
/// A file returns a table of functions, each named by a sentence and called with `t`:
///
/// ```lua
/// return {
///     ["a signup sends one mail"] = function(t)
///         local run = t.run("signup", { email = "ana@example.com" }, { replies = { ["mail.send"] = true } })
///         t.expect(run.verdict).to_equal("ack")
///         t.expect(run.calls[1].arguments.to).to_equal("ana@example.com")
///     end,
/// }
/// ```
///
/// `t.run(handler, body, options?)` finds the handler in the file's own package first. Options: `config`, `secrets`, `attributes`, `attempt`,
/// `queue`, `replies` (function -> value) and `errors` (function -> `{code, message, retryable, expected}`); a function named in neither answers
/// as if it had worked. The result has `verdict` (`ack`, `retry`, `reject`, `failed`), `reason`, `retry_after`, `error`, `log` and `calls`.
/// The sandbox needs two slots: one for the test, one for the handler it runs.
pub async fn run_tests(sandbox: &Sandbox, package: Option<&str>) -> Vec<TestResult> {
    let files: Vec<String> = sandbox
        .bundle()
        .names(FileKind::Test)
        .filter(|name| {
            package.is_none_or(|package| name.strip_prefix(package).is_some_and(|rest| rest.starts_with('/')))
        })
        .map(str::to_owned)
        .collect();
    let mut results = Vec::new();
    for file in files {
        results.extend(run_file(sandbox, file).await);
    }
    results
}

async fn run_file(sandbox: &Sandbox, file: String) -> Vec<TestResult> {
    let bench = Arc::new(Bench {
        sandbox: sandbox.clone(),
        package: file.split('/').next().unwrap_or_default().to_owned(),
        file: file.clone(),
        results: Mutex::new(Vec::new()),
    });
    let job = Job {
        handler: file.clone(),
        context: json!({}),
        body: "null".to_owned(),
        config: json!({}),
        secrets: BTreeMap::new(),
        deadline: Instant::now() + FILE_TIME,
        cpu_budget: RUN_TIME,
    };
    let report = sandbox.run_file(job, Arc::clone(&bench) as Arc<dyn Host>, true).await;
    let mut results = std::mem::take(&mut *bench.results.lock().unwrap_or_else(PoisonError::into_inner));
    let failure = match report.verdict {
        Verdict::Acked => None,
        Verdict::Failed(error) => Some(error.to_string()),
        other => Some(format!("the file of tests ended with {other:?}")),
    };
    if failure.is_some() {
        results.push(TestResult { file, name: String::new(), failure });
    }
    results
}

/// The host of a file of tests.
struct Bench {
    sandbox: Sandbox,
    package: String,
    file: String,
    results: Mutex<Vec<TestResult>>,
}

impl Host for Bench {
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        async move {
            match (call.module.as_str(), call.function.as_str()) {
                ("test", "run") => self.run(call.arguments).await,
                ("test", "report") => {
                    self.report(&call.arguments);
                    Ok(Value::Null)
                }
                _ => Err(refusal("not-in-a-test", "a test has no door of its own; t.run has".to_owned())),
            }
        }
        .boxed()
    }
}

fn refusal(code: &str, message: String) -> HostError {
    HostError { code: code.to_owned(), message, retryable: false, expected: false }
}

impl Bench {
    fn report(&self, arguments: &Value) {
        let text = |key: &str| arguments[key].as_str().unwrap_or_default().to_owned();
        let failure = (arguments["passed"] != json!(true)).then(|| text("message"));
        let result = TestResult { file: self.file.clone(), name: text("name"), failure };
        self.results.lock().unwrap_or_else(PoisonError::into_inner).push(result);
    }

    async fn run(&self, arguments: Value) -> Result<Value, HostError> {
        let name = arguments["handler"].as_str().unwrap_or_default();
        let bundle = self.sandbox.bundle();
        let handler = bundle
            .resolve(&format!("{}/{name}", self.package))
            .or_else(|_| bundle.resolve(name))
            .map_err(|error| refusal("no-handler", error.to_string()))?
            .to_owned();
        let options = &arguments["options"];
        let or = |key: &str, otherwise: Value| match &options[key] {
            Value::Null => otherwise,
            given => given.clone(),
        };
        let secrets = options["secrets"].as_object().into_iter().flatten();
        let job = Job {
            context: json!({
                "id": "0BFTEST",
                "queue": or("queue", json!("test")),
                "handler": handler,
                "attempt": or("attempt", json!(1)),
                "sent_at": "2024-01-01T00:00:00Z",
                "attributes": or("attributes", json!({})),
            }),
            handler,
            body: arguments["body"].to_string(),
            config: or("config", json!({})),
            secrets: secrets
                .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                .collect(),
            deadline: Instant::now() + RUN_TIME,
            cpu_budget: RUN_TIME,
        };
        let recorder = Arc::new(Recorder {
            replies: options["replies"].clone(),
            errors: options["errors"].clone(),
            calls: Mutex::new(Vec::new()),
        });
        let report = self.sandbox.run(job, Arc::clone(&recorder) as Arc<dyn Host>).await;
        let calls = std::mem::take(&mut *recorder.calls.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(told(report, calls))
    }
}

/// A report as a test sees it.
fn told(report: Report, calls: Vec<Value>) -> Value {
    let log: Vec<Value> = report.log.into_iter().map(line).collect();
    let mut told = json!({ "log": log, "calls": calls });
    match report.verdict {
        Verdict::Acked => told["verdict"] = json!("ack"),
        Verdict::RetryAsked { after_secs } => {
            told["verdict"] = json!("retry");
            if let Some(after_secs) = after_secs {
                told["retry_after"] = json!(after_secs);
            }
        }
        Verdict::Rejected { reason } => {
            told["verdict"] = json!("reject");
            told["reason"] = json!(reason);
        }
        Verdict::Failed(error) => {
            told["verdict"] = json!("failed");
            told["reason"] = json!(error.message);
            told["error"] = json!({ "kind": error.kind, "message": error.message });
            if let Some(code) = error.code {
                told["error"]["code"] = json!(code);
            }
            if let Some(retryable) = error.retryable {
                told["error"]["retryable"] = json!(retryable);
            }
        }
        Verdict::Returned { why } => {
            told["verdict"] = json!("returned");
            told["reason"] = json!(why);
        }
    }
    told
}

fn line(line: LogLine) -> Value {
    let mut told = json!({ "level": line.level, "message": line.message });
    if let Some(fields) = line.fields {
        told["fields"] = fields;
    }
    told
}

/// Answers as it was told to, and remembers.
struct Recorder {
    replies: Value,
    errors: Value,
    calls: Mutex<Vec<Value>>,
}

impl Host for Recorder {
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        let name = format!("{}.{}", call.module, call.function);
        let answer = self.answer(&name, &call.arguments);
        let called = json!({ "module": call.module, "function": call.function, "arguments": call.arguments });
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(called);
        async move { answer }.boxed()
    }
}

impl Recorder {
    fn answer(&self, name: &str, arguments: &Value) -> Result<Value, HostError> {
        if let Some(error) = self.errors[name].as_object() {
            let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or(key).to_owned();
            let flag = |key: &str| error.get(key) == Some(&Value::Bool(true));
            return Err(HostError {
                code: text("code"),
                message: text("message"),
                retryable: flag("retryable"),
                expected: flag("expected"),
            });
        }
        match &self.replies[name] {
            Value::Null => Ok(as_if_it_worked(name, arguments)),
            reply => Ok(reply.clone()),
        }
    }
}

/// What a handler would see where the real thing works.
fn as_if_it_worked(name: &str, arguments: &Value) -> Value {
    let text = |key: &str| arguments[key].as_str().unwrap_or_default();
    match name {
        "http.fetch" => json!({ "status": 200, "headers": {}, "body": "" }),
        "crypto.hash_password" => json!(format!("hash of {}", text("password"))),
        "crypto.verify_password" => json!(text("hash") == format!("hash of {}", text("password"))),
        _ => json!(true),
    }
}
