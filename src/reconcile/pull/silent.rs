//! Pull requests and commits of which the forge tells nothing, time and again, while it tells of others: what is
//! wrong with one keeps no other from being looked after.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Reviewer, Trouble, Turn, Visit, wait};
use crate::error::chain;
use crate::forge::ForgeError;
use crate::model::{PullKey, PullState, Revision};

/// So many in a row, and the others are not tried: it is nothing of theirs then.
const SILENT: usize = 3;

/// How many in a row the forge told nothing of.
#[derive(Default)]
pub(super) struct Silence(usize);

impl Reviewer {
    /// Whether the forge is not asked about that one before a while is over.
    pub(super) fn is_silent(&self, key: &PullKey, now: Timestamp, turn: &mut Turn) -> bool {
        let until = self.silent.get(key).map(|(_, until)| *until).filter(|until| *until > now);
        if let Some(until) = until {
            turn.is_due(until);
        }
        until.is_some()
    }

    /// Keeps it with its pull request that the forge could not tell of it. Where it says when to come again it
    /// is asked too much, by all of them.
    pub(super) fn unless_silent(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        outcome: Result<(), Trouble>,
        silence: &mut Silence,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let error = match outcome {
            Err(error @ Trouble::Forge(ForgeError::Unavailable { retry_after: None, .. })) => error,
            other => {
                silence.0 = 0;
                if other.is_ok() {
                    self.silent.remove(key);
                }
                return other;
            }
        };
        silence.0 += 1;
        if silence.0 == SILENT {
            return Err(error);
        }
        let until = wait(&mut self.silent, key, &error, (visit.clock)());
        let error = chain(&error);
        tracing::warn!(pull = %key, error, %until, "a pull request cannot be looked after");
        turn.is_due(until);
        Ok(())
    }

    /// Whether the forge is not asked how one of these commits came before a while is over.
    pub(super) fn is_untold(
        &self,
        visit: &Visit<'_>,
        commits: &BTreeSet<Revision>,
        turn: &mut Turn,
    ) -> bool {
        let (repo, now) = (&visit.place.repo, (visit.clock)());
        let until = |commit: &Revision| {
            let (_, until) = self.untold.get(&(repo.clone(), commit.clone()))?;
            Some(*until).filter(|until| *until > now)
        };
        let until = commits.iter().filter_map(until).max();
        if let Some(until) = until {
            turn.is_due(until);
        }
        until.is_some()
    }

    /// Keeps it with these commits that the forge could not tell how they came, or who spoke for that; `None`:
    /// that is asked again after a while.
    pub(super) fn unless_untold<T>(
        &mut self,
        visit: &Visit<'_>,
        commits: &BTreeSet<Revision>,
        told: Result<T, Trouble>,
        silence: &mut Silence,
        turn: &mut Turn,
    ) -> Result<Option<T>, Trouble> {
        let of = |commit: &Revision| (visit.place.repo.clone(), commit.clone());
        let error = match told {
            Err(error @ Trouble::Forge(ForgeError::Unavailable { retry_after: None, .. })) => error,
            Err(other) => return Err(other),
            Ok(told) => {
                silence.0 = 0;
                return Ok(Some(told));
            }
        };
        silence.0 += 1;
        if silence.0 == SILENT {
            return Err(error);
        }
        let text = chain(&error);
        for commit in commits {
            let until = wait(&mut self.untold, &of(commit), &error, (visit.clock)());
            tracing::warn!(%commit, error = text, %until, "how a commit came cannot be asked");
            turn.is_due(until);
        }
        Ok(None)
    }

    /// All that there is to be told of how these commits came was told.
    pub(super) fn all_told(&mut self, visit: &Visit<'_>, commits: &BTreeSet<Revision>) {
        for commit in commits {
            self.untold.remove(&(visit.place.repo.clone(), commit.clone()));
        }
    }

    /// Whether each of this branch is found again by itself, whatever else is asked for: one that is neither
    /// known to be open nor among those that were `listed` so now is found only among those that changed lately.
    pub(super) fn all_are_found(&self, visit: &Visit<'_>, listed: &BTreeSet<u64>) -> bool {
        let is_open = |key: &PullKey| match self.kept.get(key) {
            Some(kept) => kept.pull.state == PullState::Open,
            None => listed.contains(&key.number),
        };
        let mut silent = self.silent.keys().filter(|key| key.source == *visit.place.name());
        silent.all(is_open)
    }
}
