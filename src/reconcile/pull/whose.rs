//! Whose what waits for a yes is: nobody approves their own, wherever they speak.
//!
//! One yes may be for a whole set, such as many deletions, of which only one came with the pull request where it is
//! written. So all of the set is looked at.

use std::collections::BTreeSet;

use super::passage::Asked;
use super::{Place, Reviewer, Trouble, Visit};
use crate::forge::{ForgeError, Permission};
use crate::model::{Approval, Passage, Pull, RequestId, Revision};
use crate::reconcile::gate::{let_through, since_key, speaks_of};
use crate::store::passage_key;

/// Whose what stands in some files is, or that they are gone.
pub(super) enum Whose {
    /// In part theirs who ask: this came with a pull request that they opened or pushed to.
    Theirs(RequestId),
    /// Of this nobody can tell: it may be theirs who ask.
    Unknown(RequestId),
    /// Some of it lies where they may not write.
    Elsewhere,
    /// Others'. These lie in the repository where they ask.
    Others { here: Vec<RequestId> },
}

impl Reviewer {
    /// Whose the files of these requests are, whatever pull request it is asked in.
    pub(super) async fn whose(
        &mut self,
        visit: &Visit<'_>,
        who: &str,
        requests: &BTreeSet<RequestId>,
    ) -> Result<Whose, Trouble> {
        let (mut left, mut here) = (requests.clone(), Vec::new());
        for place in self.places.clone() {
            let Some(base) = visit.commits.get(place.name()).cloned() else { continue };
            // It tells nobody anything: what is wrong with its branch is told where it is attended.
            let there = Visit { place: &place, base, troubles: Vec::new(), ..*visit };
            let asked = self.asked(&there, left.clone()).await?;
            let is_here = place.name() == visit.place.name();
            if !asked.is_empty() && !is_here && !self.may_write(&place, who).await? {
                return Ok(Whose::Elsewhere);
            }
            for asked in asked {
                left.remove(&asked.id);
                match self.is_whose_now(&there, who, &asked).await? {
                    Some(true) => return Ok(Whose::Theirs(asked.id)),
                    Some(false) => here.extend(is_here.then_some(asked.id)),
                    None => return Ok(Whose::Unknown(asked.id)),
                }
            }
        }
        Ok(left.pop_first().map_or(Whose::Others { here }, Whose::Unknown))
    }

    async fn may_write(&self, place: &Place, who: &str) -> Result<bool, Trouble> {
        match self.forge.permission(&place.repo, who).await {
            Err(ForgeError::Refused { text }) => {
                tracing::warn!(repo = %place.repo, text, "the forge does not tell who may what");
                Ok(false)
            }
            other => Ok(other? >= Permission::Write),
        }
    }

    /// Whether what stands in a file came with a pull request of theirs; `None`: nobody can tell.
    async fn is_whose_now(
        &mut self,
        visit: &Visit<'_>,
        who: &str,
        asked: &Asked,
    ) -> Result<Option<bool>, Trouble> {
        let passage = self.store.value(&passage_key(&asked.id)).await?;
        let passage = passage.and_then(|v| serde_json::from_value::<Passage>(v).ok());
        let is_of_it = |p: &Passage| {
            // What is too far back to be found did not come a moment ago by another way.
            let is_far = asked.commit.is_none() && p.pull.is_some();
            p.content == asked.content && (is_far || speaks_of(p, asked.commit.as_ref()))
        };
        if let Some(passage) = passage.filter(is_of_it) {
            return match passage.pull {
                Some(number) => Ok(Some(self.is_theirs(visit, who, number, None).await?)),
                None => Ok(None),
            };
        }
        // Before anybody asked how it came there is no passage; the commit tells.
        if let Some(pull) = self.brought(visit, asked).await? {
            let number = pull.number;
            return Ok(Some(self.is_theirs(visit, who, number, Some(pull)).await?));
        }
        let is_known = self.stood_before(asked).await? || self.is_ours(asked).await?;
        Ok(is_known.then_some(false))
    }

    /// Whether it was there when it began to be asked how things came.
    async fn stood_before(&self, asked: &Asked) -> Result<bool, Trouble> {
        let since = self.store.value(&since_key(&asked.source)).await?;
        let since = since.and_then(|v| serde_json::from_value::<Revision>(v).ok());
        let source = self.engine.sources().named(&asked.source);
        let (Some(since), Some(source), Some(commit)) = (since, source, &asked.commit) else {
            return Ok(false);
        };
        Ok(source.mirror().is_ancestor(commit, &since)?)
    }

    /// Whether vend took the file away itself, since its time was over.
    async fn is_ours(&self, asked: &Asked) -> Result<bool, Trouble> {
        if asked.content.is_some() || asked.commit.is_none() {
            return Ok(false);
        }
        let digest = let_through(&asked.id, None, asked.commit.as_ref());
        let approvals = self.store.standing().await?.approvals;
        // A person's yes has teams, or is an operator's, who are called otherwise.
        let by_vend = |a: &Approval| a.by == "vend" && a.teams.as_deref() == Some(&[]);
        Ok(approvals.iter().any(|a| a.digest == digest && by_vend(a)))
    }

    /// Whether somebody opened a pull request or pushed to it. Of what was deleted nobody can tell whose it
    /// was: it counts as theirs.
    async fn is_theirs(
        &self,
        visit: &Visit<'_>,
        who: &str,
        number: u64,
        pull: Option<Pull>,
    ) -> Result<bool, Trouble> {
        let known = self.kept.get(&visit.place.key(number));
        if let Some(kept) = known.filter(|kept| kept.pushed.is_some()) {
            return Ok(kept.is_whose(who));
        }
        let pull = match pull {
            Some(pull) => Ok(pull),
            None => self.forge.pull(&visit.place.repo, number).await,
        };
        let pull = match pull {
            Err(ForgeError::Gone { .. }) => return Ok(true),
            other => other?,
        };
        match self.pushers(visit, number).await {
            Err(Trouble::Forge(ForgeError::Gone { .. })) => Ok(true),
            other => {
                let (pushers, _) = other?;
                let is_author = pull.author.eq_ignore_ascii_case(who);
                Ok(is_author || pushers.contains(&who.to_lowercase()))
            }
        }
    }
}
