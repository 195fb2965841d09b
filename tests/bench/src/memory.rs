//! What a worker's memory comes to when every machine of its sandbox holds as much as it may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use lua_host::{Bundle, Host, HostCall, HostError, Job, Sandbox, SandboxConfig};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};

/// Takes memory until there is none, gives a little back, and waits at the door with the rest in its hands.
const FILLS: &str = r#"
local mail = require("@std/mail")
return function(context)
    local kept = {}
    for _, size in { 1048576, 65536, 4096 } do
        while true do
            local ok, piece = pcall(buffer.create, size)
            if not ok then
                break
            end
            table.insert(kept, piece)
        end
    end
    for _ = 1, 16 do
        table.remove(kept)
    end
    mail.send({ to = "a@example.com", subject = tostring(#kept), text = "full" })
    context.runtime.AckMessage()
end"#;

/// Says who has come, and lets nobody through before all have.
struct Gate {
    come: mpsc::UnboundedSender<()>,
    open: Semaphore,
}

impl Host for Gate {
    fn call(&self, _: HostCall) -> BoxFuture<'_, Result<Value, HostError>> {
        async {
            self.come.send(()).expect("the measurement listens");
            self.open.acquire().await.expect("the gate is never closed").forget();
            Ok(json!(true))
        }
        .boxed()
    }
}

/// Fills all machines and reads what the system says of both processes.
pub(crate) async fn measure() {
    let bundle = Bundle::from_sources([("bench/fills.luau".to_owned(), FILLS.to_owned())])
        .expect("the handler compiles");
    let program = std::env::current_exe().expect("this program has a path");
    let config = SandboxConfig::new(program);
    let (slots, limit) = (config.slots, config.memory_bytes_per_vm);
    let sandbox = Sandbox::start(config, bundle).await.expect("the sandbox starts");
    let pid = sandbox.pid().expect("it lives");
    let say = |when: &str| {
        let (parent, child) = (resident_mib(std::process::id()), resident_mib(pid));
        println!("{when}: parent {parent:.0} MiB, sandbox {child:.0} MiB");
    };
    say("nothing handled yet");
    let (come, mut arrivals) = mpsc::unbounded_channel();
    let gate = Arc::new(Gate { come, open: Semaphore::new(0) });
    let runs = join_all((0..slots).map(|_| sandbox.run(job(), Arc::clone(&gate) as Arc<dyn Host>)));
    let watched = async {
        for _ in 0..slots {
            arrivals.recv().await.expect("each handler comes to the gate");
        }
        say(&format!("{slots} machines, each full to {} MiB", limit >> 20));
        gate.open.add_permits(slots);
    };
    let (reports, ()) = tokio::join!(runs, watched);
    say("all handled");
    println!("verdicts: {:?}", reports.iter().map(|report| &report.verdict).collect::<Vec<_>>());
}

/// The resident memory of a process as Linux counts it.
fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

fn job() -> Job {
    Job {
        handler: "bench/fills".to_owned(),
        context: json!({"id": "0BF00000000000000000000000000", "queue": "bench", "handler": "fills", "attempt": 1, "sent_at": 0, "attributes": {}}),
        body: "{}".to_owned(),
        config: json!({}),
        secrets: BTreeMap::new(),
        deadline: Instant::now() + Duration::from_secs(60),
        cpu_budget: Duration::from_secs(30),
    }
}
