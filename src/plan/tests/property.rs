//! What holds for every world, however it came to be.

use proptest::prelude::*;

use super::world::*;
use crate::digest::sha256;
use crate::model::{
    Action, ChangeRule, DriftItem, OnDrift, Owner, Plan, Retry, Revision, SourceName, SourceProblem,
};
use crate::plan::{Gone, InFlight};

const NAMES: [&str; 7] = [
    "a/prod/one",
    "a/prod/two",
    "a/prod/three",
    "a/dev/one",
    "b/prod/one",
    "b/prod/two",
    "c/dev/one",
];

/// Something that happens between two passes.
#[derive(Clone, Debug)]
enum Act {
    Put(usize, Box<File>),
    Remove(usize, Option<Gone>),
    Converge,
    Approve,
    Unseen(usize),
    Seen,
    Strange(usize),
    Drift(usize),
    Vanish(usize),
    Busy(usize),
    Fly(usize, Action),
    Land,
    Fail(usize),
    Source(Option<u8>),
    DriftDue,
}

fn name() -> impl Strategy<Value = usize> {
    0..NAMES.len()
}

fn file() -> impl Strategy<Value = File> {
    let flags = (any::<[bool; 5]>(), 0..4u8, 0..3u8);
    (0..3u8, prop::option::of(name()), prop::option::of(name()), 0..6u8, flags).prop_map(
        |(
            size,
            reference,
            moved,
            shape,
            ([protect, suspend, tombstone, broken, revert], rare, rule),
        )| {
            let components = match shape {
                0 | 1 => vec![("main", None, "files", vec![])],
                2 => vec![("main", None, "files", vec![]), ("alarm", None, "files", vec!["main"])],
                3 => vec![("main", None, "cloudformation", vec![])],
                4 => vec![("queue", Some("main"), "files", vec![])],
                _ => vec![("main", None, "files", vec!["alarm"]), ("alarm", None, "files", vec![])],
            };
            let mut file = File { components, ..File::default().with("size", size) };
            if let Some(n) = reference.filter(|_| rare < 2) {
                file = file.referring("vpc", NAMES[n]);
            }
            let rules = [ChangeRule::Immutable, ChangeRule::Replace, ChangeRule::GrowOnly];
            if rare == 3 {
                file.rules.insert("size".into(), rules[usize::from(rule)]);
                file.version = if rule == 0 { "0.9.0" } else { "1.0.0" };
                file.source = if rule == 1 { "second" } else { "main" };
                file.template = if rule == 2 { "topic" } else { "queue" };
            }
            file.moved_from = moved.filter(|_| rare == 1).map(|n| id(NAMES[n]));
            File {
                protect: protect && rare == 0,
                suspend: suspend && rare == 1,
                tombstone: tombstone && rare == 0,
                broken: broken && rare == 2,
                on_drift: if revert { OnDrift::Revert } else { OnDrift::Report },
                ..file
            }
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let gone =
        (any::<bool>(), any::<bool>(), prop::option::of(name())).prop_map(|(p, t, m)| Gone {
            protect: p,
            tombstone: t,
            moved_from: m.map(|n| id(NAMES[n])),
            commit: Some(Revision::new("c")),
            before: None,
        });
    let flown = prop::sample::select(vec![Action::Create, Action::Update, Action::Delete]);
    prop_oneof![
        6 => (name(), file()).prop_map(|(n, f)| Act::Put(n, Box::new(f))),
        5 => (name(), prop::option::of(gone)).prop_map(|(n, g)| Act::Remove(n, g)),
        6 => Just(Act::Converge),
        2 => Just(Act::Approve),
        1 => name().prop_map(Act::Unseen),
        1 => Just(Act::Seen),
        1 => name().prop_map(Act::Strange),
        1 => name().prop_map(Act::Drift),
        1 => name().prop_map(Act::Vanish),
        1 => name().prop_map(Act::Busy),
        1 => (name(), flown).prop_map(|(n, a)| Act::Fly(n, a)),
        1 => Just(Act::Land),
        1 => name().prop_map(Act::Fail),
        1 => prop::option::of(0..3u8).prop_map(Act::Source),
        1 => Just(Act::DriftDue),
    ]
}

impl World {
    fn act(&mut self, act: Act) {
        let nth = |world: &Self, n: usize| {
            let len = world.things.len().max(1);
            world.things.keys().nth(n % len).cloned()
        };
        match act {
            Act::Put(n, file) => self.put(NAMES[n], *file),
            Act::Remove(n, gone) => {
                self.remove(NAMES[n]);
                self.gone.extend(gone.map(|gone| (id(NAMES[n]), gone)));
            }
            Act::Converge => self.pass_safely(),
            Act::Approve => {
                let plan = self.plan();
                if plan.holds.iter().any(asks) {
                    self.approvals.insert(asked(&plan));
                }
            }
            Act::Unseen(n) => self.unseen.extend(nth(self, n).map(|(_, name)| name)),
            Act::Seen => self.unseen.clear(),
            Act::Strange(n) => {
                if let Some(thing) = nth(self, n).and_then(|place| self.things.get_mut(&place)) {
                    thing.owner = Owner::Other("x".into());
                    thing.digest = sha256(b"x");
                }
            }
            Act::Drift(n) => {
                let item = DriftItem::new("a", "changed");
                if let Some(thing) = nth(self, n).and_then(|place| self.things.get_mut(&place)) {
                    thing.drift = vec![item];
                }
            }
            Act::Vanish(n) => {
                nth(self, n).and_then(|place| self.things.remove(&place));
            }
            Act::Busy(n) => {
                if let Some(thing) = nth(self, n).and_then(|place| self.things.get_mut(&place)) {
                    thing.busy = true;
                }
            }
            Act::Fly(n, action) => {
                let flight = InFlight {
                    action,
                    artifact: None,
                    since: at(1),
                    unknown: None,
                    stopped: false,
                    silent: None,
                };
                self.in_flight.insert(key(&format!("{}#main", NAMES[n])), flight);
            }
            Act::Land => {
                self.in_flight.clear();
                self.retries.clear();
                self.things.values_mut().for_each(|thing| thing.busy = false);
            }
            Act::Fail(n) => {
                let fingerprint = self
                    .files
                    .contains_key(&id(NAMES[n]))
                    .then(|| self.desired_fingerprint(NAMES[n]));
                let (until, error) = (at(2_000_000), "no".into());
                let retry = Retry {
                    fingerprint,
                    attempts: 1,
                    until,
                    error,
                    refused: false,
                    ended: false,
                    left: None,
                };
                self.retries.insert(key(&format!("{}#main", NAMES[n])), retry);
            }
            Act::Source(None) => self.sources.clear(),
            Act::Source(Some(n)) => {
                let source = SourceName::new(if n == 2 { "second" } else { "main" });
                let problem = match n {
                    0 => SourceProblem::Stale { error: "x".into(), since: at(1) },
                    _ => SourceProblem::Missing { error: "x".into(), since: at(1) },
                };
                self.sources.insert(source, problem);
            }
            Act::DriftDue => self.drift_due = true,
        }
    }

    /// Passes until nothing is ready, each plan checked before it is executed.
    fn pass_safely(&mut self) {
        for _ in 0..60 {
            let plan = self.plan();
            self.check(&plan);
            let ready = plan.steps.iter().any(|s| s.is_ready());
            if !ready && plan.settle.is_empty() && plan.drifts.is_empty() && plan.forget.is_empty()
            {
                if plan.holds.is_empty() {
                    assert!(plan.steps.is_empty(), "waits for nothing:\n{}", show(&plan));
                }
                return;
            }
            self.apply(&plan);
            self.drift_due = false;
        }
        panic!("no end in sight:\n{}", self.show());
    }

    fn check(&self, plan: &Plan) {
        assert_eq!(*plan, self.plan_with(|cases| cases.reverse()), "the order of cases matters");
        for step in &plan.steps {
            let key = &step.target.key;
            assert!(!self.in_flight.contains_key(key), "under way: {key}");
            match step.action {
                Action::Delete => self.check_delete(plan, step),
                Action::Forget | Action::Move => {}
                Action::Create | Action::Update | Action::Replace | Action::Restore => {
                    assert!(self.files.contains_key(&key.request), "nobody asked for {key}");
                }
            }
        }
    }

    fn check_delete(&self, plan: &Plan, step: &crate::model::Step) {
        let (key, target) = (&step.target.key, &step.target);
        // A component that is re-keyed in this plan is recorded under its former name.
        let owner = plan
            .steps
            .iter()
            .filter(|s| s.target.key.request == key.request)
            .find_map(|s| s.moved_from.as_ref().filter(|from| from.request != key.request));
        let id = owner.map_or(&key.request, |from| &from.request);
        let record = self.records.get(id).expect("only what is recorded is deleted");
        assert!(record.components.values().any(|c| c.target == target.name));
        assert!(!self.unseen.contains(&target.name), "deleted unseen: {key}");
        let thing = &self.things[&(target.provider.clone(), target.name.clone())];
        assert_eq!(thing.owner, Owner::Ours);
        assert!(
            !self.sources.contains_key(&record.origin.source),
            "deleted from a source in trouble"
        );
        let gone = self.gone.get(id).filter(|_| !self.files.contains_key(id));
        let file = self.files.get(&key.request);
        let tombstone = record.tombstone
            || gone.is_some_and(|g| g.tombstone)
            || file.is_some_and(|f| f.tombstone);
        assert!(!record.protect || tombstone, "deleted a protected one: {key}");
        assert!(file.is_none_or(|f| !f.broken), "deleted on a broken file: {key}");
    }
}

fn asks(hold: &crate::model::Hold) -> bool {
    use crate::model::HoldReason as R;
    matches!(
        hold.reason,
        R::TooManyDeletes { .. }
            | R::NeedsApproval { .. }
            | R::LooksLikeAMove { digest: Some(_), .. }
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any history of files, faults and approvals: every plan is made, safe, the same in any order of
    /// cases, and comes to an end; once nothing holds it back, nothing is left to do.
    #[test]
    fn every_history_is_safe_and_comes_to_rest(acts in prop::collection::vec(act(), 1..30)) {
        let mut world = World::empty();
        for act in acts {
            world.act(act);
            let plan = world.plan();
            world.check(&plan);
            world.blind = true;
            world.plan();
            world.blind = false;
        }
        world.pass_safely();
        let again = world.plan();
        prop_assert!(!again.steps.iter().any(|s| s.is_ready()), "again: {}", show(&again));
    }
}
