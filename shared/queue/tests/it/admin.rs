use queue::{AdminError, QueueFacts};
use serde_json::{Value, json};

use crate::engine::{Answer, Engine, nobody, queues_at, refused, sqs};

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_is_described_by_its_attributes() {
    let engine = Engine::serve(|_, _| {
        Answer::Json(
            200,
            json!({"Attributes": {
                "ApproximateNumberOfMessages": "7", "ApproximateNumberOfMessagesNotVisible": "2",
                "ApproximateNumberOfMessagesDelayed": "1", "MaximumMessageSize": "262144", "VisibilityTimeout": "60",
                "RedrivePolicy": "{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:orders-dead\",\"maxReceiveCount\":20}",
                "SomethingNew": "x"
            }}),
        )
    })
    .await;
    let facts = QueueFacts {
        visible: 7,
        in_flight: 2,
        delayed: 1,
        max_message_bytes: 262_144,
        visibility_secs: 60,
        fifo: false,
        dead_letter_queue: Some(sqs("orders-dead")),
        max_receive_count: Some(20),
    };
    assert_eq!(engine.queues().describe(&sqs("orders")).await.unwrap(), facts);
    assert_eq!(engine.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_hinders_a_call_is_told_apart() {
    let check = async |answer: fn() -> Answer, expect: &str| {
        let engine = Engine::serve(move |_, _| answer()).await;
        let error = engine.queues().describe(&sqs("orders")).await.unwrap_err();
        let said = match &error {
            AdminError::Missing { .. } => "missing",
            AdminError::Denied { .. } => "denied",
            AdminError::Refused { .. } => "refused",
            AdminError::Unanswered { .. } => "unanswered",
        };
        assert_eq!(
            format!("{said}{}", if error.is_retryable() { ", retry" } else { "" }),
            expect,
            "{error:?}"
        );
        assert_eq!((error.is_missing(), error.is_denied()), (said == "missing", said == "denied"));
    };
    check(|| refused(400, "QueueDoesNotExist"), "missing").await;
    check(|| refused(400, "AWS.SimpleQueueService.NonExistentQueue"), "missing").await;
    check(|| refused(403, "AccessDenied"), "denied").await;
    check(|| refused(403, "InvalidClientTokenId"), "denied").await;
    check(|| refused(400, "InvalidAddress"), "refused").await;
    check(|| refused(400, "RequestThrottled"), "refused, retry").await;
    check(|| refused(500, "InternalError"), "refused, retry").await;
    check(|| Answer::Json(200, json!({"Attributes": {}})), "unanswered, retry").await;
    let gone = queues_at(&nobody().await).describe(&sqs("orders")).await.unwrap_err();
    assert!(matches!(gone, AdminError::Unanswered { .. }), "{gone:?}");
}

/// An SQS that has the queues `there` already, made with other settings and tagged with `stack`.
async fn house(there: &'static [&'static str], stack: &'static str, word: &'static str) -> Engine {
    Engine::serve(move |asked, _| {
        let name = asked.body["QueueName"].as_str().unwrap_or_default();
        let url = json!({"QueueUrl": format!("http://somewhere.else:1/000000000000/{name}")});
        match asked.action.as_str() {
            "CreateQueue" if there.contains(&name) => refused(400, word),
            "CreateQueue" | "GetQueueUrl" => Answer::Json(200, url),
            "ListQueueTags" => Answer::Json(200, json!({"Tags": {"queuelink:stack": stack}})),
            _ => Answer::Json(200, json!({})),
        }
    })
    .await
}

fn actions(engine: &Engine) -> Vec<String> {
    engine.asked().iter().map(|asked| asked.action.clone()).collect()
}

fn redrive(attributes: &Value) -> Value {
    serde_json::from_str(attributes["RedrivePolicy"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_is_a_queue_and_its_dead_letter_queue_joined_by_a_redrive_policy() {
    for (fifo, suffix, receives) in [(false, "", 20), (true, ".fifo", 1000)] {
        let engine = house(&[], "", "").await;
        let (queue, dead) = engine.queues().create_pair("stack-orders", fifo, "stack", 60).await.unwrap();
        assert_eq!(queue, sqs(&format!("stack-orders{suffix}")));
        assert_eq!(dead, sqs(&format!("stack-orders-dead{suffix}")));
        let asked = engine.asked();
        assert_eq!(actions(&engine), ["CreateQueue", "CreateQueue"]);
        for (one, name) in asked.iter().zip([&dead.name, &queue.name]) {
            assert_eq!(one.body["QueueName"], json!(name));
            assert_eq!(one.body["tags"], json!({"queuelink:stack": "stack"}));
            assert_eq!(one.body["Attributes"].get("FifoQueue"), fifo.then(|| json!("true")).as_ref());
        }
        assert_eq!(asked[0].body["Attributes"]["MessageRetentionPeriod"], "1209600");
        assert_eq!(asked[1].body["Attributes"]["VisibilityTimeout"], "60");
        let policy = json!({"deadLetterTargetArn": dead.arn(), "maxReceiveCount": receives});
        assert_eq!(redrive(&asked[1].body["Attributes"]), policy);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_this_stack_is_taken_and_set_right_and_anothers_is_left_alone() {
    for word in ["QueueNameExists", "QueueAlreadyExists"] {
        let engine = house(&["stack-orders"], "stack", word).await;
        let (queue, _) = engine.queues().create_pair("stack-orders", false, "stack", 90).await.unwrap();
        assert_eq!(queue, sqs("stack-orders"));
        let expect = ["CreateQueue", "CreateQueue", "GetQueueUrl", "ListQueueTags", "SetQueueAttributes"];
        assert_eq!(actions(&engine), expect);
        let set = &engine.asked()[4].body;
        assert_eq!(set["QueueUrl"], json!(format!("{}/000000000000/stack-orders", engine.endpoint)));
        assert_eq!(set["Attributes"]["VisibilityTimeout"], "90");

        let engine = house(&["stack-orders"], "another", word).await;
        let error = engine.queues().create_pair("stack-orders", false, "stack", 90).await.unwrap_err();
        assert!(matches!(&error, AdminError::Refused { code, .. } if code == word), "{error:?}");
        assert!(!actions(&engine).contains(&"SetQueueAttributes".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_delete_what_is_gone_is_no_error() {
    let engine = Engine::serve(|_, _| refused(400, "QueueDoesNotExist")).await;
    engine.queues().delete(&sqs("orders")).await.unwrap();
    assert!(engine.queues().tune(&sqs("orders"), 60).await.unwrap_err().is_missing());
}

#[tokio::test(flavor = "multi_thread")]
async fn visibility_is_one_call_for_ten_messages_and_those_that_stay_are_named() {
    let engine = Engine::serve(|asked, _| {
        let entries = asked.body["Entries"].as_array().unwrap();
        let (stay, go): (Vec<&Value>, Vec<&Value>) = entries.iter().partition(|e| e["ReceiptHandle"] == "r3");
        let failed: Vec<Value> = stay
            .iter()
            .map(|e| json!({"Id": e["Id"], "Code": "MessageNotInflight", "Message": "late", "SenderFault": true}))
            .collect();
        let successful: Vec<Value> = go.iter().map(|e| json!({"Id": e["Id"]})).collect();
        Answer::Json(200, json!({"Successful": successful, "Failed": failed}))
    })
    .await;
    let messages: Vec<(String, u32)> = (0..10).map(|at| (format!("r{at}"), at * 10)).collect();
    let stayed = engine.queues().set_visibility(&sqs("orders"), &messages).await;
    assert_eq!(stayed.len(), 1);
    assert_eq!(
        (stayed[0].receipt_handle.as_str(), stayed[0].reason.as_str()),
        ("r3", "MessageNotInflight late")
    );
    let asked = engine.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        asked[0].body["Entries"][4],
        json!({"Id": "4", "ReceiptHandle": "r4", "VisibilityTimeout": 40})
    );

    let gone = queues_at(&nobody().await);
    assert_eq!(gone.set_visibility(&sqs("orders"), &messages).await.len(), 10);
    assert!(gone.set_visibility(&sqs("orders"), &[]).await.is_empty());
}
