//! The engine as the real SDK sees it, its mends, and its refusals.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use super::{Durability, DynamoDbEngine, EngineError, house::STREAM_RETENTION_SECS};
use aws_sdk_dynamodb::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata,
    types::{
        AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, Put,
        ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification, TransactWriteItem,
    },
};
use axum::{
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use std::path::Path;
use tokio::net::TcpListener;
use tower::ServiceExt;

/// The engine on a port of its own.
async fn start(file: &Path) -> (Client, DynamoDbEngine, tokio::task::JoinHandle<()>) {
    let engine = DynamoDbEngine::open(file, Durability::Fast).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = engine.clone();
    let task = tokio::spawn(async move { server.serve(listener, std::future::pending()).await.unwrap() });
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    (Client::from_conf(config), engine, task)
}

async fn make_table(client: &Client, name: &str) {
    let key = KeySchemaElement::builder().attribute_name("pk").key_type(KeyType::Hash).build().unwrap();
    let kind = AttributeDefinition::builder().attribute_name("pk").attribute_type(ScalarAttributeType::S);
    let stream =
        StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
    let request =
        client.create_table().table_name(name).key_schema(key).billing_mode(BillingMode::PayPerRequest);
    let request = request.attribute_definitions(kind.build().unwrap());
    request.stream_specification(stream.build().unwrap()).send().await.unwrap();
}

fn put(pk: &str) -> Put {
    let put = Put::builder().table_name("records").item("pk", AttributeValue::S(pk.to_owned()));
    put.condition_expression("attribute_not_exists(pk)").build().unwrap()
}

async fn exists(client: &Client, pk: &str) -> bool {
    let request = client.get_item().table_name("records").key("pk", AttributeValue::S(pk.to_owned()));
    request.consistent_read(true).send().await.unwrap().item.is_some()
}

/// A request past the SDK, which speaks neither for browsers nor for streams.
async fn call(
    engine: &DynamoDbEngine,
    target: &str,
    body: Value,
    headers: &[(&str, &str)],
) -> (StatusCode, Value) {
    let mut request = Request::post("/").header("x-amz-target", target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body.to_string())).unwrap();
    let answer = engine.router().oneshot(request).await.unwrap();
    let status = answer.status();
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

const OURS: &[(&str, &str)] = &[("host", "127.0.0.1:8000")];

#[tokio::test]
async fn a_transaction_commits_whole_or_says_which_condition_failed_and_survives_a_sudden_end() {
    let folder = tempfile::tempdir().unwrap();
    let later = tempfile::tempdir().unwrap();
    {
        let (client, _engine, task) = start(&folder.path().join("dynamodb.sqlite")).await;
        make_table(&client, "records").await;
        let both = |a: &str, b: &str| {
            let action = |pk: &str| TransactWriteItem::builder().put(put(pk)).build();
            client.transact_write_items().transact_items(action(a)).transact_items(action(b)).send()
        };
        both("1", "2").await.unwrap();
        let refused = both("3", "2").await.unwrap_err().into_service_error();
        let reasons = match &refused {
            aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
                cancelled,
            ) => cancelled.cancellation_reasons(),
            other => panic!("expected a cancelled transaction, got {other:?}"),
        };
        let codes: Vec<_> = reasons.iter().map(|reason| reason.code().unwrap_or_default()).collect();
        assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
        // The files as they lie on the disk in mid-life: what a kill leaves.
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), later.path().join(file.file_name())).unwrap();
        }
        task.abort();
    }
    let (client, _engine, _task) = start(&later.path().join("dynamodb.sqlite")).await;
    assert!(exists(&client, "1").await && exists(&client, "2").await);
    assert!(!exists(&client, "3").await, "the refused transaction must leave nothing");
}

#[tokio::test]
async fn a_refused_single_write_carries_its_modelled_error() {
    let folder = tempfile::tempdir().unwrap();
    let (client, _engine, _task) = start(&folder.path().join("dynamodb.sqlite")).await;
    let missing =
        client.get_item().table_name("absent").key("pk", AttributeValue::S("1".into())).send().await;
    assert!(missing.unwrap_err().into_service_error().is_resource_not_found_exception());
    make_table(&client, "records").await;
    let write = || {
        let request = client.put_item().table_name("records").item("pk", AttributeValue::S("1".into()));
        request.condition_expression("attribute_not_exists(pk)").send()
    };
    write().await.unwrap();
    assert!(write().await.unwrap_err().into_service_error().is_conditional_check_failed_exception());
    let keyless =
        client.put_item().table_name("records").item("other", AttributeValue::S("1".into())).send().await;
    assert_eq!(keyless.unwrap_err().into_service_error().code(), Some("ValidationException"));
}

#[tokio::test]
async fn a_table_whose_making_was_broken_off_can_be_made_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    {
        let (client, engine, task) = start(&file).await;
        make_table(&client, "records").await;
        make_table(&client, "half-made").await;
        client
            .put_item()
            .table_name("records")
            .item("pk", AttributeValue::S("a".into()))
            .send()
            .await
            .unwrap();
        // What a kill between dynoxide's two commits leaves.
        engine.house.with(|connection| connection.execute_batch("DROP TABLE \"half-made\"").unwrap());
        task.abort();
    }
    let (client, _engine, _task) = start(&file).await;
    assert!(exists(&client, "a").await);
    let names = client.list_tables().send().await.unwrap().table_names.unwrap();
    assert_eq!(names, ["records"]);
    make_table(&client, "half-made").await;
    let item = AttributeValue::S("b".into());
    client.put_item().table_name("half-made").item("pk", item).send().await.unwrap();
}

#[tokio::test]
async fn a_write_is_read_from_the_stream_and_old_stream_records_are_trimmed() {
    let folder = tempfile::tempdir().unwrap();
    let (client, engine, _task) = start(&folder.path().join("dynamodb.sqlite")).await;
    make_table(&client, "records").await;
    client.put_item().table_name("records").item("pk", AttributeValue::S("1".into())).send().await.unwrap();
    let streams = |operation: &str| format!("DynamoDBStreams_20120810.{operation}");
    let (_, listed) = call(&engine, &streams("ListStreams"), json!({"TableName": "records"}), OURS).await;
    let arn = listed["Streams"][0]["StreamArn"].clone();
    let (_, described) = call(&engine, &streams("DescribeStream"), json!({"StreamArn": arn}), OURS).await;
    let shard = described["StreamDescription"]["Shards"][0]["ShardId"].clone();
    let request = json!({"StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
    let (_, iterator) = call(&engine, &streams("GetShardIterator"), request.clone(), OURS).await;
    let read = json!({"ShardIterator": iterator["ShardIterator"]});
    let (_, records) = call(&engine, &streams("GetRecords"), read, OURS).await;
    assert_eq!(records["Records"][0]["dynamodb"]["NewImage"]["pk"]["S"], "1", "{records}");

    let now_secs = jiff::Timestamp::now().as_second();
    assert_eq!(engine.house.trim_streams(now_secs).unwrap(), 0, "a new record stays");
    assert_eq!(
        engine.house.trim_streams(now_secs + STREAM_RETENTION_SECS + 5).unwrap(),
        1,
        "a day later it goes"
    );
}

/// Holds what we rely on in dynoxide's private schema: its table, and that its own query uses our index.
#[tokio::test]
async fn the_stream_index_is_used_by_the_engines_own_query() {
    let folder = tempfile::tempdir().unwrap();
    let engine = DynamoDbEngine::open(&folder.path().join("dynamodb.sqlite"), Durability::Safe).unwrap();
    let plan: String = engine.house.with(|connection| {
        let sql = "EXPLAIN QUERY PLAN SELECT MAX(CAST(sequence_number AS INTEGER)) FROM _stream_records WHERE table_name = 't'";
        connection.query_row(sql, [], |row| row.get(3)).unwrap()
    });
    assert!(plan.contains("ix_stream_seq"), "{plan}");
}

#[tokio::test]
async fn an_expired_item_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let (client, engine, _task) = start(&folder.path().join("dynamodb.sqlite")).await;
    make_table(&client, "records").await;
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name("expires").build().unwrap();
    client.update_time_to_live().table_name("records").time_to_live_specification(ttl).send().await.unwrap();
    let request = client.put_item().table_name("records").item("pk", AttributeValue::S("1".into()));
    let an_hour_ago = jiff::Timestamp::now().as_second() - 3600;
    request.item("expires", AttributeValue::N(an_hour_ago.to_string())).send().await.unwrap();
    let database = engine.database.clone();
    tokio::task::spawn_blocking(move || database.sweep_ttl()).await.unwrap().unwrap();
    assert!(!exists(&client, "1").await);
}

#[tokio::test]
async fn browsers_and_foreign_names_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let engine = DynamoDbEngine::open(&folder.path().join("dynamodb.sqlite"), Durability::Fast).unwrap();
    let check = async |headers: &[(&str, &str)], expect: StatusCode| {
        let (status, _) = call(&engine, "DynamoDB_20120810.ListTables", json!({}), headers).await;
        assert_eq!(status, expect, "{headers:?}");
    };
    check(OURS, StatusCode::OK).await;
    check(&[("host", "localhost:1")], StatusCode::OK).await;
    check(&[("host", "evil.example:8000")], StatusCode::FORBIDDEN).await;
    check(&[("host", "127.0.0.1:8000"), ("origin", "http://evil.example")], StatusCode::FORBIDDEN).await;
    check(&[("host", "127.0.0.1:8000"), ("origin", "null")], StatusCode::FORBIDDEN).await;
    check(&[], StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn unreadable_requests_and_unknown_operations_are_answered_with_4xx() {
    let folder = tempfile::tempdir().unwrap();
    let engine = DynamoDbEngine::open(&folder.path().join("dynamodb.sqlite"), Durability::Fast).unwrap();
    let check = async |target: &str, body: Value, expect: &str| {
        let (status, answer) = call(&engine, target, body, OURS).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{target} {answer}");
        assert!(answer["__type"].as_str().is_some_and(|kind| kind.ends_with(expect)), "{target} {answer}");
    };
    check("DynamoDB_20120810.Fly", json!({}), "#UnknownOperationException").await;
    check("Elsewhere.PutItem", json!({}), "#UnknownOperationException").await;
    check("DynamoDB_20120810.PutItem", json!("text"), "#SerializationException").await;
    check("DynamoDB_20120810.PutItem", json!({"TableName": 7}), "#SerializationException").await;
    check("DynamoDB_20120810.GetItem", json!({"TableName": "t", "Key": {"pk": {}}}), "#ValidationException")
        .await;
}

#[test]
fn a_damaged_file_is_named_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    std::fs::write(&file, "this was never a database, whatever its name says\n".repeat(200)).unwrap();
    let error = DynamoDbEngine::open(&file, Durability::Safe).err().unwrap();
    assert!(matches!(error, EngineError::Damaged { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(sentence.contains("dynamodb.sqlite") && !sentence.contains('\n'), "{sentence}");
    let absent = folder.path().join("no-such-folder/dynamodb.sqlite");
    assert!(matches!(DynamoDbEngine::open(&absent, Durability::Safe), Err(EngineError::Unusable { .. })));
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = folder.path().join("dynamodb.sqlite");
    super::serve(listener, &file, Durability::Safe, std::future::ready(())).await.unwrap();
}
