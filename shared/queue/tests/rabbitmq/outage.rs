//! The broker dies, freezes, or loses its connections while messages are on their way. What holds then: whatever was
//! accepted is there, whatever is called refused or unreachable is not, and everybody is answered in time.

use queue::rabbitmq::{RabbitConnections, RabbitPlace};
use tokio::time::timeout;

use crate::broker::{Rabbit, connections, rabbit, rabbit_alone};
use crate::brokers::proxy::{Mode, Proxy};
use crate::brokers::storm::{Storm, told_the_truth};
use crate::brokers::{ANSWERED_WITHIN, deserted, kind, message};

fn storm(callers: usize, connections: &RabbitConnections, place: &RabbitPlace) -> Storm {
    let (connections, place) = (connections.clone(), place.clone());
    Storm::begin(callers, move |id| {
        let (connections, place) = (connections.clone(), place.clone());
        async move { connections.send(&place, &message(&id)).await }
    })
}

async fn ids(rabbit: &Rabbit, queue: &str) -> Vec<String> {
    rabbit.take(queue).await.into_iter().map(|one| one.id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_dies_in_mid_publish_and_comes_back_loses_nothing_accepted() {
    let Some((rabbit, _alone)) = rabbit_alone().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    // RabbitMQ itself forgets a quorum queue that is killed in its first three minutes: it has not written its name yet.
    rabbit.stop().await;
    rabbit.start().await;
    let (connections, place) = (connections(), rabbit.place(&queue));
    let storm = storm(16, &connections, &place);
    storm.accepted(200).await;
    rabbit.process.kill().await;
    // Beside this one others of the storm may still have been written; beside the next one none.
    let just_gone = connections.send(&place, &message("just gone")).await;
    let away = timeout(ANSWERED_WITHIN, connections.send(&place, &message("while away"))).await;
    rabbit.start().await;
    let away = away.expect("answered in time");
    assert_eq!(kind(&away), "unreachable", "{away:?}");
    storm.accepted(200).await;
    let mut answers = storm.end().await;
    answers.push(("just gone".to_owned(), just_gone));
    answers.push(("while away".to_owned(), away));
    let told = told_the_truth(&answers, &ids(&rabbit, &queue).await);
    assert!(told["accepted"] >= 400, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_may_have_taken_what_it_was_sent_and_works_again_once_thawed() {
    let Some((rabbit, _alone)) = rabbit_alone().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let (connections, place) = (connections(), rabbit.place(&queue));
    // Ready before a channel was used: one that rested too long is not used again, and on a new one nothing would be written.
    let freezer = rabbit.process.freezer();
    connections.send(&place, &message("before")).await.unwrap();
    freezer.freeze().await;
    let first = timeout(ANSWERED_WITHIN, connections.send(&place, &message("into the ice"))).await;
    let storm = storm(4, &connections, &place);
    let second = connections.send(&place, &message("onto the ice")).await;
    rabbit.process.thaw();
    let first = first.expect("answered in time");
    assert_eq!(kind(&first), "unanswered", "{first:?}");
    assert_eq!(kind(&second), "unreachable", "{second:?}");
    storm.accepted(50).await;
    let mut answers = storm.end().await;
    answers.push(("into the ice".to_owned(), first));
    answers.push(("onto the ice".to_owned(), second));
    told_the_truth(&answers, &ids(&rabbit, &queue).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_before_its_confirmation_is_rebuilt_once_under_the_same_id() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let port = deserted();
    let proxy = Proxy::open(port, rabbit.port).await;
    let (connections, place) = (connections(), RabbitPlace { port, ..rabbit.place(&queue) });
    connections.warm(&place).await.unwrap();

    proxy.set(Mode::CutOnce);
    connections.send(&place, &message("sent again")).await.unwrap();
    // Whoever must know what became of one attempt gets no second.
    proxy.set(Mode::CutOnce);
    let once = connections.send_once(&place, &message("once")).await;
    assert_eq!(kind(&once), "unanswered", "{once:?}");
    connections.send(&place, &message("connected again")).await.unwrap();
    proxy.set(Mode::Cut);
    let cut = connections.send(&place, &message("cut off")).await;
    assert_eq!(kind(&cut), "unanswered", "{cut:?}");
    let later = connections.send(&place, &message("later")).await;
    assert_eq!(kind(&later), "unreachable", "{later:?}");
    proxy.set(Mode::Pass);
    connections.send(&place, &message("after")).await.unwrap();
    assert_eq!(
        ids(&rabbit, &queue).await,
        ["sent again", "sent again", "once", "connected again", "cut off", "after"]
    );
}
