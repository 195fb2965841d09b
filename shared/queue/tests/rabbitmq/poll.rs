use std::time::Duration;

use queue::local::{PollError, RabbitDelivery, RabbitHeader, RabbitPoll};
use queue::rabbitmq::RabbitConnections;
use tokio::time::timeout;

use crate::broker::rabbit;
use crate::brokers::message;

const WINDOW: Duration = Duration::from_millis(50);

fn ids(deliveries: &[RabbitDelivery]) -> Vec<&str> {
    deliveries.iter().map(|one| one.properties.message_id.as_deref().unwrap()).collect()
}

async fn take(poll: &mut RabbitPoll, count: usize) -> Vec<RabbitDelivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = timeout(Duration::from_secs(30), poll.next(10, WINDOW)).await.expect("messages").unwrap();
        assert!((1..=10).contains(&batch.len()));
        taken.extend(batch);
    }
    taken
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_given_back_or_never_settled_comes_again_and_what_is_done_does_not() {
    let Some((rabbit, _shared)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let place = rabbit.place(&queue);
    let connections = RabbitConnections::new(domain::Guard::operator().with_loopback(true));
    let sent: Vec<String> = (0..12).map(|n| format!("m{n}")).collect();
    for id in &sent {
        connections.send(&place, &message(id)).await.unwrap();
    }
    let mut poll = RabbitPoll::open(&place, 20).await.unwrap();
    let all = take(&mut poll, 12).await;
    assert_eq!(ids(&all), sent);
    assert_eq!(all[0].body, message("m0").body.into_bytes());
    assert!(all.iter().all(|one| !one.redelivered && one.properties.delivery_mode == Some(2)));
    let headers = all[0].properties.headers.as_ref().unwrap();
    assert!(headers.contains(&("message-id".to_owned(), RabbitHeader::Bytes(b"m0".to_vec()))), "{headers:?}");
    poll.settle(&all[..4], true).await.unwrap();
    poll.settle(&all[4..8], false).await.unwrap();
    let again = take(&mut poll, 4).await;
    let mut came = ids(&again);
    came.sort_unstable();
    assert_eq!(came, ["m4", "m5", "m6", "m7"]);
    assert!(again.iter().all(|one| one.redelivered));
    poll.settle(&again, true).await.unwrap();
    // The last four were never settled.
    poll.close().await;
    let mut poll = RabbitPoll::open(&place, 20).await.unwrap();
    let left = take(&mut poll, 4).await;
    let mut came = ids(&left);
    came.sort_unstable();
    assert_eq!(came, ["m10", "m11", "m8", "m9"]);
    poll.settle(&left, true).await.unwrap();
    poll.close().await;
    assert!(rabbit.take(&queue).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_not_there_is_named_and_one_that_goes_away_ends_the_poll() {
    let Some((rabbit, _shared)) = rabbit().await else { return };
    let told = RabbitPoll::open(&rabbit.place("nowhere"), 20).await.unwrap_err();
    assert!(matches!(&told, PollError::RabbitMq(_)), "{told:?}");
    assert!(domain::causes(&told).contains("nowhere"), "{}", domain::causes(&told));
    let queue = rabbit.queue("classic", &[]).await;
    let mut poll = RabbitPoll::open(&rabbit.place(&queue), 20).await.unwrap();
    rabbit.ctl(&["delete_queue", &queue]);
    let ended = timeout(Duration::from_secs(30), poll.next(10, WINDOW)).await.expect("an end");
    assert!(ended.is_err(), "{ended:?}");
}
