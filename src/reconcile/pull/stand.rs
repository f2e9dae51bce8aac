//! What stands on the forge is what was said: read back where others may have changed it, and made again
//! where somebody asks.
//!
//! # Guarantees
//! - What was said is read back when there is news of its pull request, and not all the time: by questions
//!   that cost nothing while nothing has changed.
//! - However often others change it, it is set right less and less often: two that each want the last word
//!   do not keep each other busy.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::kept::Kept;
use super::{Pause, REST, REST_MOST, Reviewer, Trouble, Turn, Visit};
use crate::forge::webhook::{Wake, Wanted};
use crate::model::{PullKey, PullState};

/// Nudges that are kept until the next turn; whatever is lost is found when there is other news.
const NUDGES: usize = 1_000;

/// Checks of one pull request are made again at most so often.
const RERUN: SignedDuration = SignedDuration::from_mins(1);

/// Whoever changes what we have said after so long does it for the first time.
const CALM: SignedDuration = SignedDuration::from_hours(1);

/// What webhooks say is worth a look. None of it is believed: what stands there is asked for.
#[derive(Clone, Debug, Default)]
pub struct Nudges(Arc<Mutex<BTreeSet<Wake>>>);

impl Nudges {
    /// Takes note of one, which the next turn heeds.
    pub fn take(&self, wake: Wake) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < NUDGES {
            all.insert(wake);
        }
    }

    fn drain(&self) -> BTreeSet<Wake> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// When what stands there may be set right again.
fn next(righted: Option<&Pause>) -> Option<Timestamp> {
    righted.map(|(times, last)| {
        let pause = REST * 2_i32.saturating_pow(times.saturating_sub(1).min(8));
        *last + pause.min(REST_MOST)
    })
}

impl Reviewer {
    /// Finds which pull requests the nudges are about.
    pub(super) fn heed_nudges(&mut self) {
        for Wake { repo, pull, commit, wanted } in self.nudges.drain() {
            let is_about = |(key, kept): &(&PullKey, &Kept)| {
                let is_here = self.places.iter().any(|p| *p.name() == key.source && p.repo == repo);
                let merged = match &kept.pull.state {
                    PullState::Merged { commit, .. } => Some(commit),
                    PullState::Open | PullState::Closed => None,
                };
                let at = commit.as_ref();
                let is_at = at.is_some() && (at == Some(&kept.pull.head) || at == merged);
                is_here && (pull == Some(key.number) || is_at)
            };
            let about = self.kept.iter().filter(is_about).map(|(key, _)| key.clone());
            match wanted {
                Wanted::Look => self.unsure.extend(about),
                Wanted::Rerun => self.rerun.extend(about),
            }
        }
    }

    /// Where somebody wants the checks made again, they are: planned once more, and said as new ones, since
    /// the forge waits for those. That is written down before they are said, so that they are found again.
    pub(super) async fn asked_again(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &mut Kept,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let now = (visit.clock)();
        if !self.rerun.contains(key) {
            return Ok(());
        }
        if let Some(at) = self.reran.get(key).map(|last| *last + RERUN).filter(|at| *at > now) {
            turn.is_due(at);
            return Ok(());
        }
        self.rerun.remove(key);
        if kept.checks.is_empty() || kept.pull.state == PullState::Closed {
            return Ok(());
        }
        self.reran.insert(key.clone(), now);
        self.looked.remove(key);
        self.refused.remove(key);
        kept.reruns = kept.reruns.wrapping_add(1);
        kept.over = false;
        self.keep(visit, key, kept.clone()).await
    }

    /// Whether what was said of one is read back now.
    pub(super) fn is_read_back(&self, key: &PullKey, now: Timestamp) -> bool {
        self.unsure.contains(key) && next(self.righted.get(key)).is_none_or(|at| at <= now)
    }

    /// It was read back, and was as it should be or was `righted`.
    pub(super) fn read_back(&mut self, key: &PullKey, righted: bool, now: Timestamp) {
        self.unsure.remove(key);
        if righted {
            tracing::warn!(pull = %key, "what stands on a pull request was not as we said it, and is set right");
            let before = self.righted.get(key).filter(|(_, at)| now.duration_since(*at) < CALM);
            let times = before.map_or(0, |(times, _)| *times).saturating_add(1);
            self.righted.insert(key.clone(), (times, now));
        }
    }

    /// When those are due that rest before they are read back.
    pub(super) fn note_unsure(&self, visit: &Visit<'_>, turn: &mut Turn) {
        let now = (visit.clock)();
        let mine = self.unsure.iter().filter(|key| key.source == *visit.place.name());
        for at in mine.filter_map(|key| next(self.righted.get(key))).filter(|at| *at > now) {
            turn.is_due(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forge::Repo;

    #[test]
    fn the_more_often_it_was_set_right_the_longer_it_rests() {
        let start = Timestamp::UNIX_EPOCH;
        let rest = |times| next(Some(&(times, start))).map(|at| at.duration_since(start));
        assert_eq!(next(None), None);
        assert_eq!([rest(1), rest(2), rest(3)], [Some(REST), Some(REST * 2), Some(REST * 4)]);
        assert_eq!([rest(20), rest(u32::MAX)], [Some(REST_MOST); 2]);
    }

    #[test]
    fn a_flood_of_nudges_is_as_many_as_there_are_things_to_look_at() {
        let nudges = Nudges::default();
        let repo = Repo::parse("acme/requests").unwrap();
        let one =
            |n| Wake { repo: repo.clone(), pull: Some(n), commit: None, wanted: Wanted::Look };
        (0..5_000).for_each(|_| nudges.take(one(1)));
        assert_eq!(nudges.drain().len(), 1);
        (0..5_000).for_each(|n| nudges.take(one(n)));
        assert_eq!(nudges.drain().len(), NUDGES);
        assert!(nudges.drain().is_empty());
    }
}
