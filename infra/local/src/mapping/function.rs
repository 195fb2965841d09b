//! The functions that mappings call: in this process, behind the same JSON in and out as on Lambda.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::Value;

/// Why a function gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// It returned an error.
    #[error("the function threw: {0}")]
    Threw(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It panicked.
    #[error("the function panicked")]
    Panicked,
    /// It ran past its timeout, and was stopped.
    #[error("the function timed out after {0:?}")]
    TimedOut(Duration),
}

type Call = dyn Fn(Value, Duration) -> BoxFuture<'static, Result<Value, InvocationError>> + Send + Sync;

/// A function: event and remaining time in, answer out.
#[derive(Clone)]
pub struct Function {
    timeout: Duration,
    call: Arc<Call>,
}

impl Function {
    /// Wraps `call`, which gets the event and the time it has. `timeout` is the function's own, as in the template.
    pub fn new<F, Fut, E>(timeout: Duration, call: F) -> Function
    where
        F: Fn(Value, Duration) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let call = move |event, remaining| -> BoxFuture<'static, Result<Value, InvocationError>> {
            let answer = call(event, remaining);
            Box::pin(async move { answer.await.map_err(|error| InvocationError::Threw(error.into())) })
        };
        Function { timeout, call: Arc::new(call) }
    }

    /// How long one invocation may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls it once. A panic hurts this call only, and a call past the timeout is stopped, as Lambda stops a process.
    pub(super) async fn invoke(&self, event: Value) -> Result<Value, InvocationError> {
        let call = tokio::spawn((self.call)(event, self.timeout));
        let stop = call.abort_handle();
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(InvocationError::Panicked),
            Err(_) => {
                stop.abort();
                Err(InvocationError::TimedOut(self.timeout))
            }
        }
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

/// All functions a mapping may name.
#[derive(Debug, Clone, Default)]
pub struct Functions(BTreeMap<String, Function>);

impl Functions {
    /// Adds `function` under `name`.
    #[must_use]
    pub fn with(mut self, name: &str, function: Function) -> Functions {
        self.0.insert(name.to_owned(), function);
        self
    }

    pub(super) fn get(&self, name: &str) -> Option<&Function> {
        self.0.get(name)
    }
}

/// The bare name in `name`, `name:alias`, `ACCOUNT:function:name` or an ARN: Lambda takes all of them.
pub(crate) fn bare_name(given: &str) -> &str {
    let tail = given.split_once("function:").map_or(given, |(_, tail)| tail);
    tail.split(':').next().unwrap_or(tail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]
    use super::*;
    use serde_json::json;

    #[test]
    fn a_function_is_known_by_every_spelling_that_lambda_takes() {
        for given in [
            "sqs-worker",
            "sqs-worker:live",
            "000000000000:function:sqs-worker",
            "arn:aws:lambda:eu-west-1:000000000000:function:sqs-worker",
            "arn:aws:lambda:eu-west-1:000000000000:function:sqs-worker:3",
        ] {
            assert_eq!(bare_name(given), "sqs-worker", "{given}");
        }
    }

    #[tokio::test]
    async fn a_call_that_fails_panics_or_hangs_is_an_error() {
        let call = |event: Value, remaining: Duration| async move {
            assert_eq!(remaining, Duration::from_millis(50));
            match event.as_str() {
                Some("throw") => Err("thrown"),
                Some("panic") => panic!("planted"),
                Some("hang") => std::future::pending().await,
                _ => Ok(json!({"echo": event})),
            }
        };
        let function = Function::new(Duration::from_millis(50), call);
        assert_eq!(function.invoke(json!(1)).await.unwrap(), json!({"echo": 1}));
        assert!(matches!(function.invoke(json!("throw")).await, Err(InvocationError::Threw(_))));
        assert!(matches!(function.invoke(json!("panic")).await, Err(InvocationError::Panicked)));
        assert!(matches!(function.invoke(json!("hang")).await, Err(InvocationError::TimedOut(_))));
    }
}
