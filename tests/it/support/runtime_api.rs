//! A double of the Lambda Runtime API: hands events to one real bootstrap process and takes its answers.
//!
//! Four endpoints, as AWS documents them ("Lambda runtime API", version 2018-06-01).

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as PathOf, State};
use axum::http::{HeaderName, StatusCode};
use axum::routing::{get, post};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, oneshot};

/// A function's timeout, unless a test says otherwise: so long that none is stopped because this machine is busy.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Who has not answered for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a function answered: its JSON, or its error document.
pub type Answer = Result<Value, Value>;

/// The process ended before it answered.
#[derive(Debug)]
pub struct Died;

struct Invocation {
    id: String,
    event: Value,
    timeout: Duration,
}

#[derive(Clone)]
struct Api {
    events: Arc<Mutex<mpsc::UnboundedReceiver<Invocation>>>,
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>,
    init_error: mpsc::UnboundedSender<Value>,
}

/// A bootstrap process and the Runtime API it talks to. Killed, by its pid, when dropped.
pub struct Function {
    child: Child,
    events: mpsc::UnboundedSender<Invocation>,
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Answer>>>>,
    init_errors: mpsc::UnboundedReceiver<Value>,
    timeout: Duration,
    count: u32,
}

impl Function {
    /// Starts `binary` as the function `name` with nothing but `environment`.
    pub async fn start(name: &str, binary: &Path, environment: &[(&str, String)]) -> Function {
        Function::start_with(name, binary, environment, Stdio::inherit()).await
    }

    /// As [`Function::start`]; what the process prints goes to `output`.
    pub async fn start_with(
        name: &str,
        binary: &Path,
        environment: &[(&str, String)],
        output: Stdio,
    ) -> Function {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (events, receiver) = mpsc::unbounded_channel();
        let (init_error, init_errors) = mpsc::unbounded_channel();
        let waiting = Arc::default();
        let api = Api { events: Arc::new(Mutex::new(receiver)), waiting: Arc::clone(&waiting), init_error };
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_failed))
            .with_state(api);
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let child = Command::new(binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "test")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "test")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .spawn()
            .unwrap_or_else(|e| panic!("{} does not start: {e}", binary.display()));
        Function { child, events, waiting, init_errors, timeout: TIMEOUT, count: 0 }
    }

    /// With another timeout for each event from now on.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Function {
        self.timeout = timeout;
        self
    }

    /// The process's id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Hands over one event and waits for the answer.
    pub async fn invoke(&mut self, event: Value) -> Answer {
        self.try_invoke(event).await.expect("the process died")
    }

    /// As [`Function::invoke`]; a process that dies meanwhile is an error.
    ///
    /// # Errors
    /// [`Died`].
    pub async fn try_invoke(&mut self, event: Value) -> Result<Answer, Died> {
        self.count += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.count);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().await.insert(id.clone(), sender);
        self.events.send(Invocation { id, event, timeout: self.timeout }).unwrap();
        let child = &mut self.child;
        let exit = async {
            while child.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            // An answer that came before the end counts.
            biased;
            answer = answer => Ok(answer.unwrap()),
            Some(error) = self.init_errors.recv() => panic!("the function did not start: {error}"),
            () = exit => Err(Died),
            () = tokio::time::sleep(PATIENCE) => panic!("no answer within {PATIENCE:?}"),
        }
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn next(State(api): State<Api>) -> ([(HeaderName, String); 4], String) {
    let invocation = api.events.lock().await.recv().await.expect("the test ended first");
    // As on Lambda, the time runs from here: what the process did before, its start above all, is not in it.
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + invocation.timeout;
    let header = HeaderName::from_static;
    (
        [
            (header("lambda-runtime-aws-request-id"), invocation.id),
            (header("lambda-runtime-deadline-ms"), deadline.as_millis().to_string()),
            (
                header("lambda-runtime-invoked-function-arn"),
                "arn:aws:lambda:us-east-1:000000000000:function:test".into(),
            ),
            (header("lambda-runtime-trace-id"), "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0".into()),
        ],
        invocation.event.to_string(),
    )
}

async fn response(State(api): State<Api>, PathOf(id): PathOf<String>, body: Bytes) -> StatusCode {
    settle(&api, &id, Ok(serde_json::from_slice(&body).unwrap_or(Value::Null))).await
}

async fn error(State(api): State<Api>, PathOf(id): PathOf<String>, body: Bytes) -> StatusCode {
    settle(&api, &id, Err(serde_json::from_slice(&body).unwrap_or(Value::Null))).await
}

async fn settle(api: &Api, id: &str, answer: Answer) -> StatusCode {
    match api.waiting.lock().await.remove(id) {
        Some(waiting) => {
            let _ = waiting.send(answer);
            StatusCode::ACCEPTED
        }
        None => StatusCode::BAD_REQUEST,
    }
}

async fn init_failed(State(api): State<Api>, body: Bytes) -> StatusCode {
    let _ = api.init_error.send(serde_json::from_slice(&body).unwrap_or(Value::Null));
    StatusCode::ACCEPTED
}
