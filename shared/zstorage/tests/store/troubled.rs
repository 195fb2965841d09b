//! A connector beneath the SDK that counts what goes over the wire, and makes trouble on the way as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use futures::future::BoxFuture;
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use crate::house::House;

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: it goes through.
    None,
    /// The store refuses it for its rate.
    Throttle,
    /// The store answers 500 and has done nothing.
    ServerError,
    /// Another transaction is in the way. Of calls that are no transactions: nothing.
    Conflict,
    /// It does not arrive.
    LostBefore,
    /// It is carried out, and the answer is lost.
    LostAfter,
    /// Of what a batch asks for nothing is done, and the answer says so. Of other calls: nothing.
    Unprocessed,
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Throttle,
    Trouble::ServerError,
    Trouble::Conflict,
    Trouble::LostBefore,
    Trouble::LostAfter,
    Trouble::Unprocessed,
];

/// Who decides.
#[derive(Debug)]
enum Plan {
    Told(VecDeque<Trouble>),
    /// This share of all calls, by chance.
    Chance(f64, Box<StdRng>),
}

#[derive(Debug, Clone)]
pub(crate) struct Troubled {
    inner: SharedHttpClient,
    plan: Arc<Mutex<Plan>>,
    calls: Arc<Mutex<Vec<String>>>,
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

/// What others do before a call of ours is carried out.
struct Meanwhile {
    /// Calls that go through before it.
    after: usize,
    work: BoxFuture<'static, ()>,
}

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Meanwhile({})", self.after)
    }
}

impl Troubled {
    fn new(plan: Plan) -> Troubled {
        Troubled {
            inner: aws_smithy_http_client::Builder::new().build_http(),
            plan: Arc::new(Mutex::new(plan)),
            calls: Arc::default(),
            meanwhile: Arc::default(),
        }
    }

    /// No trouble, but `work` is done when `after` calls have gone through, before the next one does.
    pub(crate) fn meanwhile(after: usize, work: impl Future<Output = ()> + Send + 'static) -> Troubled {
        let troubled = Troubled::told(&[]);
        *troubled.meanwhile.lock().unwrap() = Some(Meanwhile { after, work: Box::pin(work) });
        troubled
    }

    /// What others do before the next call, if it is due.
    fn due(&self) -> Option<BoxFuture<'static, ()>> {
        let mut meanwhile = self.meanwhile.lock().unwrap();
        match &mut *meanwhile {
            Some(Meanwhile { after: 0, .. }) => meanwhile.take().map(|meanwhile| meanwhile.work),
            Some(meanwhile) => {
                meanwhile.after -= 1;
                None
            }
            None => None,
        }
    }

    /// The first calls meet these troubles, all after them none.
    pub(crate) fn told(troubles: &[Trouble]) -> Troubled {
        Troubled::new(Plan::Told(troubles.iter().copied().collect()))
    }

    /// Every call may meet any trouble.
    pub(crate) fn by_chance(share: f64, seed: u64) -> Troubled {
        Troubled::new(Plan::Chance(share, Box::new(rand::SeedableRng::seed_from_u64(seed))))
    }

    /// The SDK over this connector, to the engine of `house`. It tries again at once.
    pub(crate) fn client(&self, house: &House) -> Client {
        let config = house.client.config().to_builder().http_client(self.clone());
        let again = RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(1));
        Client::from_conf(config.retry_config(again).build())
    }

    /// What was called since this was asked last: `GetItem`, or of a transaction its actions, `Put+Delete`.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn next(&self) -> Trouble {
        match &mut *self.plan.lock().unwrap() {
            Plan::Told(troubles) => troubles.pop_front().unwrap_or(Trouble::None),
            Plan::Chance(share, random) => match random.random_bool(*share) {
                true => TROUBLES[random.random_range(0..TROUBLES.len())],
                false => Trouble::None,
            },
        }
    }
}

impl HttpClient for Troubled {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Wire { inner, troubled: self.clone() })
    }
}

#[derive(Debug)]
struct Wire {
    inner: SharedHttpConnector,
    troubled: Troubled,
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let is_transaction = operation == "TransactWriteItems";
        let left = match operation.as_str() {
            "BatchGetItem" => Some("UnprocessedKeys"),
            "BatchWriteItem" => Some("UnprocessedItems"),
            _ => None,
        };
        self.troubled.calls.lock().unwrap().push(match is_transaction {
            true => actions(request.body().bytes().unwrap()),
            false => operation,
        });
        let inner = self.inner.clone();
        let trouble = self.troubled.next();
        let meanwhile = self.troubled.due();
        HttpConnectorFuture::new(async move {
            if let Some(work) = meanwhile {
                work.await;
            }
            let lost = || ConnectorError::io("the connection was reset".into());
            match trouble {
                Trouble::Throttle => Ok(refusal(400, "ThrottlingException", "")),
                Trouble::ServerError => Ok(refusal(500, "InternalServerError", "")),
                Trouble::Conflict if is_transaction => {
                    let reasons = r#","CancellationReasons":[{"Code":"TransactionConflict","Message":"m"}]"#;
                    Ok(refusal(400, "TransactionCanceledException", reasons))
                }
                Trouble::LostBefore => Err(lost()),
                Trouble::LostAfter => {
                    inner.call(request).await?;
                    Err(lost())
                }
                Trouble::Unprocessed if left.is_some() => {
                    let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
                    let body = json!({"Responses": {}, left.unwrap(): asked["RequestItems"]});
                    Ok(answer(200, body.to_string()))
                }
                Trouble::Conflict | Trouble::Unprocessed | Trouble::None => inner.call(request).await,
            }
        })
    }
}

fn actions(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap();
    let items = body["TransactItems"].as_array().unwrap();
    let names: Vec<&str> =
        items.iter().map(|item| item.as_object().unwrap().keys().next().unwrap().as_str()).collect();
    names.join("+")
}

fn refusal(status: u16, code: &str, more: &str) -> HttpResponse {
    answer(status, format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"m"{more}}}"#))
}

fn answer(status: u16, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
