//! What a look left open is looked at again, by itself and less and less often.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{REST, REST_MOST};
use crate::digest::Digest;
use crate::model::{Brief, Stage};

/// Looks that left something open: what each was made of, how many came to that in a row, and when
/// the next one is due.
#[derive(Debug)]
pub(super) struct Again<K>(BTreeMap<K, (Digest, u32, Timestamp)>);

impl<K> Default for Again<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Again<K> {
    /// When the next look is due although nothing is new; `None`: the last one left nothing open.
    pub(super) fn due(&self, key: &K) -> Option<Timestamp> {
        self.0.get(key).map(|(_, _, at)| *at)
    }

    /// Takes note of a look; where it left something open, with the first pause, when the next is due.
    pub(super) fn note(
        &mut self,
        key: &K,
        made_of: Digest,
        open: Option<SignedDuration>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let before = self.0.remove(key);
        let first = open?;
        let before = before.filter(|(of, _, _)| *of == made_of).map_or(0, |(_, times, _)| times);
        let wait = first * 2_i32.saturating_pow(before.min(8));
        let at = now + wait.min(REST_MOST);
        self.0.insert(key.clone(), (made_of, before.saturating_add(1), at));
        Some(at)
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Forgets all but some.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&K) -> bool) {
        self.0.retain(|key, _| is_kept(key));
    }
}

/// The first pause after a look that has not told all that it was for. What a person has to allow
/// first is not asked for as soon as what may come back by itself.
pub(super) fn pause(brief: &Brief) -> Option<SignedDuration> {
    match brief.stage {
        Stage::Unknown { .. } => Some(REST),
        Stage::Planned if brief.is_unseen() || brief.is_refused() => Some(REST),
        Stage::Planned => brief.is_unread().then_some(REST_MOST),
        Stage::Conflict { .. }
        | Stage::Nothing
        | Stage::Merged { .. }
        | Stage::Dropped { .. }
        | Stage::Closed
        | Stage::Elsewhere { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;

    #[test]
    fn the_pauses_grow_and_begin_anew_with_something_new() {
        let mut again = Again::default();
        let start = Timestamp::UNIX_EPOCH;
        let (one, other) = (sha256(b"one"), sha256(b"other"));
        let mut look = |of, open: bool| {
            let due = again.note(&1, of, open.then_some(REST), start);
            assert_eq!(again.due(&1), due);
            due.map(|at| at.duration_since(start))
        };
        assert_eq!(look(one, true), Some(REST));
        assert_eq!(look(one, true), Some(REST * 2));
        assert_eq!(look(other, true), Some(REST));
        for _ in 0..20 {
            assert!(look(other, true) <= Some(REST_MOST));
        }
        assert_eq!(look(other, true), Some(REST_MOST));
        assert_eq!(look(other, false), None);
        assert_eq!(look(other, true), Some(REST));
    }
}
