//! Whose turn it is: which effects may begin now, in the plan's order, within what may be under way
//! at once. Pure.
//!
//! Nobody waits for another lane: rows that cannot begin are passed over, not waited for. And no
//! team takes all the room: what runs for an hour must leave some for those who come later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::Journalled;

/// What bounds concurrency, and who asks.
pub(super) type Queue = (String, String);

/// How much is under way, and how much may be.
pub(super) struct Room {
    per_lane: usize,
    total: usize,
    used: BTreeMap<Queue, usize>,
}

impl Room {
    pub(super) fn new(per_lane: usize, total: usize) -> Self {
        // With no room at all nothing would ever be done.
        Self { per_lane: per_lane.max(1), total: total.max(1), used: BTreeMap::new() }
    }

    pub(super) fn take(&mut self, queue: Queue) {
        *self.used.entry(queue).or_default() += 1;
    }

    pub(super) fn give_back(&mut self, queue: &Queue) {
        if let Some(used) = self.used.get_mut(queue) {
            *used = used.saturating_sub(1);
        }
    }

    /// How many more of this lane and team may begin.
    pub(super) fn free(&self, (lane, team): &Queue) -> usize {
        let sum = |of: &dyn Fn(&Queue) -> bool| -> usize {
            self.used.iter().filter(|(q, _)| of(q)).map(|(_, n)| n).sum()
        };
        let bounds = [
            (self.total, sum(&|_| true)),
            (self.per_lane, sum(&|q| q.0 == *lane)),
            (share(self.total), sum(&|q| q.1 == *team)),
            (share(self.per_lane), sum(&|q| q.0 == *lane && q.1 == *team)),
        ];
        bounds.into_iter().map(|(limit, used)| limit.saturating_sub(used)).min().unwrap_or(0)
    }
}

/// What one team may take of a bound: a quarter is left for others.
fn share(limit: usize) -> usize {
    if limit < 2 { limit } else { limit - limit.div_ceil(4) }
}

/// Rows that have not begun.
#[derive(Default)]
pub(super) struct Turns {
    queues: BTreeMap<Queue, VecDeque<(usize, Journalled)>>,
    count: usize,
}

impl Turns {
    /// One more, after all others.
    pub(super) fn put(&mut self, lane: String, row: Journalled) {
        let team = row.change.target.key.request.team().to_owned();
        self.count += 1;
        self.queues.entry((lane, team)).or_default().push_back((self.count, row));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Takes those out that are not to begin, each with what bars it.
    pub(super) fn withdraw<T>(
        &mut self,
        bars: impl Fn(&Journalled) -> Option<T>,
    ) -> Vec<(Journalled, T)> {
        let mut out = Vec::new();
        self.queues.retain(|_, rows| {
            for (at, row) in std::mem::take(rows) {
                match bars(&row) {
                    Some(bar) => out.push((row, bar)),
                    None => rows.push_back((at, row)),
                }
            }
            !rows.is_empty()
        });
        out
    }

    /// Takes those that may begin, by lane; `most` says how many of a lane may.
    pub(super) fn next(
        &mut self,
        room: &mut Room,
        most: impl Fn(&str) -> usize,
    ) -> BTreeMap<String, Vec<Journalled>> {
        let mut taken: BTreeMap<String, Vec<Journalled>> = BTreeMap::new();
        let heads = self.queues.iter().filter_map(|(queue, rows)| Some((rows.front()?.0, queue)));
        let mut heads: BTreeSet<(usize, Queue)> = heads.map(|(n, q)| (n, q.clone())).collect();
        while let Some((_, queue)) = heads.pop_first() {
            let began = taken.get(&queue.0).map_or(0, Vec::len);
            if began >= most(&queue.0) || room.free(&queue) == 0 {
                continue;
            }
            let Some(rows) = self.queues.get_mut(&queue) else { continue };
            if let Some((_, row)) = rows.pop_front() {
                room.take(queue.clone());
                taken.entry(queue.0.clone()).or_default().push(row);
            }
            match rows.front() {
                Some((n, _)) => drop(heads.insert((*n, queue))),
                None => drop(self.queues.remove(&queue)),
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(lane: &str, team: &str) -> Queue {
        (lane.into(), team.into())
    }

    #[test]
    fn a_team_leaves_a_quarter_for_others() {
        assert_eq!([0, 1, 2, 3, 4, 10, 1000].map(share), [0, 1, 1, 2, 3, 7, 750]);
        let mut room = Room::new(4, 100);
        for _ in 0..3 {
            room.take(queue("a", "one"));
        }
        assert_eq!(room.free(&queue("a", "one")), 0);
        assert_eq!(room.free(&queue("a", "two")), 1);
        assert_eq!(room.free(&queue("b", "one")), 3, "another lane has room of its own");
        room.take(queue("a", "two"));
        assert_eq!(room.free(&queue("a", "three")), 0, "the lane is full");
        room.give_back(&queue("a", "one"));
        assert_eq!(room.free(&queue("a", "three")), 1);
    }

    #[test]
    fn the_total_bounds_all_lanes() {
        let mut room = Room::new(10, 4);
        for lane in ["a", "b", "c"] {
            room.take(queue(lane, "one"));
        }
        assert_eq!(room.free(&queue("d", "one")), 0);
        assert_eq!(room.free(&queue("d", "two")), 1);
    }

    #[test]
    fn no_room_at_all_is_room_for_one() {
        assert_eq!(Room::new(0, 0).free(&queue("a", "one")), 1);
    }
}
