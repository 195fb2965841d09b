use queue::SendError;
use zstorage::{CatalogError, MessagesError, StoreError};

/// Why a message could not be settled, through no fault of its own: it comes back without a strike.
#[derive(Debug, thiserror::Error)]
pub enum HandlingError {
    /// The queue's registration, or what is released, could not be read.
    #[error("the catalog could not be read")]
    Catalog(#[from] CatalogError),
    /// Failures or letters could not be read or kept.
    #[error("the message's failures or its dead letter could not be read or kept")]
    Messages(#[from] MessagesError),
    /// The dead-letter queue did not take the body.
    #[error("the dead-letter queue did not take the message")]
    Forward(#[source] SendError),
    /// The retry queue did not take the message.
    #[error("the retry queue did not take the message")]
    PutOff(#[source] SendError),
    /// The strict write that the message tells of could not be made to stand before its handler ran.
    #[error("the write that the message tells of could not be made to stand yet")]
    Held(#[source] StoreError),
    /// The queue is not in the registry, so there is no dead-letter queue to name: its redrive policy is the net.
    #[error("the queue is not registered, so its poison cannot be dead-lettered here")]
    Unregistered,
    /// Nobody says what its default handler is, nor where its dead letter goes: it stays where it is.
    #[error("the queue that it came from is not registered: it waits there until it is")]
    UnknownQueue,
}
