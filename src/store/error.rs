//! What can go wrong with the store, sorted by what to do about it.

use crate::fault::Fault;

/// An error of the store. Whatever it is, the call that met it changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process kept the store locked for too long: try again.
    #[error("the store is busy")]
    Busy(#[source] Cause),
    /// Somebody else holds the lease by now: stop, and write nothing more.
    #[error("the lease of epoch {epoch} has been taken over (epoch {current} now)")]
    Fenced {
        /// The epoch of the lease that was shown.
        epoch: u64,
        /// The epoch of the store.
        current: u64,
    },
    /// No space is left: nothing was written; try again when there is some.
    #[error("no space is left for the store")]
    Full(#[source] Cause),
    /// The disk or the connection failed: stop writing. A restart checks the store; an fsync that
    /// failed is never tried again, since the kernel may have dropped the pages it was for.
    #[error("the store cannot be written safely until a restart")]
    Broken(#[source] Cause),
    /// What was read is not what was written: stop, and rebuild from Git and the world.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// Which part of it.
        what: String,
    },
    /// A newer vend wrote it; not one byte was changed.
    #[error("store schema {found}, this binary knows up to {known}")]
    Newer {
        /// The schema's number in the store.
        found: u32,
        /// The highest number known here.
        known: u32,
    },
    /// A write or question names something that is not there.
    #[error("the store has no {what}")]
    Missing {
        /// What.
        what: String,
    },
    /// A write contradicts what is stored, such as a second change in flight on one target.
    #[error("the store refuses {what}")]
    Conflict {
        /// What, and because of what.
        what: String,
    },
    /// The place cannot hold a store: a network file system, or another program's file.
    #[error("`{place}` cannot hold the store: {why}")]
    Unsuitable {
        /// Where.
        place: String,
        /// Why not.
        why: String,
    },
}

/// What lies below, in the words of the library or the system.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::Busy(fault.into())
    }
}

impl StoreError {
    /// Whether the same call may well succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Busy(_) | Self::Full(_) => true,
            Self::Fenced { .. }
            | Self::Broken(_)
            | Self::Corrupt { .. }
            | Self::Newer { .. }
            | Self::Missing { .. }
            | Self::Conflict { .. }
            | Self::Unsuitable { .. } => false,
        }
    }
}
