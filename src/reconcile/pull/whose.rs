//! Whose what waits for a yes is: nobody approves their own, wherever they speak.
//!
//! One yes may be for a whole set, such as many deletions, of which only one came with the pull request where it is
//! written. So all of the set is looked at.

use std::collections::BTreeSet;

use super::kept::Person;
use super::passage::Asked;
use super::pushers::Makers;
use super::{Place, Reviewer, Trouble, Visit};
use crate::forge::{ForgeError, Permission};
use crate::git::{GitError, Mirror};
use crate::model::{Approval, Passage, Pull, Record, RequestId, Revision};
use crate::reconcile::brought::bringing;
use crate::reconcile::gate::{let_through, since_key, speaks_of};
use crate::reconcile::source::join;

/// Whose what stands in some files is, or that they are gone.
pub(super) enum Whose {
    /// In part theirs who ask: this came with a pull request that they opened or pushed to.
    Theirs(RequestId),
    /// In part theirs who ask: with what they brought to the catalog, this comes to something else.
    Catalogs,
    /// Of this nobody can tell: it may be theirs who ask.
    Unknown(RequestId),
    /// Some of it lies where they may not write.
    Elsewhere,
    /// Others'. These lie in the repository where they ask.
    Others { here: Vec<RequestId> },
}

impl Reviewer {
    /// Whose the files of these requests are, whatever pull request it is asked in; of those that have `moved` since
    /// they were reviewed, also whose the catalog's are that they are made of now.
    pub(super) async fn whose(
        &mut self,
        visit: &Visit<'_>,
        who: Person<'_>,
        requests: &BTreeSet<RequestId>,
        moved: &BTreeSet<RequestId>,
    ) -> Result<Whose, Trouble> {
        let (mut left, mut here) = (requests.clone(), Vec::new());
        for place in self.places.clone() {
            let Some(base) = visit.commits.get(place.name()).cloned() else { continue };
            // It tells nobody anything: what is wrong with its branch is told where it is attended.
            let there = Visit { place: &place, base, troubles: Vec::new(), ..*visit };
            let asked = self.asked(&there, left.clone()).await?;
            let is_here = place.name() == visit.place.name();
            if !asked.is_empty() && !is_here && !self.may_write(&place, who.name).await? {
                return Ok(Whose::Elsewhere);
            }
            for asked in asked {
                left.remove(&asked.id);
                if self.is_by_catalog(visit, who, &asked, moved).await? {
                    return Ok(Whose::Catalogs);
                }
                match self.is_whose_now(&there, who, &asked).await? {
                    Some(true) => return Ok(Whose::Theirs(asked.id)),
                    Some(false) => here.extend(is_here.then_some(asked.id)),
                    None => return Ok(Whose::Unknown(asked.id)),
                }
            }
        }
        Ok(left.pop_first().map_or(Whose::Others { here }, Whose::Unknown))
    }

    /// Whether what would be done to a request is of the catalog's making since its file came, and they brought to the
    /// catalog the version that it takes, or its environment as it is. How something came to a catalog
    /// that is not on the forge, or was pushed there, nobody can tell: there it is not theirs.
    async fn is_by_catalog(
        &mut self,
        visit: &Visit<'_>,
        who: Person<'_>,
        asked: &Asked,
        moved: &BTreeSet<RequestId>,
    ) -> Result<bool, Trouble> {
        let id = std::slice::from_ref(&asked.id);
        let record = self.store.records(id).await?.pop();
        let is_begun = record.as_ref().is_some_and(|record| {
            asked.content.is_some() && record.observed.request_digest == asked.content
        });
        // Where nothing was to be done for it, the record is of the content before.
        let passage = self.passage_of(asked).await?;
        let is_let = passage
            .as_ref()
            .is_some_and(|p| asked.content.is_some() && p.pull.is_some() && p.bound.is_none());
        let is_begun = is_begun || is_let;
        if !is_begun && !moved.contains(&asked.id) {
            return Ok(false);
        }
        let catalog = self.engine.sources().catalog.clone();
        let place = self.places.iter().find(|place| place.sources.contains(&catalog.name)).cloned();
        let tip = visit.commits.get(&catalog.name);
        let (Some(place), Some(tip)) = (place, tip.cloned()) else { return Ok(false) };
        let desired = self.store.desired(id).await?.pop();
        let template = desired.as_ref().and_then(|desired| desired.template().cloned());
        let Some(template) = template.or_else(|| Some(record.as_ref()?.template.clone())) else {
            return Ok(false);
        };
        // As of when it was seen, and as of when all of it was applied last.
        let seen = passage.and_then(|passage| passage.bound?.catalog);
        let applied = record.filter(|_| is_begun || seen.is_none()).and_then(|record| {
            let Record { whole_at, observed, .. } = record;
            whole_at.or(observed.catalog_commit)
        });
        let before: Vec<Revision> = seen.into_iter().chain(applied).collect();
        let there = Visit { place: &place, base: tip.clone(), troubles: Vec::new(), ..*visit };
        for inner in [
            format!("templates/{}/{}", template.name, template.version),
            format!("environments/{}.yaml", asked.id.environment()),
        ] {
            let path = join(&catalog.folder, &inner);
            let mirror = catalog.mirror();
            let Some(commit) = bringing(mirror, &path, &tip)? else { continue };
            // It was made of that before.
            let mut was_there = false;
            for before in &before {
                was_there = was_there || is_within(mirror, &commit, before)?;
            }
            if was_there {
                continue;
            }
            let pulls = self.forge.pulls_of(&place.repo, &commit).await?;
            for pull in pulls.into_iter().filter(|pull| pull.base == place.branch) {
                if self.is_theirs(&there, who, pull.number, Some(pull)).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
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
        who: Person<'_>,
        asked: &Asked,
    ) -> Result<Option<bool>, Trouble> {
        if let Some(passage) = self.passage_of(asked).await? {
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

    /// What is written down of how it came, if that is of it.
    pub(super) async fn passage_of(&self, asked: &Asked) -> Result<Option<Passage>, Trouble> {
        let passage = self.passage_at(&asked.id).await?;
        let is_of_it = |p: &Passage| {
            // What is too far back to be found did not come a moment ago by another way.
            let is_far = asked.commit.is_none() && p.pull.is_some();
            p.content == asked.content && (is_far || speaks_of(p, asked.commit.as_ref()))
        };
        Ok(passage.filter(is_of_it))
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
        who: Person<'_>,
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
                let Makers { names, ids, is_told: _ } = other?;
                let names = names.iter().chain([&pull.author]);
                Ok(who.is_among(names, ids.into_iter().chain(pull.author_id)))
            }
        }
    }
}

/// Whether a commit is in the history of another one. Of a history that is not here, such as one that was rewritten
/// before the mirror was cloned anew, nobody can tell: it is not.
fn is_within(mirror: &Mirror, commit: &Revision, of: &Revision) -> Result<bool, GitError> {
    match mirror.is_ancestor(commit, of) {
        Err(GitError::Missing { .. }) => Ok(false),
        other => other,
    }
}
