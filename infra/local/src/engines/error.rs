//! What can go wrong with an engine itself (not with one request to it).

use std::path::PathBuf;

/// Why an engine could not start, or stopped serving. Each reads as one sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file is there but holds no sound data.
    #[error(
        "the {engine} file {} is damaged ({reason}); restore it from a copy, or move it away to start empty",
        file.display()
    )]
    Damaged {
        /// Which engine: `DynamoDB` or `SQS`.
        engine: &'static str,
        /// The file as it was named to us.
        file: PathBuf,
        /// What SQLite found first.
        reason: String,
    },
    /// The file is a sound database of somebody else, or of a newer release.
    #[error("the {engine} file {} is not ours ({reason}); choose another data folder", file.display())]
    Foreign {
        /// Which engine: `DynamoDB` or `SQS`.
        engine: &'static str,
        /// The file as it was named to us.
        file: PathBuf,
        /// What tells us so.
        reason: String,
    },
    /// The file could not be opened, made or written.
    #[error(
        "the {engine} engine cannot use the file {} ({source}); see to its rights and to the space left on its disk",
        file.display()
    )]
    Unusable {
        /// Which engine: `DynamoDB` or `SQS`.
        engine: &'static str,
        /// The file as it was named to us.
        file: PathBuf,
        /// What the store below said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The HTTP server of an engine stopped by itself.
    #[error("the {engine} engine stopped serving ({source})")]
    Serving {
        /// Which engine: `DynamoDB` or `SQS`.
        engine: &'static str,
        /// What the listener said.
        #[source]
        source: std::io::Error,
    },
}
