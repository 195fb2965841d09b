//! Waiting polls: what wakes them, and that nothing else has to.

use super::world::World;
use aws_sdk_sqs::types::Message;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// A poll that waits the full twenty seconds if nothing wakes it.
fn poll(world: &World, url: &str) -> JoinHandle<Vec<Message>> {
    let request = world.client.receive_message().queue_url(url).wait_time_seconds(20);
    tokio::spawn(async move { request.send().await.unwrap().messages.unwrap_or_default() })
}

/// Returns once a poll waits at the queue: its bell hangs then.
async fn until_waited_at(world: &World, url: &str) {
    let started = Instant::now();
    let name = url.rsplit('/').next().unwrap();
    while world.engine.bells.waiting_at(name) == 0 {
        assert!(started.elapsed() < Duration::from_secs(10), "no poll began to wait");
        tokio::task::yield_now().await;
    }
}

/// Runs `wake` while a poll waits; the poll must bring `expect` long before its twenty seconds are over.
async fn check(world: &World, url: &str, wake: impl Future<Output = ()>, expect: &[&str]) {
    let started = Instant::now();
    let waiting = poll(world, url);
    until_waited_at(world, url).await;
    wake.await;
    let found = waiting.await.unwrap();
    let bodies: Vec<_> = found.iter().map(|message| message.body().unwrap_or_default()).collect();
    assert_eq!(bodies, expect);
    assert!(started.elapsed() < Duration::from_secs(10), "the poll waited for its end");
}

#[tokio::test]
async fn a_send_wakes_a_poll() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    check(&world, &url, world.send(&url, "a"), &["a"]).await;
}

#[tokio::test]
async fn a_message_given_back_wakes_a_poll() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    world.send(&url, "a").await;
    let handle = world.receive(&url).await.remove(0).receipt_handle.unwrap();
    let back =
        world.client.change_message_visibility().queue_url(&url).receipt_handle(handle).visibility_timeout(0);
    check(&world, &url, async { drop(back.send().await.unwrap()) }, &["a"]).await;
}

#[tokio::test]
async fn an_acknowledged_fifo_message_wakes_the_poll_for_its_group() {
    let world = World::start().await;
    let url = world.make("q.fifo", &[("FifoQueue", "true"), ("ContentBasedDeduplication", "true")]).await;
    let send = |body: &'static str| {
        world.client.send_message().queue_url(&url).message_group_id("g").message_body(body).send()
    };
    send("a").await.unwrap();
    let handle = world.receive(&url).await.remove(0).receipt_handle.unwrap();
    send("b").await.unwrap();
    let delete = world.client.delete_message().queue_url(&url).receipt_handle(handle);
    check(&world, &url, async { drop(delete.send().await.unwrap()) }, &["b"]).await;
}

#[tokio::test]
async fn a_turned_clock_wakes_a_poll_for_what_lapsed_or_came_due() {
    let world = World::start().await;
    let url = world.make("q", &[("VisibilityTimeout", "3600")]).await;
    world.send(&url, "a").await;
    assert_eq!(world.receive(&url).await.len(), 1);
    check(&world, &url, async { world.advance_secs(3600) }, &["a"]).await;
    let late = world.client.send_message().queue_url(&url).message_body("late").delay_seconds(900);
    late.send().await.unwrap();
    check(&world, &url, async { world.advance_secs(900) }, &["late"]).await;
}

/// With the wall clock nobody has to wake anything: the poll sleeps exactly until the visibility lapses.
#[tokio::test]
async fn a_lapse_of_visibility_is_found_without_any_bell() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap();
    let engine = super::world::open(&folder.path().join("sqs.sqlite"), authority, domain::Clock::system());
    let world = World::around(engine, listener, folder);
    let url = world.make("q", &[("VisibilityTimeout", "1")]).await;
    world.send(&url, "a").await;
    let started = Instant::now();
    assert_eq!(world.receive(&url).await.len(), 1);
    assert_eq!(poll(&world, &url).await.unwrap().len(), 1);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_millis(990) && waited < Duration::from_secs(10), "{waited:?}");
}

#[tokio::test]
async fn a_deleted_queue_ends_the_polls_on_it() {
    let world = World::start().await;
    let url = world.make("q", &[]).await;
    let request = world.client.receive_message().queue_url(&url).wait_time_seconds(20);
    let waiting = tokio::spawn(request.send());
    until_waited_at(&world, &url).await;
    world.client.delete_queue().queue_url(&url).send().await.unwrap();
    assert!(waiting.await.unwrap().unwrap_err().into_service_error().is_queue_does_not_exist());
}

#[tokio::test]
async fn an_engine_told_to_stop_answers_its_polls_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap();
    let engine = super::world::open(&folder.path().join("sqs.sqlite"), authority, domain::Clock::system());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(engine.clone().serve(listener, async { drop(stopped.await) }));
    let world = World::beside(engine, authority, folder);
    let url = world.make("q", &[]).await;
    check(&world, &url, async { stop.send(()).unwrap() }, &[]).await;
    // Idle connections of the client must not hold the server.
    server.await.unwrap().unwrap();
}

#[tokio::test]
async fn polls_on_queues_that_do_not_exist_leave_nothing_behind() {
    let world = World::start().await;
    for n in 0..20 {
        let url = format!("http://127.0.0.1/000000000000/absent{n}");
        assert!(world.client.receive_message().queue_url(url).send().await.is_err());
    }
    assert_eq!(world.engine.bells.count(), 0);
}
