//! A stand-in for DynamoDB and SQS on loopback: it keeps items as they are put, without conditions, notes every call in order,
//! and refuses those it is told to. The real engines are met in the whole system's tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// One call: the operation's name and what it was given.
pub(crate) type Call = (String, Value);

#[derive(Default)]
struct State {
    items: BTreeMap<(String, String), Map<String, Value>>,
    calls: Vec<Call>,
    refused: BTreeSet<String>,
    /// These are never answered.
    unanswered: BTreeSet<String>,
    /// SQS takes no larger body.
    largest_body: Option<usize>,
}

#[derive(Clone, Default)]
pub(crate) struct Double(Arc<Mutex<State>>);

impl Double {
    /// Starts it; ends with the test's runtime.
    pub(crate) async fn start() -> (Double, String) {
        let double = Double::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = double.clone();
        let router = Router::new().fallback(async move |headers: HeaderMap, body: Bytes| {
            if state.is_unanswered(&headers) {
                std::future::pending::<()>().await;
            }
            state.answer(&headers, &body)
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        (double, url)
    }

    /// The calls since the last time, in order.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// From now on these operations are refused, and no others.
    pub(crate) fn refuse(&self, operations: &[&str]) {
        self.0.lock().unwrap().refused = operations.iter().map(|operation| (*operation).to_owned()).collect();
    }

    /// From now on these operations are never answered, nor carried out.
    pub(crate) fn leave_unanswered(&self, operations: &[&str]) {
        self.0.lock().unwrap().unanswered =
            operations.iter().map(|operation| (*operation).to_owned()).collect();
    }

    /// From now on SQS takes no body of more bytes.
    pub(crate) fn take_bodies_of(&self, bytes: usize) {
        self.0.lock().unwrap().largest_body = Some(bytes);
    }

    /// The keys of all that is kept.
    pub(crate) fn keys(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().items.keys().cloned().collect()
    }

    /// Forgets an item as if it had never been kept.
    pub(crate) fn lose(&self, pk: &str, sk: &str) {
        let lost = self.0.lock().unwrap().items.remove(&(pk.to_owned(), sk.to_owned()));
        assert!(lost.is_some(), "there is no item {pk} {sk}");
    }

    fn is_unanswered(&self, headers: &HeaderMap) -> bool {
        self.0.lock().unwrap().unanswered.contains(&operation_of(headers))
    }

    fn answer(&self, headers: &HeaderMap, body: &[u8]) -> (StatusCode, String) {
        let operation = operation_of(headers);
        let input: Value = serde_json::from_slice(body).unwrap_or_default();
        let mut state = self.0.lock().unwrap();
        state.calls.push((operation.clone(), input.clone()));
        if state.refused.contains(&operation) {
            let error =
                json!({"__type": "com.amazon.coral.service#AccessDeniedException", "message": "planted"});
            return (StatusCode::BAD_REQUEST, error.to_string());
        }
        let body = input["MessageBody"].as_str().map_or(0, str::len);
        if state.largest_body.is_some_and(|largest| body > largest) {
            let error = json!({"__type": "com.amazonaws.sqs#InvalidParameterValue", "message": "planted"});
            return (StatusCode::BAD_REQUEST, error.to_string());
        }
        (StatusCode::OK, state.carry_out(&operation, &input).to_string())
    }
}

impl State {
    fn carry_out(&mut self, operation: &str, input: &Value) -> Value {
        match operation {
            "GetItem" => match self.items.get(&key(&input["Key"])) {
                Some(item) => json!({ "Item": item }),
                None => json!({}),
            },
            "Query" => {
                let pk = &input["ExpressionAttributeValues"][":pk"]["S"];
                let from = input["ExpressionAttributeValues"][":from"]["S"].as_str().unwrap_or_default();
                let fits = |(p, s): &(String, String)| Some(p.as_str()) == pk.as_str() && s.as_str() >= from;
                let items: Vec<_> =
                    self.items.iter().filter(|(key, _)| fits(key)).map(|(_, item)| item).collect();
                json!({ "Items": items, "Count": items.len() })
            }
            "TransactWriteItems" => {
                for action in input["TransactItems"].as_array().into_iter().flatten() {
                    if let Value::Object(item) = &action["Put"]["Item"] {
                        self.items.insert(key(&action["Put"]["Item"]), item.clone());
                    }
                }
                json!({})
            }
            "PutItem" => {
                if let Value::Object(item) = &input["Item"] {
                    self.items.insert(key(&input["Item"]), item.clone());
                }
                json!({})
            }
            // The one update of a worker: a failure is counted.
            "UpdateItem" => {
                let (pk, sk) = key(&input["Key"]);
                let item = self.items.entry((pk.clone(), sk.clone())).or_default();
                let count =
                    item.get("failures").and_then(|n| n["N"].as_str()?.parse::<u32>().ok()).unwrap_or(0) + 1;
                item.insert("pk".to_owned(), json!({ "S": pk }));
                item.insert("sk".to_owned(), json!({ "S": sk }));
                item.insert("failures".to_owned(), json!({ "N": count.to_string() }));
                json!({ "Attributes": item })
            }
            "SendMessage" => json!({ "MessageId": "11111111-2222-3333-4444-555555555555" }),
            "ChangeMessageVisibilityBatch" => {
                let entries = input["Entries"].as_array().into_iter().flatten();
                json!({ "Successful": entries.map(|entry| json!({ "Id": entry["Id"] })).collect::<Vec<_>>(), "Failed": [] })
            }
            _ => json!({}),
        }
    }
}

fn operation_of(headers: &HeaderMap) -> String {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default().to_owned()
}

fn key(of: &Value) -> (String, String) {
    let text = |name: &str| of[name]["S"].as_str().unwrap_or_default().to_owned();
    (text("pk"), text("sk"))
}
