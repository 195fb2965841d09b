use domain::{EntryKey, EntryState, RecordId};
use zstorage::OpenTable;

use crate::engine::Mood;
use crate::house::{House, LONG, outbox_link};

/// A record and ten fast writes of it, for a queue that keeps order.
async fn ten(house: &House) -> (OpenTable, RecordId, Vec<EntryKey>) {
    let queue = house.queue("events-fifo").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (record, mut keys) = house.create(&table, "n1").await;
    for number in 2..=10 {
        keys.extend(house.rename(&table, record, &format!("n{number}")).await);
    }
    (table, record, keys)
}

fn in_order() -> Vec<String> {
    (1..=10).map(|number| format!("\"n{number}\"")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_writes_of_a_record_arrive_in_their_order_one_in_a_call() {
    let house = House::start().await;
    let (_, record, keys) = ten(&house).await;
    let mut shuffled = keys.clone();
    shuffled.rotate_left(3);
    assert_eq!(house.ring(&shuffled).await, [0; 0]);
    assert_eq!(house.engine.bodies("events-fifo"), in_order());
    let sends = house.engine.calls().into_iter().filter(|call| call == "SendMessageBatch").count();
    assert_eq!(sends, 10);
    let groups = house.engine.messages("events-fifo");
    assert!(groups.iter().all(|message| message["MessageGroupId"] == record.to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_the_first_of_ten_that_failed_once_all_others_wait_for_it() {
    let house = House::start().await;
    let (_, _, keys) = ten(&house).await;
    house.engine.stumble_at("\"n1\"");
    assert_eq!(house.ring(&keys).await, [0; 0]);
    assert_eq!(house.engine.bodies("events-fifo").len(), 0);
    // Nobody else's failure is theirs.
    let mut failures = Vec::new();
    for key in &keys {
        failures.push(house.entry(key).await.failures);
    }
    assert_eq!(failures, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    house.hands.turn_secs(60);
    let swept = house.sweep().await;
    assert_eq!(house.engine.bodies("events-fifo"), in_order());
    assert_eq!((swept.sent, swept.left), (10, 0));
    assert_eq!(house.states(&keys).await, [EntryState::Published; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_publishes_an_entry_goes_on_with_those_behind_it() {
    let house = House::start().await;
    let (_, _, keys) = ten(&house).await;
    // The stream brings the later ones first: they wait. Then the first alone.
    assert_eq!(house.ring(&keys[1..]).await, [0; 0]);
    assert_eq!(house.engine.bodies("events-fifo").len(), 0);
    assert_eq!(house.ring(&keys[..1]).await, [0; 0]);
    assert_eq!(house.engine.bodies("events-fifo"), in_order());
    assert_eq!(house.states(&keys).await, [EntryState::Published; 10]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_parked_entry_all_wait_until_a_person_has_seen_to_it() {
    let house = House::start().await;
    let queue = house.queue("events-fifo").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    house.engine.mood(Mood::Fussy);
    let (record, mut keys) = house.create(&table, "poison").await;
    keys.extend(house.rename(&table, record, "n2").await);
    keys.extend(house.rename(&table, record, "n3").await);
    let courier = house.courier();
    let mut parked = 0;
    for _ in 0..12 {
        house.hands.turn_secs(11 * 3600);
        parked += courier.sweep(LONG).await.parked;
    }
    assert_eq!(parked, 1);
    let entries = [house.entry(&keys[0]).await, house.entry(&keys[1]).await, house.entry(&keys[2]).await];
    assert_eq!(
        entries.each_ref().map(|entry| entry.state),
        [EntryState::Parked, EntryState::Due, EntryState::Due]
    );
    assert_eq!(entries.each_ref().map(|entry| entry.failures), [12, 0, 0]);
    assert_eq!(house.engine.bodies("events-fifo").len(), 0);
    // Sent again, it goes, and the others behind it; or discarded, and the others go alone.
    house.outbox.discard(&keys[0], "nobody needs it").await.unwrap();
    house.hands.turn_secs(1);
    assert_eq!(courier.sweep(LONG).await.sent, 2);
    assert_eq!(house.engine.bodies("events-fifo"), ["\"n2\"", "\"n3\""]);

    let (record, mut keys) = house.create(&table, "poison").await;
    keys.extend(house.rename(&table, record, "n5").await);
    let first = house.entry(&keys[0]).await;
    house.outbox.park(&first, "somebody said so").await.unwrap();
    assert_eq!(house.ring(&keys[1..]).await, [0; 0]);
    house.engine.mood(Mood::Fine);
    house.outbox.redrive(&keys[0]).await.unwrap();
    house.hands.turn_secs(1);
    assert_eq!(courier.sweep(LONG).await.sent, 2);
    let messages = house.engine.messages("events-fifo");
    let id = house.entry(&keys[0]).await.message_id;
    assert_eq!(messages[2]["MessageDeduplicationId"], format!("{id}#1"));
    assert_eq!(house.engine.bodies("events-fifo")[2..], ["\"poison\"", "\"n5\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_do_not_wait_for_one_another() {
    let house = House::start().await;
    let queue = house.queue("events-fifo").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let mut keys = Vec::new();
    for number in 0..10 {
        keys.extend(house.create(&table, &format!("r{number}")).await.1);
    }
    house.engine.stumble_at("r4");
    assert_eq!(house.ring(&keys).await, [0; 0]);
    let expect: Vec<String> = (0..10).filter(|n| *n != 4).map(|n| format!("\"r{n}\"")).collect();
    let mut bodies = house.engine.bodies("events-fifo");
    bodies.sort();
    assert_eq!(bodies, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_behind_an_entry_wait_at_least_as_long_as_it() {
    let house = House::start().await;
    let (_, _, keys) = ten(&house).await;
    house.engine.mood(Mood::Refusing);
    let courier = house.courier();
    for _ in 0..6 {
        let first = house.entry(&keys[0]).await;
        let wait = first.next_attempt_at.unwrap().duration_since(house.hands.clock().now());
        house.hands.turn_secs(wait.as_secs().max(60) + 2);
        courier.sweep(LONG).await;
        let first = house.entry(&keys[0]).await;
        for key in &keys[1..] {
            let behind = house.entry(key).await;
            assert!(behind.next_attempt_at > first.next_attempt_at, "{behind:?}\n{first:?}");
            assert_eq!((behind.failures, behind.state), (0, EntryState::Due));
        }
    }
    // A later sweep that meets only those behind it says the same.
    let late = house.entry(&keys[4]).await;
    house.outbox.postpone(&late, "soon", house.hands.clock().now(), false).await.unwrap();
    assert_eq!(courier.sweep(LONG).await.postponed, 1);
    let (first, late) = (house.entry(&keys[0]).await, house.entry(&keys[4]).await);
    assert!(late.next_attempt_at.unwrap() > house.hands.clock().now());
    assert_eq!((first.failures, late.failures), (6, 0));
}

/// A link's own ordering key may be that of many records: of each key one message is in a call.
#[tokio::test(flavor = "multi_thread")]
async fn one_call_carries_one_message_of_an_ordering_key() {
    let house = House::start().await;
    let queue = house.queue("events-fifo").await;
    let mut link = outbox_link(1, &queue);
    link.ordering_key = Some("${new.name.startsWith('a') ? 'a' : 'b'}".to_owned());
    let table = house.students(vec![link]).await;
    let mut keys = Vec::new();
    for number in 0..8 {
        keys.extend(house.create(&table, &format!("{}{number}", ["a", "b"][number % 2])).await.1);
    }
    assert_eq!(house.ring(&keys).await, [0; 0]);
    assert_eq!(house.engine.bodies("events-fifo").len(), 8);
    let sends = house.engine.calls().into_iter().filter(|call| call == "SendMessageBatch").count();
    assert_eq!(sends, 4);
}

/// Whatever call to the store fails on the way, all arrive, in their order; what arrives twice does so under the same id.
#[tokio::test(flavor = "multi_thread")]
async fn when_the_store_fails_in_the_midst_order_is_kept_and_nothing_lost() {
    // The look before a send, its mark (and the second one), the look behind it; and what then is there at once.
    for (operation, of_which, at_once, unbegun) in [
        ("Query", 0, 0, vec![0]),
        ("UpdateItem", 0, 1, vec![]),
        ("UpdateItem", 1, 2, vec![]),
        ("Query", 1, 10, vec![]),
    ] {
        let house = House::start().await;
        let (_, _, keys) = ten(&house).await;
        let courier = house.courier();
        let seen = house.seen(&keys).await;
        house.calls.fail_nth(operation, of_which);
        assert_eq!(courier.ring(seen, LONG).await, unbegun, "{operation} {of_which}");
        assert_eq!(house.engine.bodies("events-fifo").len(), at_once, "{operation} {of_which}");
        house.hands.turn_secs(122);
        courier.sweep(LONG).await;
        house.hands.turn_secs(122);
        courier.sweep(LONG).await;
        let mut bodies = house.engine.bodies("events-fifo");
        let ids: std::collections::BTreeSet<String> = house.ids("events-fifo").into_iter().collect();
        bodies.dedup();
        assert_eq!((bodies, ids.len()), (in_order(), 10), "{operation} {of_which}");
        assert_eq!(house.states(&keys).await, [EntryState::Published; 10]);
    }
}
