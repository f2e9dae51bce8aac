//! Approvals that count no more. They are kept by the digest of what they are for, and the same plan may come
//! again with another commit: whoever said yes to the first was not asked about the second.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::judge::needs;
use super::passage::Asked;
use super::{Reviewer, Trouble};
use crate::digest::Digest;
use crate::model::{Approval, Bound, Passage, RequestId};
use crate::reconcile::gate::speaks_of;
use crate::reconcile::review::Reviewed;
use crate::store::PersonWrite;

/// What was withdrawn.
#[derive(Default)]
pub(super) struct Withdrawn {
    /// Of what.
    pub digests: BTreeSet<Digest>,
    pub writes: Vec<PersonWrite>,
}

impl Reviewer {
    /// Withdraws what was approved up to `until` of requests whose files came with another commit since: what
    /// the passage of that one stood for, and what would be done `now`.
    pub(super) async fn withdraw(
        &self,
        asked: &[Asked],
        now: Option<&Reviewed>,
        until: Timestamp,
    ) -> Result<Withdrawn, Trouble> {
        let mut fresh: BTreeSet<&RequestId> = BTreeSet::new();
        let mut digests: BTreeSet<Digest> = BTreeSet::new();
        for asked in asked {
            let known = self.passage_at(&asked.id).await?;
            // Taken for pushed directly at first, it is let through now.
            let is_of_it = |p: &Passage| {
                let is_told = p.pull.is_some() || now.is_none();
                is_told && p.content == asked.content && speaks_of(p, asked.commit.as_ref())
            };
            if known.as_ref().is_some_and(is_of_it) {
                continue;
            }
            fresh.insert(&asked.id);
            let former = known.iter().flat_map(|p| p.bound.iter().chain(&p.changed));
            digests.extend(former.flat_map(Bound::digests));
        }
        if let Some(now) = now {
            let steps = now.released.steps.iter();
            for step in steps.filter(|step| fresh.contains(&step.target.key.request)) {
                digests.insert(step.digest());
                digests.extend(&step.released);
            }
            // One yes may be for others too, to whom nothing has happened.
            let ours = needs(now)
                .into_iter()
                .filter(|(_, need)| need.requests.iter().all(|id| fresh.contains(id)));
            digests.extend(ours.map(|(digest, _)| digest));
        }
        if digests.is_empty() {
            return Ok(Withdrawn::default());
        }
        let given = self.store.standing().await?.approvals.into_iter();
        let given: Vec<Approval> = given.filter(|a| digests.contains(&a.digest)).collect();
        let (former, later): (Vec<_>, Vec<_>) = given.into_iter().partition(|a| a.at <= until);
        let digests: BTreeSet<Digest> = former.into_iter().map(|a| a.digest).collect();
        let later = later.into_iter().filter(|a| digests.contains(&a.digest));
        let dropped = digests.iter().copied().map(PersonWrite::DropApproval);
        let writes = dropped.chain(later.map(PersonWrite::Approve)).collect();
        Ok(Withdrawn { digests, writes })
    }
}
