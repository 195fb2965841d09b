//! Why a house did not start: one sentence each, for the person at the terminal.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::{Fault, causes};

use crate::engines::EngineError;
use crate::folder::FolderError;

/// Why a house did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of the API belongs to somebody else at the moment.
    #[error(
        "the address {0} is in use by another program; stop that one, or choose another address with --listen"
    )]
    AddressTaken(SocketAddr),
    /// The address of the API is not one this process may listen on.
    #[error("cannot listen on {address} ({source}); choose another address with --listen")]
    Address {
        /// The address as it was given.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The data folder, or a file of ours in it.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A database.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There are tables, but not the key that opens what is sealed in them.
    #[error(
        "the key file {} is missing, and without it no stored credentials of queues can be opened; \
         restore it from a copy, or choose another folder with --data-dir to start empty", .0.display()
    )]
    KeyMissing(PathBuf),
    /// The key file could not be made.
    #[error("{0}; see to the rights of the folder and to the space left on its disk")]
    KeyUnmade(#[source] zstorage::SealError),
    /// The key file.
    #[error("{0}; restore it from a copy, or choose another folder with --data-dir to start empty")]
    Key(#[source] zstorage::SealError),
    /// The folder of handlers is not there.
    #[error(
        "the handlers folder {} cannot be read ({source}); start in the repository's folder, or name it with --handlers-dir",
        folder.display()
    )]
    Handlers {
        /// The folder as it was given.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A broker that was named cannot be one.
    #[error("{option}: {}", .fault.message)]
    Broker {
        /// By which option.
        option: &'static str,
        /// What is wrong; the text is not quoted, for a password may stand in it.
        fault: Fault,
    },
    /// A part of the house did not come up.
    #[error("{part} did not start: {}", causes(source.as_ref()))]
    Part {
        /// Which one.
        part: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StartError {
    pub(super) fn part<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        part: &'static str,
    ) -> impl Fn(E) -> StartError {
        move |source| StartError::Part { part, source: source.into() }
    }

    pub(super) fn address(address: SocketAddr, source: io::Error) -> StartError {
        match source.kind() {
            io::ErrorKind::AddrInUse => StartError::AddressTaken(address),
            _ => StartError::Address { address, source },
        }
    }

    pub(super) fn unusable(file: &Path) -> impl Fn(io::Error) -> StartError + '_ {
        |source| FolderError::Unusable { file: file.to_owned(), source }.into()
    }
}
