//! The planner against the reference that the whole pass is held against too (`tests/it/model`), many
//! more times than whole passes could be played: files, faults, ends in the middle, what people change in
//! the world, and approvals.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::world::{self, World, at, id};
use crate::model::{
    DriftItem, HoldReason, OnDrift, Plan, RequestId, Revision, SourceName, SourceProblem,
};
use crate::plan::{Gone, InFlight};

#[path = "../../../tests/it/model/acts.rs"]
#[allow(dead_code, reason = "what is done to a branch is nothing to the planner")]
mod acts;
#[allow(
    clippy::duplicate_mod,
    reason = "two models play cases alike, and know nothing of each other"
)]
#[path = "../../../tests/it/model/case.rs"]
mod case;
#[path = "../../../tests/it/model/reference.rs"]
mod reference;
#[path = "../../../tests/it/model/words.rs"]
#[allow(dead_code, reason = "that a catalog is damaged is nothing to the planner")]
mod words;

use acts::{Act, IDS, Names, Views, act};
use case::Cases;
use reference::Reference;
use words::{Catalog, Edition, File, Hand, Id, Rest, What, Word};

/// What goes wrong in a pass.
#[derive(Clone, Debug)]
enum Fault {
    /// It ends after so many of the steps that were ready.
    Dies(usize),
    /// A target does not answer.
    Unseen(usize),
    /// A change of a target is under way.
    Busy(usize),
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        3 => (0..4_usize).prop_map(Fault::Dies),
        1 => (0..IDS.len()).prop_map(Fault::Unseen),
        1 => (0..IDS.len()).prop_map(Fault::Busy),
    ]
}

struct Game {
    world: World,
    reference: Reference,
    views: Views,
    catalog: Catalog,
}

fn commit(view: usize) -> Revision {
    Revision::new(format!("{view:040}"))
}

fn file(file: &File, catalog: &Catalog) -> world::File {
    world::File {
        version: if file.version == Some(0) { "1.0.0" } else { "1.1.0" },
        on_drift: if catalog.reverts { OnDrift::Revert } else { OnDrift::Report },
        protect: file.protect,
        tombstone: file.confirm,
        suspend: file.suspend,
        broken: file.broken,
        moved_from: file.from.filter(|_| !file.broken).map(id),
        ..world::File::default().with("value", file.value)
    }
}

impl Game {
    /// What a pass reads from Git: the files, what those that are gone said last, and which of the new
    /// ones came later than those went, or lay there before.
    fn see(&mut self, files: BTreeMap<Id, File>) {
        self.read(&files);
        let (world, n) = (&mut self.world, self.views.len());
        for (name, text) in self.views.last().into_iter().flatten() {
            if files.contains_key(name) {
                continue;
            }
            let text = Some(text).filter(|text| !text.broken);
            let gone = Gone {
                protect: text.is_some_and(|text| text.protect),
                tombstone: text.is_some_and(|text| text.confirm),
                moved_from: text.and_then(|text| text.from).map(id),
                commit: Some(commit(n)),
                before: Some(commit(n - 1)),
            };
            world.gone.insert(id(name), gone);
        }
        self.reference.see(&files);
        self.views.push(files);
        let files = self.views.last().unwrap();
        world.gone.retain(|gone, _| !files.contains_key(gone.as_str()));
        world.later.clear();
        world.untouched.clear();
        let new = files.iter().filter(|(name, _)| !world.records.contains_key(&id(name)));
        for (name, text) in new {
            for gone in world.gone.values() {
                let view: usize = gone.commit.as_ref().unwrap().as_str().parse().unwrap();
                let (then, former) = (self.views[view].get(name), self.views[view - 1].get(name));
                let rests = match (text.broken, then) {
                    (true, Some(then)) => then.from.is_none(),
                    (_, _) => text.suspend && !text.broken,
                };
                let of = match then {
                    None if view + 1 < self.views.len() => &mut world.later,
                    Some(_) if then == former && rests => &mut world.untouched,
                    None | Some(_) => continue,
                };
                of.entry(id(name)).or_default().insert(commit(view));
            }
        }
    }

    fn read(&mut self, files: &BTreeMap<Id, File>) {
        let read = |(name, text): (&Id, &File)| (id(name), file(text, &self.catalog));
        self.world.files = files.iter().map(read).collect();
    }

    /// A person changes or removes what was made of a request.
    fn touch(&mut self, name: Id, how: Hand) {
        let record = self.world.records.get(&id(name));
        for component in record.into_iter().flat_map(|record| record.components.values()) {
            let place = (component.provider.clone(), component.target.clone());
            match (how, self.world.things.get_mut(&place)) {
                (Hand::Removed, _) => drop(self.world.things.remove(&place)),
                (Hand::Changed, Some(there)) => there.drift = vec![DriftItem::new("it", "changed")],
                (Hand::Changed, None) => {}
            }
        }
        self.reference.touch(name, how);
    }

    fn pass(&mut self, most: usize) -> Plan {
        let plan = self.world.plan();
        let mut done = plan.clone();
        let mut left = most;
        done.steps.retain(|step| {
            let counts = step.is_ready() && step.action.touches_the_world();
            left = left.saturating_sub(usize::from(counts));
            !counts || left > 0
        });
        self.world.apply(&done);
        let held = plan.holds.iter().filter(|hold| hold.reason.is_incomplete_move());
        self.world.may_have_moved = held.map(|hold| hold.request.clone()).collect();
        plan
    }

    fn faults(&mut self, faults: &[Fault]) {
        let target = |world: &World, n: usize| {
            let key = world::key(&format!("{}#main", IDS[n]));
            let record = world.records.get(&key.request);
            (record.and_then(|r| r.components.get(&key.component)).map(|c| c.target.clone()), key)
        };
        for fault in faults {
            match fault {
                Fault::Dies(most) => drop(self.pass(*most)),
                Fault::Unseen(n) => {
                    self.world.unseen.extend(target(&self.world, *n).0);
                    self.pass(usize::MAX);
                    self.world.unseen.clear();
                }
                // What is held since its file went is not changed by anybody.
                Fault::Busy(n) if self.is_long_gone(IDS[*n]) => {}
                Fault::Busy(n) => {
                    let action = crate::model::Action::Update;
                    let flight = InFlight {
                        action,
                        artifact: None,
                        since: at(1),
                        unknown: None,
                        stopped: false,
                        silent: None,
                    };
                    self.world.in_flight.insert(target(&self.world, *n).1, flight);
                    self.pass(usize::MAX);
                    self.world.in_flight.clear();
                }
            }
        }
    }

    fn is_long_gone(&self, name: Id) -> bool {
        let gone = self.world.gone.get(&id(name));
        gone.is_some_and(|gone| gone.commit != Some(commit(self.views.len() - 1)))
    }

    fn settle(&mut self) -> Plan {
        for _ in 0..60 {
            let plan = self.pass(usize::MAX);
            let idle = plan.settle.is_empty() && plan.forget.is_empty() && plan.drifts.is_empty();
            if idle && !plan.steps.iter().any(crate::model::Step::is_ready) {
                return plan;
            }
        }
        panic!("no end in sight:\n{}", self.world.show());
    }

    fn approve(&mut self) {
        let plan = self.settle();
        let asked = plan.holds.iter().filter_map(|hold| match &hold.reason {
            HoldReason::TooManyDeletes { digest, .. } => Some(*digest),
            HoldReason::LooksLikeAMove { digest, set, .. } => set.or(*digest),
            HoldReason::NeedsApproval { digest, .. } => Some(*digest),
            _ => None,
        });
        self.world.approvals.extend(asked);
        self.reference.approve();
    }

    /// How everything stands, as a status would say it.
    fn standing(&self, plan: &Plan) -> Rest {
        let held: BTreeMap<&RequestId, &HoldReason> =
            plan.holds.iter().map(|hold| (&hold.request, &hold.reason)).collect();
        let mut rest = Rest::default();
        for name in IDS {
            let request = id(name);
            let (file, record) = (self.world.files.get(&request), self.world.records.get(&request));
            let word = match held.get(&request) {
                Some(HoldReason::Suspended) => Word::Suspended,
                Some(HoldReason::Invalid { .. }) => Word::Held("Invalid"),
                Some(HoldReason::LooksLikeAMove { .. }) => Word::Held("LooksLikeAMove"),
                Some(HoldReason::Protected { .. }) => Word::Held("Protected"),
                Some(HoldReason::TooManyDeletes { .. }) => Word::Held("TooManyDeletes"),
                Some(HoldReason::NeedsApproval { .. }) => Word::Held("NeedsApproval"),
                Some(_) => Word::Held("for another reason"),
                None => Word::Ready,
            };
            if file.is_some() || record.is_some() {
                rest.words.insert(name, word);
            }
            for component in record.into_iter().flat_map(|r| r.components.values()) {
                if file.is_some() && !component.drift.is_empty() {
                    rest.drifted.insert(name);
                }
                let place = (component.provider.clone(), component.target.clone());
                let Some(thing) = self.world.things.get(&place) else { continue };
                assert_eq!(thing.digest, component.digest, "{name}");
                let record = record.unwrap();
                let value = u16::try_from(record.parameters["value"].as_u64().unwrap()).unwrap();
                let version = u8::try_from(record.template.version.minor).unwrap();
                let what = What { version, edition: Edition::First, value };
                rest.things.insert(name, thing.drift.is_empty().then_some(what));
            }
        }
        rest
    }

    /// The branch is gone for a while: whatever goes wrong meanwhile, nothing is done to what was made.
    fn lose(&mut self, faults: &[Fault]) {
        let main = SourceName::new("main");
        let missing = SourceProblem::Missing { error: "no such branch".into(), since: at(1) };
        let marks = |world: &World| -> BTreeMap<_, _> {
            world.things.iter().map(|(place, thing)| (place.clone(), thing.digest)).collect()
        };
        let before = marks(&self.world);
        self.world.sources.insert(main.clone(), missing);
        self.faults(faults);
        self.settle();
        assert_eq!(marks(&self.world), before, "{}", self.world.show());
        self.world.sources.remove(&main);
    }

    fn round(&mut self, act: &Act, faults: &[Fault]) {
        match act {
            Act::Gone => self.lose(faults),
            Act::Approve => self.approve(),
            Act::Touch(hands) => hands.iter().for_each(|(n, how)| self.touch(IDS[*n], *how)),
            _ if act.is_seen() => {
                let files = act.edit(&self.views, &|name| self.reference.is_made(name));
                self.see(files);
            }
            _ if act.stock(&mut self.catalog) => {
                self.read(&self.views.last().unwrap().clone());
                self.reference.browse(&self.catalog);
            }
            _ => {}
        }
        self.world.drift_due = matches!(act, Act::Touch(_) | Act::Wait);
        self.faults(faults);
        self.settle();
        self.world.drift_due |= self.reference.is_touched();
        let plan = self.settle();
        self.world.drift_due = false;
        assert_eq!(self.standing(&plan), self.reference.rest(), "{}", self.world.show());
        let recorded = self.world.records.values().flat_map(|record| record.components.values());
        let places: BTreeSet<_> =
            recorded.map(|c| (c.provider.clone(), c.target.clone())).collect();
        let strange = self.world.things.keys().find(|place| !places.contains(*place));
        assert_eq!(strange, None, "it is there, and nobody speaks of it");
    }
}

/// The parts that are played side by side, and the cases of each: twenty thousand together.
const PARTS: u64 = 4;
const CASES: u64 = 5_000;
const _: () = assert!(PARTS * CASES >= 20_000);

/// Seeds of cases that failed once.
const FAILED: &[u64] = &[];

type Round = (Act, Vec<Fault>);

fn history(rounds: &[Round]) {
    let (world, reference) = (World::empty(), Reference::default());
    let mut game = Game { world, reference, views: Vec::new(), catalog: Catalog::new([0, 1]) };
    game.see(BTreeMap::new());
    game.reference.browse(&game.catalog);
    for (act, faults) in rounds {
        game.round(act, faults);
    }
}

/// The same cases each time; see [`Cases`].
fn play(part: u64) {
    let usual = Cases::usual(CASES);
    let failed = if part == 0 { FAILED } else { &[] };
    let cases = Cases { failed, first: usual.first.wrapping_add(part), step: PARTS, ..usual };
    let rounds =
        prop::collection::vec((act(Names::Exact), prop::collection::vec(fault(), 0..3)), 2..8);
    cases.play(&rounds, |rounds| {
        history(&rounds);
        Ok(())
    });
}

/// One that failed before its seeds were numbers, as it was made small.
#[test]
fn i4_a_file_that_is_renamed_while_another_says_it_was_one_of_them_comes_to_its_rest() {
    let plain = File {
        value: 0,
        version: Some(0),
        protect: false,
        confirm: false,
        suspend: false,
        broken: false,
        from: None,
    };
    let says = File { from: Some(IDS[2]), ..plain };
    let other = File { value: 1, ..plain };
    let edits = vec![(1, Some(says)), (7, Some(other)), (0, None)];
    let renamed = Act::Rename { from: 7, to: 5, says: false, value: None };
    let acts = [Act::Edit(vec![(0, Some(plain))]), Act::Edit(edits), renamed, Act::Approve];
    history(&acts.map(|act| (act, Vec::new())));
}

// Whatever was done and went wrong on the way, what stands at rest is what the reference says.

#[test]
fn i1_i4_every_history_comes_to_the_rest_that_the_reference_says() {
    play(0);
}

#[test]
fn i1_i4_every_other_history_does() {
    play(1);
}

#[test]
fn i1_i4_every_third_history_does() {
    play(2);
}

#[test]
fn i1_i4_every_fourth_history_does() {
    play(3);
}
