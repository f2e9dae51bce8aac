//! When requests end, in the order of time: a pass asks for those whose time has come, and never for
//! all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use jiff::{SignedDuration, Timestamp};

use crate::model::{EndCounts, RequestId};

/// See the module.
#[derive(Default)]
pub(super) struct Ends(BTreeMap<Timestamp, BTreeSet<RequestId>>);

impl Ends {
    /// One more end.
    pub fn put(&mut self, ends: Timestamp, id: RequestId) {
        self.0.entry(ends).or_default().insert(id);
    }

    /// One end less.
    pub fn remove(&mut self, ends: Timestamp, id: &RequestId) {
        if let Some(ids) = self.0.get_mut(&ends) {
            ids.remove(id);
            if ids.is_empty() {
                self.0.remove(&ends);
            }
        }
    }

    /// Those that are over at `now`.
    pub fn over(&self, now: Timestamp) -> impl Iterator<Item = &RequestId> {
        self.0.range(..=now).flat_map(|(_, ids)| ids)
    }

    /// Those of which a warning, or the end itself, has come after `from` and up to `now`; from the
    /// beginning without one. `warn` are the times before an end at which there are warnings.
    pub fn crossed(
        &self,
        warn: &[SignedDuration],
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> BTreeSet<RequestId> {
        let mut crossed = BTreeSet::new();
        for before in marks(warn) {
            let until = after(now, before);
            let from = from.map(|from| after(from, before));
            if from.is_some_and(|from| from >= until) {
                continue;
            }
            let from = from.map_or(Bound::Unbounded, Bound::Excluded);
            let ids = self.0.range((from, Bound::Included(until))).flat_map(|(_, ids)| ids);
            crossed.extend(ids.cloned());
        }
        crossed
    }

    /// How many are over at `now`, how many end within `soon` from then, and how many later.
    pub fn counts(&self, soon: SignedDuration, now: Timestamp) -> EndCounts {
        let soon = after(now, soon);
        let mut counts = EndCounts::default();
        for (ends, ids) in &self.0 {
            let count = match *ends {
                ends if ends <= now => &mut counts.over,
                ends if ends <= soon => &mut counts.soon,
                _ => &mut counts.later,
            };
            *count += ids.len();
        }
        counts
    }

    /// When the next warning or end comes after `now`.
    pub fn next(&self, warn: &[SignedDuration], now: Timestamp) -> Option<Timestamp> {
        let next = marks(warn).filter_map(|before| {
            let from = Bound::Excluded(after(now, before));
            let (ends, _) = self.0.range((from, Bound::Unbounded)).next()?;
            ends.checked_sub(before).ok()
        });
        next.min()
    }
}

/// The times before an end at which something is said, the end itself among them.
fn marks(warn: &[SignedDuration]) -> impl Iterator<Item = SignedDuration> {
    warn.iter().copied().chain([SignedDuration::ZERO])
}

fn after(at: Timestamp, length: SignedDuration) -> Timestamp {
    at.checked_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3_600).unwrap()
    }

    #[test]
    fn each_mark_is_crossed_once_and_the_next_one_is_known() {
        let id = |name: &str| RequestId::new("orders", "dev", name).unwrap();
        let mut ends = Ends::default();
        ends.put(at(100), id("a"));
        ends.put(at(100), id("b"));
        ends.put(at(110), id("c"));
        let warn = [72, 24].map(SignedDuration::from_hours);
        let crossed = |from: Option<i64>, now| {
            let ids = ends.crossed(&warn, from.map(at), at(now));
            ids.iter().map(|id| id.name().to_owned()).collect::<String>()
        };
        assert_eq!(crossed(Some(0), 27), "");
        assert_eq!(crossed(Some(27), 28), "ab");
        assert_eq!(crossed(Some(28), 38), "c");
        assert_eq!(crossed(Some(28), 90), "abc");
        assert_eq!(crossed(None, 28), "ab");
        assert_eq!(crossed(Some(200), 28), "", "a clock that went back crosses nothing");
        for (now, next) in [(0, 28), (28, 38), (38, 76), (76, 86), (99, 100), (100, 110)] {
            assert_eq!(ends.next(&warn, at(now)), Some(at(next)), "{now}");
        }
        assert_eq!(ends.next(&warn, at(110)), None);
        assert_eq!(ends.over(at(100)).count(), 2);
        let counts = ends.counts(SignedDuration::from_hours(5), at(105));
        assert_eq!(counts, EndCounts { over: 2, soon: 1, later: 0 });
        assert_eq!(ends.counts(warn[1], at(0)), EndCounts { over: 0, soon: 0, later: 3 });
        ends.remove(at(100), &id("a"));
        ends.remove(at(100), &id("b"));
        assert_eq!(ends.next(&[], at(0)), Some(at(110)));
    }
}
