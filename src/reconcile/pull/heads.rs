//! Fetching the heads of pull requests. Anybody may open one, with whatever commits: what is wrong with
//! one head is said with that one, and keeps no other from being fetched.

use super::{Reviewer, Trouble, Visit};
use crate::error::chain;
use crate::git::GitError;
use crate::model::{Pull, PullKey, PullState, Revision};

/// So many that get no answer in a row, and the others are not tried: it is nothing of theirs then.
const SILENT: usize = 3;

/// A head that could not be had, with why.
pub(super) type Lacking = (Revision, String);

impl Reviewer {
    /// Fetches the heads that are not here yet.
    pub(super) async fn fetch_heads(&mut self, visit: &Visit<'_>, pulls: &[Pull]) {
        let Some(source) = self.engine.sources().named(visit.place.name()) else { return };
        let mirror = source.mirror().clone();
        let now = (visit.clock)();
        let mut wanted: Vec<(PullKey, &Pull)> = Vec::new();
        for pull in pulls.iter().filter(|pull| pull.state == PullState::Open) {
            let key = visit.place.key(pull.number);
            // One that cannot be read is fetched again: it may have been spoiled here.
            if mirror.pull_head(pull.number).ok().flatten().as_ref() == Some(&pull.head) {
                self.lacking.remove(&key);
                continue;
            }
            let rests = self.again.due(&key).is_some_and(|at| at > now);
            if self.lacks(&key, &pull.head).is_none() || !rests {
                wanted.push((key, pull));
            }
        }
        let numbers: Vec<u64> = wanted.iter().map(|(_, pull)| pull.number).collect();
        let all = mirror.fetch_pulls(&numbers).await;
        // None was fetched then: which of them it is shows when each is fetched alone.
        let each = all.is_err() && numbers.len() > 1;
        let mut all = Some(all);
        let mut silent = 0;
        for (key, pull) in wanted {
            let fetched = match all.take().filter(|_| !each) {
                Some(fetched) => fetched,
                None if !each => Ok(()),
                None if silent == SILENT => continue,
                None => mirror.fetch_pulls(&[pull.number]).await,
            };
            silent = match &fetched {
                Err(error) if error.is_transient() => silent + 1,
                _ => 0,
            };
            match fetched.and_then(|()| mirror.pull_head(pull.number)) {
                Ok(_) => {
                    // It is looked at again at once, whatever was found without it.
                    self.lacking.remove(&key);
                    self.looked.remove(&key);
                }
                Err(error) => self.lack(key, pull.head.clone(), &error),
            }
        }
    }

    /// Why that head could not be had, if so.
    pub(super) fn lacks(&self, key: &PullKey, head: &Revision) -> Option<&str> {
        self.lacking.get(key).filter(|(of, _)| of == head).map(|(_, why)| why.as_str())
    }

    fn lack(&mut self, key: PullKey, head: Revision, error: &GitError) {
        let why = chain(error);
        if self.lacks(&key, &head) != Some(&why) {
            tracing::warn!(pull = %key, error = why, "the head of a pull request cannot be had");
        }
        self.lacking.insert(key, (head, why));
    }

    /// Whether the branch itself can be read: then it is no trouble of the branch's.
    pub(super) fn is_readable(&self, visit: &Visit<'_>) -> bool {
        let source = self.engine.sources().named(visit.place.name());
        source.is_some_and(|source| source.mirror().tree(&visit.base, "").is_ok())
    }
}

/// What Git says of one commit, where that is what it was about.
pub(super) fn of_commit(trouble: Trouble) -> Result<String, Trouble> {
    match trouble {
        Trouble::Git(error) | Trouble::Pass(super::PassError::Source { source: error, .. }) => {
            Ok(chain(&error))
        }
        other => Err(other),
    }
}
