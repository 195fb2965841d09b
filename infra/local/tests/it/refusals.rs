//! What keeps a house from starting is one clear sentence and a non-zero exit.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::runner::{Runner, command};

/// The one line on standard error of a start that must fail.
fn refusal(data: &Path, arguments: &[&str]) -> String {
    let output = command(data, arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(output.stdout.is_empty(), "{:?}", output.stdout);
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    assert!(said.starts_with("queuelink: "), "{said}");
    for crash in ["panicked", "backtrace", "Error {", "Some("] {
        assert!(!said.contains(crash), "{said}");
    }
    said
}

#[test]
fn a_taken_port_and_an_address_of_another_machine_are_named() {
    let folder = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refusal(&folder.path().join("data"), &["--listen", &address]);
    assert!(
        said.contains(&format!("the address {address} is in use")) && said.contains("--listen"),
        "{said}"
    );
    let said = refusal(&folder.path().join("data"), &["--listen", "192.0.2.1:80"]);
    assert!(said.contains("cannot listen on 192.0.2.1:80"), "{said}");
}

#[test]
fn what_is_no_broker_is_named_by_its_option_and_quoted_nowhere() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let said = refusal(&data, &["--kafka", "nowhere"]);
    assert!(said.contains("--kafka: "), "{said}");
    for url in ["amqp://rabbit.example", "http://ada:s3cret@rabbit.example", "s3cret"] {
        let said = refusal(&data, &["--amqp", url]);
        assert!(said.contains("--amqp: ") && !said.contains("s3cret"), "{said}");
    }
}

#[test]
fn folders_that_cannot_be_used_are_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let said = refusal(&file.join("data"), &[]);
    assert!(said.contains("cannot be written to") && said.contains("--data-dir"), "{said}");
    let said = refusal(&folder.path().join("data"), &["--handlers-dir", "/nowhere/handlers"]);
    assert!(said.contains("/nowhere/handlers") && said.contains("--handlers-dir"), "{said}");
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    fs::write(broken.join("bad.luau"), "return function(").unwrap();
    let said = refusal(&folder.path().join("data"), &["--handlers-dir", broken.to_str().unwrap()]);
    assert!(said.contains("bad.luau"), "{said}");
}

#[test]
fn damaged_files_are_named_and_a_second_runner_is_kept_out() {
    let folder = TempDir::new().unwrap();
    let data = folder.path().join("data");
    let runner = Runner::start(&data, &["--no-samples"]);
    let said = refusal(&data, &[]);
    assert!(
        said.contains("in use by another queuelink") && said.contains(&runner.pid().to_string()),
        "{said}"
    );
    runner.interrupt();

    for name in
        ["format", "runtime.json", "ports.json", "mappings.json", "key", "dynamodb.sqlite", "sqs.sqlite"]
    {
        let file = data.join(name);
        let sound = fs::read(&file).ok();
        fs::write(&file, "no such thing as this file\n".repeat(500)).unwrap();
        let said = refusal(&data, &[]);
        assert!(said.contains(file.to_str().unwrap()) && said.contains("damaged"), "{name}: {said}");
        assert!(said.contains("restore it") || said.contains("move it away"), "{name}: {said}");
        match sound {
            Some(sound) => fs::write(&file, sound).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
    }
    fs::write(data.join("format"), "2").unwrap();
    let said = refusal(&data, &[]);
    assert!(said.contains("newer queuelink") && said.contains("--data-dir"), "{said}");
    fs::write(data.join("format"), "1").unwrap();
    fs::rename(data.join("key"), data.join("key.lost")).unwrap();
    let said = refusal(&data, &[]);
    assert!(said.contains("key") && said.contains("is missing"), "{said}");
    fs::rename(data.join("key.lost"), data.join("key")).unwrap();
    Runner::start(&data, &[]).interrupt();
}
