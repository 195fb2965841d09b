use aws_sdk_lambda::config::{BehaviorVersion, Region};
use domain::MappingState;
use queue::Mappings;
use serde_json::json;

use crate::engine::{Answer, Engine, credentials, http_client, sqs};

const PATH: &str = "/2015-03-31/event-source-mappings";

fn mappings(engine: &Engine) -> Mappings {
    let config = aws_sdk_lambda::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(&engine.endpoint)
        .credentials_provider(credentials())
        .http_client(http_client());
    Mappings::new(aws_sdk_lambda::Client::from_conf(config.build()), "sqs-worker".into())
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Json(status, json!({"__type": code, "Type": "User", "Message": "as told"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_takes_ten_at_a_time_and_reads_partial_failures() {
    let engine = Engine::serve(|_, _| Answer::Json(202, json!({"UUID": "u-1", "State": "Creating"}))).await;
    assert_eq!(mappings(&engine).attach(&sqs("orders")).await.unwrap(), "u-1");
    let asked = engine.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].action.starts_with(&format!("POST {PATH}")), "{}", asked[0].action);
    let expect = json!({
        "FunctionName": "sqs-worker", "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:orders", "BatchSize": 10,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "Enabled": true
    });
    assert_eq!(asked[0].body, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_there_is_taken_and_put_right_if_it_would_lose_messages() {
    let check = async |there: serde_json::Value, expect: &[&str]| {
        let engine = Engine::serve(move |asked, _| match asked.action.split(' ').next().unwrap() {
            "POST" => refused(409, "ResourceConflictException"),
            "GET" => Answer::Json(200, json!({"EventSourceMappings": [there]})),
            _ => Answer::Json(202, json!({"UUID": "u-1"})),
        })
        .await;
        assert_eq!(mappings(&engine).attach(&sqs("orders")).await.unwrap(), "u-1");
        let methods: Vec<String> =
            engine.asked().iter().map(|asked| asked.action.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(methods, expect);
    };
    let right = json!({"UUID": "u-1", "BatchSize": 10, "FunctionResponseTypes": ["ReportBatchItemFailures"]});
    check(right, &["POST", "GET"]).await;
    check(json!({"UUID": "u-1", "BatchSize": 10}), &["POST", "GET", "PUT"]).await;
    check(
        json!({"UUID": "u-1", "BatchSize": 100, "FunctionResponseTypes": ["ReportBatchItemFailures"]}),
        &["POST", "GET", "PUT"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_on_its_way_out_is_not_taken_for_ours() {
    let engine = Engine::serve(|asked, _| match asked.action.split(' ').next().unwrap() {
        "POST" => refused(409, "ResourceConflictException"),
        _ => Answer::Json(
            200,
            json!({"EventSourceMappings": [{"UUID": "u-1", "State": "Deleting", "BatchSize": 10,
                "FunctionResponseTypes": ["ReportBatchItemFailures"]}]}),
        ),
    })
    .await;
    let error = mappings(&engine).attach(&sqs("orders")).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_is_enabled_disabled_or_on_its_way() {
    let check = async |state: &'static str, expect: MappingState| {
        let engine =
            Engine::serve(move |_, _| Answer::Json(200, json!({"UUID": "u-1", "State": state}))).await;
        assert_eq!(mappings(&engine).state("u-1").await.unwrap(), expect, "{state}");
        mappings(&engine).set_enabled("u-1", false).await.unwrap();
        let asked = engine.asked().pop().unwrap();
        assert!(asked.action.starts_with(&format!("PUT {PATH}/u-1")), "{}", asked.action);
        assert_eq!(asked.body, json!({"Enabled": false}));
    };
    check("Enabled", MappingState::Enabled).await;
    check("Disabled", MappingState::Disabled).await;
    for state in ["Creating", "Enabling", "Disabling", "Updating", "Deleting", "SomethingNew"] {
        check(state, MappingState::Changing).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_gone_or_busy_is_said_to_be_so() {
    let engine = Engine::serve(|_, _| refused(404, "ResourceNotFoundException")).await;
    mappings(&engine).detach("u-1").await.unwrap();
    assert!(mappings(&engine).state("u-1").await.unwrap_err().is_missing());
    assert!(mappings(&engine).set_enabled("u-1", true).await.unwrap_err().is_missing());
    let engine = Engine::serve(|_, _| refused(400, "ResourceInUseException")).await;
    assert!(mappings(&engine).set_enabled("u-1", true).await.unwrap_err().is_retryable());
    assert!(mappings(&engine).detach("u-1").await.unwrap_err().is_retryable());
}
