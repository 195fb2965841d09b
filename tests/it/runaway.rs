//! Handlers that run away: each is stopped, its message alone takes the strike, nine neighbours are settled.

use serde_json::json;

use crate::support::eventually;
use crate::support::house::{TestHouse, handlers};
use crate::support::recorder::Recorder;

/// One runaway among nine good ones; a single failure is its last, so that its letter says what stopped it.
async fn check(handler: &str, expect: &str) {
    let house = TestHouse::start_with(|options| options.handlers_dir = handlers("")).await;
    let recorder = Recorder::start(1).await;
    let queue = house.paused_queue(json!({"name": "attacked", "max-failures": 1})).await;
    let poison = house.publish("attacked", &json!({"handler": format!("runaway/{handler}")})).await;
    for n in 0..9 {
        house
            .publish(
                "attacked",
                &json!({"handler": "probe/done", "recorder": recorder.url, "name": n.to_string()}),
            )
            .await;
    }
    house.resume(&queue).await;
    let letter = eventually("the runaway is a dead letter", 150, async || {
        Some(house.get(&format!("dead-letter/{poison}")).await).filter(|answer| answer.status == 200)
    })
    .await;
    assert!(letter.body.to_string().contains(expect), "{handler}: {expect} in {}", letter.body);
    house.empty(&queue).await;
    for n in 0..9 {
        assert!(
            recorder.count(&format!("done/{n}")) >= 1,
            "{handler}: neighbour {n} in {:?}",
            recorder.told()
        );
    }
    assert_eq!(house.dead_letters(&queue, 1).await.len(), 1, "{handler}: no neighbour was struck");
    house.stop().await;
}

macro_rules! runaways {
    ($($test:ident: $handler:literal => $expect:literal,)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            check($handler, $expect).await;
        })*
    };
}

runaways! {
    an_endless_loop_is_stopped: "loop" => "cpu-limit",
    a_loop_of_pcalls_is_stopped: "pcall-loop" => "cpu-limit",
    a_pattern_bomb_is_stopped: "pattern-bomb" => "",
    a_table_move_without_end_is_refused: "table-move" => "",
    a_memory_hog_is_stopped: "memory" => "memory",
    a_deep_table_is_refused: "deep-table" => "deep",
    a_flood_of_output_is_stopped: "output-flood" => "",
    os_is_not_there: "os-execute" => "",
    io_is_not_there: "io-open" => "",
}
