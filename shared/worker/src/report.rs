use domain::Outcome;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchReport {
    /// One per delivery, in the order they came in.
    pub settled: Vec<Settled>,
}

/// What became of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The delivery's id.
    pub id: String,
    /// The delivery's group.
    pub group: Option<String>,
    /// The verdict.
    pub outcome: Outcome,
    /// Whether its handler was started at all.
    pub started: bool,
    /// Whether its handler panicked.
    pub panicked: bool,
}

impl BatchReport {
    /// The ids of the messages that must come back: what goes into `batchItemFailures`. A dead letter is not among
    /// them: whoever says `DeadLetter` has put it where it belongs.
    pub fn failures(&self) -> impl Iterator<Item = &str> {
        self.returned().map(|(_, settled, _)| settled.id.as_str())
    }

    /// The messages that must come back: place in the batch, message, seconds until it is visible again.
    pub fn returned(&self) -> impl Iterator<Item = (usize, &Settled, u32)> {
        self.settled.iter().enumerate().filter_map(|(place, settled)| match settled.outcome {
            Outcome::Retry { after_secs, .. } => Some((place, settled, after_secs)),
            Outcome::Ack | Outcome::DeadLetter { .. } => None,
        })
    }
}
