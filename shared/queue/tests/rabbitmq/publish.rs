use std::collections::HashSet;

use futures::future::join_all;
use lapin::types::AMQPValue;
use queue::SendError;

use crate::broker::{connections, rabbit};
use crate::brokers::{kind, message};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_lies_on_its_queue_as_it_was_sent() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let mut sent = message("0BF1");
    sent.round = 2;
    sent.body = "{\"name\":\"João\"}\n".to_owned();
    sent.attributes = vec![("link-depth", "1".to_owned())];
    let accepted = connections().send(&rabbit.place(&queue), &sent).await.unwrap();
    assert_eq!(accepted.engine_id, "0BF1");

    let lying = rabbit.take(&queue).await;
    let [one] = &lying[..] else { panic!("{lying:?}") };
    assert_eq!((&one.body, one.id.as_str(), one.persistent), (&sent.body, "0BF1", true));
    let headers = [("message-id", "0BF1"), ("round", "2"), ("link-depth", "1")];
    assert_eq!(one.headers, headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_others_gave_may_be_longer_than_amqp_has_room_for() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let sent = message(&"t".repeat(290));
    let accepted = connections().send(&rabbit.place(&queue), &sent).await.unwrap();
    assert_eq!(accepted.engine_id, sent.message_id);
}

/// The broker returns what is unroutable without saying which message it was; routable ones are on their way beside it.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_exactly_those_that_no_queue_takes_are_refused() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let (connections, there, nowhere) = (connections(), rabbit.place(&queue), rabbit.place("no-such-queue"));
    let sends = (0..300).map(|number| {
        let (connections, place) = (&connections, if number % 3 == 0 { &nowhere } else { &there });
        async move { connections.send(place, &message(&format!("m{number}"))).await }
    });
    let answers = join_all(sends).await;
    for (number, answer) in answers.iter().enumerate() {
        match answer {
            Err(SendError::Refused { code, .. }) if number % 3 == 0 => assert_eq!(code, "NO_ROUTE"),
            answer => assert!(number % 3 != 0 && answer.is_ok(), "m{number}: {answer:?}"),
        }
    }
    let ids: HashSet<_> = rabbit.take(&queue).await.into_iter().map(|one| one.id).collect();
    assert_eq!(ids.len(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_takes_again_once_there_is_room() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    for kind_of_queue in ["quorum", "classic"] {
        let full = [
            ("x-max-length", AMQPValue::LongInt(3)),
            ("x-overflow", AMQPValue::LongString("reject-publish".into())),
        ];
        let queue = rabbit.queue(kind_of_queue, &full).await;
        let (connections, place) = (connections(), rabbit.place(&queue));
        // A quorum queue counts a little late.
        let (mut accepted, mut refused) = (HashSet::new(), 0);
        for number in 0..20 {
            let id = format!("m{number}");
            let answer = connections.send(&place, &message(&id)).await;
            match kind(&answer) {
                "accepted" => drop(accepted.insert(id)),
                "refused" => refused += 1,
                other => panic!("{other}: {answer:?}"),
            }
        }
        assert!(refused >= 10, "{kind_of_queue}: {accepted:?}");
        let lying: HashSet<_> = rabbit.take(&queue).await.into_iter().map(|one| one.id).collect();
        assert_eq!(lying, accepted, "{kind_of_queue}");
        let mut again = Err(SendError::Unreachable { reason: "not tried".to_owned() });
        for _ in 0..50 {
            again = connections.send(&place, &message("again")).await;
            if again.is_ok() {
                break;
            }
        }
        assert_eq!(kind(&again), "accepted", "{kind_of_queue}: {again:?}");
    }
}
