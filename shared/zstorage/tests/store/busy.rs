//! What the embedded engine never does: conflicts of transactions, throttles, answers that get lost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use zstorage::{Catalog, CatalogError, StoreError};

use crate::house::{Hands, client_of, queue};

/// Answers what it was told to, the last answer for ever, and keeps what it was asked.
#[derive(Clone, Default)]
struct Told {
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Told {
    async fn serve(answers: &[(u16, String)]) -> (Catalog, Told) {
        let told =
            Told { answers: Arc::new(Mutex::new(answers.iter().cloned().collect())), ..Told::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_of(format!("http://{}", listener.local_addr().unwrap()));
        let answering = told.clone();
        let answer = async move |headers: HeaderMap, body: String| {
            let target = headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
            answering.asked.lock().unwrap().push((target, body));
            let mut answers = answering.answers.lock().unwrap();
            let (status, body) = if answers.len() > 1 {
                answers.pop_front().unwrap()
            } else {
                answers.front().unwrap().clone()
            };
            (StatusCode::from_u16(status).unwrap(), [("content-type", "application/x-amz-json-1.0")], body)
        };
        let app = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await });
        (Catalog::new(client, "catalog".into(), Hands::new().clock()), told)
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().unwrap().clone()
    }
}

fn cancelled(codes: &[&str]) -> (u16, String) {
    let reasons: Vec<String> =
        codes.iter().map(|code| format!(r#"{{"Code":"{code}","Message":"m"}}"#)).collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    (
        400,
        format!(
            r#"{{"__type":"{kind}","Message":"cancelled","CancellationReasons":[{}]}}"#,
            reasons.join(",")
        ),
    )
}

fn done() -> (u16, String) {
    (200, "{}".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_in_anothers_way_is_sent_again_byte_for_byte() {
    let conflict = cancelled(&["None", "TransactionConflict", "None"]);
    let throttle = cancelled(&["ProvisionedThroughputExceeded", "ThrottlingError", "None"]);
    let (catalog, told) = Told::serve(&[conflict, throttle, done()]).await;
    catalog.create_queue(&queue("orders")).await.unwrap();
    let asked = told.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|(target, body)| target == "TransactWriteItems" && *body == asked[0].1));
    assert!(asked[0].1.contains("ClientRequestToken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_condition_beside_a_conflict_is_an_answer_and_not_sent_again() {
    let (catalog, told) =
        Told::serve(&[cancelled(&["ConditionalCheckFailed", "TransactionConflict", "None"])]).await;
    let error = catalog.create_queue(&queue("orders")).await.unwrap_err();
    assert!(matches!(error, CatalogError::Taken { field: "name" }), "{error:?}");
    assert_eq!(told.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_stays_busy_says_so_in_time_and_that_a_retry_may_work() {
    let (catalog, told) = Told::serve(&[cancelled(&["TransactionConflict", "None", "None"])]).await;
    let order = queue("orders");
    let answer = tokio::time::timeout(Duration::from_secs(10), catalog.create_queue(&order)).await;
    let error = answer.expect("it does not give up in time").unwrap_err();
    assert!(matches!(error, CatalogError::Store(StoreError::Busy { .. })), "{error:?}");
    assert!(error.is_retryable() && !error.is_conflict());
    assert!(told.asked().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_for_good_is_not_retryable() {
    let refused =
        |code: &str| (400, format!(r#"{{"__type":"com.amazon.coral.validate#{code}","message":"no"}}"#));
    let check = async |answer: (u16, String), retryable: bool| {
        let (catalog, _) = Told::serve(std::slice::from_ref(&answer)).await;
        let error = catalog.create_queue(&queue("orders")).await.unwrap_err();
        assert!(matches!(error, CatalogError::Store(StoreError::Call { .. })), "{error:?}");
        assert_eq!(error.is_retryable(), retryable, "{answer:?}");
    };
    check(refused("ValidationException"), false).await;
    check(refused("AccessDeniedException"), false).await;
    check(cancelled(&["ValidationError", "None", "None"]), false).await;
    check(refused("ThrottlingException"), true).await;
    check((500, r#"{"__type":"InternalServerError"}"#.to_owned()), true).await;
}
