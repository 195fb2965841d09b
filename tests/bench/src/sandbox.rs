//! What the walls cost: the round trip through the sandbox process, beside the handler's own time within it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use lua_host::{Bundle, Host, HostCall, HostError, Job, Sandbox, SandboxConfig, Verdict};
use serde_json::{Value, json};

struct Closed;

impl Host for Closed {
    fn call(&self, _: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        async { Ok(json!(true)) }.boxed()
    }
}

const TINY: &str = "return function(context) context.runtime.AckMessage() end";
const TALKS: &str = r#"
local mail = require("@std/mail")
return function(context)
    mail.send({ to = "a@example.com", subject = "x", text = "y" })
    context.runtime.AckMessage()
end"#;

/// 20,000 runs one after the other, then ten side by side.
pub(crate) async fn measure() {
    let bundle = Bundle::from_sources([
        ("bench/tiny.luau".to_owned(), TINY.to_owned()),
        ("bench/talks.luau".to_owned(), TALKS.to_owned()),
    ])
    .expect("the handlers compile");
    let started = Instant::now();
    let program = std::env::current_exe().expect("this program has a path");
    let sandbox = Sandbox::start(SandboxConfig::new(program), bundle).await.expect("the sandbox starts");
    println!("sandbox process started in {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let body = json!({"handler": "tiny", "to": "a@example.com", "text": "x".repeat(800)}).to_string();
    for handler in ["bench/tiny", "bench/talks"] {
        let (mut whole, mut over) = (Vec::new(), Vec::new());
        for turn in 0..21_000 {
            let begun = Instant::now();
            let report = sandbox.run(job(handler, &body), Arc::new(Closed)).await;
            let took = begun.elapsed().as_secs_f64() * 1e6;
            assert_eq!(report.verdict, Verdict::Acked);
            if turn >= 1000 {
                whole.push(took);
                over.push(took - report.cpu_ms * 1e3);
            }
        }
        crate::spread(&format!("{handler}, whole run"), &mut whole);
        crate::spread(&format!("{handler}, less the handler's own processor time"), &mut over);
    }
    let begun = Instant::now();
    let rounds = 2000;
    for _ in 0..rounds {
        futures::future::join_all((0..10).map(|_| sandbox.run(job("bench/tiny", &body), Arc::new(Closed))))
            .await;
    }
    println!(
        "ten at once: {:.0} handlers per second",
        f64::from(rounds) * 10.0 / begun.elapsed().as_secs_f64()
    );
}

fn job(handler: &str, body: &str) -> Job {
    Job {
        handler: handler.to_owned(),
        context: json!({"id": "0BF00000000000000000000000000", "queue": "bench", "handler": handler, "attempt": 1, "sent_at": 0, "attributes": {}}),
        body: body.to_owned(),
        config: json!({}),
        secrets: BTreeMap::new(),
        deadline: Instant::now() + Duration::from_secs(10),
        cpu_budget: Duration::from_secs(1),
    }
}
