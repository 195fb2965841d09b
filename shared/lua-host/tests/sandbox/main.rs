//! The sandbox program that the tests of this crate start, with a way to try the walls from inside; and, with the argument
//! `parent`, a parent that the tests can kill.
#![allow(unsafe_code, reason = "some of what the walls must stop has no safe interface")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(
    clippy::disallowed_methods,
    reason = "what a sandbox finds in its environment, and how it breaks, is what is tested"
)]

use std::{collections::BTreeMap, fs::File, io, process::Command, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use lua_host::{Bundle, Host, HostCall, HostError, Job, Sandbox, SandboxConfig};

fn main() {
    lua_host::sandbox_entry_with_probe(probe);
    if std::env::args().nth(1).as_deref() == Some("parent") {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(parent());
    }
}

/// Tries one thing, given as `what argument`, and tells how it went.
fn probe(what: &str) -> String {
    let (what, argument) = what.split_once(' ').unwrap_or((what, ""));
    let pid = argument.parse().unwrap_or(0);
    let tried = match what {
        "environment" => return std::env::vars_os().count().to_string(),
        "spin" => loop {
            std::hint::spin_loop();
        },
        "abort" => std::process::abort(),
        "open" => File::open(argument).map(drop),
        "write" => File::create(argument).map(drop),
        "socket" => std::net::UdpSocket::bind("127.0.0.1:0").map(drop),
        "connect" => std::net::TcpStream::connect("127.0.0.1:1").map(drop),
        "exec" => Command::new("/bin/true").status().map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        // SAFETY: none of these touches memory of this process.
        "fork" => unsafe { told(libc::fork().into()) },
        "kill" => unsafe { told(libc::kill(pid, 0).into()) },
        "ptrace" => unsafe { told(libc::syscall(libc::SYS_ptrace, libc::PTRACE_ATTACH, pid, 0, 0)) },
        "read-memory" => unsafe {
            let nothing = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
            told(libc::process_vm_readv(pid, &nothing, 1, &nothing, 1, 0) as i64)
        },
        "change-limits" => unsafe {
            let much = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
            told(libc::setrlimit(libc::RLIMIT_NOFILE, &much).into())
        },
        "become-dumpable" => unsafe { told(libc::prctl(libc::PR_SET_DUMPABLE, 1).into()) },
        _ => Err(io::ErrorKind::InvalidInput.into()),
    };
    match tried {
        Ok(()) => "it worked".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn told(result: i64) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

struct Nobody;

impl Host for Nobody {
    fn call(&self, _: HostCall) -> BoxFuture<'_, Result<serde_json::Value, HostError>> {
        Box::pin(std::future::pending())
    }
}

/// Starts a sandbox, keeps one handler computing and one waiting in it, and tells its process.
async fn parent() {
    let busy = "return function(context) while true do end end";
    let waiting = "return function(context) require('@std/http').fetch('x') end";
    let files = [("busy.luau", busy), ("waiting.luau", waiting)];
    let bundle =
        Bundle::from_sources(files.map(|(name, source)| (name.to_owned(), source.to_owned()))).unwrap();
    let config = SandboxConfig::new(std::env::current_exe().unwrap());
    let sandbox = Sandbox::start(config, bundle).await.unwrap();
    let long = Duration::from_secs(600);
    let runs = ["busy", "waiting"].map(|handler| {
        let job = Job {
            handler: handler.to_owned(),
            context: serde_json::json!({}),
            body: "null".to_owned(),
            config: serde_json::json!({}),
            secrets: BTreeMap::new(),
            deadline: std::time::Instant::now() + long,
            cpu_budget: long,
        };
        let sandbox = sandbox.clone();
        async move { sandbox.run(job, Arc::new(Nobody)).await }
    });
    // SAFETY: reads one attribute of this process.
    let dumpable = unsafe { libc::prctl(libc::PR_GET_DUMPABLE) };
    println!("{} {dumpable}", sandbox.pid().unwrap());
    futures::future::join_all(runs).await;
}
