//! A queue's life beyond single messages: attributes, tags, batches, moves, restarts, damaged files.

use super::world::{ACCOUNT, REGION, World, arn, open};
use crate::engines::{EngineError, sqs::SqsEngine};
use aws_sdk_sqs::{
    primitives::Blob,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
        MessageSystemAttributeName as System, MessageSystemAttributeNameForSends,
        MessageSystemAttributeValue, QueueAttributeName, SendMessageBatchRequestEntry,
    },
};
use domain::Clock;
use std::{collections::HashMap, path::Path};

fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().unwrap()
}

#[tokio::test]
async fn what_was_answered_survives_a_sudden_end() {
    let world = World::start().await;
    let url = world.make("q", &[("VisibilityTimeout", "30")]).await;
    let fifo = world.make("f.fifo", &[("FifoQueue", "true")]).await;
    let deduplicated = |world: &World| {
        let request = world.client.send_message().queue_url(&fifo).message_body("f");
        request.message_group_id("g").message_deduplication_id("1").send()
    };
    deduplicated(&world).await.unwrap();
    for body in ["in flight", "deleted", "waiting"] {
        world.send(&url, body).await;
    }
    let request = world.client.receive_message().queue_url(&url).max_number_of_messages(2);
    let taken = request.send().await.unwrap().messages.unwrap();
    world
        .client
        .delete_message()
        .queue_url(&url)
        .receipt_handle(taken[1].receipt_handle().unwrap())
        .send()
        .await
        .unwrap();

    let world = world.killed_and_started_again().await;
    let url = world.client.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    let bodies = async |world: &World| -> Vec<_> {
        world.receive(&url).await.into_iter().map(|message| message.body.unwrap()).collect()
    };
    assert_eq!(bodies(&world).await, ["waiting"], "what is in flight stays hidden");
    world.advance_secs(29);
    assert!(bodies(&world).await.is_empty());
    world.advance_secs(1);
    assert_eq!(bodies(&world).await, ["in flight", "waiting"]);
    deduplicated(&world).await.unwrap();
    assert_eq!(
        world.attribute(&fifo, "ApproximateNumberOfMessages").await,
        "1",
        "deduplication survives too"
    );
}

#[tokio::test]
async fn a_receipt_handle_from_before_a_sudden_end_still_deletes() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    world.send(&url, "a").await;
    let handle = world.receive(&url).await.remove(0).receipt_handle.unwrap();
    let world = world.killed_and_started_again().await;
    world.client.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    world.advance_secs(3600);
    assert!(world.receive(&url).await.is_empty());
}

#[tokio::test]
async fn a_queue_url_names_the_engine_of_this_start() {
    let world = World::start().await;
    let before = world.make("q", &[]).await;
    let world = world.killed_and_started_again().await;
    let after = world.client.get_queue_url().queue_name("q").send().await.unwrap().queue_url.unwrap();
    assert_ne!(before, after, "another port, another URL");
    world.send(&before, "a").await;
    assert_eq!(world.receive(&after).await.len(), 1, "the old URL still names the queue");
}

#[tokio::test]
async fn a_message_carries_its_attributes_and_system_attributes() {
    let world = World::start().await;
    let dead = world.make("dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, arn("dead"));
    let url = world.make("q", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "30")]).await;
    let value = |kind: &str| MessageAttributeValue::builder().data_type(kind);
    let trace =
        MessageSystemAttributeValue::builder().data_type("String").string_value("Root=1-2").build().unwrap();
    let sent = world
        .client
        .send_message()
        .queue_url(&url)
        .message_body("héllo \u{1F600}")
        .message_attributes("text", value("String").string_value("v").build().unwrap())
        .message_attributes(
            "blob.one",
            value("Binary.png").binary_value(Blob::new([0, 255])).build().unwrap(),
        )
        .message_attributes("number", value("Number").string_value("-1.5e3").build().unwrap())
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();
    world.advance_secs(7);
    let first = world.receive(&url).await.remove(0);
    assert_eq!(first.body(), Some("héllo \u{1F600}"));
    assert_eq!(first.md5_of_body(), sent.md5_of_message_body());
    assert_eq!(first.md5_of_message_attributes(), sent.md5_of_message_attributes());
    assert_eq!(first.message_attributes().unwrap()["blob.one"].binary_value().unwrap().as_ref(), [0, 255]);
    assert_eq!(first.message_attributes().unwrap()["number"].string_value(), Some("-1.5e3"));
    let system = |name: System| first.attributes().unwrap().get(&name).map(String::as_str);
    assert_eq!(system(System::ApproximateReceiveCount), Some("1"));
    assert_eq!(system(System::SentTimestamp), Some("1800000000000"));
    assert_eq!(system(System::ApproximateFirstReceiveTimestamp), Some("1800000007000"));
    assert_eq!(system(System::AwsTraceHeader), Some("Root=1-2"));
    assert_eq!(system(System::SenderId), Some(ACCOUNT));

    world.advance_secs(30);
    assert!(world.receive(&url).await.is_empty());
    let letter = world.receive(&dead).await.remove(0);
    assert_eq!(letter.message_id(), sent.message_id(), "a dead letter keeps its id");
    let system = |name: System| letter.attributes().unwrap().get(&name).map(String::as_str);
    assert_eq!(system(System::DeadLetterQueueSourceArn), Some(arn("q").as_str()));
    assert_eq!(system(System::ApproximateReceiveCount), Some("2"), "receives are counted over all queues");
    assert_eq!(system(System::SentTimestamp), Some("1800000000000"));

    let request = world.client.send_message().queue_url(&url).message_body("b");
    request
        .message_attributes("a.b", value("String").string_value("v").build().unwrap())
        .send()
        .await
        .unwrap();
    let asked =
        world.client.receive_message().queue_url(&url).message_attribute_names("a.*").send().await.unwrap();
    let message = asked.messages.unwrap().remove(0);
    assert!(message.message_attributes().unwrap().contains_key("a.b"));
    assert!(message.attributes().is_none(), "system attributes come only when asked for");
}

/// The expected digests were computed apart from this code, by the rule in the SQS developer guide.
#[tokio::test]
async fn digests_are_those_of_sqs() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    let value = MessageAttributeValue::builder().data_type("String").string_value("v").build().unwrap();
    let request =
        world.client.send_message().queue_url(&url).message_body("hello").message_attributes("n", value);
    let sent = request.send().await.unwrap();
    assert_eq!(sent.md5_of_message_body(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(sent.md5_of_message_attributes(), Some(DIGEST_OF_N_STRING_V));
}

const DIGEST_OF_N_STRING_V: &str = "f4b238699da710fd012839c16c09f1ca";

#[tokio::test]
async fn a_batch_has_one_result_per_entry() {
    let world = World::start().await;
    let url = world.make("q", &[("MaximumMessageSize", "1024")]).await;
    let entries = vec![
        entry("good", "a"),
        entry("large", &"x".repeat(1025)),
        entry("dirty", "\u{0}"),
        entry("too", "b"),
    ];
    let sent =
        world.client.send_message_batch().queue_url(&url).set_entries(Some(entries)).send().await.unwrap();
    let ids: Vec<_> = sent.successful().iter().map(|done| done.id()).collect();
    assert_eq!(ids, ["good", "too"]);
    let failed: Vec<_> =
        sent.failed().iter().map(|failed| (failed.id(), failed.code(), failed.sender_fault())).collect();
    assert_eq!(failed, [("large", "InvalidParameterValue", true), ("dirty", "InvalidMessageContents", true)]);

    let handles: Vec<_> =
        world.receive(&url).await.into_iter().map(|message| message.receipt_handle.unwrap()).collect();
    let change = |id: &str, handle: &str, secs: i32| {
        let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(id).receipt_handle(handle);
        entry.visibility_timeout(secs).build().unwrap()
    };
    let request = world.client.change_message_visibility_batch().queue_url(&url);
    let request = request.entries(change("0", &handles[0], 0)).entries(change("1", "unreadable", 0));
    let changed = request.send().await.unwrap();
    assert_eq!((changed.successful().len(), changed.failed()[0].code()), (1, "ReceiptHandleIsInvalid"));
    assert_eq!(world.attribute(&url, "ApproximateNumberOfMessages").await, "1");

    let delete = |id: &str, handle: &str| {
        DeleteMessageBatchRequestEntry::builder().id(id).receipt_handle(handle).build().unwrap()
    };
    let request = world.client.delete_message_batch().queue_url(&url);
    let deleted =
        request.entries(delete("0", &handles[1])).entries(delete("1", "unreadable")).send().await.unwrap();
    assert_eq!((deleted.successful()[0].id(), deleted.failed()[0].id()), ("0", "1"));
    assert_eq!(world.receive(&url).await.len(), 1);
}

#[tokio::test]
async fn a_batch_of_equal_deduplication_ids_stores_one() {
    let world = World::start().await;
    let url = world.make("q.fifo", &[("FifoQueue", "true")]).await;
    let entry = |id: &str, deduplication_id: &str| {
        let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(id).message_group_id("g");
        entry.message_deduplication_id(deduplication_id).build().unwrap()
    };
    let request = world.client.send_message_batch().queue_url(&url);
    let sent = request
        .entries(entry("0", "x"))
        .entries(entry("1", "x"))
        .entries(entry("2", "y"))
        .send()
        .await
        .unwrap();
    let ids: Vec<_> = sent.successful().iter().map(|done| done.message_id()).collect();
    assert_eq!(ids[0], ids[1], "the second is answered with the first");
    let numbers: Vec<_> = sent.successful().iter().map(|done| done.sequence_number().unwrap()).collect();
    assert!(numbers[0] == numbers[1] && numbers[1] < numbers[2] && numbers[2].len() == 20, "{numbers:?}");
    let found = world.receive(&url).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].attributes().unwrap()[&System::SequenceNumber], numbers[0]);
}

#[tokio::test]
async fn a_fifo_message_does_not_overtake_a_delayed_one_of_its_group() {
    let world = World::start().await;
    let url = world.make("q.fifo", &[("FifoQueue", "true"), ("DelaySeconds", "60")]).await;
    let send = async |group: &str, body: &str| {
        let request = world.client.send_message().queue_url(&url).message_body(body);
        request.message_group_id(group).message_deduplication_id(body).send().await.unwrap();
    };
    send("g", "first").await;
    let request = world.client.set_queue_attributes().queue_url(&url);
    request.attributes(QueueAttributeName::DelaySeconds, "0").send().await.unwrap();
    send("g", "second").await;
    send("h", "other").await;
    let bodies = async || -> Vec<_> {
        world.receive(&url).await.into_iter().map(|message| message.body.unwrap()).collect()
    };
    assert_eq!(bodies().await, ["other"]);
    world.advance_secs(60);
    assert_eq!(bodies().await, ["first", "second", "other"], "the other's visibility has lapsed meanwhile");
}

#[tokio::test]
async fn attributes_have_defaults_can_be_changed_and_removed() {
    let world = World::start().await;
    world.make("dead", &[]).await;
    let url = world.make("q", &[]).await;
    let check =
        async |name: &str, expect: &str| assert_eq!(world.attribute(&url, name).await, expect, "{name}");
    for (name, expect) in [
        ("VisibilityTimeout", "30"),
        ("DelaySeconds", "0"),
        ("MaximumMessageSize", "1048576"),
        ("MessageRetentionPeriod", "345600"),
        ("ReceiveMessageWaitTimeSeconds", "0"),
        ("QueueArn", &arn("q")),
        ("CreatedTimestamp", "1800000000"),
        ("RedrivePolicy", ""),
        ("FifoQueue", ""),
    ] {
        check(name, expect).await;
    }
    let set = async |name: QueueAttributeName, value: &str| {
        world.client.set_queue_attributes().queue_url(&url).attributes(name, value).send().await.unwrap();
    };
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":3}}"#, arn("dead"));
    set(QueueAttributeName::RedrivePolicy, &policy.replace('3', "\"3\"")).await;
    check("RedrivePolicy", &policy).await;
    let dead = world.client.get_queue_url().queue_name("dead").send().await.unwrap().queue_url.unwrap();
    let sources = world.client.list_dead_letter_source_queues().queue_url(&dead).send().await.unwrap();
    assert_eq!(sources.queue_urls(), [url.as_str()]);
    world.advance_secs(5);
    set(QueueAttributeName::RedrivePolicy, "").await;
    check("RedrivePolicy", "").await;
    check("LastModifiedTimestamp", "1800000005").await;
    let all = world.client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    assert!(all.send().await.unwrap().attributes.unwrap().len() >= 12);
}

#[tokio::test]
async fn queues_are_listed_in_pages_tagged_purged_and_deleted() {
    let world = World::start().await;
    for name in ["a1", "a2", "a3", "b1"] {
        world.make(name, &[]).await;
    }
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let request = world.client.list_queues().queue_name_prefix("a").max_results(2).set_next_token(token);
        let page = request.send().await.unwrap();
        names.extend(page.queue_urls().iter().map(|url| url.rsplit('/').next().unwrap().to_owned()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(names, ["a1", "a2", "a3"]);

    let url = world.make("b1", &[]).await;
    world.client.tag_queue().queue_url(&url).tags("k", "v").tags("stack", "s").send().await.unwrap();
    world.client.untag_queue().queue_url(&url).tag_keys("k").send().await.unwrap();
    let tags = world.client.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags, HashMap::from([("stack".to_owned(), "s".to_owned())]));

    world.send(&url, "a").await;
    world.send(&url, "b").await;
    assert_eq!(
        world.client.receive_message().queue_url(&url).send().await.unwrap().messages.unwrap().len(),
        1
    );
    world.client.purge_queue().queue_url(&url).send().await.unwrap();
    world.advance_secs(60);
    assert!(world.receive(&url).await.is_empty(), "a purge takes what is in flight too");
    world.send(&url, "c").await;
    world.client.delete_queue().queue_url(&url).send().await.unwrap();
    let url = world.make("b1", &[]).await;
    assert!(world.receive(&url).await.is_empty(), "a queue made anew is empty");
}

#[tokio::test]
async fn a_move_says_how_much_it_moved_and_what_it_could_not() {
    let world = World::start().await;
    let dead = world.make("dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":1}}"#, arn("dead"));
    let url = world.make("q", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "0")]).await;
    let elsewhere = world.make("elsewhere", &[]).await;
    world.send(&url, "a").await;
    let before = world.receive(&url).await.remove(0).message_id.unwrap();
    assert!(world.receive(&url).await.is_empty());
    world.send(&dead, "sent here by hand").await;

    let start = || world.client.start_message_move_task().source_arn(arn("dead"));
    start().send().await.unwrap();
    let moved = world.receive(&url).await.remove(0);
    assert_ne!(moved.message_id.unwrap(), before, "a redriven message has a new id");
    let list = async || world.client.list_message_move_tasks().source_arn(arn("dead")).send().await.unwrap();
    let task = &list().await.results.unwrap()[0];
    assert_eq!((task.status(), task.approximate_number_of_messages_moved()), (Some("FAILED"), 1));
    assert_eq!(task.failure_reason(), Some("CouldNotDetermineMessageSource"));

    let handle = start().destination_arn(arn("elsewhere")).send().await.unwrap().task_handle.unwrap();
    assert_eq!(world.receive(&elsewhere).await.remove(0).body.unwrap(), "sent here by hand");
    let task = &list().await.results.unwrap()[0];
    assert_eq!((task.status(), task.approximate_number_of_messages_moved()), (Some("COMPLETED"), 1));
    let cancelled = world.client.cancel_message_move_task().task_handle(handle).send().await;
    assert!(cancelled.unwrap_err().into_service_error().is_unsupported_operation());
}

#[tokio::test]
async fn the_age_of_the_oldest_message_is_known() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    let check = |expect: Option<u64>| assert_eq!(world.engine.oldest_age_secs("q").unwrap(), expect);
    check(None);
    world.send(&url, "a").await;
    world.advance_secs(90);
    world.send(&url, "b").await;
    check(Some(90));
    assert_eq!(world.engine.oldest_age_secs("absent").unwrap(), None);
}

#[test]
fn a_damaged_or_foreign_file_is_named_in_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let check = |name: &str, make: &dyn Fn(&Path), expect: fn(&EngineError) -> bool| {
        let file = folder.path().join(name);
        make(&file);
        let authority = ([127, 0, 0, 1], 1).into();
        let error = SqsEngine::open(&file, REGION, ACCOUNT, authority, Clock::system()).err().unwrap();
        let sentence = error.to_string();
        assert!(expect(&error), "{name}: {error:?}");
        assert!(sentence.contains(name) && !sentence.contains('\n'), "{name}: {sentence}");
    };
    let damaged = |error: &EngineError| matches!(error, EngineError::Damaged { .. });
    check(
        "text.sqlite",
        &|file| std::fs::write(file, "not a database, but a text\n".repeat(99)).unwrap(),
        damaged,
    );
    let torn = |file: &Path| {
        drop(open(file, ([127, 0, 0, 1], 1).into(), Clock::system()));
        let mut bytes = std::fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[4096..middle].fill(0xA5);
        std::fs::write(file, bytes).unwrap();
    };
    check("torn.sqlite", &torn, damaged);
    let foreign = |error: &EngineError| matches!(error, EngineError::Foreign { .. });
    let other = |sql: &'static str| {
        move |file: &Path| rusqlite::Connection::open(file).unwrap().execute_batch(sql).unwrap()
    };
    check("other.sqlite", &other("CREATE TABLE theirs (x)"), foreign);
    let newer = "PRAGMA application_id = 0x514c5351; PRAGMA user_version = 99; CREATE TABLE queue (x)";
    check("newer.sqlite", &other(newer), foreign);
    let unusable = |error: &EngineError| matches!(error, EngineError::Unusable { .. });
    check("no-such-folder/sqs.sqlite", &|_| (), unusable);
}
