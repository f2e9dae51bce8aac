//! To which traces it belongs what a pass does: effects that began in earlier passes go on in the trace that began
//! them, up to the commit that says what became of them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use jiff::Timestamp;

use super::pass::Pass;
use crate::model::{Journalled, RequestId, TraceParent};
use crate::trace::{self, Past};

/// Traces that one commit is told of in: of more effects at once each would be a needle in a haystack.
const OWED: usize = 1_000;

/// What is known of traces in one pass.
#[derive(Default)]
pub(super) struct Traced {
    /// What began effects that ended in this pass, by their requests.
    ended: BTreeMap<RequestId, TraceParent>,
    /// What began effects of which it was published that they ended.
    pub told: Vec<TraceParent>,
}

impl Pass<'_> {
    /// What an effect that is about to begin belongs to: the pass. One that nobody woke goes on with what it found
    /// ended of the same request.
    pub(super) fn cause_of(&self, id: &RequestId) -> Option<TraceParent> {
        let before = self.traced.ended.get(id).filter(|_| !self.engine.is_woken);
        before.cloned().or_else(trace::current)
    }

    /// An effect's end was seen.
    pub(super) fn trace_end(&mut self, row: &Journalled, failed: bool) {
        let Some(of) = &row.trace else { return };
        let target = &row.change.target;
        let facts = vec![
            ("vend.request", target.key.request.to_string()),
            ("vend.component", target.key.component.to_string()),
            ("vend.provider", target.provider.clone()),
            ("vend.action", format!("{:?}", row.change.action).to_lowercase()),
            ("vend.token", row.change.token.to_string()),
        ];
        let began = SystemTime::from(row.since);
        Past { name: "effect", of, began, failed, facts }.tell();
        self.traced.ended.insert(target.key.request.clone(), of.clone());
        let owed = &mut self.memory.owed;
        if owed.len() < OWED && !owed.contains(of) {
            owed.push(of.clone());
        }
    }

    /// The status branch says now what became of effects: their traces are told of it, where the pass is not theirs.
    pub(super) fn trace_published(&mut self, began: Timestamp) {
        let owed = std::mem::take(&mut self.memory.owed);
        let own = trace::current();
        let is_own = |of: &TraceParent| own.as_ref().is_some_and(|own| own.trace() == of.trace());
        let commit = self.report.published.as_ref().map(ToString::to_string).unwrap_or_default();
        let mut seen = std::collections::BTreeSet::new();
        for of in owed.iter().filter(|of| !is_own(of)) {
            if seen.insert(of.trace().to_owned()) {
                let facts = vec![("vcs.ref.head.revision", commit.clone())];
                let began = SystemTime::from(began);
                Past { name: "publish", of, began, failed: false, facts }.tell();
            }
        }
        self.traced.told.extend(owed);
    }
}
