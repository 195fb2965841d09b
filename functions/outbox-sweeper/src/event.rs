//! What a run answers. **Nothing of its event is read**: whatever rings, the rows say what there is to do.

use serde::Serialize;

/// What a run did, and what it found after that. Nobody but a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Messages sent.
    pub sent: usize,
    /// Messages that their queue did not take, and that wait for another time.
    pub postponed: usize,
    /// Messages given up.
    pub parked: usize,
    /// Held writes carried out.
    pub applied: usize,
    /// Messages that are due still: the time was over before their turn.
    pub left: usize,
    /// How the outbox stands; `None` = it could not be asked.
    pub standing: Option<Standing>,
}

/// How the outbox stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Standing {
    /// For how long the oldest message has been due, seconds.
    pub lag_secs: u64,
    /// Messages that are due.
    pub due: u64,
    /// Writes that wait for their message's queue.
    pub held: u64,
    /// Messages that wait for their date.
    pub scheduled: u64,
    /// Messages that wait for a person.
    pub parked: u64,
}
