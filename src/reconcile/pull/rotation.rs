//! Whose turn it is to be planned, where a turn may come to a few only.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::model::{PullKey, Revision};

/// Who waits longest, and what has become of a turn on one branch.
#[derive(Default)]
pub(super) struct Rotation {
    /// When it was last each one's turn, and with which head.
    tried: BTreeMap<PullKey, (Timestamp, Revision)>,
    /// A pass has read the branch anew since this turn came to it: nothing more of it is planned before the next one.
    overtaken: bool,
    /// Something was planned in this turn.
    planned: bool,
}

/// Whether nothing had come of a turn when it came to somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Begun {
    is_first: bool,
}

impl Rotation {
    /// A turn comes to a branch.
    pub(super) fn turn(&mut self) {
        (self.overtaken, self.planned) = (false, false);
    }

    pub(super) fn is_overtaken(&self) -> bool {
        self.overtaken
    }

    pub(super) fn overtake(&mut self) {
        self.overtaken = true;
    }

    /// Something is planned: a pull request, or a group of a merge queue.
    pub(super) fn plan(&mut self) {
        self.planned = true;
    }

    /// The turn comes to somebody.
    pub(super) fn begin(&self) -> Begun {
        Begun { is_first: !self.overtaken && !self.planned }
    }

    /// Whoever was planned goes behind all others. So does whoever was not and is the one that a turn was spent on: else
    /// one that takes longer than the branch stands still would keep out the rest. Who came after somebody
    /// who was planned keeps their place.
    pub(super) fn end(
        &mut self,
        (key, head): (&PullKey, &Revision),
        begun: Begun,
        is_planned: bool,
        now: Timestamp,
    ) {
        if is_planned || begun.is_first {
            self.tried.insert(key.clone(), (now, head.clone()));
        }
    }

    /// What they are sorted by: people wait for a head of which nothing `is_told` yet, until a turn was spent on it. Then
    /// whoever waited longest.
    pub(super) fn place(
        &self,
        key: &PullKey,
        head: &Revision,
        is_told: bool,
    ) -> (bool, Option<Timestamp>) {
        let tried = self.tried.get(key);
        let is_spent = tried.is_some_and(|(_, tried)| tried == head);
        (is_told || is_spent, tried.map(|(at, _)| *at))
    }

    pub(super) fn forget(&mut self, key: &PullKey) {
        self.tried.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SourceName;

    /// So many turns, each of which plans one and is overtaken before the next; with `slow` ones that are overtaken
    /// while they are read. Of those nothing is told. How often each was planned.
    fn planned(all: u64, slow: &[u64], turns: i64) -> Vec<usize> {
        let keys: Vec<PullKey> = (1..=all)
            .map(|number| PullKey { source: SourceName::new("requests"), number })
            .collect();
        let head = Revision::new("1");
        let mut times = vec![0; keys.len()];
        let mut rotation = Rotation::default();
        for turn in 0..turns {
            rotation.turn();
            let mut order: Vec<usize> = (0..keys.len()).collect();
            order.sort_by_key(|at| {
                let is_told = times[*at] > 0 || !slow.contains(&keys[*at].number);
                (rotation.place(&keys[*at], &head, is_told), keys[*at].number)
            });
            for (place, at) in order.into_iter().enumerate() {
                let begun = rotation.begin();
                let is_behind = rotation.planned || slow.contains(&keys[at].number);
                let is_planned = !rotation.is_overtaken() && !is_behind;
                match is_planned {
                    true => rotation.plan(),
                    false => rotation.overtake(),
                }
                times[at] += usize::from(is_planned);
                let now = Timestamp::from_second(turn * 1_000 + place as i64).unwrap();
                rotation.end((&keys[at], &head), begun, is_planned, now);
            }
        }
        times
    }

    #[test]
    fn everybody_is_planned_as_often_where_each_turn_comes_to_one() {
        for all in 1..=6 {
            let times = planned(all, &[], 60);
            let each = 60 / all as usize;
            assert!(times.iter().all(|n| *n == each), "of {all}: {times:?}");
        }
    }

    #[test]
    fn what_takes_longer_than_a_branch_stands_still_keeps_nobody_out() {
        let times = planned(4, &[1, 3], 40);
        assert_eq!(times, [0, 10, 0, 10]);
    }
}
