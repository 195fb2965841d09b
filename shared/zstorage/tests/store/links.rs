use domain::{EntryKey, EntryState, Link, LinkMode, LinkPayload, MAX_LINK_DEPTH, Operation, Operations};
use futures::future::join_all;
use serde_json::json;
use zstorage::{By, Change, ChangeKind, LinkQueue, WriteError};

use crate::house::{House, key_id};
use crate::linked::{body, link, linked, linked_once, over, with_queues};
use crate::students::{by, keyed, open, raw, students};
use crate::troubled::Trouble::{Conflict, LostAfter, LostBefore, None as Nothing, ServerError, Throttle};
use crate::troubled::Troubled;

fn fault(error: &WriteError) -> (&str, &str) {
    match error {
        WriteError::Invalid(faults) => (&faults.0[0].path, faults.0[0].code),
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn a_write_carries_one_message_for_each_link_that_fires() {
    let house = House::new().await;
    let condition = Some("new.status == 'paid'".into());
    let paid = Link { condition, on: Operations::WRITES, ..link(2, LinkMode::Outbox) };
    let on = Operations { create: false, update: false, delete: true };
    let gone = Link { on, ..link(3, LinkMode::Outbox) };
    let off = Link { enabled: false, ..link(4, LinkMode::Outbox) };
    let open = linked(vec![link(1, LinkMode::Outbox), paid, gone, off]).await;
    let (records, caller) = (house.records(), key_id());
    let check = async |written: &zstorage::Written, version: u64, links: &[u32]| {
        let told: Vec<_> = written.messages.iter().map(|message| message.entry).collect();
        let ids = open.schema.table().links.iter().map(|link| link.id);
        let keys = ids.filter(|id| links.contains(&id.number));
        let keys: Vec<_> =
            keys.map(|link| EntryKey::Link { record: written.record.id, link, version }).collect();
        assert_eq!(told, keys);
        for message in &written.messages {
            let entry = house.entry_of(message).await;
            assert_eq!((entry.state, entry.lease, entry.ordered), (EntryState::Due, 0, false));
            assert_eq!(
                entry.next_attempt_at.unwrap(),
                entry.committed_at + std::time::Duration::from_secs(60)
            );
            assert_eq!(body(&entry)["version"], version);
            assert_eq!(entry.origin.unwrap().operation, written.operation);
        }
    };
    let made = records.create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap();
    check(&made, 1, &[1]).await;
    let id = made.record.id;
    let update = async |json: &str| records.update(&open, id, &raw(json), None, &by(caller)).await.unwrap();
    check(&update(r#"{"age":2}"#).await, 2, &[1]).await;
    check(&update(r#"{"age":2}"#).await, 2, &[]).await;
    check(&update(r#"{"status":"paid","age":3}"#).await, 3, &[1, 2]).await;
    check(&update(r#"{"age":4}"#).await, 4, &[1, 2]).await;
    let other = records.create(&open, &raw("{}"), &by(caller)).await.unwrap().record.id;
    let removed = records.delete(&open, other, None, &by(caller)).await.unwrap();
    check(&removed, 2, &[1, 3]).await;
    assert_eq!(removed.operation, Operation::Delete);
    assert_eq!(house.items("outbox").await, 1 + 1 + 2 + 2 + 1 + 2);
}

#[tokio::test]
async fn an_ordered_queue_gets_the_records_id_as_its_key_unless_the_link_has_another() {
    let house = House::new().await;
    let key = Some("class-${new.age}".into());
    let named = Link { ordering_key: key, on: Operations::WRITES, ..link(2, LinkMode::Outbox) };
    let open = linked(vec![link(1, LinkMode::Outbox), named]).await;
    let ordered = with_queues(&open, LinkQueue { ordered: true, ..LinkQueue::default() });
    let made = house.records().create(&ordered, &raw(r#"{"age":7}"#), &by(key_id())).await.unwrap();
    let mut keys = Vec::new();
    for message in &made.messages {
        let entry = house.entry_of(message).await;
        assert!(entry.ordered);
        keys.push(entry.ordering_key.unwrap());
    }
    assert_eq!(keys, [made.record.id.to_string(), "class-7".to_owned()]);
    let made = house.records().create(&open, &raw(r#"{"age":7}"#), &by(key_id())).await.unwrap();
    for message in &made.messages {
        let entry = house.entry_of(message).await;
        assert_eq!((entry.ordered, entry.ordering_key), (false, None));
    }
}

#[tokio::test]
async fn one_trouble_on_the_way_is_neither_a_lost_message_nor_a_second_one() {
    let (house, open) = (House::new().await, linked_once(LinkMode::Outbox).await);
    for troubles in [
        &[Throttle][..],
        &[ServerError],
        &[Conflict],
        &[LostBefore],
        &[LostAfter],
        &[LostAfter, LostAfter],
        &[LostAfter, Conflict, Throttle],
        &[Conflict, Conflict, LostAfter],
    ] {
        let before = house.items("outbox").await;
        let records = over(&Troubled::told(troubles), &house);
        let made = records.create(&open, &raw(r#"{"age":1}"#), &by(key_id())).await;
        let made = made.unwrap_or_else(|error| panic!("{troubles:?}: {error}"));
        assert_eq!(house.items("outbox").await, before + 1, "{troubles:?}");
        house.entry_of(&made.messages[0]).await;
    }
}

#[tokio::test]
async fn a_change_that_lost_its_race_makes_one_message_of_what_was_merged() {
    let (house, open, caller) = (House::new().await, linked_once(LinkMode::Outbox).await, key_id());
    let id = house.records().create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap().record.id;
    let (others, table) = (house.records(), open.clone());
    let first = async move {
        others.update(&table, id, &raw(r#"{"fee":"2"}"#), None, &by(key_id())).await.unwrap();
    };
    // Between the read and the transaction.
    let records = over(&Troubled::meanwhile(1, first), &house);
    let merged = records.update(&open, id, &raw(r#"{"age":3}"#), None, &by(caller)).await.unwrap();
    assert_eq!((merged.record.version, merged.messages.len()), (3, 1));
    let entry = house.entry_of(&merged.messages[0]).await;
    assert_eq!(body(&entry)["new"]["fee"], json!("2"));
    assert_eq!((&body(&entry)["old"]["age"], &body(&entry)["new"]["age"]), (&json!(1), &json!(3)));
    assert_eq!(house.items("outbox").await, 3);
}

#[tokio::test]
async fn a_key_answers_with_the_same_messages_and_makes_no_more() {
    let (house, open, caller) = (House::new().await, linked_once(LinkMode::Outbox).await, key_id());
    let records = house.records();
    let given = raw(r#"{"email":"a@b.cd"}"#);
    let made = records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap();
    let again = records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap();
    assert!(again.replayed && again.record == made.record && again.messages == made.messages);
    let changes = |age: u32| {
        let one = |at| Change {
            table: open.clone(),
            kind: ChangeKind::Create(raw(&format!(r#"{{"age":{}}}"#, age + at))),
        };
        vec![one(0), one(1)]
    };
    for atomic in [true, false] {
        let by = keyed(caller, if atomic { "all" } else { "each" }, 1);
        let first: Vec<_> = records.batch(changes(1), atomic, &by).await.unwrap();
        let again: Vec<_> = records.batch(changes(1), atomic, &by).await.unwrap();
        for (first, again) in first.into_iter().zip(again) {
            let (first, again) = (first.unwrap(), again.unwrap());
            assert_eq!((first.messages.len(), &first.messages), (1, &again.messages));
            assert!(again.replayed && !first.replayed);
        }
    }
    assert_eq!(house.items("outbox").await, 1 + 2 + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_under_one_key_make_one_message() {
    let (house, open, caller) = (House::new().await, linked_once(LinkMode::Outbox).await, key_id());
    let records = house.records();
    let given = raw(r#"{"email":"a@b.cd"}"#);
    let send = async |_| records.create(&open, &given, &keyed(caller, "k", 1)).await.unwrap();
    let all = join_all((0..5).map(send)).await;
    assert!(all.iter().all(|written| written.messages == all[0].messages));
    assert_eq!(house.items("outbox").await, 1);
}

#[tokio::test]
async fn what_a_queue_cannot_carry_is_refused_and_nothing_is_written() {
    let (house, open, caller) = (House::new().await, linked_once(LinkMode::Outbox).await, key_id());
    let records = house.records();
    let small = with_queues(&open, LinkQueue { max_body_bytes: 1000, ..LinkQueue::default() });
    let bio = |bytes: usize| raw(&format!(r#"{{"bio":"{}"}}"#, "x".repeat(bytes)));
    let path = format!("links/{}", open.schema.table().links[0].id);
    let error = records.create(&small, &bio(1000), &by(caller)).await.unwrap_err();
    assert_eq!(fault(&error), (path.as_str(), "too-large"));
    assert!(error.to_string().contains("at most 1000"), "{error}");
    records.create(&small, &bio(100), &by(caller)).await.unwrap();
    let deep = |depth| By { depth, ..by(caller) };
    let error = records.create(&open, &bio(1), &deep(MAX_LINK_DEPTH)).await.unwrap_err();
    assert_eq!(fault(&error), (path.as_str(), "link-depth"));
    let made = records.create(&open, &bio(1), &deep(MAX_LINK_DEPTH - 1)).await.unwrap();
    let origin = house.entry_of(&made.messages[0]).await.origin.unwrap();
    assert_eq!(origin.depth, MAX_LINK_DEPTH - 1);
    // What makes no message may go as deep as it likes.
    let silent = linked(vec![Link { enabled: false, ..link(1, LinkMode::Outbox) }]).await;
    records.create(&silent, &bio(1), &deep(MAX_LINK_DEPTH)).await.unwrap();
    assert_eq!((house.items("outbox").await, house.items("records").await), (2, 3));
}

#[tokio::test]
async fn messages_count_in_what_one_transaction_can_do() {
    let (house, caller) = (House::new().await, key_id());
    let records = house.records();
    let open = linked((1..=4).map(|number| link(number, LinkMode::Outbox)).collect()).await;
    let one = |json: &str| Change { table: open.clone(), kind: ChangeKind::Create(raw(json)) };
    let batch = async |of: Vec<Change>| records.batch(of, true, &by(caller)).await;
    // A record and four messages each.
    assert!(batch(vec![one("{}"); 20]).await.unwrap().iter().all(Result::is_ok));
    let error = batch(vec![one("{}"); 21]).await.unwrap_err();
    assert!(matches!(error, WriteError::TooMany { actions: 105 }), "{error:?}");
    // 300 KB five times each: the record, and its image in four messages.
    let large = format!(r#"{{"bio":"{}"}}"#, "x".repeat(290_000));
    assert!(batch(vec![one(&large); 2]).await.unwrap().iter().all(Result::is_ok));
    let error = batch(vec![one(&large); 3]).await.unwrap_err();
    assert!(matches!(error, WriteError::TooLarge { bytes } if bytes > 4_000_000), "{error:?}");
    assert_eq!(house.items("records").await, 22);
}

#[tokio::test]
async fn bodies_of_any_size_lie_whole_in_the_outbox() {
    let (house, caller) = (House::new().await, key_id());
    // Six bytes of the body for two of the record, so that a record makes a message as large as they may be.
    let template = LinkPayload::Template(r#""${new.bio}""#.into());
    let whole = Link { payload: template, on: Operations::WRITES, ..link(1, LinkMode::Outbox) };
    let open = linked(vec![whole]).await;
    for bytes in [8, 299 * 1024, 301 * 1024, 1024 * 1024 - 2048] {
        let (wide, narrow) = ((bytes - 2) / 6, (bytes - 2) % 6);
        let bio = format!("{}{}", "é".repeat(wide), "x".repeat(narrow));
        let given = raw(&json!({ "bio": bio }).to_string());
        let made = house.records().create(&open, &given, &by(caller)).await.unwrap();
        let entry = house.entry_of(&made.messages[0]).await;
        assert_eq!((entry.body.len(), body(&entry)), (bytes, json!(bio)));
    }
}

#[tokio::test]
async fn a_linked_write_costs_one_put_more_for_each_message_and_a_table_without_links_nothing() {
    let (house, caller) = (House::new().await, key_id());
    let counted = Troubled::told(&[Nothing]);
    let records = over(&counted, &house);
    let check = |expect: &[&str]| assert_eq!(counted.take_calls(), expect);
    let open = open(students).await;
    let id = records.create(&open, &raw(r#"{"age":1}"#), &keyed(caller, "k", 1)).await.unwrap().record.id;
    check(&["Put+Put"]);
    records.update(&open, id, &raw(r#"{"age":2}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem", "Put"]);
    // What stands in the items of a table without links is what stood there before there were any.
    for item in house.all("records").await.values() {
        let is_new = |name: &&String| ["held", "held-by", "m"].contains(&name.as_str());
        assert_eq!(item.keys().find(is_new), None);
        if let Some(outcomes) = item.get("outcomes") {
            assert_eq!(outcomes.as_l().unwrap()[0].as_m().unwrap().len(), 2);
        }
    }
    let open = linked(vec![link(1, LinkMode::Outbox), link(2, LinkMode::Outbox)]).await;
    let id = records.create(&open, &raw(r#"{"age":1}"#), &by(caller)).await.unwrap().record.id;
    check(&["Put+Put+Put"]);
    records.update(&open, id, &raw(r#"{"age":2}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem", "Put+Put+Put"]);
    records.update(&open, id, &raw(r#"{"age":2}"#), None, &by(caller)).await.unwrap();
    check(&["GetItem"]);
    records.delete(&open, id, None, &by(caller)).await.unwrap();
    check(&["GetItem", "Delete+Put+Put"]);
}
