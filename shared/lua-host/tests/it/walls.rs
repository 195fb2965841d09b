//! The two walls, tried from both sides.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use lua_host::{FailureKind, Host, HostCall, HostError, Report, Sandbox, SandboxConfig, Verdict};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::house::{Echo, LONG, config, failure, handler, job, kind, sandbox, sandbox_with};

/// Answers `meet` when so many have come, and anything else never.
struct Meeting {
    come: Barrier,
    /// Ten who wait for ever, and one who wants to know that they do. Where nobody asks, it never opens.
    waiting: Barrier,
}

impl Meeting {
    fn of(count: usize) -> Arc<Meeting> {
        Arc::new(Meeting { come: Barrier::new(count), waiting: Barrier::new(11) })
    }
}

impl Host for Meeting {
    fn call(&self, call: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        async move {
            if call.arguments["subject"] == "meet" {
                self.come.wait().await;
                return Ok(json!(true));
            }
            self.waiting.wait().await;
            std::future::pending().await
        }
        .boxed()
    }
}

const MEET: &str = "local mail = require('@std/mail') mail.send({ to = 'a', subject = 'meet', text = '' })\n";
const WAIT: &str = "mail.send({ to = 'a', subject = 'for ever', text = '' })\n";
const ACK: &str = "context.runtime.AckMessage()";

/// Ten handlers meet; then nine wait for ever, and one does as it is told.
async fn one_of_ten(culprit: &str, deadline: Duration) -> (Sandbox, Report, Vec<Report>) {
    let files = [
        ("culprit", handler(&format!("{MEET} {culprit}"))),
        ("neighbour", handler(&format!("{MEET} {WAIT}"))),
        ("good", handler(ACK)),
    ];
    let files = files.each_ref().map(|(name, source)| (*name, source.as_str()));
    let sandbox = sandbox(&files).await;
    let meeting = Meeting::of(10);
    let mut bad = job("culprit", json!({}));
    bad.deadline = Instant::now() + deadline;
    let neighbours = (0..9).map(|_| sandbox.run(job("neighbour", json!({})), meeting.clone()));
    let (report, neighbours) = tokio::join!(sandbox.run(bad, meeting.clone()), join_all(neighbours));
    (sandbox, report, neighbours)
}

/// The guilty one has failed, its neighbours are back without a strike, and the next message finds a new process.
async fn check_second_wall(culprit: &str, deadline: Duration, expect: FailureKind) {
    let (sandbox, report, neighbours) = one_of_ten(culprit, deadline).await;
    assert_eq!(kind(&report), expect, "{culprit}: {report:?}");
    for neighbour in neighbours {
        assert!(matches!(neighbour.verdict, Verdict::Returned { .. }), "{culprit}: {neighbour:?}");
    }
    assert_eq!(sandbox.pid(), None);
    let report = sandbox.run(job("good", json!({})), Arc::new(Echo::default())).await;
    assert_eq!(report.verdict, Verdict::Acked, "{culprit}: {report:?}");
    assert!(sandbox.pid().is_some());
}

#[tokio::test]
async fn native_code_that_never_ends_is_killed_with_its_process_and_struck_alone() {
    // Long enough for ten to meet on a busy machine.
    check_second_wall("probe('spin')", Duration::from_secs(10), FailureKind::Deadline).await;
}

#[tokio::test]
async fn a_process_that_breaks_is_blamed_on_the_handler_that_ran() {
    check_second_wall("probe('abort')", LONG, FailureKind::Crashed).await;
}

#[tokio::test]
async fn a_spinning_handler_is_struck_even_when_another_is_overdue_first() {
    let files =
        [("spin", handler(&format!("{MEET} probe('spin')"))), ("wait", handler(&format!("{MEET} {WAIT}")))];
    let files = files.each_ref().map(|(name, source)| (*name, source.as_str()));
    let sandbox = sandbox(&files).await;
    let meeting = Meeting::of(2);
    let mut waiting = job("wait", json!({}));
    waiting.deadline = Instant::now() + Duration::from_secs(10);
    let (spinning, waiting) = tokio::join!(
        sandbox.run(job("spin", json!({})), meeting.clone()),
        sandbox.run(waiting, meeting.clone())
    );
    assert_eq!(kind(&spinning), FailureKind::Crashed);
    assert!(matches!(waiting.verdict, Verdict::Returned { .. }), "{waiting:?}");
}

#[tokio::test]
async fn a_process_that_stands_still_is_replaced() {
    let source = handler(&format!("{MEET} {WAIT}"));
    let good = handler(ACK);
    let sandbox = sandbox(&[("h", &source), ("good", &good)]).await;
    let meeting = Meeting::of(10);
    let mut overdue = job("h", json!({}));
    overdue.deadline = Instant::now() + Duration::from_secs(10);
    let neighbours = (0..9).map(|_| sandbox.run(job("h", json!({})), meeting.clone()));
    let pid = sandbox.pid().unwrap();
    let stop = async {
        // Not before all ten wait: one that is still on its way there would be found running, and blamed.
        meeting.waiting.wait().await;
        signal("STOP", pid);
    };
    let (report, neighbours, ()) =
        tokio::join!(sandbox.run(overdue, meeting.clone()), join_all(neighbours), stop);
    assert_eq!(kind(&report), FailureKind::Deadline, "{report:?}");
    for neighbour in neighbours {
        assert!(matches!(neighbour.verdict, Verdict::Returned { .. }), "{neighbour:?}");
    }
    let report = sandbox.run(job("good", json!({})), meeting).await;
    assert_eq!(report.verdict, Verdict::Acked);
    assert_ne!(sandbox.pid(), Some(pid));
}

#[tokio::test]
async fn an_idle_process_that_was_killed_is_replaced() {
    let sandbox = sandbox(&[("h", &handler(ACK))]).await;
    let pid = sandbox.pid().unwrap();
    signal("KILL", pid);
    until(|| is_gone(pid)).await;
    // Found dead or found dying: the message comes back at worst, and then is handled.
    let mut verdicts = Vec::new();
    for _ in 0..2 {
        verdicts.push(sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await.verdict);
    }
    assert_eq!(verdicts[1], Verdict::Acked, "{verdicts:?}");
    assert!(!matches!(verdicts[0], Verdict::Failed(_)), "{verdicts:?}");
}

#[tokio::test]
async fn what_waits_past_its_deadline_is_stopped_without_harm_to_others() {
    let waiting = handler(&format!("local mail = require('@std/mail') {WAIT}"));
    let computing = handler("while true do end");
    let comparing = handler("table.sort({ 1, 2, 3 }, function() while true do pcall(error) end end)");
    let good = handler(ACK);
    let files =
        [("waiting", &waiting), ("computing", &computing), ("comparing", &comparing), ("good", &good)];
    let files = files.map(|(name, source)| (name, source.as_str()));
    // The inner wall is what is tried: on a busy machine it may come late, and the outer one must not come before it.
    let sandbox = sandbox_with(SandboxConfig { grace_ms: 60_000, ..config() }, &files).await;
    let pid = sandbox.pid();
    for name in ["waiting", "computing", "comparing"] {
        // So that a warm machine is there: making one is not to use up the time.
        let warm = sandbox.run(job("good", json!({})), Meeting::of(1)).await;
        assert_eq!(warm.verdict, Verdict::Acked, "before {name}: {warm:?}");
        let mut late = job(name, json!({}));
        late.deadline = Instant::now() + Duration::from_secs(1);
        assert_eq!(kind(&sandbox.run(late, Meeting::of(1)).await), FailureKind::Deadline, "{name}");
    }
    assert_eq!(sandbox.run(job("good", json!({})), Meeting::of(1)).await.verdict, Verdict::Acked);
    assert_eq!(sandbox.pid(), pid);
}

#[tokio::test]
async fn ten_handlers_meet_and_the_eleventh_waits_for_a_slot() {
    let source = handler(&format!("{MEET} {ACK}"));
    let sandbox = sandbox(&[("h", &source)]).await;
    let meeting = Meeting::of(10);
    for report in join_all((0..20).map(|_| sandbox.run(job("h", json!({})), meeting.clone()))).await {
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
}

#[tokio::test]
async fn ten_handlers_that_sleep_a_second_are_done_together() {
    let source = handler("require('@std/time').sleep(1) context.runtime.AckMessage()");
    let sandbox = sandbox(&[("h", &source)]).await;
    let started = Instant::now();
    for report in join_all((0..10).map(|_| sandbox.run(job("h", json!({})), Meeting::of(1)))).await {
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
    // One after the other would be ten at least.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_message_that_finds_no_slot_before_its_deadline_is_returned() {
    let mut config = config();
    config.slots = 1;
    let waiting = handler(&format!("local mail = require('@std/mail') {WAIT}"));
    let good = handler(ACK);
    let sandbox = sandbox_with(config, &[("waiting", &waiting), ("good", &good)]).await;
    let mut late = job("good", json!({}));
    late.deadline = Instant::now() + Duration::from_millis(300);
    let mut first = job("waiting", json!({}));
    first.deadline = Instant::now() + Duration::from_secs(2);
    let first = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { sandbox.run(first, Meeting::of(1)).await }
    });
    tokio::task::yield_now().await;
    let report = sandbox.run(late, Meeting::of(1)).await;
    assert!(matches!(report.verdict, Verdict::Returned { .. }), "{report:?}");
    assert_eq!(kind(&first.await.unwrap()), FailureKind::Deadline);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn from_inside_there_is_nothing_to_reach() {
    let own = std::process::id();
    let tries = [
        "open /etc/hostname".to_owned(),
        "open /proc/self/environ".to_owned(),
        format!("open /proc/{own}/environ"),
        format!("open /proc/{own}/mem"),
        "write /tmp/queuelink-must-not-be".to_owned(),
        "socket".to_owned(),
        "connect".to_owned(),
        "exec".to_owned(),
        "fork".to_owned(),
        "thread".to_owned(),
        format!("kill {own}"),
        format!("ptrace {own}"),
        format!("read-memory {own}"),
        "change-limits".to_owned(),
        "become-dumpable".to_owned(),
    ];
    let source = handler("error(probe(context.message.body), 0)");
    let sandbox = sandbox(&[("h", &source)]).await;
    for what in &tries {
        let report = sandbox.run(job("h", json!(what)), Arc::new(Echo::default())).await;
        assert_eq!(failure(&report).message, "Operation not permitted (os error 1)", "{what}");
    }
    let report = sandbox.run(job("h", json!("environment")), Arc::new(Echo::default())).await;
    assert_eq!(failure(&report).message, "0");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn from_outside_the_walls_are_seen_to_stand() {
    let sandbox = sandbox(&[("h", &handler(ACK))]).await;
    let pid = sandbox.pid().unwrap();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for wall in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(wall), "{status}");
    }
    let mut open: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().display().to_string())
        .map(|target| target.split(':').next().unwrap_or_default().to_owned())
        .collect();
    open.sort();
    assert_eq!(open, ["/dev/null", "anon_inode", "anon_inode", "pipe", "pipe", "pipe", "pipe"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_sandbox_ends_with_its_parent() {
    let mut parent = Command::new(env!("CARGO_BIN_EXE_lua-host-sandbox"))
        .arg("parent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (pid, dumpable) = line.trim().split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    let lived = !is_gone(pid);
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(lived);
    assert_eq!(dumpable, "0", "others of the same user read the parent's memory and environment");
    until(|| is_gone(pid)).await;
}

#[tokio::test]
async fn the_sandbox_ends_with_its_last_handle() {
    let sandbox = sandbox(&[("h", &handler(ACK))]).await;
    let pid = sandbox.pid().unwrap();
    drop(sandbox);
    until(|| is_gone(pid)).await;
}

#[tokio::test]
async fn a_program_that_is_no_sandbox_is_named() {
    let bundle = || lua_host::Bundle::from_sources([]).unwrap();
    for (program, words) in [("/bin/true", "did not become a sandbox"), ("/no/such", "cannot be started")] {
        let config = lua_host::SandboxConfig::new(program);
        let Err(error) = Sandbox::start(config, bundle()).await else { panic!("{program} started") };
        assert!(error.to_string().contains(words) && error.to_string().contains(program), "{error}");
    }
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(sent.success());
}

fn is_gone(pid: u32) -> bool {
    // Whoever inherits a dead process may never ask for it.
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_) => true,
    }
}

async fn until(done: impl Fn() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be");
}
