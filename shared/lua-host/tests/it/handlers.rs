//! What a handler sees and how it ends.

use std::sync::Arc;

use lua_host::{FailureKind, LogLevel, Verdict};
use serde_json::json;

use crate::house::{Echo, failure, handler, job, kind, run, run_with, sandbox};

#[tokio::test]
async fn a_handler_that_acknowledges_has_acknowledged() {
    let report = run("context.runtime.AckMessage()").await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    assert_eq!(run("context.runtime:AckMessage()").await.verdict, Verdict::Acked);
}

#[tokio::test]
async fn the_other_verdicts_carry_what_was_said() {
    let check = async |statement: &str, expect: Verdict| {
        assert_eq!(run(statement).await.verdict, expect, "{statement}");
    };
    check("context.runtime.RetryMessage(90)", Verdict::RetryAsked { after_secs: Some(90) }).await;
    check("context.runtime:RetryMessage(0.5)", Verdict::RetryAsked { after_secs: Some(1) }).await;
    check("context.runtime.RetryMessage()", Verdict::RetryAsked { after_secs: None }).await;
    check("context.runtime:RetryMessage()", Verdict::RetryAsked { after_secs: None }).await;
    check(
        "context.runtime.RejectMessage('no such user')",
        Verdict::Rejected { reason: "no such user".into() },
    )
    .await;
    check("context.runtime:RejectMessage('x')", Verdict::Rejected { reason: "x".into() }).await;
}

#[tokio::test]
async fn a_handler_without_a_verdict_has_failed() {
    assert_eq!(kind(&run("local x = 1").await), FailureKind::NoVerdict);
}

#[tokio::test]
async fn the_first_verdict_counts_and_another_is_told_in_the_log() {
    let report = run("local r = context.runtime r.AckMessage() r.AckMessage() r.RejectMessage('late')").await;
    assert_eq!(report.verdict, Verdict::Acked);
    let [line] = &report.log[..] else { panic!("{:?}", report.log) };
    assert_eq!(line.level, LogLevel::Error);
    assert_eq!(line.message, "RejectMessage after AckMessage is ignored");
}

#[tokio::test]
async fn an_error_counts_more_than_an_acknowledgement() {
    let report = run("context.runtime.AckMessage()\nerror('after all')").await;
    let error = failure(&report);
    assert_eq!(error.kind, FailureKind::Threw);
    assert_eq!(error.message, "h:3: after all");
    let traceback = error.traceback.as_deref().unwrap();
    assert!(traceback.contains("h:3"), "{traceback}");
    assert!(!traceback.contains('@'), "{traceback}");
}

#[tokio::test]
async fn a_thrown_table_keeps_its_code_and_whether_it_may_be_retried() {
    let report = run("error({ code = 'mailbox-full', message = 'try later', retryable = true })").await;
    let error = failure(&report);
    assert_eq!((error.code.as_deref(), error.message.as_str()), (Some("mailbox-full"), "try later"));
    assert_eq!(error.retryable, Some(true));
    let report = run("error(setmetatable({}, { __tostring = function() return 'in words' end }))").await;
    assert_eq!(failure(&report).message, "in words");
    let report = run("error(nil)").await;
    assert_eq!(failure(&report).message, "nil");
}

#[tokio::test]
async fn the_context_holds_what_the_worker_gave() {
    let script = r#"
        local m = context.message
        assert(m.id == "0BF1" and m.queue == "q" and m.attempt == 1)
        assert(m.body.name == "Ana" and m.body.list[2] == 20)
        assert(m.body.gone == require("@std/json").null)
        assert(context.config.greeting == "hello")
        assert(context.secrets.token == "s3cret")
        context.log.info("seen", { name = m.body.name })
        context.log:warn("twice")
        context.runtime.AckMessage()
    "#;
    let body = json!({ "name": "Ana", "list": [10, 20], "gone": null });
    let report = run_with(script, body, Arc::new(Echo::default())).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    assert_eq!(report.log[0].message, "seen");
    assert_eq!(report.log[0].fields, Some(json!({ "name": "Ana" })));
    assert_eq!((report.log[1].level, report.log[1].message.as_str()), (LogLevel::Warn, "twice"));
}

#[tokio::test]
async fn a_host_call_leaves_by_the_door_and_its_answer_comes_back() {
    let host = Arc::new(Echo::default());
    let script = r#"
        local mail = require("@std/mail")
        local answer = mail.send({ to = "a@b.c", subject = "hi", text = "there" })
        assert(answer.to == "a@b.c")
        context.runtime.AckMessage()
    "#;
    let report = run_with(script, json!({}), host.clone()).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    let calls = host.calls.lock().unwrap();
    assert_eq!((calls[0].module.as_str(), calls[0].function.as_str()), ("mail", "send"));
    assert_eq!(calls[0].arguments, json!({ "to": "a@b.c", "subject": "hi", "text": "there" }));
}

#[tokio::test]
async fn an_expected_failure_is_returned_and_any_other_is_thrown() {
    let report = run(r#"
        local mail = require("@std/mail")
        local ok, err = mail.send({ to = "a", subject = "expected", text = "" })
        assert(ok == nil and err.code == "refused" and err.retryable == true)
        assert(tostring(err) == "refused: the far side says no")
        local fine, thrown = pcall(mail.send, { to = "a", subject = "thrown", text = "" })
        assert(not fine and thrown.code == "refused")
        local fine, thrown = pcall(mail.send, { to = "a", subject = "panic", text = "" })
        assert(not fine and thrown.code == "host-panicked")
        mail.send({ to = "a", subject = "thrown", text = "" })
    "#)
    .await;
    let error = failure(&report);
    assert_eq!((error.code.as_deref(), error.retryable), (Some("refused"), Some(true)), "{error:?}");
    assert_eq!(error.message, "the far side says no");
}

#[tokio::test]
async fn a_host_call_works_within_coroutines_of_the_handler() {
    let report = run(r#"
        local mail = require("@std/mail")
        local function send(n) return mail.send({ to = tostring(n), subject = "s", text = "t" }).to end
        local wrapped = coroutine.wrap(function()
            for n = 1, 3 do coroutine.yield(send(n)) end
            local inner = coroutine.create(function() return send(4) end)
            local ok, answer = coroutine.resume(inner)
            assert(ok and coroutine.status(inner) == "dead")
            return answer
        end)
        assert(wrapped() == "1" and wrapped() == "2" and wrapped() == "3" and wrapped() == "4")
        local failing = coroutine.create(function() mail.send({ to = "x", subject = "thrown", text = "t" }) end)
        local ok, err = coroutine.resume(failing)
        assert(not ok and err.code == "refused")
        context.runtime.AckMessage()
    "#)
    .await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
}

#[tokio::test]
async fn a_host_call_where_nothing_can_wait_is_an_error_not_a_hang() {
    let report = run(r#"
        local uuid = require("@std/mail")
        table.sort({ 3, 2, 1 }, function(a, b)
            uuid.send({ to = "x", subject = "s", text = "t" })
            return a < b
        end)
    "#)
    .await;
    assert_eq!(failure(&report).code.as_deref(), Some("cannot-wait"), "{report:?}");
}

#[tokio::test]
async fn a_body_that_cannot_be_kept_is_a_failure_of_its_own_kind() {
    let sandbox = sandbox(&[("h", &handler("context.runtime.AckMessage()"))]).await;
    for body in ["not json", "{\"a\":1,\"a\":2}", ""] {
        let mut job = job("h", json!(null));
        job.body = body.to_owned();
        let report = sandbox.run(job, Arc::new(Echo::default())).await;
        assert_eq!(kind(&report), FailureKind::Conversion, "{body}");
    }
}

#[tokio::test]
async fn a_handler_that_is_none_is_named() {
    let sandbox = sandbox(&[("table", "return {}"), ("broken", "error('at load')")]).await;
    let check = async |name: &str, expect: FailureKind, words: &str| {
        let report = sandbox.run(job(name, json!({})), Arc::new(Echo::default())).await;
        let error = failure(&report);
        assert_eq!(error.kind, expect, "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    check("absent", FailureKind::NotFound, "no handler \"absent\"").await;
    check("table", FailureKind::NotFound, "returned a table").await;
    check("@prelude", FailureKind::NotFound, "no handler").await;
    check("broken", FailureKind::Threw, "at load").await;
}

#[tokio::test]
async fn modules_are_found_by_package_and_by_place() {
    let sandbox = sandbox(&[
        ("shop/order", "local a, b, c = require('@pkg/shop/price'), require('./lib/price'), require('@pkg/other/x')
            return function(context) assert(a == b and a.of(2) == 4 and c == 'x') context.runtime.AckMessage() end"),
        ("shop/lib/price", "local two = require('../lib/two') return { of = function(n) return n * two end }"),
        ("shop/lib/two", "return 2"),
        ("other/x", "return 'x'"),
        ("shop/loop", "require('./lib/loop')"),
        ("shop/lib/loop", "require('./loop')"),
        ("shop/absent", "require('@pkg/shop/none')"),
        ("shop/nameless", "require('price')"),
        ("shop/climbing", "require('../../etc/passwd')"),
    ])
    .await;
    let run = async |name: &str| sandbox.run(job(name, json!({})), Arc::new(Echo::default())).await;
    let report = run("shop/order").await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    assert_eq!(failure(&run("shop/loop").await).code.as_deref(), Some("module-loop"));
    for name in ["shop/absent", "shop/nameless", "shop/climbing"] {
        assert_eq!(failure(&run(name).await).code.as_deref(), Some("no-module"), "{name}");
    }
}

#[tokio::test]
async fn nothing_of_one_message_is_seen_by_the_next() {
    let script = r#"
        local counter = require("./lib/counter")
        assert(counter.next() == 1, "module state")
        assert(leaked == nil, "globals")
        leaked = true
        assert(not pcall(function() _G.other = 1 end), "the globals of all")
        assert(not pcall(function() string.leak = 1 end), "libraries")
        assert(not pcall(function() getmetatable("").__index = {} end), "strings")
        assert(not pcall(function() require("@std/json").null = 1 end), "our libraries")
        assert(not pcall(function() context.runtime.AckMessage = nil end), "the runtime")
        context.runtime.AckMessage()
    "#;
    let counter = "local n = 0 return { next = function() n += 1 return n end }";
    let sandbox = sandbox(&[("h", &handler(script)), ("lib/counter", counter)]).await;
    for _ in 0..3 {
        let report = sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await;
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
}

#[tokio::test]
async fn garbage_of_moderate_pieces_does_not_meet_the_memory_limit() {
    let report = run("local keep = string.rep('k', 10000000)
         for n = 1, 100 do
             local large = string.rep('x', 4000000) .. n
         end
         for n = 1, 100 do
             local list = table.create(100000, n)
             for i = 1, 1000 do list[i] = { n, i } end
         end
         context.runtime.AckMessage()")
    .await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
}
