//! What must be done now and then so that nothing grows for ever: artifacts and history that nothing
//! needs, packs of the mirrors, approvals that were never used.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::memory::Memory;
use super::{Engine, PassError};
use crate::digest::Digest;
use crate::fault::point;
use crate::store::{Lease, Write};

/// How often.
const EVERY: SignedDuration = SignedDuration::from_hours(6);

/// How long an approval waits for what it approves.
const UNUSED: SignedDuration = SignedDuration::from_hours(24 * 7);

/// Rows removed from the store in one step, so that nobody waits long for it.
const STEP: usize = 2_000;

/// Named value in the store: when it was done last.
const LAST: &str = "maintained";

impl Engine {
    /// Does it when it is time, and says when that is next. What fails here is tried again at the next time;
    /// it stops nothing.
    pub(super) async fn maintain(
        &self,
        lease: &Lease,
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<Timestamp, PassError> {
        let last = self.maintained().await?;
        if let Some(last) = last.filter(|last| now.duration_since(*last) < EVERY) {
            return Ok(last + EVERY);
        }
        let mut writes = vec![Write::Value {
            key: LAST.into(),
            value: Some(serde_json::to_value(now).unwrap_or_default()),
        }];
        if last.is_some() {
            let unused: BTreeSet<Digest> = memory
                .approvals
                .values()
                .flatten()
                .filter(|a| now.duration_since(a.at) > UNUSED)
                .map(|a| a.digest)
                .collect();
            memory.approvals.retain(|digest, _| !unused.contains(digest));
            writes.extend(unused.into_iter().map(Write::DropApproval));
            while self.store.sweep(lease, STEP).await?.more {}
            self.maintain_mirrors().await;
        }
        point!("pass.maintain.before")?;
        self.store.commit(lease, writes).await?;
        point!("pass.maintain.after")?;
        // A sweep may count as a write or not: what is kept in memory is read again.
        memory.stamp = u64::MAX;
        Ok(now + EVERY)
    }

    /// Whether it was done before, so long ago that it is time.
    pub(super) async fn is_neglected(&self, now: Timestamp) -> Result<bool, PassError> {
        let last = self.maintained().await?;
        Ok(last.is_some_and(|last| now.duration_since(last) >= EVERY))
    }

    async fn maintained(&self) -> Result<Option<Timestamp>, PassError> {
        let last = self.store.value(LAST).await?;
        Ok(last.and_then(|last| serde_json::from_value(last).ok()))
    }

    async fn maintain_mirrors(&self) {
        let mirrors = self.sources.all().map(|s| s.mirror()).chain([self.status.mirror()]);
        for mirror in mirrors {
            if let Err(error) = mirror.maintain().await {
                tracing::warn!(error = crate::error::chain(&error), "a mirror was not tidied");
            }
        }
    }
}
