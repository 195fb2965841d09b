//! SQS as the real SDK sees it. Time is turned by hand; only the wait of a poll is real.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod behaviours;
mod life;
mod polls;
mod refusals;
mod stage;
mod world;
