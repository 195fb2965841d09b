//! Handlers that mean harm, each stopped alone: nine neighbours on the other slots are settled, by the same process.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use lua_host::{FailureKind, Report, Sandbox, Verdict};
use serde_json::json;

use crate::house::{Echo, LONG, failure, handler, job, sandbox};

/// Long enough for a slow machine to start, short enough to wait for.
const BUDGET: Duration = Duration::from_millis(200);

const NEIGHBOUR: &str = r#"
    local mail, total = require("@std/mail"), 0
    for round = 1, 3 do
        for n = 1, 20000 do total += n end
        mail.send({ to = "a", subject = "s", text = tostring(total) })
    end
    context.runtime.AckMessage()
"#;

/// Runs an attack beside nine honest handlers and gives its report.
async fn beside_neighbours(sandbox: &Sandbox, attack: &str, budget: Duration) -> Report {
    let host = Arc::new(Echo::default());
    let mut bad = job(attack, json!({}));
    bad.cpu_budget = budget;
    let neighbours = (0..9).map(|_| sandbox.run(job("neighbour", json!({})), host.clone()));
    let (report, settled) = tokio::join!(sandbox.run(bad, host.clone()), join_all(neighbours));
    for neighbour in settled {
        assert_eq!(neighbour.verdict, Verdict::Acked, "beside {attack}");
    }
    report
}

async fn check(attacks: &[(&str, &str)], expect: FailureKind) {
    let sources: Vec<_> = attacks.iter().map(|(name, script)| (*name, handler(script))).collect();
    let neighbour = handler(NEIGHBOUR);
    let mut files: Vec<_> = sources.iter().map(|(name, source)| (*name, source.as_str())).collect();
    files.push(("neighbour", &neighbour));
    let sandbox = sandbox(&files).await;
    let pid = sandbox.pid();
    let mut escaped = Vec::new();
    for (name, _) in attacks {
        // Only what is stopped by its budget needs a short one.
        let budget = if expect == FailureKind::CpuLimit { BUDGET } else { LONG };
        let report = beside_neighbours(&sandbox, name, budget).await;
        if !matches!(&report.verdict, Verdict::Failed(error) if error.kind == expect) {
            escaped.push(format!("{name}: {:?} after {} ms", report.verdict, report.cpu_ms));
        }
        assert_eq!(sandbox.pid(), pid, "{name} took the sandbox with it");
    }
    assert!(escaped.is_empty(), "not {expect}:\n{}", escaped.join("\n"));
}

#[tokio::test]
async fn what_computes_for_ever_is_stopped_at_its_budget() {
    let attacks = [
        ("a loop", "while true do end"),
        ("a loop after an acknowledgement", "context.runtime.AckMessage() while true do end"),
        ("a loop that catches everything", "while true do pcall(function() while true do end end) end"),
        (
            "a loop that handles everything",
            "while true do xpcall(function() while true do end end, function() while true do end end) end",
        ),
        (
            "coroutines in a loop",
            "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        ),
        (
            "coroutines that yield",
            "local w = coroutine.wrap(function() while true do coroutine.yield() end end) while true do w() end",
        ),
        (
            "a coroutine in a coroutine",
            "local function deep(n) if n == 0 then while true do end end return coroutine.wrap(deep)(n - 1) end deep(50)",
        ),
        ("a comparator", "table.sort({ 3, 2, 1 }, function() while true do end end)"),
        (
            "a comparator that catches",
            "while true do pcall(table.sort, { 3, 2, 1 }, function() while true do pcall(error) end end) end",
        ),
        (
            "a coroutine in a comparator",
            "while true do pcall(table.sort, { 2, 1 }, function() coroutine.wrap(function() while true do end end)() end) end",
        ),
        (
            "a metamethod",
            "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
        ),
        ("a replacement", "string.gsub('x', 'x', function() while true do end end)"),
        (
            "an error that never tells",
            "error(setmetatable({}, { __tostring = function() while true do end end }))",
        ),
        (
            "a verdict that never tells",
            "context.runtime.RejectMessage(setmetatable({}, { __tostring = function() while true do end end }))",
        ),
        (
            "a pattern",
            "local s = string.rep('a', 50) string.find(s, string.rep('a?', 50) .. string.rep('a', 50) .. 'b')",
        ),
        (
            "a pattern over and over",
            "while true do pcall(string.match, string.rep('a', 30000), '.-.-.-b') end",
        ),
        ("a global pattern", "string.gsub(string.rep('a', 100000), '(.-)(.-)(.-)b', '')"),
        (
            "a plain search",
            "local s = string.rep('a', 8000000) for i = 1, 1e9 do string.find(s, string.rep('a', 4000000) .. 'b', 1, true) end",
        ),
        (
            "a split",
            "local s = string.rep('a', 4000000) while true do string.split(s, string.rep('a', 1000000) .. 'b') end",
        ),
        ("a split into nothing", "while true do string.split(string.rep('a', 100000), '') end"),
        (
            "a sort of two long strings",
            "local a, t = string.rep('a', 4000000), {} local x, y = a .. 'x', a .. 'y' for i = 1, 200000 do t[i] = if i % 2 == 0 then x else y end table.sort(t)",
        ),
        (
            "table.move over and over",
            "local t = table.create(100000, 1) while true do table.move(t, 1, 100000, 2) end",
        ),
        (
            "table.concat over and over",
            "local t = table.create(100000, 'x') while true do table.concat(t) end",
        ),
        (
            "table.insert at the front",
            "local t = table.create(1000000, 1) while true do table.insert(t, 1, 1) table.remove(t, 1) end",
        ),
        ("string.rep over and over", "while true do local s = string.rep('x', 1000000) end"),
        ("string.rep of nothing", "while true do string.rep('', 2147483647) end"),
        ("string.format over and over", "while true do string.format('%99.99f', 1.1) end"),
        (
            "a flood of output",
            "while true do context.log.info(string.rep('x', 10000), { a = { b = 'c' } }) end",
        ),
        (
            "a flood of fields",
            "local t = {} for i = 1, 1000 do t['k' .. i] = i end while true do context.log.info('x', t) end",
        ),
        (
            "a flood of verdicts",
            "local n = 0 while true do n += 1 context.runtime.RejectMessage(tostring(n)) end",
        ),
        (
            "json over and over",
            "local json, t = require('@std/json'), {} for i = 1, 50 do t = { t } end while true do pcall(json.encode, t) end",
        ),
        (
            "a shared value that unfolds",
            "local json, t = require('@std/json'), {} for i = 1, 60 do t = { t, t } end while true do pcall(json.encode, t) end",
        ),
        ("require over and over", "while true do pcall(require, '@pkg/none') end"),
        ("the wish to wait", "while true do pcall(coroutine.yield) end"),
    ];
    // The last one waits for nobody: a kind of its own.
    check(&attacks[..attacks.len() - 1], FailureKind::CpuLimit).await;
    check(&attacks[attacks.len() - 1..], FailureKind::Threw).await;
}

#[tokio::test]
async fn what_hoards_memory_is_stopped_at_its_limit() {
    check(
        &[
            ("a table", "local t = {} for i = 1, 1e9 do t[i] = { i } end"),
            ("a string", "local s = 'x' while true do s = s .. s end"),
            ("string.rep", "local s = string.rep('x', 900000000)"),
            ("table.create", "local t = table.create(50000000, 1)"),
            ("buffers", "local t = {} for i = 1, 1e9 do t[i] = buffer.create(10000000) end"),
            (
                "a replacement that grows",
                "local s = string.gsub(string.rep('x', 100000), 'x', string.rep('y', 10000))",
            ),
            ("table.concat", "table.concat(table.create(100000, string.rep('x', 10000)))"),
            ("string.split", "string.split(string.rep(',', 30000000), ',')"),
            ("coroutines", "local t = {} for i = 1, 1e9 do t[i] = coroutine.create(print or error) end"),
            ("closures", "local t = {} for i = 1, 1e9 do t[i] = function() return i end end"),
            ("keys", "local t = {} for i = 1, 1e9 do t['k' .. i] = true end"),
            (
                "long numbers, which lie outside of the machine",
                "local json, t = require('@std/json'), {}
                 local s = '[' .. string.rep(string.rep('7', 1000) .. ',', 1000) .. '1]'
                 for i = 1, 1e9 do t[i] = json.decode(s) end",
            ),
        ],
        FailureKind::MemoryLimit,
    )
    .await;
}

#[tokio::test]
async fn what_catches_its_lack_of_memory_meets_the_other_limit() {
    check(
        &[(
            "a hoarder",
            "while true do pcall(function() local t = {} for i = 1, 1e9 do t[i] = { i } end end) end",
        )],
        FailureKind::CpuLimit,
    )
    .await;
}

#[tokio::test]
async fn what_cannot_be_kept_or_is_not_there_is_an_error_of_the_handler() {
    check(
        &[
            ("a deep table for the host", "local t = {} for i = 1, 100000 do t = { t } end require('@std/http').fetch('x', { headers = {}, json = t })"),
            ("a deep table as json", "local t = {} for i = 1, 100000 do t = { t } end require('@std/json').encode(t)"),
            ("deep json", "require('@std/json').decode(string.rep('[', 1000000))"),
            ("a tail recursion", "local function f() return f() end f()"),
            ("a deep recursion", "local function f() return 1 + f() end f()"),
            ("a deep error", "local function f(n) if n > 0 then return 1 + f(n - 1) end error({ message = 'x' }) end f(10000)"),
            ("os", "os.execute('true')"),
            ("io", "io.open('/etc/passwd')"),
            ("loadstring", "loadstring('return 1')()"),
            ("bytecode", "assert(load or loadstring, 'nothing loads code')('\\27Lua')"),
            ("getfenv", "getfenv(0).x = 1"),
            ("setfenv", "setfenv(1, {})"),
            ("newproxy", "newproxy(true)"),
            ("debug", "debug.getregistry()"),
            ("collectgarbage", "collectgarbage('stop')"),
            ("a long move", "table.move({}, 1, 1e15, 2)"),
            ("a move to nowhere", "table.move({}, 0/0, 1, 2)"),
            ("a long pattern", "string.find(string.rep('a', 10000000), '[' .. string.rep('b', 10000) .. 'a]*c')"),
        ],
        FailureKind::Threw,
    )
    .await;
}

#[tokio::test]
async fn what_is_too_much_for_the_door_is_an_output_beyond_its_limit() {
    check(
        &[
            (
                "a long mail",
                "require('@std/mail').send({ to = 'a', subject = 's', text = string.rep('x', 3000000) })",
            ),
            ("a long text", "require('@std/json').encode({ string.rep('x', 3000000) })"),
        ],
        FailureKind::OutputLimit,
    )
    .await;
}

#[tokio::test]
async fn a_flood_of_output_keeps_its_end() {
    let source =
        handler("for n = 1, 100000 do context.log.info('line ' .. n) end context.runtime.AckMessage()");
    let sandbox = sandbox(&[("h", &source)]).await;
    let report = sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await;
    assert_eq!(report.verdict, Verdict::Acked);
    assert!(report.log_truncated);
    assert_eq!(report.log.last().unwrap().message, "line 100000");
    let bytes: usize = report.log.iter().map(|line| line.message.len()).sum();
    assert!(bytes <= 16 << 10, "{bytes}");
}

#[tokio::test]
async fn a_finalizer_does_not_run_and_a_reserved_metatable_is_safe() {
    let source = handler(
        "local t = setmetatable({}, { __gc = function() while true do end end }) t = nil
         for i = 1, 100000 do local x = {} end
         assert(getmetatable('').__index == string and not pcall(setmetatable, 'x', {}))
         context.runtime.AckMessage()",
    );
    let sandbox = sandbox(&[("h", &source)]).await;
    let report = sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
}

#[tokio::test]
async fn a_machine_that_met_a_limit_is_replaced() {
    let hog = handler("local t = {} for i = 1, 1e9 do t[i] = { i } end");
    let good = handler("local t = table.create(100000, 1) context.runtime.AckMessage()");
    let sandbox = sandbox(&[("hog", &hog), ("good", &good)]).await;
    for _ in 0..3 {
        let report = sandbox.run(job("hog", json!({})), Arc::new(Echo::default())).await;
        assert_eq!(failure(&report).kind, FailureKind::MemoryLimit);
        let report = sandbox.run(job("good", json!({})), Arc::new(Echo::default())).await;
        assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
    }
}

#[tokio::test]
async fn long_numbers_that_are_garbage_are_no_hoard() {
    // More than twice the room that one machine has for them.
    let source = handler(
        "local json = require('@std/json')
         local s = '[' .. string.rep(string.rep('7', 1000) .. ',', 1000) .. '1]'
         for i = 1, 40 do assert(#json.decode(s) == 1001) end
         context.runtime.AckMessage()",
    );
    let sandbox = sandbox(&[("h", &source)]).await;
    let report = sandbox.run(job("h", json!({})), Arc::new(Echo::default())).await;
    assert_eq!(report.verdict, Verdict::Acked, "{report:?}");
}
