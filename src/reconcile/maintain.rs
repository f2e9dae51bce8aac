//! What must be done now and then so that nothing grows for ever: artifacts and history that nothing
//! needs, packs of the mirrors, approvals that were never used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::memory::Memory;
use super::{Engine, PassError};
use crate::digest::Digest;
use crate::fault::point;
use crate::model::Approval;
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
            writes.extend(drop_unused(&mut memory.approvals, now));
            while self.store.sweep(lease, STEP).await?.more {}
            self.maintain_mirrors().await;
        }
        point!("pass.maintain.before")?;
        self.store.commit(lease, writes).await?;
        point!("pass.maintain.after")?;
        // A sweep may count as a write or not: what is kept in memory is read again.
        memory.basis = u64::MAX;
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

/// Takes away each yes that was never used. What others said since of the same stays.
fn drop_unused(approvals: &mut BTreeMap<Digest, Vec<Approval>>, now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for (digest, given) in approvals.iter_mut() {
        let before = given.len();
        given.retain(|approval| now.duration_since(approval.at) <= UNUSED);
        if given.len() < before {
            // The store drops all of a digest at once.
            writes.push(Write::DropApproval(*digest));
            writes.extend(given.iter().cloned().map(Write::Approve));
        }
    }
    approvals.retain(|_, given| !given.is_empty());
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    #[test]
    fn an_old_yes_goes_and_takes_no_fresh_one_with_it() {
        let now = Timestamp::from_second(10_000_000).unwrap();
        let yes = |what: &str, by: &str, days: i64| Approval {
            digest: sha256(what.as_bytes()),
            by: by.into(),
            by_id: None,
            teams: None,
            at: now - SignedDuration::from_hours(24 * days),
        };
        let mut approvals: BTreeMap<Digest, Vec<Approval>> = BTreeMap::new();
        let all =
            [yes("a", "ada", 8), yes("a", "grace", 1), yes("b", "ada", 8), yes("c", "ada", 7)];
        for approval in all {
            approvals.entry(approval.digest).or_default().push(approval);
        }
        let writes = drop_unused(&mut approvals, now);
        let mut left: Vec<Approval> = approvals.values().flatten().cloned().collect();
        left.sort_by_key(|approval| now.duration_since(approval.at));
        assert_eq!(left, [yes("a", "grace", 1), yes("c", "ada", 7)]);
        let of_a = [
            Write::DropApproval(sha256(b"a")),
            Write::Approve(yes("a", "grace", 1)),
            Write::DropApproval(sha256(b"b")),
        ];
        let mut of_a = of_a.map(|write| format!("{write:?}"));
        let mut said: Vec<String> = writes.iter().map(|write| format!("{write:?}")).collect();
        of_a.sort();
        said.sort();
        assert_eq!(said, of_a);
        // Again: nothing to do.
        assert!(drop_unused(&mut approvals, now).is_empty());
    }
}
