//! Which requests stand on which: cycles and chains without end are found before anything is done.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{RequestId, Wanted};

use super::Cases;
use super::situation::Situation;

/// Most requests in one chain of references. A chain this long is a mistake, and each link is a pass.
pub(crate) const CHAIN_MAX: usize = 100;

/// What is wrong with the references of the requests at hand.
#[derive(Debug, Default)]
pub(super) struct Knots {
    /// On a cycle: the whole of it, beginning with the smallest id.
    pub(super) cyclic: BTreeMap<RequestId, Vec<RequestId>>,
    /// At the end of a chain longer than [`CHAIN_MAX`]: its length.
    pub(super) deep: BTreeMap<RequestId, usize>,
}

/// Walks from the cases to whatever they stand on (Tarjan's algorithm, without recursion: a chain may
/// be as long as there are requests). Cost follows the cases and what is upstream of them.
pub(super) fn knots(situation: &Situation, cases: &Cases) -> Knots {
    let mut walk = Walk::default();
    for id in cases.keys() {
        if !walk.index.contains_key(*id) {
            walk.from((*id).clone(), &|id| references(situation, cases, id));
        }
    }
    let at_hand = |id: &RequestId| cases.contains_key(id);
    Knots {
        cyclic: walk.cyclic.into_iter().filter(|(id, _)| at_hand(id)).collect(),
        deep: walk
            .depth
            .into_iter()
            .filter(|(id, depth)| *depth > CHAIN_MAX && at_hand(id))
            .collect(),
    }
}

/// What a request stands on now: by its file where that is readable, else as it was applied.
fn references(situation: &Situation, cases: &Cases, id: &RequestId) -> Vec<RequestId> {
    let mut found = match cases.get(id) {
        None => (situation.references)(id),
        Some(case) => match case.desired.as_ref().map(|d| &d.wanted) {
            None => Vec::new(),
            Some(Wanted::Valid(spec)) => {
                spec.references.values().map(|r| r.request.clone()).collect()
            }
            Some(Wanted::Invalid(_) | Wanted::Waiting(_)) => (situation.references)(id),
        },
    };
    found.sort();
    found.dedup();
    found
}

#[derive(Default)]
struct Walk {
    index: BTreeMap<RequestId, usize>,
    low: BTreeMap<RequestId, usize>,
    open: Vec<RequestId>,
    is_open: BTreeSet<RequestId>,
    cyclic: BTreeMap<RequestId, Vec<RequestId>>,
    depth: BTreeMap<RequestId, usize>,
}

struct Frame {
    id: RequestId,
    references: Vec<RequestId>,
    next: usize,
}

impl Walk {
    fn enter(&mut self, id: RequestId, references: Vec<RequestId>) -> Frame {
        let n = self.index.len();
        self.index.insert(id.clone(), n);
        self.low.insert(id.clone(), n);
        self.open.push(id.clone());
        self.is_open.insert(id.clone());
        Frame { id, references, next: 0 }
    }

    fn lower(&mut self, id: &RequestId, to: usize) {
        if let Some(low) = self.low.get_mut(id) {
            *low = (*low).min(to);
        }
    }

    fn from(&mut self, start: RequestId, references: &dyn Fn(&RequestId) -> Vec<RequestId>) {
        let found = references(&start);
        let mut stack = vec![self.enter(start, found)];
        while let Some(frame) = stack.last_mut() {
            let id = frame.id.clone();
            if let Some(to) = frame.references.get(frame.next).cloned() {
                frame.next += 1;
                match self.index.get(&to).copied() {
                    None => {
                        let found = references(&to);
                        let frame = self.enter(to, found);
                        stack.push(frame);
                    }
                    Some(seen) if self.is_open.contains(&to) => self.lower(&id, seen),
                    Some(_) => {}
                }
                continue;
            }
            let references = std::mem::take(&mut frame.references);
            stack.pop();
            let low = self.low.get(&id).copied().unwrap_or_default();
            if let Some(parent) = stack.last() {
                let parent = parent.id.clone();
                self.lower(&parent, low);
            }
            if self.index.get(&id) == Some(&low) {
                self.close(&id, &references);
            }
        }
    }

    /// `id` is the first met of a group in which each reaches each: a cycle when there are several,
    /// or when the one refers to itself. Whatever they stand on has been closed before.
    fn close(&mut self, id: &RequestId, references: &[RequestId]) {
        let mut group = Vec::new();
        while let Some(member) = self.open.pop() {
            self.is_open.remove(&member);
            let last = member == *id;
            group.push(member);
            if last {
                break;
            }
        }
        if group.len() > 1 || references.contains(id) {
            // The order in which they were met follows the references.
            group.reverse();
            let smallest = group.iter().enumerate().min_by_key(|(_, id)| (*id).clone());
            let smallest = smallest.map_or(0, |(at, _)| at);
            group.rotate_left(smallest);
            for member in &group {
                self.depth.insert(member.clone(), 1);
                self.cyclic.insert(member.clone(), group.clone());
            }
        } else {
            let below = references.iter().filter_map(|r| self.depth.get(r)).max();
            self.depth.insert(id.clone(), 1 + below.copied().unwrap_or_default());
        }
    }
}
