use std::time::Duration;

use queue::SendError;
use queue::rabbitmq::RabbitPlace;
use tokio::time::timeout;

use crate::broker::{connections, rabbit};
use crate::brokers::{deserted, kind, message, user};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_says_no_to_is_refused_and_is_not_there() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let connections = connections();
    let check = async |place: RabbitPlace, expect: &str| {
        let refused = message("refused");
        let answer = timeout(Duration::from_millis(4700), connections.send(&place, &refused)).await;
        let answer = answer.expect(expect);
        let Err(SendError::Refused { code, message }) = &answer else { panic!("{expect}: {answer:?}") };
        assert_eq!(code, expect, "{answer:?}");
        assert!(!message.contains("guessed"), "{message}");
    };
    check(rabbit.place("no-such-queue"), "NO_ROUTE").await;
    check(rabbit.place(""), "InvalidQueue").await;
    check(RabbitPlace { credentials: user("guest", "guessed"), ..rabbit.place(&queue) }, "ACCESS-REFUSED")
        .await;
    check(RabbitPlace { vhost: "nowhere".to_owned(), ..rabbit.place(&queue) }, "NOT-ALLOWED").await;
    connections.send(&rabbit.place(&queue), &message("accepted")).await.unwrap();
    assert_eq!(rabbit.take(&queue).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_whose_rights_are_taken_away_is_refused_on_the_next_channel() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let first = connections();
    let place = RabbitPlace { credentials: user("ada", "ada-secret"), ..rabbit.place(&queue) };
    rabbit.ctl(&["add_user", "ada", "ada-secret"]);
    rabbit.ctl(&["set_permissions", "ada", ".*", ".*", ".*"]);
    first.send(&place, &message("allowed")).await.unwrap();

    // The broker asks once per channel, so those that stand already may still be used.
    rabbit.ctl(&["set_permissions", "ada", "", "", ""]);
    let others = connections();
    let answer = others.send(&place, &message("not allowed")).await;
    let Err(SendError::Refused { code, message: said }) = &answer else { panic!("{answer:?}") };
    assert_eq!(code, "ACCESS-REFUSED");
    assert!(said.contains("amq.default") && !said.contains("ada"), "{said}");

    rabbit.ctl(&["set_permissions", "ada", ".*", ".*", ".*"]);
    others.send(&place, &message("allowed again")).await.unwrap();

    rabbit.ctl(&["delete_user", "ada"]);
    let answer = others.send(&place, &message("unknown")).await;
    // Whether her connection is closed before or after the message was written is the broker's affair.
    assert!(matches!(kind(&answer), "refused" | "unanswered"), "{answer:?}");
    let answer = others.send(&place, &message("unknown still")).await;
    assert_eq!(kind(&answer), "refused", "{answer:?}");
    let ids: Vec<_> = rabbit.take(&queue).await.into_iter().map(|one| one.id).collect();
    assert_eq!(ids, ["allowed", "allowed again"]);
}

/// The broker listens without TLS there: nothing of the message may leave.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_encryption_is_never_sent_without() {
    let Some((rabbit, _in_use)) = rabbit().await else { return };
    let queue = rabbit.queue("quorum", &[]).await;
    let place = RabbitPlace { tls: true, ..rabbit.place(&queue) };
    let answer = connections().send(&place, &message("secret")).await;
    assert_eq!(kind(&answer), "unreachable", "{answer:?}");
    assert!(rabbit.take(&queue).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_nothing_was_written() {
    let place = RabbitPlace {
        host: "127.0.0.1".to_owned(),
        port: deserted(),
        tls: false,
        vhost: "/".to_owned(),
        credentials: user("guest", "guest"),
        queue: "q".to_owned(),
    };
    let answer = connections().send(&place, &message("lost")).await;
    assert_eq!(kind(&answer), "unreachable", "{answer:?}");
}
