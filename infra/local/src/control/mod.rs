//! The control calls our functions and commands make to AWS, answered here: event source mappings and the configuration of
//! functions as AWS Lambda, one metric as CloudWatch. So nothing has a branch for this machine.

mod cbor;
mod cloudwatch;
mod lambda;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use domain::Clock;
#[cfg(test)]
use jiff::Timestamp;

use crate::guard;
use crate::mapping::Mappings;

const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// How old the oldest message of a queue is, seconds; `None`: there is none.
type Ages = dyn Fn(&str) -> Result<Option<u64>, Box<dyn Error + Send + Sync>> + Send + Sync;

/// What the control endpoint answers from.
#[derive(Clone)]
pub struct Control {
    region: String,
    account: String,
    mappings: Mappings,
    ages: Arc<Ages>,
    clock: Clock,
    configured: BTreeMap<String, BTreeMap<String, String>>,
}

impl Control {
    /// `ages` reads the age of a queue's oldest message by the queue's name; it may wait for the disk.
    pub fn new<E: Into<Box<dyn Error + Send + Sync>>>(
        region: &str,
        account: &str,
        mappings: Mappings,
        ages: impl Fn(&str) -> Result<Option<u64>, E> + Send + Sync + 'static,
        clock: Clock,
    ) -> Control {
        let ages = Arc::new(move |queue: &str| ages(queue).map_err(Into::into));
        Control {
            region: region.to_owned(),
            account: account.to_owned(),
            mappings,
            ages,
            clock,
            configured: BTreeMap::new(),
        }
    }

    /// Answers for the function `name` that it is configured with `variables`, as a deployed one is.
    pub fn with_function<'v>(
        mut self,
        name: impl Into<String>,
        variables: impl IntoIterator<Item = (&'v str, String)>,
    ) -> Control {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        self.configured.insert(name.into(), variables);
        self
    }

    /// The HTTP surface, guarded against browsers.
    pub fn router(self) -> Router {
        let all = get(lambda::list).post(lambda::create);
        let one = get(lambda::read).put(lambda::update).delete(lambda::delete);
        Router::new()
            .route("/2015-03-31/event-source-mappings", all.clone())
            .route("/2015-03-31/event-source-mappings/", all)
            .route("/2015-03-31/event-source-mappings/{uuid}", one)
            .route("/2015-03-31/functions/{name}/configuration", get(lambda::configuration))
            .route(
                "/service/GraniteServiceVersion20100801/operation/GetMetricData",
                post(cloudwatch::get_metric_data),
            )
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .layer(middleware::from_fn(guard::refuse_browsers))
            .with_state(self)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
