//! Packages as a developer releases them: over HTTP, into a running house.

mod edge;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use queuelink::Options;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::house::TestHouse;
use crate::support::recorder::Recorder;
use crate::survive::Process;

/// A house whose clock a test may move on: workers look for releases every 5 s by it.
struct Shop {
    house: TestHouse,
    recorder: Recorder,
    ahead_secs: Arc<AtomicI64>,
    probes: AtomicUsize,
}

impl Shop {
    async fn open() -> Shop {
        Shop::with(|_| ()).await
    }

    /// With other options.
    async fn with(change: impl FnOnce(&mut Options)) -> Shop {
        let ahead_secs = Arc::new(AtomicI64::new(0));
        let hands = Arc::clone(&ahead_secs);
        let clock =
            Clock::new(move || Timestamp::now() + SignedDuration::from_secs(hands.load(Ordering::SeqCst)));
        let house = TestHouse::start_with(|options| {
            options.clock = clock;
            change(options);
        })
        .await;
        house.queue(json!({"name": "work"})).await;
        Shop { house, recorder: Recorder::start(1).await, ahead_secs, probes: AtomicUsize::new(0) }
    }

    /// The next batch looks for releases.
    fn later(&self) {
        self.ahead_secs.fetch_add(6, Ordering::SeqCst);
    }

    /// Releases these files and wants a 201.
    async fn release(&self, package: &str, files: Value) -> Value {
        let answer = self.house.post(&format!("package/{package}/release"), &json!({"files": files})).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        self.later();
        answer.body
    }

    async fn activate(&self, package: &str, release: Value) {
        let body = json!({"release": release});
        let answer = self.house.put(&format!("package/{package}/active"), &body).await;
        assert_eq!((answer.status, &answer.body["active"]), (200, &release), "{}", answer.body);
        self.later();
    }

    async fn publish(&self, handler: &str, name: &str) -> String {
        let payload = json!({"handler": handler, "recorder": self.recorder.url, "name": name});
        self.house.publish("work", &payload).await
    }

    async fn told(&self, what: &str) {
        eventually(what, 150, async || (self.recorder.count(what) > 0).then_some(())).await;
    }

    /// Publishes one more message, and waits until it was handled: the word that its handler told, or else its letter.
    async fn probe(&self, queue: &str, handler: &str) -> Result<String, Value> {
        let name = format!("probe-{}", self.probes.fetch_add(1, Ordering::SeqCst));
        let payload = json!({"handler": handler, "recorder": self.recorder.url, "name": name});
        let id = self.house.publish(queue, &payload).await;
        let end = format!("/{name}");
        eventually("the probe is handled", 150, async || {
            let told = self.recorder.told();
            if let Some(word) = told.iter().find_map(|told| told.strip_suffix(&end)) {
                return Some(Ok(word.to_owned()));
            }
            let letter = self.house.get(&format!("dead-letter/{id}")).await;
            (letter.status == 200).then_some(Err(letter.body))
        })
        .await
    }

    /// Publishes one message after the other until the handler tells a word that `is_so`, or one of them becomes a letter. A look
    /// at what is released may take longer than its batch waits for it: that batch runs what was known before, and one behind it
    /// what was released.
    async fn probe_until(
        &self,
        queue: &str,
        handler: &str,
        is_so: impl Fn(&str) -> bool,
    ) -> Result<String, Value> {
        let mut seen = Vec::new();
        loop {
            let word = self.probe(queue, handler).await?;
            if is_so(&word) {
                return Ok(word);
            }
            seen.push(word);
            assert!(seen.len() < 20, "what was released is not at work: {seen:?}");
        }
    }

    /// Waits until `handler` tells `word`.
    async fn until_at_work(&self, queue: &str, handler: &str, word: &str) {
        let told = self.probe_until(queue, handler, |told| told == word).await;
        assert!(told.is_ok(), "{told:?}");
    }

    /// Waits until there is no such handler any more; a letter that says so.
    async fn until_unknown(&self, handler: &str) -> Value {
        self.probe_until("work", handler, |_| false).await.unwrap_err()
    }

    async fn letter(&self, id: &str) -> Value {
        let letter = eventually("the letter is kept", 150, async || {
            Some(self.house.get(&format!("dead-letter/{id}")).await).filter(|answer| answer.status == 200)
        });
        letter.await.body
    }
}

/// A handler that tells the recorder `word` and what its message is called.
fn teller(word: &str) -> String {
    format!(
        "local http = require('@std/http')
        return function(context)
            local body = context.message.body
            http.fetch(body.recorder .. '/{word}/' .. body.name)
            context.runtime.AckMessage()
        end"
    )
}

/// How many processes were started as `program`.
fn processes_of(program: &Path) -> usize {
    let program = program.as_os_str().as_encoded_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| line.starts_with(program)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_at_work_within_ten_seconds_and_rolls_back_in_one_call() {
    // By the real clock: this is the promise itself.
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    house.queue(json!({"name": "work", "default-handler": "done"})).await;
    let seen = async |word: &str| {
        let released = Instant::now();
        loop {
            let is_due = released.elapsed() >= Duration::from_secs(10);
            // One after the other: none waits behind those before it.
            let name = format!("a{}", recorder.told().len());
            let payload = json!({"handler": "shop/pay", "recorder": recorder.url, "name": name});
            house.publish("work", &payload).await;
            let end = format!("/{name}");
            let told = eventually("the message is handled", 150, async || {
                recorder.told().into_iter().find(|told| told.ends_with(&end))
            })
            .await;
            if told.starts_with(word) {
                return;
            }
            assert!(!is_due, "published 10 s after the release of {word}, a message was handled as {told}");
        }
    };
    for word in ["one", "two"] {
        let files = json!({"pay.luau": teller(word), "lib/x.luau": "return {}"});
        let answer = house.post("package/shop/release", &json!({"files": files, "note": word})).await;
        assert_eq!((answer.status, &answer.body["active"]), (201, &json!(true)), "{}", answer.body);
        let created: Timestamp = answer.text("created-at").parse().unwrap();
        let known: Timestamp = answer.text("active-from").parse().unwrap();
        assert_eq!(known.duration_since(created), SignedDuration::from_secs(10));
        seen(word).await;
    }
    let back = house.put("package/shop/active", &json!({"release": 1})).await;
    assert_eq!(back.status, 200, "{}", back.body);
    seen("one").await;
    let package = house.get("package/shop").await.body;
    assert_eq!((&package["active"], &package["latest"]), (&json!(1), &json!(2)));
    let notes: Vec<&Value> =
        package["releases"].as_array().unwrap().iter().map(|release| &release["note"]).collect();
    assert_eq!(notes, ["two", "one"], "newest first");
    house.stop().await;
}

/// By the real clock: workers look every 5 s, and this message does not wait for that.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_sent_right_after_the_first_release_of_its_handler_is_no_dead_letter() {
    let house = TestHouse::start().await;
    let recorder = Recorder::start(1).await;
    house.queue(json!({"name": "work"})).await;
    let files = json!({"pay.luau": teller("one")});
    assert_eq!(house.post("package/shop/release", &json!({"files": files})).await.status, 201);
    let payload = json!({"handler": "shop/pay", "recorder": recorder.url, "name": "a"});
    let id = house.publish("work", &payload).await;
    eventually("the message is handled", 150, async || (recorder.count("one/a") == 1).then_some(())).await;
    assert_eq!(house.get(&format!("dead-letter/{id}")).await.status, 404);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_flight_ends_on_the_release_it_began_with() {
    // A path of its own, by which its sandboxes can be told from other tests'.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("sandbox");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_it-queuelink"), &program).unwrap();
    let shop = Shop::with(|options| options.sandbox_program = program.clone()).await;
    shop.house.queue(json!({"name": "second"})).await;
    let waiter = |word: &str| {
        teller(word).replace(
            "local body = context.message.body",
            "local body = context.message.body
            while http.fetch(body.recorder .. '/gate/' .. body.name).status ~= 200 do
                require('@std/time').sleep(0.1)
            end
            local later = require('./lib/later')",
        )
    };
    let files = |word: &str| json!({"wait.luau": waiter(word), "see.luau": teller(word), "lib/later.luau": "return 1"});
    shop.release("shop", files("old")).await;
    shop.publish("shop/wait", "first").await;
    let waiting = async |count: usize| {
        eventually("they wait at the gate", 150, async || (shop.recorder.waiting() == count).then_some(()))
            .await;
    };
    waiting(1).await;
    let alone = async || {
        eventually("one sandbox alone", 150, async || (processes_of(&program) == 1).then_some(())).await;
    };
    alone().await;
    shop.release("shop", files("new")).await;
    shop.until_at_work("second", "shop/see", "new").await;
    let payload = json!({"handler": "shop/wait", "recorder": shop.recorder.url, "name": "second"});
    shop.house.publish("second", &payload).await;
    waiting(2).await;
    shop.recorder.open();
    shop.told("new/second").await;
    shop.told("old/first").await;
    assert_eq!(shop.recorder.count("new/first") + shop.recorder.count("old/second"), 0);
    alone().await;
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_released_package_takes_the_place_of_the_shipped_one_until_it_is_taken_back() {
    let shop = Shop::open().await;
    // `shipped` is what the worker brought along, under the same name as the package to come.
    shop.release("shop", json!({"pay.luau": teller("one")})).await;
    shop.publish("shop/pay", "a").await;
    shop.told("one/a").await;
    shop.activate("shop", Value::Null).await;
    let letter = shop.until_unknown("shop/pay").await;
    assert_eq!(letter["rounds"][0]["reason"]["code"], "unknown-handler", "{letter}");
    shop.activate("shop", json!(1)).await;
    shop.publish("shop/pay", "c").await;
    shop.told("one/c").await;
    assert_eq!(shop.house.delete("package/shop").await.status, 204);
    assert_eq!(shop.house.get("package/shop").await.status, 404);
    assert_eq!(shop.house.delete("package/shop").await.status, 404);
    shop.later();
    shop.until_unknown("shop/pay").await;
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_releases_at_once_have_ten_numbers() {
    let shop = Shop::open().await;
    let made = (0..10).map(|n| shop.release("shop", json!({"pay.luau": format!("return {n}")})));
    let mut numbers: Vec<u64> = futures::future::join_all(made)
        .await
        .iter()
        .map(|release| release["release"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert_eq!(shop.house.get("package/shop").await.body["latest"], 10);
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_requires_another_that_is_released_after_it() {
    let shop = Shop::open().await;
    let pay = "local http = require('@std/http')
        return function(context)
            local body = context.message.body
            http.fetch(body.recorder .. '/' .. require('@pkg/prices/list') .. '/' .. body.name)
            context.runtime.AckMessage()
        end";
    shop.release("shop", json!({"pay.luau": pay})).await;
    let id = shop.publish("shop/pay", "early").await;
    let letter = shop.letter(&id).await;
    assert!(letter.to_string().contains("@pkg/prices/list"), "{letter}");
    for word in ["five", "six"] {
        shop.release("prices", json!({"lib/list.luau": format!("return '{word}'")})).await;
        shop.until_at_work("work", "shop/pay", word).await;
    }
    // Now that it is there, what it lacks can be told at save.
    let gone = json!({"files": {"pay.luau": "return require('@pkg/prices/gone')"}});
    let answer = shop.house.post("package/shop/release", &gone).await;
    assert_eq!(
        (answer.status, &answer.errors()[0]["path"]),
        (422, &json!("files/pay.luau")),
        "{}",
        answer.body
    );
    shop.house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_seen_by_the_handlers_of_its_package_and_by_nobody_else() {
    let shop = Shop::open().await;
    let canary = "sk_live_CANARY_\u{1F511}";
    let spy = "local http = require('@std/http')
        return function(context)
            local body, seen = context.message.body, {}
            for name, value in context.secrets do
                table.insert(seen, name .. '=' .. value)
            end
            http.fetch(body.recorder .. '/echo', { method = 'POST', body = body.name .. ':' .. table.concat(seen, ',') })
            context.log.info('seen ' .. table.concat(seen), { secrets = context.secrets })
            error('it fails with ' .. table.concat(seen))
        end";
    let declared = json!({"spy.luau": spy, "package.json": "{\"secrets\":[\"STRIPE_KEY\",\"UNSET\"]}"});
    let set = async |package: &str, name: &str, value: &str| {
        let path = format!("package/{package}/secret/{name}");
        let answer = shop.house.put(&path, &json!({"value": value})).await;
        assert_eq!((answer.status, answer.body), (204, Value::Null));
    };
    // Before the release that declares it.
    set("shop", "STRIPE_KEY", canary).await;
    set("shop", "UNDECLARED", canary).await;
    set("other", "STRIPE_KEY", canary).await;
    shop.release("shop", declared.clone()).await;
    shop.release("other", json!({"spy.luau": spy})).await;
    let own = shop.publish("shop/spy", "own").await;
    let other = shop.publish("other/spy", "other").await;
    shop.told(&format!("own:STRIPE_KEY={canary}")).await;
    shop.told("other:").await;
    let letters = [shop.letter(&own).await, shop.letter(&other).await];
    let text = letters[0].to_string();
    assert!(text.contains("[secret STRIPE_KEY]") && text.contains("RELEASE shop@1"), "{text}");
    let package = shop.house.get("package/shop").await.body;
    let expect = json!({
        "STRIPE_KEY": {"set": true, "declared": true},
        "UNDECLARED": {"set": true, "declared": false},
        "UNSET": {"set": false, "declared": true},
    });
    assert_eq!(package["secrets"], expect);
    let mut answers = letters.to_vec();
    for path in ["package", "package/shop", "package/shop/release/1", "package/other", "queue"] {
        answers.push(shop.house.get(path).await.body);
    }
    assert!(!answers.iter().any(|answer| answer.to_string().contains("CANARY")), "{answers:?}");
    // A change of it is as soon at work as a release.
    set("shop", "STRIPE_KEY", "sk_live_2").await;
    shop.later();
    shop.publish("shop/spy", "changed").await;
    shop.told("changed:STRIPE_KEY=sk_live_2").await;
    let forget = "package/shop/secret/STRIPE_KEY";
    assert_eq!(shop.house.delete(forget).await.status, 204);
    assert_eq!(shop.house.delete(forget).await.status, 404);
    shop.later();
    shop.publish("shop/spy", "gone").await;
    shop.told("gone:").await;
    shop.house.stop_and_search("CANARY").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_was_answered_survives_a_kill() {
    let data = tempfile::tempdir().unwrap();
    let recorder = Recorder::start(1).await;
    let first = Process::start(data.path()).await;
    let (status, answer) = first.post("queue", &json!({"name": "kept", "type": "sqs"})).await;
    assert_eq!(status, 201, "{answer}");
    let (status, answer) =
        first.post("package/shop/release", &json!({"files": {"pay.luau": teller("kept")}})).await;
    assert_eq!(status, 201, "{answer}");
    first.kill_9();

    let second = Process::start(data.path()).await;
    // The worker read the set at its start: the very first message finds the release.
    let payload = json!({"handler": "shop/pay", "recorder": recorder.url, "name": "a"});
    let (status, answer) = second.post("queue/a/kept/publish", &payload).await;
    assert_eq!(status, 200, "{answer}");
    eventually("the release is at work", 150, async || (recorder.count("kept/a") == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_pushed_by_the_command_line() {
    let shop = Shop::open().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("shop/pay.luau", &teller("pushed"));
    write("shop/lib/price.luau", "return 5");
    write("key", &format!("{}\n", shop.house.admin_key));
    let push = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_it-queuelink"))
            .current_dir(folder.path())
            .args(["package", "push", "shop"])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.success(), text)
    };
    let api = shop.house.api().to_owned();
    let there = ["--api", api.as_str(), "--key-file", "key"];
    let (pushed, text) = push(&there);
    assert!(pushed && text.starts_with("shop@1\n  shop/pay\nat work everywhere from "), "{text}");
    shop.later();
    shop.publish("shop/pay", "a").await;
    shop.told("pushed/a").await;
    write("shop/lib/price.luau", "return 5 +");
    let (pushed, text) = push(&there);
    assert!(!pushed && text.contains("lib/price.luau: line 1: "), "{text}");
    // No house has its data here.
    let (pushed, text) = push(&[]);
    assert!(!pushed && text.contains("no house has run in .queuelink"), "{text}");
    write("key", "ql_wrong");
    let (pushed, text) = push(&there);
    assert!(!pushed && text.contains("401"), "{text}");
    shop.house.stop().await;
}
