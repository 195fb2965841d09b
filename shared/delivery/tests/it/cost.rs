use std::collections::BTreeMap;

use crate::house::{House, LONG, outbox_link};

fn counted(all: &[(&str, usize)]) -> BTreeMap<String, usize> {
    all.iter().map(|(operation, times)| ((*operation).to_owned(), *times)).collect()
}

/// AWS calls of a warm publisher for ten linked writes.
#[tokio::test(flavor = "multi_thread")]
async fn ten_linked_writes_are_delivered_by_one_send_and_a_mark_each() {
    let house = House::start().await;
    let (events, ordered) = (house.queue("events").await, house.queue("events-fifo").await);
    let check = async |queue, reads: &[(&str, usize)]| {
        let table = house.students(vec![outbox_link(1, queue)]).await;
        let courier = house.courier();
        let (_, warm) = house.create(&table, "warm").await;
        courier.ring(house.seen(&warm).await, LONG).await;
        let mut keys = Vec::new();
        for number in 0..10 {
            keys.extend(house.create(&table, &number.to_string()).await.1);
        }
        let seen = house.seen(&keys).await;
        house.calls.counted();
        house.engine.calls();
        assert_eq!(courier.ring(seen, LONG).await, [0; 0]);
        assert_eq!(house.engine.calls(), ["SendMessageBatch"]);
        let mut expect = counted(&[("UpdateItem", 10)]);
        expect.extend(counted(reads));
        assert_eq!(house.calls.counted(), expect);
    };
    check(&events, &[]).await;
    // Where order is kept, each asks for the one before it and for the one behind it.
    check(&ordered, &[("Query", 20)]).await;
}

/// And of one write itself: what it reads and its one transaction, whatever links it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_warm_linked_create_is_one_call() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    let table = house.students(vec![outbox_link(1, &queue)]).await;
    let writer = house.writer();
    let create =
        async || writer.create(&table, &crate::house::named("a"), &crate::house::by(), false).await.unwrap();
    create().await;
    house.calls.counted();
    house.engine.calls();
    create().await;
    assert_eq!(house.engine.calls(), [""; 0]);
    assert_eq!(house.calls.counted(), counted(&[("TransactWriteItems", 1)]));
}
