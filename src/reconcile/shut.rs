//! Where nothing is begun for a while. Pure.
//!
//! An account that throttles one change throttles the next one as well, and each of them is tried for
//! as long as a pass has patience. So one is enough: what has not begun there waits, and nobody waits
//! for it.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Lanes and views in which nothing is begun, until when, and what was answered there.
#[derive(Default)]
pub struct Shut(BTreeMap<String, (Timestamp, String)>);

impl Shut {
    /// Nothing is begun in `place` before `until`; of two moments the later one counts.
    pub(super) fn close(&mut self, place: String, until: Timestamp, error: &str) {
        let at = self.0.entry(place).or_insert_with(|| (until, error.to_owned()));
        at.0 = at.0.max(until);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets those whose time is over.
    pub(super) fn reopen(&mut self, now: Timestamp) {
        self.0.retain(|_, (until, _)| *until > now);
    }

    /// Until when nothing is begun in any of `places`, and why.
    pub(super) fn until(&self, places: &[String]) -> Option<(Timestamp, &str)> {
        let shut = places.iter().filter_map(|place| self.0.get(place));
        shut.max_by_key(|(until, _)| *until).map(|(until, error)| (*until, error.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shut_until_the_latest_moment_that_was_said() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let (here, there) = (["here".to_owned()], ["there".to_owned()]);
        let both = ["there".to_owned(), "here".to_owned()];
        let mut shut = Shut::default();
        assert_eq!(shut.until(&here), None);
        shut.close("here".into(), at(20), "too fast");
        shut.close("here".into(), at(10), "too fast again");
        assert_eq!(shut.until(&here), Some((at(20), "too fast")));
        assert_eq!((shut.until(&there), shut.until(&both).is_some()), (None, true));
        shut.reopen(at(19));
        assert!(shut.until(&here).is_some());
        shut.reopen(at(20));
        assert_eq!(shut.until(&here), None);
    }
}
