//! Pull requests of which the forge tells nothing, time and again, while it tells of others: what is wrong
//! with one keeps no other from being looked after.

use jiff::Timestamp;

use super::{Reviewer, Trouble, Turn, Visit, wait};
use crate::error::chain;
use crate::forge::ForgeError;
use crate::model::{PullKey, PullState};

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

    /// Whether each of this branch is found again by itself, whatever else is asked for: one that is not
    /// known to be open is found only among those that changed lately.
    pub(super) fn all_are_found(&self, visit: &Visit<'_>) -> bool {
        let is_open = |key| self.kept.get(key).is_some_and(|k| k.pull.state == PullState::Open);
        let mut silent = self.silent.keys().filter(|key| key.source == *visit.place.name());
        silent.all(is_open)
    }
}
