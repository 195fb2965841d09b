//! The libraries, as handlers use them.

use std::sync::Arc;

use lua_host::{TestResult, Verdict, run_tests};
use serde_json::json;

use crate::house::{Echo, handler, job, run, run_with, sandbox};

/// Every statement holds.
async fn check(script: &str) {
    let report = run(&format!("{script}\ncontext.runtime.AckMessage()")).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
}

#[tokio::test]
async fn json_keeps_what_it_is_given() {
    check(
        r#"
        local json = require("@std/json")
        local value = json.decode('{"a":[1,2.5,"x",null,true],"big":12345678901234567890123,"empty":[]}')
        assert(#value.a == 5 and value.a[4] == json.null)
        assert(tostring(value.big) == "12345678901234567890123")
        assert(json.encode(value) == '{"a":[1,2.5,"x",null,true],"big":12345678901234567890123,"empty":[]}')
        assert(json.encode(json.array()) == "[]" and json.encode({}) == "{}" and json.encode(nil) == "null")
        local ok, err = pcall(json.decode, "[1,]")
        assert(not ok and err.code == "not-json", tostring(err))
        ok, err = pcall(json.encode, { a = { print or error } })
        assert(not ok and err.code == "not-json" and string.find(err.message, "$.a[1]", 1, true), tostring(err))
        "#,
    )
    .await;
}

#[tokio::test]
async fn bytes_are_encoded_hashed_and_made() {
    check(
        r#"
        local base64, hex = require("@std/base64"), require("@std/hex")
        local crypto, uuid = require("@std/crypto"), require("@std/uuid")
        assert(base64.encode("a\255?") == "Yf8/" and base64.encode_url("a\255?") == "Yf8_")
        assert(base64.decode("Yf8_") == "a\255?" and base64.decode("YQ==") == "a" and base64.decode("YQ") == "a")
        local nothing, err = base64.decode("!")
        assert(nothing == nil and err.code == "not-base64")
        assert(hex.encode("\0\255") == "00ff" and hex.decode("00FF") == "\0\255")
        nothing, err = hex.decode("0")
        assert(nothing == nil and err.code == "not-hex")
        assert(crypto.sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        assert(crypto.hmac_sha256("key", "The quick brown fox jumps over the lazy dog")
            == "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8")
        assert(crypto.equal("a", "a") and not crypto.equal("a", "b") and not crypto.equal("a", "aa"))
        assert(#crypto.random_bytes(16) == 16 and crypto.random_bytes(16) ~= crypto.random_bytes(16))
        assert(string.match(uuid.v4(), "^%x+%-%x+%-4%x+%-%x+%-%x+$") and uuid.v4() ~= uuid.v4())
        assert(string.match(uuid.v7(), "^%x+%-%x+%-7%x+%-%x+%-%x+$"))
        "#,
    )
    .await;
}

#[tokio::test]
async fn time_is_told_moved_and_waited_for() {
    check(
        r#"
        local time = require("@std/time")
        local moment = time.parse("2024-02-28T23:00:00Z")
        assert(time.format(moment) == "2024-02-28T23:00:00Z")
        assert(time.format(time.add(moment, { days = 1, hours = 2 })) == "2024-03-01T01:00:00Z")
        assert(time.format(moment, "%d.%m.%Y %H:%M", "Europe/Lisbon") == "28.02.2024 23:00")
        local nothing, err = time.parse("soon")
        assert(nothing == nil and err.code == "bad-time")
        local before = time.now()
        time.sleep(0.02)
        assert(time.now() - before >= 0.02 and before > 1.7e9)
        assert(not pcall(time.sleep, -1) and not pcall(time.sleep, 0/0))
        "#,
    )
    .await;
}

#[tokio::test]
async fn calls_are_checked_before_they_leave() {
    let host = Arc::new(Echo::default());
    let script = r#"
        local mail, http, crypto = require("@std/mail"), require("@std/http"), require("@std/crypto")
        for _, call in {
            function() mail.send() end,
            function() mail.send({ to = 1, subject = "s", text = "t" }) end,
            function() mail.send({ to = { "a", 2 }, subject = "s", text = "t" }) end,
            function() mail.send({ to = "a", subject = "s" }) end,
            function() mail.send({ to = "a", text = "t" }) end,
            function() http.fetch() end,
            function() http.fetch("x", { timeout = "1" }) end,
            function() crypto.hash_password(1) end,
            function() crypto.verify_password("a") end,
        } do
            local ok, err = pcall(call)
            assert(not ok and err.code == "bad-argument", tostring(err))
        end
        context.runtime.AckMessage()
    "#;
    let report = run_with(script, json!({}), host.clone()).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    assert!(host.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_fetch_says_what_it_wants_and_reads_its_answer() {
    struct Web;
    impl lua_host::Host for Web {
        fn call(
            &self,
            call: lua_host::HostCall,
        ) -> futures::future::BoxFuture<'_, Result<serde_json::Value, lua_host::HostError>> {
            let asked = call.arguments;
            let expect = json!({
                "url": "https://example.com/", "method": "POST", "timeout": 2.5,
                "headers": { "x": "1", "content-type": "application/json" }, "body": "{\"a\":1}",
            });
            assert_eq!(asked, expect);
            Box::pin(async { Ok(json!({ "status": 201, "headers": {}, "body": "{\"id\":7}" })) })
        }
    }
    let script = r#"
        local options = { method = "post", headers = { x = 1 }, json = { a = 1 }, timeout = 2.5 }
        local answer = require("@std/http").fetch("https://example.com/", options)
        assert(answer.ok and answer.status == 201 and answer.json().id == 7)
        context.runtime.AckMessage()
    "#;
    assert_eq!(run_with(script, json!({}), Arc::new(Web)).await.verdict, Verdict::Acked);
}

#[tokio::test]
async fn the_machine_s_own_functions_keep_their_meaning() {
    check(
        r##"
        assert(string.find("hello", "l") == 3 and select(2, string.find("hello", "llo")) == 5)
        assert(string.find("a.b", ".", 1, true) == 2 and string.find("a.b", "%.") == 2 and string.find("abc", "x") == nil)
        assert(("hello"):find("l", -2) == 4 and ("x"):find("", 2) == 2 and ("x"):find("", 9) == nil)
        assert(string.find(123, 2) == 2 and select("#", ("abc"):find("(b)")) == 3)
        local parts = string.split("a,b,,c", ",")
        assert(#parts == 4 and parts[3] == "" and table.concat(string.split("abc", "")) == "abc" and #string.split("", ",") == 1)
        local list = { 3, 1, 2 }
        table.sort(list)
        assert(table.concat(list) == "123")
        table.sort(list, function(a, b) return a > b end)
        assert(table.concat(list) == "321")
        assert(table.concat(table.move({ 1, 2, 3 }, 1, 2, 2)) == "112")
        assert(#table.move({ 1, 2 }, 1, 2, 1, {}) == 2)
        assert(("abc"):gsub("b", "x") == "axc" and ("k=v"):match("(%w+)=(%w+)") == "k")
        local seen = {}
        for word in ("a b c"):gmatch("%a") do table.insert(seen, word) end
        assert(#seen == 3)
        local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end)
        assert(co(1) == 2 and co(5) == 10 and not pcall(co))
        local got = {}
        table.sort({ 2, 1 }, function(a, b)
            table.insert(got, coroutine.wrap(function() coroutine.yield(a) end)())
            local ok, value = coroutine.resume(coroutine.create(function() error("x", 0) end))
            assert(not ok and value == "x")
            return a < b
        end)
        assert(#got > 0)
        "##,
    )
    .await;
}

#[tokio::test]
async fn a_coroutine_that_computes_across_many_ticks_is_not_seen_to_yield() {
    let script = r#"
        local function work() local n = 0 for i = 1, 3000000 do n += i % 7 end return n end
        local inner = coroutine.wrap(function()
            local total = 0
            for round = 1, 3 do
                total += coroutine.wrap(work)()
                coroutine.yield(round)
            end
            return total
        end)
        assert(inner() == 1 and inner() == 2 and inner() == 3)
        assert(inner() == 3 * work())
        local calls = 0
        table.sort({ 3, 2, 1 }, function(a, b)
            calls += coroutine.wrap(work)() > 0 and 1 or 0
            return a < b
        end)
        assert(calls > 1)
        context.runtime.AckMessage()
    "#;
    let sandbox = sandbox(&[("h", &handler(script))]).await;
    let runs = (0..4).map(|_| sandbox.run(job("h", json!({})), Arc::new(Echo::default())));
    for report in futures::future::join_all(runs).await {
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
}

#[tokio::test]
async fn handlers_are_tested_in_lua() {
    let signup = handler(
        r#"
        local mail = require("@std/mail")
        if not context.message.body.email then return context.runtime.RejectMessage("no email") end
        local sent, err = mail.send({ to = context.message.body.email, subject = context.config.subject, text = "hi" })
        if not sent then context.log.warn("not sent", { code = err.code }) return context.runtime.RetryMessage(60) end
        context.runtime.AckMessage()
        "#,
    );
    let tests = r#"
        local json = require("@std/json")
        return {
            ["a mail is sent"] = function(t)
                local run = t.run("signup", { email = "ana@example.com" }, { config = { subject = "Welcome" } })
                t.expect(run.verdict).to_equal("ack")
                t.expect(#run.calls).to_equal(1)
                t.expect(run.calls[1]).to_equal({ module = "mail", ["function"] = "send",
                    arguments = { to = "ana@example.com", subject = "Welcome", text = "hi" } })
            end,
            ["a refused mail is tried again"] = function(t)
                local errors = { ["mail.send"] = { code = "full", message = "later", expected = true } }
                local run = t.run("signup", { email = "a" }, { config = { subject = "s" }, errors = errors })
                t.expect(run.verdict).to_equal("retry")
                t.expect(run.retry_after).to_equal(60)
                t.expect(run.log[1].fields.code).to_equal("full")
            end,
            ["no address is rejected"] = function(t)
                local run = t.run("shop/signup", {})
                t.expect(run.reason).to_equal("no email")
            end,
            ["this one fails"] = function(t) t.expect({ 1, 2 }).to_equal({ 1, 3 }) end,
            ["this one throws"] = function() error("oops", 0) end,
        }
    "#;
    let files =
        [("shop/signup", signup.as_str()), ("shop/tests/signup", tests), ("other/tests/broken", "return 1")];
    let sandbox = sandbox(&files).await;
    assert_eq!(sandbox.bundle().handlers().collect::<Vec<_>>(), ["shop/signup"]);
    let result = |name: &str, failure: Option<&str>| TestResult {
        file: "shop/tests/signup".into(),
        name: name.into(),
        failure: failure.map(str::to_owned),
    };
    let expect = [
        result("a mail is sent", None),
        result("a refused mail is tried again", None),
        result("no address is rejected", None),
        result("this one fails", Some("expected [1,3], got [1,2]")),
        result("this one throws", Some("oops")),
    ];
    assert_eq!(run_tests(&sandbox, Some("shop")).await, expect);
    let all = run_tests(&sandbox, None).await;
    assert_eq!(all.len(), 6);
    assert!(
        all[0].file == "other/tests/broken"
            && all[0].failure.as_deref().unwrap().contains("must return a table")
    );
}

#[tokio::test]
async fn every_function_of_a_library_has_its_editor_type() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../types/std");
    let names = ["base64", "crypto", "hex", "http", "json", "log", "mail", "time", "uuid"];
    let script = "for name in require('@std/' .. context.message.body) do context.log.info(name) end
        context.runtime.AckMessage()";
    let sandbox = sandbox(&[("h", &handler(script))]).await;
    for name in names {
        let types = std::fs::read_to_string(folder.join(format!("{name}.luau"))).unwrap();
        let report = sandbox.run(job("h", json!(name)), Arc::new(Echo::default())).await;
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
        assert!(!report.log.is_empty(), "{name}");
        for line in report.log {
            assert!(types.contains(&format!("\t{}: ", line.message)), "{name}.{} has no type", line.message);
        }
    }
    let all = lua_host::Bundle::from_dir(&folder);
    assert!(all.is_ok(), "{:?}", all.err());
}
