use std::error::Error;

use crate::ConfigError;

/// Why a function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment is not complete.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What is sealed could not be opened.
    #[error(transparent)]
    Seal(Box<dyn Error + Send + Sync>),
}
