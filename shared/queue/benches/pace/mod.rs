//! How the two ways to send are timed side by side.

use std::time::{Duration, Instant};

use futures::StreamExt;
use queue::Outgoing;

/// Messages of one round, one after the other.
const ONE_BY_ONE: usize = 300;

/// Messages of one round, many at once.
const TOGETHER: usize = 6_000;
pub(crate) const AT_ONCE: usize = 64;

/// Rounds of each way, in turns, so that both meet the same hours of the machine.
const ROUNDS: usize = 7;

/// What both ways send.
pub(crate) fn body() -> String {
    format!("{{\"handler\":\"signup\",\"text\":\"{}\"}}", "x".repeat(800))
}

/// The message of this number, as we send it.
pub(crate) fn message(number: usize, body: &str) -> Outgoing {
    Outgoing {
        message_id: format!("m-{number}"),
        round: 0,
        body: body.to_owned(),
        ordering_key: None,
        delay_secs: 0,
        attributes: Vec::new(),
    }
}

/// What one way needs.
#[derive(Default)]
struct Pace {
    waits: Vec<Duration>,
    rates: Vec<f64>,
}

/// Times `ours` beside `raw` and prints both. Each is called with the number of the message and answers once it is accepted.
pub(crate) async fn compare<O, R>(broker: &str, ours: impl Fn(usize) -> O, raw: impl Fn(usize) -> R)
where
    O: Future<Output = ()>,
    R: Future<Output = ()>,
{
    let (mut of_ours, mut of_raw) = (Pace::default(), Pace::default());
    for round in 0..=ROUNDS {
        // The first round warms both.
        let (mut first, mut second) = (Pace::default(), Pace::default());
        let (first, second) =
            if round == 0 { (&mut first, &mut second) } else { (&mut of_ours, &mut of_raw) };
        run(first, &ours).await;
        run(second, &raw).await;
    }
    let (ours, raw) = (of_ours.figures(), of_raw.figures());
    println!("| {broker} | p50, one by one | p99 | {AT_ONCE} at once, messages per second |");
    println!("|---|---|---|---|");
    println!("| ours | {:.0} us | {:.0} us | {:.0} |", ours.p50, ours.p99, ours.rate);
    println!("| the raw client | {:.0} us | {:.0} us | {:.0} |", raw.p50, raw.p99, raw.rate);
    println!(
        "| times | {:.2} | {:.2} | {:.2} |",
        ours.p50 / raw.p50,
        ours.p99 / raw.p99,
        raw.rate / ours.rate
    );
}

async fn run<F: Future<Output = ()>>(pace: &mut Pace, send: &impl Fn(usize) -> F) {
    for message in 0..ONE_BY_ONE {
        let begun = Instant::now();
        send(message).await;
        pace.waits.push(begun.elapsed());
    }
    let begun = Instant::now();
    futures::stream::iter(0..TOGETHER).map(send).buffer_unordered(AT_ONCE).count().await;
    pace.rates.push(TOGETHER as f64 / begun.elapsed().as_secs_f64());
}

struct Figures {
    p50: f64,
    p99: f64,
    rate: f64,
}

impl Pace {
    /// Of all waits; of the rates the median.
    fn figures(mut self) -> Figures {
        self.waits.sort();
        self.rates.sort_by(f64::total_cmp);
        let at = |part: usize| self.waits[(self.waits.len() - 1) * part / 100].as_secs_f64() * 1e6;
        Figures { p50: at(50), p99: at(99), rate: self.rates[self.rates.len() / 2] }
    }
}
