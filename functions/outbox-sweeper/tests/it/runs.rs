use std::time::Duration;

use bootstrap::{Environment, Metrics};
use domain::{EntryState, OutboxEntry};
use jiff::{SignedDuration, Timestamp};
use outbox_sweeper::{NAMESPACE, OutboxSweeper};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::engine::Mood;
use crate::house::House;

const LONG: Duration = Duration::from_secs(30);

impl House {
    fn sweeper(&self) -> OutboxSweeper {
        let metrics = Metrics::new(&Environment::default(), NAMESPACE, "Stack", "ql".to_owned());
        let (courier, outbox) = (self.courier.clone(), self.store.outbox.clone());
        OutboxSweeper { courier, outbox, metrics, clock: self.store.clock.clone() }
    }
}

fn ago(secs: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_secs(secs)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_what_has_come_due_and_tells_how_the_outbox_stands() {
    let house = House::start().await;
    let come = house.scheduled(ago(1));
    let to_come = house.scheduled(ago(-3600));
    let parked =
        OutboxEntry { state: EntryState::Parked, reason: Some("no".into()), ..house.scheduled(ago(9)) };
    for entry in [&come, &to_come, &parked] {
        house.put(entry).await;
    }
    let report = house.sweeper().handle(LONG).await;
    let expect = json!({
        "sent": 1, "postponed": 0, "parked": 0, "applied": 0, "left": 0,
        "standing": { "lag-secs": 0, "due": 0, "held": 0, "scheduled": 1, "parked": 1 },
    });
    assert_eq!(serde_json::to_value(report).unwrap(), expect);
    assert_eq!(house.engine.bodies("ql-events"), [come.body]);
    assert_eq!(house.state_of(&come.key).await, Some(EntryState::Published));
    assert_eq!(house.state_of(&to_come.key).await, Some(EntryState::Scheduled));
    assert_eq!(house.state_of(&parked.key).await, Some(EntryState::Parked));
    assert_eq!(house.sweeper().handle(LONG).await.sent, 0, "once");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_refuses_waits_and_is_told_as_lag() {
    let house = House::start().await;
    house.engine.mood(Mood::Refusing);
    let entry = house.scheduled(ago(90));
    house.put(&entry).await;
    let report = house.sweeper().handle(LONG).await;
    assert_eq!((report.sent, report.postponed), (0, 1));
    let standing = report.standing.unwrap();
    assert!((90..120).contains(&standing.lag_secs), "{standing:?}");
    assert_eq!(standing.scheduled, 1);
    house.engine.mood(Mood::Fine);
    assert_eq!(house.sweeper().handle(LONG).await.sent, 0, "its time has not come again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_time_begins_nothing_and_leaves_it_to_the_next() {
    let house = House::start().await;
    house.put(&house.scheduled(ago(1))).await;
    let report = house.sweeper().handle(Duration::ZERO).await;
    assert_eq!((report.sent, report.left), (0, 1));
    assert_eq!(house.sweeper().handle(LONG).await.sent, 1);
}

/// A run that Lambda ends has told nobody what it did.
#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_never_answers_does_not_hold_a_run_beyond_its_time() {
    let house = House::start().await;
    // Connections are taken in, and nobody reads what comes.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sweeper = OutboxSweeper { outbox: house.outbox_at(mute.local_addr().unwrap()), ..house.sweeper() };
    // The store's own client would give up after 8 s.
    let run = timeout(Duration::from_secs(6), sweeper.handle(Duration::from_secs(3)));
    assert_eq!(run.await.expect("it waits for the store").standing, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outbox_that_is_not_there_is_not_told_of() {
    let house = House::start().await;
    let courier = house.courier_without_outbox();
    let sweeper = OutboxSweeper { courier, outbox: house.outbox_out_of_reach(), ..house.sweeper() };
    let report = sweeper.handle(LONG).await;
    assert_eq!((report.sent, report.standing), (0, None));
}
