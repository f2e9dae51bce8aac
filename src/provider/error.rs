//! Why a provider did not do what it was asked, sorted by what to do about it.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use crate::error::chain;

/// A cause. Shared, since one outage answers a whole batch.
pub type Fault = Arc<dyn Error + Send + Sync>;

/// Whom a trouble concerns, by all that its provider knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// The target that was asked for.
    Target,
    /// All that is reached by the same rights, as [`Provider::view`](super::Provider::view) sorts them.
    View,
    /// All of the account or repository, as [`Provider::lane`](super::Provider::lane) sorts them.
    Lane,
}

/// Why a provider could not look or act. The variant is the remedy.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProviderError {
    /// Nothing happened; try later.
    #[error("the provider cannot be reached now")]
    Unavailable {
        /// The provider's own wish, where it has one.
        retry_after: Option<Duration>,
        /// Who else would fare alike.
        scope: Scope,
        /// What went wrong.
        #[source]
        error: Fault,
    },
    /// Nothing happened, since the target is not what the change says it was; look and plan again.
    #[error("the target is not what was planned for: {0}")]
    Stale(String),
    /// Nothing happened, and nothing will until a person changes something.
    #[error("{0}")]
    Refused(String),
    /// It was sent and the end was not seen; ask again with the same token.
    #[error("the change was sent and its end was not seen")]
    Unknown {
        /// What became of the answer.
        #[source]
        error: Fault,
    },
}

impl From<crate::fault::Fault> for ProviderError {
    fn from(fault: crate::fault::Fault) -> Self {
        Self::unavailable(fault)
    }
}

impl ProviderError {
    /// Try later, for this reason.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::unavailable_to(Scope::Target, None, error)
    }

    /// Try later, for this reason, which all of `scope` share.
    pub fn unavailable_to(
        scope: Scope,
        retry_after: Option<Duration>,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable { retry_after, scope, error: Arc::from(error.into()) }
    }

    /// Sent, and the end not seen, for this reason.
    pub fn unknown(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unknown { error: Arc::from(error.into()) }
    }

    /// The same remedy, in other words.
    pub fn reworded(self, word: impl Fn(String) -> String) -> Self {
        let fault = |error: Fault| -> Fault {
            Arc::from(Box::<dyn Error + Send + Sync>::from(word(chain(&*error))))
        };
        match self {
            Self::Unavailable { retry_after, scope, error } => {
                Self::Unavailable { retry_after, scope, error: fault(error) }
            }
            Self::Stale(text) => Self::Stale(word(text)),
            Self::Refused(text) => Self::Refused(word(text)),
            Self::Unknown { error } => Self::Unknown { error: fault(error) },
        }
    }

    /// The stable name of the remedy, as printed in conditions and events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "Unavailable",
            Self::Stale(_) => "Stale",
            Self::Refused(_) => "Refused",
            Self::Unknown { .. } => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::chain;

    #[test]
    fn the_chain_says_each_thing_once() {
        let error = ProviderError::unavailable("connection refused");
        assert_eq!(chain(&error), "the provider cannot be reached now: connection refused");
        assert_eq!(chain(&ProviderError::Refused("no".into())), "no");
        assert_eq!(chain(&error.clone()), chain(&error));
    }
}
