use std::time::Duration;

use domain::{EntryState, QueueState};

use crate::engine::Mood;
use crate::house::{House, LONG, outbox_link};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_brings_is_sent_with_all_that_belongs_to_it_and_then_marked() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (record, keys) = house.create(&table, "João").await;
    assert_eq!(house.ring(&keys).await, [0; 0]);
    let entry = house.entry(&keys[0]).await;
    let sent = &house.engine.messages("events")[0];
    assert_eq!(sent["MessageBody"], "\"Jo\\u00e3o\"");
    let beside = |name: &str| sent["MessageAttributes"][name]["StringValue"].as_str().unwrap_or_default();
    let expect = [
        ("message-id", entry.message_id.to_string()),
        ("round", "0".into()),
        ("table", "Student".into()),
        ("record-id", record.to_string()),
        ("operation", "create".into()),
        ("version", "1".into()),
        ("link-depth", "1".into()),
        ("held", String::new()),
    ];
    for (name, expect) in expect {
        assert_eq!(beside(name), expect, "{name}");
    }
    assert_eq!((entry.state, entry.engine_id.as_deref()), (EntryState::Published, Some("sqs-1")));
    // Rung for once more, it is read first where it is old, and believed where it is young: sent again, marked once.
    let courier = house.courier();
    let mut image = entry.clone();
    image.state = EntryState::Due;
    let young = zstorage::Seen::Whole(image);
    assert_eq!(courier.ring(vec![young.clone()], LONG).await, [0; 0]);
    assert_eq!(house.ids("events"), vec![entry.message_id.to_string(); 2]);
    assert_eq!(house.entry(&keys[0]).await, entry);
    house.hands.turn_secs(51);
    assert_eq!(courier.ring(vec![young], LONG).await, [0; 0]);
    assert_eq!(house.ids("events").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_sweeper_has_taken_is_not_the_streams_any_more() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, keys) = house.create(&table, "a").await;
    house.hands.turn_secs(60);
    house.outbox.lease(&keys[0], 60).await.unwrap().unwrap();
    assert_eq!(house.ring(&keys).await, [0; 0]);
    assert_eq!(house.engine.bodies("events").len(), 0);
    assert_eq!(house.state(&keys[0]).await, EntryState::Due);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_queue_keeps_nothing_from_a_live_one_and_never_fails_the_batch() {
    for mood in [Mood::Refusing, Mood::Silent] {
        let house = House::start().await;
        let (dead, live) = (house.queue("dead").await, house.queue("live").await);
        let table = house.students(vec![outbox_link(1, &dead), outbox_link(2, &live)]).await;
        house.engine.mood_of("dead", mood);
        let (mut to_dead, mut to_live) = (Vec::new(), Vec::new());
        for number in 0..25 {
            let (_, keys) = house.create(&table, &number.to_string()).await;
            to_dead.push(keys[0]);
            to_live.push(keys[1]);
        }
        let all: Vec<_> = to_dead.iter().zip(&to_live).flat_map(|(dead, live)| [*dead, *live]).collect();
        let courier = house.courier();
        let (ringing, seen) = (courier.clone(), house.seen(&all).await);
        let ringing = tokio::spawn(async move { ringing.ring(seen, LONG).await });
        let is_live = async {
            while house.engine.bodies("live").len() < 25 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), is_live).await.unwrap();
        // Nobody has heard from the silent one yet, and the messages of the live one are all out.
        assert!(mood == Mood::Refusing || !ringing.is_finished(), "the live queue waited for the dead one");
        assert_eq!(ringing.await.unwrap(), [0; 0]);
        assert_eq!(house.states(&to_live).await, [EntryState::Published; 25]);
        assert_eq!(house.engine.bodies("live").len(), 25);
        for key in &to_dead {
            let entry = house.entry(key).await;
            assert_eq!((entry.state, entry.failures), (EntryState::Due, 1));
            assert!(entry.reason.is_some());
        }
        // The breaker is open: the next ones do not even ask.
        house.engine.calls();
        let (_, keys) = house.create(&table, "more").await;
        courier.ring(house.seen(&keys).await, LONG).await;
        assert_eq!(house.engine.calls().iter().filter(|call| call.starts_with("Send")).count(), 1);
        assert_eq!(house.states(&keys).await, [EntryState::Due, EntryState::Published]);
        // When the queue is back, one probe opens the way for all.
        house.engine.mood_of("dead", Mood::Fine);
        house.hands.turn_secs(120);
        let swept = courier.sweep(LONG).await;
        assert_eq!((swept.sent, swept.postponed, swept.left), (26, 0, 0));
        assert_eq!(house.states(&to_dead).await, [EntryState::Published; 25]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_the_queue_may_take_some_and_refuse_others() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    house.engine.mood(Mood::Fussy);
    let mut keys = Vec::new();
    for number in 0..20 {
        let name = if number % 3 == 0 { format!("poison {number}") } else { number.to_string() };
        keys.extend(house.create(&table, &name).await.1);
    }
    let courier = house.courier();
    assert_eq!(courier.ring(house.seen(&keys).await, LONG).await, [0; 0]);
    for (number, key) in keys.iter().enumerate() {
        let entry = house.entry(key).await;
        let expect = if number % 3 == 0 { (EntryState::Due, 1) } else { (EntryState::Published, 0) };
        assert_eq!((entry.state, entry.failures), expect, "{number}");
    }
    // What was refused for what it is says nothing of the queue: all others go on.
    let (_, more) = house.create(&table, "more").await;
    courier.ring(house.seen(&more).await, LONG).await;
    assert_eq!(house.states(&more).await, [EntryState::Published]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_answer_was_lost_is_sent_again_under_the_same_id_and_marked_once() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, keys) = house.create(&table, "a").await;
    house.engine.mood(Mood::Silent);
    house.ring(&keys).await;
    assert_eq!(house.state(&keys[0]).await, EntryState::Due);
    house.engine.mood(Mood::Fine);
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.sent, 1);
    let entry = house.entry(&keys[0]).await;
    let ids = house.ids("events");
    assert!(ids.len() >= 2 && ids.iter().all(|id| *id == entry.message_id.to_string()), "{ids:?}");
    assert_eq!(entry.state, EntryState::Published);
    house.hands.turn_secs(600);
    assert_eq!(house.sweep().await.sent, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_gone_is_said_on_its_entries() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let going = house.queue("going").await;
    let table = house.students(vec![outbox_link(1, &queue), outbox_link(2, &going)]).await;
    let (_, keys) = house.create(&table, "a").await;
    house.catalog.delete_queue(&queue).await.unwrap();
    let mut deleting = going.clone();
    deleting.state = QueueState::Deleting;
    house.catalog.update_queue(&going, &deleting).await.unwrap();
    assert_eq!(house.ring(&keys).await, [0; 0]);
    let (gone, deleted) = (house.entry(&keys[0]).await, house.entry(&keys[1]).await);
    assert!(gone.reason.unwrap().contains("there is no queue"), "said in words");
    assert!(deleted.reason.unwrap().contains("being deleted"), "said in words");
    assert_eq!([(gone.state, gone.failures), (deleted.state, deleted.failures)], [(EntryState::Due, 1); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_credentials_that_do_not_open_entries_wait_until_they_do_or_are_given_up() {
    let house = House::start().await;
    let queue = house.queue("foreign").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let mut locked = queue.clone();
    locked.credentials = Some(domain::Sealed(vec![1, 2, 3]));
    let locked = house.catalog.update_queue(&queue, &locked).await.unwrap();
    let (_, mended) = house.create(&table, "a").await;
    assert_eq!(house.ring(&mended).await, [0; 0]);
    let entry = house.entry(&mended[0]).await;
    assert_eq!((entry.state, entry.failures), (EntryState::Due, 1));
    assert!(entry.reason.unwrap().contains("credentials cannot be opened"));
    house.catalog.update_queue(&locked, &queue).await.unwrap();
    house.hands.turn_secs(60);
    assert_eq!(house.sweep().await.sent, 1);
    // And where nobody mends it:
    let (_, keys) = house.create(&table, "b").await;
    house.catalog.delete_queue(&house.catalog.fresh_queue(queue.id).await.unwrap().unwrap()).await.unwrap();
    let mut parked = 0;
    for _ in 0..12 {
        house.hands.turn_secs(10 * 3600);
        parked += house.sweep().await.parked;
    }
    assert_eq!((parked, house.state(&keys[0]).await), (1, EntryState::Parked));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_begun_in_time_is_asked_for_again() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let (_, mut keys) = house.create(&table, "a").await;
    keys.extend(house.create(&table, "b").await.1);
    let seen = house.seen(&keys).await;
    assert_eq!(house.courier().ring(seen, Duration::from_secs(1)).await, [0, 1]);
    assert_eq!(house.engine.bodies("events").len(), 0);
    house.hands.turn_secs(51);
    let seen = house.seen(&keys).await;
    assert_eq!(house.courier().ring(seen, Duration::from_secs(1)).await, [0, 1]);
}
