//! Instructions from the start of a bootstrap to its first `/next`, counted by valgrind: the same on every machine.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

/// Starts `binary` under callgrind with a whole environment, and ends it (by its pid) at its first request.
pub(crate) async fn measure(binary: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("an address").to_string();
    let empty = empty_table().await;
    let folder = tempfile::tempdir().expect("a folder");
    let handlers = folder.path().join("handlers");
    std::fs::create_dir_all(&handlers).expect("a folder of handlers");
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", binary])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", "bench")
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
        .envs([("AWS_REGION", "us-east-1"), ("ACCOUNT_ID", "000000000000"), ("STACK_NAME", "bench")])
        .envs([("AWS_ACCESS_KEY_ID", "bench"), ("AWS_SECRET_ACCESS_KEY", "bench")])
        .envs([
            ("CATALOG_TABLE", "catalog"),
            ("MESSAGES_TABLE", "messages"),
            ("RECORDS_TABLE", "records"),
            ("OUTBOX_TABLE", "outbox"),
            ("JOBS_QUEUE", "bench-jobs"),
            ("RETRY_QUEUE", "bench-retry"),
            ("WORKER_FUNCTION", "sqs-worker"),
        ])
        .env("KMS_KEY_ID", "alias/bench")
        .env("AWS_ENDPOINT_URL_DYNAMODB", empty)
        .env("HANDLERS_DIR", &handlers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("valgrind is on this machine");
    let pid = child.id().expect("it runs").to_string();
    let mut ends = tokio::spawn(child.wait_with_output());
    let (mut line, _) = tokio::select! {
        called = listener.accept() => called.expect("the bootstrap calls"),
        ended = &mut ends => {
            let output = ended.expect("no panic").expect("it ends");
            panic!("{binary} ended before it called: {}", String::from_utf8_lossy(&output.stderr));
        }
    };
    let mut request = [0; 1024];
    let length = line.read(&mut request).await.expect("a request");
    assert!(
        request[..length].starts_with(b"GET /2018-06-01/runtime/invocation/next"),
        "its first call is /next"
    );
    Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill");
    let _ = line.shutdown().await;
    let output = ends.await.expect("no panic").expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    let count =
        said.lines().rev().find_map(|line| line.split_once("Collected : ")).map_or("not told", |(_, n)| n);
    let size = std::fs::metadata(binary).map_or(0, |file| file.len());
    let name = Path::new(binary).file_name().unwrap_or_default().to_string_lossy();
    println!("{name}: {count} instructions to the first /next, {:.1} MB", size as f64 / 1e6);
}

/// The address of a table in which nothing is found: a worker asks at its start which packages are released.
async fn empty_table() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let nothing = "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        while let Ok((mut line, _)) = listener.accept().await {
            let mut request = [0; 8192];
            // A question is small enough to come in one piece or two; its end is the end of its JSON.
            let mut read = 0;
            while !request[..read].ends_with(b"}") {
                match line.read(&mut request[read..]).await {
                    Ok(more) if more > 0 => read += more,
                    _ => break,
                }
            }
            let _ = line.write_all(nothing.as_bytes()).await;
        }
    });
    format!("http://{address}")
}
