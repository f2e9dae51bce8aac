//! What merging a pull request would come to.

use std::collections::BTreeMap;

use super::heads::of_commit;
use super::{Reviewer, Trouble, Visit};
use crate::git::{GitError, Merged};
use crate::model::{Blind, Revision, SourceName};
use crate::reconcile::review::{Question, Reviewed};
use crate::reconcile::source::CATALOG;

/// What came of looking.
pub(super) enum Survey {
    /// It can be merged.
    Reviewed {
        /// What would come of it.
        reviewed: Box<Reviewed>,
        /// Why the world was not looked at.
        blind: Option<Blind>,
    },
    /// It cannot: these paths conflict.
    Conflict(Vec<String>),
    /// It could not be looked at; for people.
    Unknown(String),
    /// A pass has read its branch anew since this turn came to it: the next turn looks.
    Overtaken,
}

impl Reviewer {
    /// Merges `head` in memory and plans what differs; of what is strange, without looking at the
    /// world. What is wrong with `head` is no trouble of anybody else's.
    pub(super) async fn survey(
        &mut self,
        visit: &Visit<'_>,
        head: &Revision,
        is_strange: bool,
    ) -> Result<Survey, Trouble> {
        // Before all that it costs, of which previews take longest.
        if self.rotation.is_overtaken() || self.is_behind(visit).await? {
            self.rotation.overtake();
            return Ok(Survey::Overtaken);
        }
        self.rotation.plan();
        match self.merged(visit, head, is_strange).await {
            Err(trouble) if self.is_readable(visit) => {
                let error = of_commit(trouble)?;
                Ok(Survey::Unknown(format!("its commit cannot be read: {error}")))
            }
            other => other,
        }
    }

    async fn merged(
        &mut self,
        visit: &Visit<'_>,
        head: &Revision,
        is_strange: bool,
    ) -> Result<Survey, Trouble> {
        let place = visit.place;
        let Some(source) = self.engine.sources().named(place.name()) else {
            return Ok(Survey::Unknown("its repository is not read any more".into()));
        };
        let mirror = source.mirror().clone();
        let merged = match mirror.merge(&visit.base, head) {
            Ok(Merged::Clean(commit)) => commit,
            Ok(Merged::Conflict(paths)) => return Ok(Survey::Conflict(paths)),
            Err(GitError::Missing { text, .. }) => {
                return Ok(Survey::Unknown(format!("its commit could not be fetched: {text}")));
            }
            Err(error) => return Err(error.into()),
        };
        let mut at: BTreeMap<SourceName, Revision> = BTreeMap::new();
        let mut catalog = false;
        for name in &place.sources {
            let Some(source) = self.engine.sources().named(name) else {
                continue;
            };
            let folder = source.watched_folder();
            let tree = |commit: &Revision| source.mirror().tree(commit, &folder);
            let differs = tree(&visit.base)? != tree(&merged)?;
            if differs {
                catalog |= name.as_str() == CATALOG;
                at.insert(name.clone(), merged.clone());
            }
        }
        if at.is_empty() {
            return Ok(Survey::Reviewed { reviewed: Box::default(), blind: None });
        }
        let blind = if is_strange { Some(Blind::Fork) } else { catalog.then_some(Blind::Catalog) };
        let question =
            Question { at, also: Default::default(), previews: true, blind: blind.is_some() };
        let reviewed = Box::new(self.engine.review(&question, visit.clock).await?);
        let is_other = |name: &SourceName| {
            let against = reviewed.against.get(name);
            against.is_some_and(|at| visit.commits.get(name) != Some(at))
        };
        // A pass may have come in between all the same.
        if place.sources.iter().any(is_other) && self.is_behind(visit).await? {
            self.rotation.overtake();
            return Ok(Survey::Overtaken);
        }
        Ok(Survey::Reviewed { reviewed, blind })
    }

    /// Whether a pass has read the branch anew since this turn came to it. Held against a branch that has more, what
    /// that has would count as taken back, and what is merged by now as nothing.
    async fn is_behind(&self, visit: &Visit<'_>) -> Result<bool, Trouble> {
        // No pass has written anything: that is cheaper to ask for than all that stands.
        if self.store.basis().await? == visit.basis {
            return Ok(false);
        }
        let now = self.store.standing().await?.sources;
        let is_other = |name: &SourceName| {
            let commit = now.get(name).and_then(|record| record.commit.as_ref());
            commit.is_some_and(|commit| visit.commits.get(name) != Some(commit))
        };
        Ok(visit.place.sources.iter().any(is_other))
    }
}
