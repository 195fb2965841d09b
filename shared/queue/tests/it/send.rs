use domain::{Credentials, Secret};
use queue::{Accepted, Outgoing, SendError, SqsPlace};
use serde_json::json;
use tokio::time::timeout;

use crate::engine::{
    Answer, ENDS_WITHIN, Engine, SEND_ONCE_BUDGET, batch, deaf, fifo, message, nobody, queues_at, refused,
    standard, taken,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_warm_send_is_exactly_one_request() {
    let engine = Engine::serve(|_, before| taken(&format!("sqs-{before}"))).await;
    let queues = engine.queues();
    for at in 0..5 {
        let accepted = queues.send(&standard(), &message(at, None)).await;
        assert_eq!(accepted, Ok(Accepted { engine_id: format!("sqs-{at}") }));
    }
    let asked = engine.asked();
    assert_eq!(asked.len(), 5);
    assert!(asked.iter().all(|one| one.action == "SendMessage"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_travels_byte_for_byte_with_its_id_and_round_beside_it() {
    let engine = Engine::serve(|_, _| taken("sqs-1")).await;
    let body = "{ \"a\" : \"é \\u00e9 😀\",\n\t\"b\": 1.0e5 }";
    let attributes = json!({
        "message-id": {"DataType": "String", "StringValue": "0BF1"}, "round": {"DataType": "Number", "StringValue": "2"}
    });
    let check =
        async |to: SqsPlace, ordering_key: Option<&str>, delay_secs: u32, extra: serde_json::Value| {
            let message = Outgoing {
                message_id: "0BF1".into(),
                round: 2,
                body: body.into(),
                ordering_key: ordering_key.map(str::to_owned),
                delay_secs,
                attributes: Vec::new(),
            };
            engine.queues().send(&to, &message).await.unwrap();
            let mut expect = json!({"MessageBody": body, "MessageAttributes": attributes});
            expect["QueueUrl"] = json!(format!("{}/000000000000/{}", engine.endpoint, to.queue.name));
            expect.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            assert_eq!(engine.asked().last().unwrap().body, expect);
        };
    check(standard(), None, 0, json!({})).await;
    check(standard(), Some("ignored"), 900, json!({"DelaySeconds": 900})).await;
    let group = |group: &str| json!({"MessageGroupId": group, "MessageDeduplicationId": "0BF1#2"});
    check(fifo(), None, 5, group("0BF1")).await;
    check(fifo(), Some("customer 7"), 0, group("customer 7")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_queue_is_asked_by_its_own_credentials_and_region() {
    let engine = Engine::serve(|_, _| taken("sqs-1")).await;
    let queues = engine.queues();
    let foreign = |id: &str| Credentials { username: Secret::new(id), password: Secret::new("canary") };
    let mut elsewhere = standard();
    elsewhere.queue.region = "eu-west-1".into();
    let places = [
        standard(),
        SqsPlace { credentials: Some(foreign("THEIRS")), ..standard() },
        SqsPlace { credentials: Some(foreign("OTHERS")), ..elsewhere.clone() },
        elsewhere,
        standard(),
    ];
    for place in &places {
        queues.send(place, &message(1, None)).await.unwrap();
        assert!(!format!("{place:?} {queues:?}").contains("canary"));
    }
    let signers: Vec<String> = engine.asked().iter().map(|asked| asked.signed_by.clone()).collect();
    let scopes: Vec<(&str, &str)> = signers
        .iter()
        .map(|signer| (signer.split('/').next().unwrap(), signer.split('/').nth(2).unwrap()))
        .collect();
    let (us, eu) = ("us-east-1", "eu-west-1");
    assert_eq!(scopes, [("OURS", us), ("THEIRS", us), ("OTHERS", eu), ("OURS", eu), ("OURS", us)]);
}

/// What one send is told, by how the engine answers its first and its second attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_send_knows_what_is_certain() {
    type Told = fn() -> Answer;
    let no: Told = || refused(400, "QueueDoesNotExist");
    let denied: Told = || refused(403, "AccessDenied");
    let throttled: Told = || refused(400, "ThrottlingException");
    let broken: Told = || refused(500, "InternalError");
    let nonsense: Told = || Answer::Json(200, json!({}));
    let garbage: Told = || Answer::Json(502, json!("<html>"));
    let hang_up: Told = || Answer::HangUp;
    let yes: Told = || taken("sqs-1");
    let check = async |first: Told, second: Told, expect: &str, requests: usize| {
        let engine = Engine::serve(move |_, before| if before == 0 { first() } else { second() }).await;
        let (queues, to, message) = (engine.queues(), standard(), message(1, None));
        let told = match timeout(ENDS_WITHIN, queues.send(&to, &message)).await.unwrap() {
            Ok(accepted) => accepted.engine_id,
            Err(SendError::Refused { code, .. }) => code,
            Err(SendError::Unreachable { reason }) => format!("unreachable: {reason}"),
            Err(SendError::Unanswered { .. }) => "unanswered".to_owned(),
        };
        assert_eq!((told.as_str(), engine.asked().len()), (expect, requests));
    };
    check(no, yes, "QueueDoesNotExist", 1).await;
    check(denied, yes, "AccessDenied", 1).await;
    check(throttled, yes, "sqs-1", 2).await;
    check(throttled, throttled, "ThrottlingException", 2).await;
    check(broken, yes, "sqs-1", 2).await;
    check(hang_up, yes, "sqs-1", 2).await;
    check(broken, broken, "unanswered", 2).await;
    check(nonsense, nonsense, "unanswered", 2).await;
    check(garbage, garbage, "unanswered", 2).await;
    check(hang_up, hang_up, "unanswered", 2).await;
    // A refusal of the second attempt says nothing of the first.
    check(broken, no, "unanswered", 2).await;
    check(hang_up, no, "unanswered", 2).await;
    check(throttled, no, "QueueDoesNotExist", 2).await;
    check(throttled, broken, "unanswered", 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_not_there_is_unreachable_and_one_that_is_silent_is_unanswered() {
    let (queues, to, message) = (queues_at(&nobody().await), standard(), message(1, None));
    let gone = timeout(ENDS_WITHIN, queues.send(&to, &message)).await.unwrap().unwrap_err();
    assert!(matches!(gone, SendError::Unreachable { .. }), "{gone:?}");
    assert!(!gone.is_outcome_unknown());

    let engine = Engine::serve(|_, _| Answer::Silence).await;
    let (address, _listener) = deaf().await;
    let (queues, deaf_queues) = (engine.queues(), queues_at(&address));
    let both = async { tokio::join!(queues.send(&to, &message), deaf_queues.send(&to, &message)) };
    let (silent, deaf) = timeout(ENDS_WITHIN, both).await.unwrap();
    assert!(silent.as_ref().is_err_and(SendError::is_outcome_unknown), "{silent:?}");
    assert!(deaf.as_ref().is_err_and(SendError::is_outcome_unknown), "{deaf:?}");
    assert_eq!(engine.asked().len(), 2);
}

/// What a strict write is told of its one attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_sent_once_is_one_request_whatever_comes_of_it() {
    type Told = fn() -> Answer;
    let check = async |told: Told, expect: &str| {
        let engine = Engine::serve(move |_, _| told()).await;
        // The client is made before: only the attempt is to be timed.
        let (queues, to, message) = (engine.queues().ready_to_send(), standard(), message(1, None));
        let sending = queues.send_once(&to, &message);
        let told = match timeout(SEND_ONCE_BUDGET, sending).await.expect("the attempt has no end") {
            Ok(accepted) => accepted.engine_id,
            Err(SendError::Refused { code, .. }) => code,
            Err(error) => format!("{}", error.is_outcome_unknown()),
        };
        assert_eq!((told.as_str(), engine.asked().len()), (expect, 1));
    };
    check(|| taken("sqs-1"), "sqs-1").await;
    check(|| refused(400, "QueueDoesNotExist"), "QueueDoesNotExist").await;
    check(|| refused(400, "ThrottlingException"), "ThrottlingException").await;
    check(|| refused(500, "InternalError"), "true").await;
    check(|| Answer::HangUp, "true").await;
    check(|| Answer::Silence, "true").await;
    let gone = queues_at(&nobody().await).send_once(&standard(), &message(1, None)).await.unwrap_err();
    assert!(matches!(gone, SendError::Unreachable { .. }), "{gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_travels_beside_a_body_does_so_alone_and_in_a_batch() {
    let engine = Engine::serve(|asked, _| match asked.action.as_str() {
        "SendMessage" => taken("sqs-1"),
        _ => batch(asked, |_| Ok(())),
    })
    .await;
    let mut message = message(1, None);
    message.attributes = vec![("table", "Student".to_owned()), ("version", "7".to_owned())];
    engine.queues().send(&standard(), &message).await.unwrap();
    engine.queues().send_once(&standard(), &message).await.unwrap();
    engine.queues().send_all(&standard(), std::slice::from_ref(&message)).await.pop().unwrap().unwrap();
    for asked in engine.asked() {
        let beside = match asked.action.as_str() {
            "SendMessage" => &asked.body["MessageAttributes"],
            _ => &asked.body["Entries"][0]["MessageAttributes"],
        };
        let text = |value: &str| json!({"DataType": "String", "StringValue": value});
        assert_eq!((&beside["table"], &beside["version"]), (&text("Student"), &text("7")));
        assert_eq!(beside["message-id"], text(&message.message_id));
    }
}
