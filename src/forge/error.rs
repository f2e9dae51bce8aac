//! What went wrong with a forge, by what to do about it.

use std::time::Duration;

/// Sorted by remedy, as everywhere.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// Nobody knows: try again later.
    #[error("the forge cannot be asked now: {text}")]
    Unavailable {
        /// In its words.
        text: String,
        /// Not before this is over.
        retry_after: Option<Duration>,
    },
    /// A write was sent and its end not seen: look for it before it is made again.
    #[error("the forge's answer was lost: {text}")]
    Unknown {
        /// What happened to the answer.
        text: String,
    },
    /// What was asked about is not there any more: nothing is to be said there.
    #[error("the forge says that it is gone: {text}")]
    Gone {
        /// In its words.
        text: String,
    },
    /// A file or setting of our own that cannot be used: nobody was asked.
    #[error("{text}")]
    Settings {
        /// Which, and why.
        text: String,
    },
    /// A person must change something: a permission, a setting, a size.
    #[error("the forge refuses: {text}")]
    Refused {
        /// In its words.
        text: String,
    },
}
