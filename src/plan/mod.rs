//! `(desired, recorded, live) -> Plan`: pure, and total.
//!
//! # Flow
//! Every case is *drafted* by itself (what would be done to each of its targets, and what holds it),
//! then the *guards* look at all deletions together, then the *order* ties the steps to each other,
//! passes holds on to whatever stands on them, and takes turns between teams.
//!
//! # Guarantees
//! - Nothing that is neither desired nor recorded is ever touched.
//! - Nothing is created or deleted on the strength of not having looked.
//! - Whatever could have happened and does not is a [`Hold`](crate::model::Hold) with its reason.
//! - The order of the cases does not matter, and a plan that was applied plans to nothing.
//!
//! # Caveats
//! A target whose provider or place changes gets two steps under one key, a deletion and, after it, a
//! creation. A step that is not ready is shown, and planned again once what it waits for has ended.

mod assess;
mod bind;
mod change;
mod collide;
mod component;
mod decide;
mod draft;
mod expiry;
mod exposure;
mod gate;
mod graph;
mod guard;
mod moves;
mod order;
mod require;
mod retry;
pub mod rollout;
mod situation;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::model::{Plan, RequestId, Target};

pub use assess::{Foretold, assess, wants_preview};
pub use bind::{Bounds, bind, reviewed_as};
pub use change::{forbidden, settings};
pub use exposure::{Exposed, exposures};
pub use gate::other_source;
pub(crate) use graph::CHAIN_MAX;
pub use require::{Ruling, asks_of_takeover, asks_once, require};
pub use retry::backoff;
pub use situation::{Case, Expiry, Gone, Guards, InFlight, Seen, Situation, Totals};

type Cases<'a> = BTreeMap<&'a RequestId, &'a Case>;

/// What would be done, what not, and why.
pub fn plan(situation: &Situation) -> Plan {
    build(situation, situation.blind).0
}

/// Targets to look at.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Looks {
    /// Those on which a decision depends.
    pub targets: Vec<Target>,
    /// Others, whose look for drift is due.
    pub drift: Vec<Target>,
}

/// The targets that must be looked at before [`plan`] may decide: those on which something would be
/// done if the world were as recorded, and those whose look for drift is due. What is held anyway is
/// not asked about. The `key` of each says into which case's `live`, and under which name, the answer
/// belongs.
pub fn needs_observing(situation: &Situation) -> Looks {
    build(situation, true).1
}

/// What the stages share.
struct Context<'a> {
    situation: &'a Situation<'a>,
    cases: Cases<'a>,
    knots: graph::Knots,
    moves: moves::Moves<'a>,
    /// Takes what was not looked at to be as recorded.
    blind: bool,
}

/// The plan, and the targets it would have to see.
fn build(situation: &Situation, blind: bool) -> (Plan, Looks) {
    let mut cases = Cases::new();
    for case in &situation.cases {
        cases.entry(&case.id).or_insert(case);
    }
    let knots = graph::knots(situation, &cases);
    let moves = moves::sort(situation, &cases);
    let context = Context { situation, cases, knots, moves, blind };
    let mut draft = draft::Draft::new(situation.instance.clone());
    for case in context.cases.values() {
        draft.case(&context, case);
    }
    guard::deletions(&context, &mut draft);
    expiry::guard(&context, &mut draft);
    guard::sources(&context, &mut draft);
    guard::moves(&context, &mut draft);
    collide::names(&context, &mut draft);
    order::finish(&context, draft)
}
