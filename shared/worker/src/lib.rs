//! Receives: a batch in, one verdict per message out.
//!
//! **One bad message hurts only itself.** Messages run side by side, each in a catch of its own; only where a
//! group's order is promised does a failure hold back what stands behind it, and only in that group. This crate
//! knows neither SQS nor Lua: it is given messages and a handler, and says what became of each.

mod budget;
mod elsewhere;
mod report;
mod run;
mod wire;

pub use budget::Budget;
pub use elsewhere::run_or_put_off;
pub use report::{BatchReport, Settled};
pub use run::{Delivery, PANIC_RETRY_SECS, RETURN_SECS, run};
pub use wire::{text_of_bytes, unpacked};
