//! What people decide, written down for whoever works.

use jiff::Timestamp;

use super::{Noted, PersonCommand};
use crate::error::chain;
use crate::model::{Approval, RolloutWord};
use crate::reconcile::view;
use crate::store::{PersonWrite, Store, StoreError};

impl PersonCommand {
    /// Writes it down as said by `by`, and tells whoever leads, here or elsewhere.
    pub async fn note(
        self,
        store: &dyn Store,
        by: String,
        at: Timestamp,
    ) -> Result<Noted, StoreError> {
        let asking = match &self {
            Self::Approve { digest } => Some(view::asking(store, digest).await?),
            Self::Accept { .. } | Self::Rollout { .. } | Self::Retry { .. } => None,
        };
        let write = match self {
            Self::Approve { digest } => {
                PersonWrite::Approve(Approval { digest, by, by_id: None, teams: None, at })
            }
            Self::Accept { source, revision } => PersonWrite::AcceptRewrite { source, revision },
            Self::Rollout { version, resume } => {
                PersonWrite::Rollout(RolloutWord { version, resume, by, at })
            }
            Self::Retry { request } => PersonWrite::RetryNow { request },
        };
        store.note(vec![write]).await?;
        // Who does not hear it looks at the store at its next pass.
        if let Err(error) = store.ring().await {
            tracing::debug!(error = chain(&error), "whoever leads is not told at once");
        }
        Ok(Noted { asking })
    }
}
