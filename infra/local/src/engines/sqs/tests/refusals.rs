//! What SQS refuses, as a table of raw requests: the SDK would not let some of them out.

use super::world::{World, arn};
use axum::http::StatusCode;
use serde_json::{Value, json};

const HOST: &[(&str, &str)] = &[("host", "127.0.0.1")];

/// (operation, request, code): on the queues `q` (messages of at most 1024 bytes), `plain`, `f.fifo`.
fn refused() -> Vec<(&'static str, Value, &'static str)> {
    let url = |name: &str| format!("http://127.0.0.1/000000000000/{name}");
    let (q, plain, fifo) = (url("q"), url("plain"), url("f.fifo"));
    let create = |name: &str, attributes: Value| json!({"QueueName": name, "Attributes": attributes});
    let redrive = |target: &str, count: Value| json!({"RedrivePolicy": json!({"deadLetterTargetArn": arn(target), "maxReceiveCount": count}).to_string()});
    let send = |more: Value| {
        let mut request = json!({"QueueUrl": q, "MessageBody": "b"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let with_attribute = |name: &str, value: Value| send(json!({"MessageAttributes": {name: value}}));
    let text = |value: &str| json!({"DataType": "String", "StringValue": value});
    let entries = |ids: &[&str]| -> Value {
        json!({"QueueUrl": q, "Entries": ids.iter().map(|id| json!({"Id": id, "MessageBody": "b"})).collect::<Vec<_>>()})
    };
    let heavy: Vec<Value> =
        (0..3).map(|id| json!({"Id": id.to_string(), "MessageBody": "x".repeat(400_000)})).collect();
    let eleven: Vec<String> = (0..11).map(|id| id.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    let many: Value = (0..11).map(|n| (format!("a{n}"), text("v"))).collect::<serde_json::Map<_, _>>().into();
    vec![
        ("CreateQueue", create("a b", json!({})), "InvalidParameterValue"),
        ("CreateQueue", create("", json!({})), "InvalidParameterValue"),
        ("CreateQueue", create(&"n".repeat(81), json!({})), "InvalidParameterValue"),
        ("CreateQueue", create("n.fifo", json!({})), "InvalidParameterValue"),
        ("CreateQueue", create("n", json!({"FifoQueue": "true"})), "InvalidParameterValue"),
        ("CreateQueue", create("n", json!({"FifoQueue": "false"})), "InvalidAttributeName"),
        ("CreateQueue", create("n", json!({"Colour": "red"})), "InvalidAttributeName"),
        ("CreateQueue", create("n", json!({"ContentBasedDeduplication": "true"})), "InvalidAttributeName"),
        ("CreateQueue", create("n", json!({"DelaySeconds": "901"})), "InvalidAttributeValue"),
        ("CreateQueue", create("n", json!({"VisibilityTimeout": "43201"})), "InvalidAttributeValue"),
        ("CreateQueue", create("n", json!({"VisibilityTimeout": "soon"})), "InvalidAttributeValue"),
        ("CreateQueue", create("n", json!({"MaximumMessageSize": "1023"})), "InvalidAttributeValue"),
        ("CreateQueue", create("n", json!({"MessageRetentionPeriod": "59"})), "InvalidAttributeValue"),
        ("CreateQueue", create("n", redrive("absent", json!(3))), "InvalidParameterValue"),
        ("CreateQueue", create("n", redrive("f.fifo", json!(3))), "InvalidParameterValue"),
        ("CreateQueue", create("n", redrive("q", json!(0))), "InvalidParameterValue"),
        ("CreateQueue", create("n", redrive("plain", json!(3))), "InvalidParameterValue"),
        ("CreateQueue", create("q", json!({"VisibilityTimeout": "31"})), "QueueAlreadyExists"),
        ("CreateQueue", json!({}), "MissingParameter"),
        ("GetQueueUrl", json!({"QueueName": "absent"}), "AWS.SimpleQueueService.NonExistentQueue"),
        (
            "SendMessage",
            json!({"QueueUrl": url("absent"), "MessageBody": "b"}),
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url("absent"), "WaitTimeSeconds": 20}),
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        ("GetQueueAttributes", json!({"QueueUrl": q, "AttributeNames": ["Colour"]}), "InvalidAttributeName"),
        ("SendMessage", json!({"QueueUrl": q}), "MissingParameter"),
        ("SendMessage", send(json!({"MessageBody": ""})), "MissingParameter"),
        ("SendMessage", send(json!({"MessageBody": "x".repeat(1025)})), "InvalidParameterValue"),
        (
            "SendMessage",
            json!({"QueueUrl": plain, "MessageBody": "x".repeat(1_048_577)}),
            "InvalidParameterValue",
        ),
        ("SendMessage", send(json!({"MessageBody": "a\u{0}"})), "InvalidMessageContents"),
        ("SendMessage", send(json!({"MessageBody": "a\u{b}"})), "InvalidMessageContents"),
        ("SendMessage", send(json!({"MessageBody": "a\u{fffe}"})), "InvalidMessageContents"),
        ("SendMessage", with_attribute("n", text("\u{1}")), "InvalidMessageContents"),
        ("SendMessage", send(json!({"DelaySeconds": 901})), "InvalidParameterValue"),
        ("SendMessage", send(json!({"MessageDeduplicationId": "1"})), "InvalidParameterValue"),
        ("SendMessage", with_attribute("n", text("")), "InvalidParameterValue"),
        ("SendMessage", with_attribute("AWS.n", text("v")), "InvalidParameterValue"),
        ("SendMessage", with_attribute("a..b", text("v")), "InvalidParameterValue"),
        (
            "SendMessage",
            with_attribute("n", json!({"DataType": "Boolean", "StringValue": "v"})),
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            with_attribute("n", json!({"DataType": "Number", "StringValue": "one"})),
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            with_attribute("n", json!({"DataType": "Binary", "BinaryValue": "?"})),
            "MalformedInput",
        ),
        ("SendMessage", with_attribute("n", text(&"x".repeat(1020))), "InvalidParameterValue"),
        ("SendMessage", send(json!({"MessageAttributes": many})), "InvalidParameterValue"),
        ("SendMessage", json!({"QueueUrl": fifo, "MessageBody": "b"}), "MissingParameter"),
        (
            "SendMessage",
            json!({"QueueUrl": fifo, "MessageBody": "b", "MessageGroupId": "g"}),
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": fifo, "MessageBody": "b", "MessageGroupId": "g g", "MessageDeduplicationId": "1"}),
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": fifo, "MessageBody": "b", "MessageGroupId": "g", "MessageDeduplicationId": "1", "DelaySeconds": 5}),
            "InvalidParameterValue",
        ),
        ("SendMessageBatch", entries(&[]), "AWS.SimpleQueueService.EmptyBatchRequest"),
        ("SendMessageBatch", entries(&eleven), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        ("SendMessageBatch", entries(&["a", "a"]), "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        ("SendMessageBatch", entries(&["a b"]), "AWS.SimpleQueueService.InvalidBatchEntryId"),
        (
            "SendMessageBatch",
            json!({"QueueUrl": plain, "Entries": heavy}),
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        ("ReceiveMessage", json!({"QueueUrl": q, "MaxNumberOfMessages": 11}), "InvalidParameterValue"),
        ("ReceiveMessage", json!({"QueueUrl": q, "MaxNumberOfMessages": 0}), "InvalidParameterValue"),
        ("ReceiveMessage", json!({"QueueUrl": q, "WaitTimeSeconds": 21}), "InvalidParameterValue"),
        ("DeleteMessage", json!({"QueueUrl": q, "ReceiptHandle": "no handle"}), "ReceiptHandleIsInvalid"),
        (
            "ChangeMessageVisibility",
            json!({"QueueUrl": q, "ReceiptHandle": "bm8", "VisibilityTimeout": 1}),
            "ReceiptHandleIsInvalid",
        ),
        (
            "ChangeMessageVisibility",
            json!({"QueueUrl": q, "ReceiptHandle": "MTp4", "VisibilityTimeout": 43_201}),
            "InvalidParameterValue",
        ),
        ("StartMessageMoveTask", json!({"SourceArn": arn("absent")}), "ResourceNotFoundException"),
        ("StartMessageMoveTask", json!({"SourceArn": arn("q")}), "InvalidParameterValue"),
        ("CancelMessageMoveTask", json!({"TaskHandle": "none"}), "ResourceNotFoundException"),
        ("Fly", json!({}), "InvalidAction"),
        ("SendMessage", json!([1]), "MalformedInput"),
    ]
}

#[tokio::test]
async fn every_refusal_of_the_table_has_its_code_and_changes_nothing() {
    let world = World::start().await;
    world.make("q", &[("MaximumMessageSize", "1024"), ("VisibilityTimeout", "30")]).await;
    world.make("plain", &[("RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#)]).await;
    world.make("f.fifo", &[("FifoQueue", "true")]).await;
    let mut wrong = Vec::new();
    for (operation, request, code) in refused() {
        let (status, found, answer) = world.call(operation, &request, HOST).await;
        if status != StatusCode::BAD_REQUEST
            || found != format!("{code};Sender")
            || answer["message"].as_str().is_none()
        {
            let shown: String = request.to_string().chars().take(120).collect();
            wrong.push(format!("{operation} {shown}: expected {code}, got {status} {found} {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed = world.client.list_queues().send().await.unwrap().queue_urls.unwrap();
    assert_eq!(listed.len(), 3);
    for url in listed {
        assert_eq!(world.attribute(&url, "ApproximateNumberOfMessages").await, "0", "{url}");
    }
}

#[tokio::test]
async fn browsers_and_foreign_names_are_refused() {
    let world = World::start().await;
    let check = async |headers: &[(&str, &str)], expect: StatusCode| {
        let (status, ..) = world.call("ListQueues", &json!({}), headers).await;
        assert_eq!(status, expect, "{headers:?}");
    };
    check(HOST, StatusCode::OK).await;
    check(&[("host", "evil.example")], StatusCode::FORBIDDEN).await;
    check(&[("host", "127.0.0.1:1"), ("origin", "https://evil.example")], StatusCode::FORBIDDEN).await;
    check(&[], StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn the_sdk_sees_modelled_errors() {
    let world = World::start().await;
    let url = world.make("q", &[("VisibilityTimeout", "30")]).await;
    assert_eq!(
        world.make("q", &[("VisibilityTimeout", "30")]).await,
        url,
        "equal attributes: the same queue"
    );
    assert_eq!(world.make("q", &[]).await, url, "no attributes: the same queue");
    let other =
        world.client.create_queue().queue_name("q").attributes("VisibilityTimeout".into(), "31").send().await;
    assert!(other.unwrap_err().into_service_error().is_queue_name_exists());
    let absent = world.client.get_queue_url().queue_name("absent").send().await;
    assert!(absent.unwrap_err().into_service_error().is_queue_does_not_exist());
    world.client.delete_queue().queue_url(&url).send().await.unwrap();
    let gone = world.client.send_message().queue_url(&url).message_body("b").send().await;
    assert!(gone.unwrap_err().into_service_error().is_queue_does_not_exist());
}
