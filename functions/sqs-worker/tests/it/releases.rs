//! Releases that cannot be loaded: saved by another version of us, half lost, with a secret that does not open.

use domain::{PackageFile, PackageName, Secret, SecretName};

use crate::bench::{Bench, handler, names, record};

const ACK: &str = "return function(context) context.runtime.AckMessage() end";
const THROW: &str = "return function() error('of the old release') end";

/// Makes the release that is active in the package `bad` one that nobody can load.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Syntax,
    NoManifest,
    NoFile,
    Secret,
}

const HARMS: [Harm; 4] = [Harm::Syntax, Harm::NoManifest, Harm::NoFile, Harm::Secret];

impl Harm {
    async fn is_done_to(self, bench: &Bench) {
        match self {
            Harm::Syntax => bench.release("bad", &[("pay.luau", "local =")]).await,
            Harm::NoManifest => {
                bench.release("bad", &[("pay.luau", "return 1")]).await;
                let name = PackageName::parse("bad").unwrap();
                let latest = bench.catalog.package(&name).await.unwrap().unwrap().latest;
                bench.double.lose("package#bad", &format!("r#{latest:012}"));
            }
            Harm::NoFile => {
                bench.release("bad", &[("pay.luau", "return 2")]).await;
                let hash = PackageFile::of("return 2").hash.map(|byte| format!("{byte:02x}")).concat();
                bench.double.lose(&format!("file#{hash}"), "p#000");
            }
            Harm::Secret => {
                let (name, key) = (PackageName::parse("bad").unwrap(), SecretName::parse("KEY").unwrap());
                let other = SecretName::parse("OTHER").unwrap();
                let sealed = bench.sealer.seal_secret(&name, &other, &Secret::new("s3cret")).await.unwrap();
                bench.catalog.set_package_secret(&name, &key, &sealed).await.unwrap();
                let settings = "{\"secrets\":[\"KEY\"]}";
                bench.release("bad", &[("pay.luau", ACK), ("package.json", settings)]).await;
            }
        }
    }
}

#[tokio::test]
async fn a_package_that_cannot_be_loaded_costs_only_its_own_messages_their_time() {
    for harm in HARMS {
        let bench =
            Bench::with_queue("orders", |queue| queue.default_handler = handler("bench/reject")).await;
        bench.release("good", &[("fine.luau", ACK)]).await;
        harm.is_done_to(&bench).await;
        let cold = bench.another().await;
        bench.double.calls();
        let batch = vec![
            record("shipped", "bench/ack", 1),
            record("released", "good/fine", 1),
            record("full", "bad/pay", 1),
            record("short", "pay", 1),
        ];
        assert_eq!(cold.run(batch).await, ["full", "short"], "{harm:?}");
        let calls = bench.double.calls();
        assert!(
            !names(&calls).contains(&"UpdateItem") && !names(&calls).contains(&"SendMessage"),
            "{harm:?}"
        );
        // Nothing that is no name of it waits for it.
        assert!(cold.run(vec![record("poison", "good/gone", 1)]).await.is_empty(), "{harm:?}");
        assert_eq!(cold.letters("poison").await[0].reason.code, "rejected");
        // It heals as any release does.
        bench.release("bad", &[("pay.luau", ACK), ("lib/x.luau", "return 1")]).await;
        cold.later();
        assert!(cold.run(vec![record("full", "bad/pay", 2), record("short", "pay", 2)]).await.is_empty());
    }
}

#[tokio::test]
async fn a_module_of_a_package_that_cannot_be_loaded_is_waited_for() {
    let bench = Bench::with_queue("orders", |queue| queue.max_failures = 1).await;
    let needy = "require('@pkg/bad/x') return function(context) context.runtime.AckMessage() end";
    bench.release("needy", &[("go.luau", needy)]).await;
    Harm::Syntax.is_done_to(&bench).await;
    let cold = bench.another().await;
    assert_eq!(cold.run(vec![record("m", "needy/go", 1)]).await, ["m"]);
    assert!(cold.letters("m").await.is_empty());
    bench.release("bad", &[("lib/x.luau", "return 1")]).await;
    cold.later();
    assert!(cold.run(vec![record("m", "needy/go", 2)]).await.is_empty());
    assert!(cold.letters("m").await.is_empty());
}

#[tokio::test]
async fn a_worker_at_work_keeps_the_old_release_of_what_it_cannot_load_and_takes_the_rest() {
    for harm in HARMS {
        let bench = Bench::with_queue("orders", |_| {}).await;
        bench.release("bad", &[("pay.luau", ACK)]).await;
        bench.release("good", &[("fine.luau", THROW)]).await;
        bench.later();
        assert_eq!(bench.run(vec![record("a", "bad/pay", 1), record("b", "good/fine", 1)]).await, ["b"]);
        harm.is_done_to(&bench).await;
        bench.release("good", &[("fine.luau", ACK)]).await;
        bench.later();
        let batch = vec![record("c", "bad/pay", 1), record("d", "good/fine", 1)];
        assert!(bench.run(batch).await.is_empty(), "{harm:?}");
        // Another look at what still cannot be loaded starts nothing anew.
        bench.later();
        assert!(bench.run(vec![record("e", "bad/pay", 1)]).await.is_empty(), "{harm:?}");
    }
}

#[tokio::test]
async fn what_shipped_does_not_run_in_the_place_of_a_release_unless_it_was_at_work() {
    let warm = Bench::with_queue("orders", |_| {}).await;
    warm.release("bench", &[("ack.luau", "local =")]).await;
    let cold = warm.another().await;
    assert_eq!(cold.run(vec![record("a", "bench/ack", 1), record("b", "ack", 1)]).await, ["a", "b"]);
    warm.later();
    assert!(warm.run(vec![record("c", "bench/ack", 1)]).await.is_empty());
}

#[tokio::test]
async fn a_short_name_that_the_package_may_have_waits_and_the_full_name_of_another_does_not() {
    for harm in HARMS {
        let bench = Bench::with_queue("orders", |_| {}).await;
        bench.release("good", &[("pay.luau", ACK)]).await;
        harm.is_done_to(&bench).await;
        let cold = bench.another().await;
        let batch = vec![record("short", "pay", 1), record("full", "good/pay", 1)];
        assert_eq!(cold.run(batch).await, ["short"], "{harm:?}");
    }
}
