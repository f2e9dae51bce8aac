//! Who pushed to a pull request: whoever did approves it as little as who opened it.
//!
//! # Caveats
//! Anybody can write any mail address into a commit. That can take the yes of somebody away who had no
//! part in it, and can hide who really pushed; it never adds a yes.

use std::collections::BTreeSet;

use super::kept::{Kept, Pushed};
use super::{Reviewer, Trouble, Visit};
use crate::forge;
use crate::git::{GitError, Merged, Mirror};
use crate::model::Revision;

/// Who made the commits of a pull request.
#[derive(Default)]
pub(super) struct Makers {
    /// Their handles, in small letters.
    pub names: BTreeSet<String>,
    /// Their accounts.
    pub ids: BTreeSet<u64>,
    /// That is told for good, whatever comes to the branch.
    pub is_told: bool,
}

impl Reviewer {
    /// Fills in who pushed what is at the head now; whether that is other people than were known.
    pub(super) async fn hear_pushers(
        &self,
        visit: &Visit<'_>,
        kept: &mut Kept,
    ) -> Result<bool, Trouble> {
        let is_known = |known: &Pushed| {
            let is_told = known.open_at.as_ref().is_none_or(|base| *base == visit.base);
            known.head == kept.pull.head && is_told
        };
        if kept.pushed.as_ref().is_some_and(is_known) {
            return Ok(false);
        }
        let Makers { names, ids, is_told } = self.pushers(visit, kept.pull.number).await?;
        let open_at = (!is_told).then(|| visit.base.clone());
        kept.pushed = Some(Pushed { head: kept.pull.head.clone(), open_at });
        let is_news = kept.pushers != names || kept.pusher_ids != ids;
        (kept.pushers, kept.pusher_ids) = (names, ids);
        Ok(is_news)
    }

    /// Who made its commits, but for merges of the branch that bring nothing else.
    pub(super) async fn pushers(&self, visit: &Visit<'_>, number: u64) -> Result<Makers, Trouble> {
        let commits = self.forge.pushed(&visit.place.repo, number).await?;
        let source = self.engine.sources().named(visit.place.name());
        let mirror = source.map(|source| source.mirror());
        let mut made = Makers { is_told: true, ..Makers::default() };
        for commit in commits {
            if commit.parents.len() > 1 {
                let takes = mirror.map(|mirror| takes_over(mirror, &visit.base, &commit));
                // What is not here yet is looked for again when the branch has moved.
                if let Some(Ok(true)) = takes {
                    continue;
                }
                made.is_told = false;
            }
            made.names.extend(commit.by.iter().map(|who| who.to_lowercase()));
            made.ids.extend(commit.ids);
        }
        Ok(made)
    }
}

/// Whether a commit is what git makes of a merge of `base`, or of what was there before, with nothing
/// added by hand.
fn takes_over(mirror: &Mirror, base: &Revision, merge: &forge::Pushed) -> Result<bool, GitError> {
    let [own, other] = merge.parents.as_slice() else { return Ok(false) };
    if !mirror.is_ancestor(other, base)? {
        return Ok(false);
    }
    match mirror.merge(own, other)? {
        Merged::Clean(made) => Ok(mirror.tree(&made, "")? == mirror.tree(&merge.commit, "")?),
        Merged::Conflict(_) => Ok(false),
    }
}
