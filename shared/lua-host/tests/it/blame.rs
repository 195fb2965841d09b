//! Who is struck for time that ran out, and who is not: one bad message hurts only itself.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use lua_host::{FailureKind, Host, HostCall, HostError, SandboxConfig, Verdict};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::house::{Echo, config, failure, handler, job, kind, sandbox, sandbox_with};

/// Answers every call, and says so.
#[derive(Default)]
struct Called(Notify);

impl Host for Called {
    fn call(&self, _: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        self.0.notify_one();
        async { Ok(json!(true)) }.boxed()
    }
}

const CALL: &str = "require('@std/mail').send({ to = 'a', subject = 's', text = '' })\n";
const ACK: &str = "context.runtime.AckMessage()";

/// The inner wall is what is tried: on a busy machine it may come late, and the outer one must not come before it.
fn lenient() -> SandboxConfig {
    SandboxConfig { grace_ms: 3000, ..config() }
}

/// A comparator cannot be paused, so it holds the thread until its own limit.
#[tokio::test]
async fn a_handler_whose_neighbour_took_all_the_time_is_returned_without_a_strike() {
    let greedy = handler(&format!("{CALL} table.sort({{ 2, 1 }}, function() while true do end end)"));
    let patient = handler(&format!("require('@std/time').sleep(0.05) {ACK}"));
    let sandbox = sandbox_with(lenient(), &[("greedy", &greedy), ("patient", &patient)]).await;
    let pid = sandbox.pid();
    let deadline = Instant::now() + Duration::from_secs(10);
    let run = |name: &str, host: Arc<Called>| {
        let (mut job, sandbox) = (job(name, json!({})), sandbox.clone());
        job.deadline = deadline;
        async move { sandbox.run(job, host).await }
    };
    let host = Arc::new(Called::default());
    let neighbours = async {
        host.0.notified().await;
        join_all((0..9).map(|_| run("patient", Arc::default()))).await
    };
    let (greedy, neighbours) = tokio::join!(run("greedy", host.clone()), neighbours);
    assert_eq!(kind(&greedy), FailureKind::Deadline, "{greedy:?}");
    for neighbour in neighbours {
        assert!(matches!(neighbour.verdict, Verdict::Returned { .. }), "{neighbour:?}");
    }
    assert_eq!(sandbox.pid(), pid, "no second wall was needed");
}

#[tokio::test]
async fn ten_handlers_that_compute_to_the_end_are_all_struck() {
    let sandbox = sandbox_with(lenient(), &[("h", &handler("while true do end"))]).await;
    // Long enough for a tenth of it to be a burden, on a busy machine too.
    let deadline = Instant::now() + Duration::from_secs(10);
    let runs = (0..10).map(|_| {
        let mut job = job("h", json!({}));
        job.deadline = deadline;
        sandbox.run(job, Arc::new(Echo::default()))
    });
    for report in join_all(runs).await {
        assert_eq!(kind(&report), FailureKind::Deadline, "{report:?}");
    }
}

#[tokio::test]
async fn a_message_that_gets_its_slot_too_late_is_returned_without_a_strike() {
    let mut config = config();
    config.slots = 1;
    let slow = handler(&format!("require('@std/time').sleep(60) {ACK}"));
    let sandbox = sandbox_with(config, &[("slow", &slow)]).await;
    let run = |millis| {
        let (mut job, sandbox) = (job("slow", json!({})), sandbox.clone());
        job.deadline = Instant::now() + Duration::from_millis(millis);
        async move { sandbox.run(job, Arc::new(Echo::default())).await }
    };
    // The second would have 50 ms.
    let (first, second) = tokio::join!(run(2000), run(2050));
    assert_eq!(kind(&first), FailureKind::Deadline);
    assert!(matches!(second.verdict, Verdict::Returned { .. }), "{second:?}");
}

#[tokio::test]
async fn ten_messages_at_a_dead_sandbox_share_one_new_process() {
    let abort = handler("probe('abort')");
    let good = handler(&format!("require('@std/time').sleep(0.01) {ACK}"));
    let sandbox = sandbox(&[("abort", &abort), ("good", &good)]).await;
    let report = sandbox.run(job("abort", json!({})), Arc::new(Echo::default())).await;
    assert_eq!(kind(&report), FailureKind::Crashed);
    assert_eq!(sandbox.pid(), None);
    let ten = (0..10).map(|_| sandbox.run(job("good", json!({})), Arc::new(Echo::default())));
    for report in join_all(ten).await {
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
    assert!(sandbox.pid().is_some());
}

#[tokio::test]
async fn an_error_is_told_at_the_handlers_own_place_and_not_at_one_of_ours() {
    for (statements, expect) in [
        (
            "\ntable.sort({ 3, 1, 2, 5, 4 }, function() return true end)",
            "h:3: invalid order function for sorting",
        ),
        ("table.move(1, 1, 2, 3)", "h:2: invalid argument #1 to 'move' (table expected, got number)"),
        ("coroutine.wrap(function() error('boom') end)()", "h:2: boom"),
        ("coroutine.wrap(function() coroutine.wrap(function() error('boom') end)() end)()", "h:2: boom"),
        ("error('@prelude:x: mine', 0)", "@prelude:x: mine"),
        ("error('plain', 0)", "plain"),
    ] {
        let sandbox = sandbox(&[("h", &handler(statements))]).await;
        let report = sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await;
        assert_eq!(failure(&report).message, expect, "{statements}");
    }
}
