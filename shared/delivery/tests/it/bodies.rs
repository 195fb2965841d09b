use domain::{EntryState, LinkPayload, MAX_BODY_BYTES};
use zstorage::WriteError;

use crate::house::{House, by, named, outbox_link};

/// Bodies of every size travel through a link whole: by the stream, and by the sweeper.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_whole() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    for bytes in [1, 299 * 1024, 300 * 1024 + 1, 301 * 1024, MAX_BODY_BYTES] {
        for by_stream in [true, false] {
            let table = house.students(vec![link_of(&queue, bytes)]).await;
            let name = "x".repeat(share(bytes));
            let (_, keys) = house.create(&table, &name).await;
            let expect = house.entry(&keys[0]).await.body;
            assert_eq!(expect.len(), bytes);
            if by_stream {
                assert_eq!(house.ring(&keys).await, [0; 0]);
            } else {
                house.hands.turn_secs(60);
                assert_eq!(house.sweep().await.sent, 1);
            }
            assert_eq!(house.engine.bodies("events").pop().unwrap(), expect);
            assert_eq!(house.state(&keys[0]).await, EntryState::Published);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_queue_does_not_take_is_refused_before_anything_is_written() {
    let house = House::start().await;
    let queue = house.queue("events").await;
    house.engine.make("events", &[("MaximumMessageSize", "262144")]);
    let bytes = 262_144 - 2048;
    let table = house.students(vec![link_of(&queue, bytes)]).await;
    house.create(&table, &"x".repeat(share(bytes))).await;
    let more = house.writer().create(&table, &named(&"x".repeat(share(bytes) + 1)), &by(), false).await;
    let Err(delivery::WriterError::Write(WriteError::Invalid(faults))) = more else { panic!("{more:?}") };
    assert_eq!(faults.0[0].code, "too-large");
}

/// How long the name is of which `link_of` makes a body of so many bytes.
fn share(bytes: usize) -> usize {
    match bytes {
        1 => 1,
        bytes => (bytes - padding(bytes) - 13) / 4,
    }
}

fn padding(bytes: usize) -> usize {
    (bytes - 13) % 4
}

/// A link whose message has the name four times.
fn link_of(queue: &domain::Queue, bytes: usize) -> domain::Link {
    let payload = match bytes {
        1 => "7".to_owned(),
        bytes => {
            let hole = "${new.name}";
            format!("[\"{hole}\",\"{hole}\",\"{hole}\",\"{hole}{}\"]", "y".repeat(padding(bytes)))
        }
    };
    domain::Link { payload: LinkPayload::Template(payload), ..outbox_link(1, queue) }
}
