//! What a plan's steps mean for whoever uses their outputs: shown to people, never executed.
//!
//! The plan that is executed takes every output as it was applied, and reads what uses one again
//! when it has changed. Who reviews a plan wants to see that before. So the requests that use
//! outputs of a plan's steps are read once more with those outputs as they will be: with the new
//! value where the provider knows it beforehand, else with a symbol. Their steps are put into the
//! plan that is shown, and so on along the chain.
//!
//! # Caveats
//! Nothing is looked at for this: a target that the plan itself did not look at is taken to be as it
//! was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::desired::Evaluated;
use crate::digest;
use crate::model::{
    Action, Artifact, ComponentRecord, Live, Map, Observation, Owner, Plan, Record, Remark,
    RequestId, Step, Symbol, TargetKey, Wanted,
};
use crate::plan::{CHAIN_MAX, Case, Seen};
use crate::provider::{Provider, Providers};

/// Outputs of components that a plan changes, as they will be.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Foresight(BTreeMap<TargetKey, Outlook>);

#[derive(Clone, PartialEq, Debug)]
struct Outlook {
    /// What is known now of what will be.
    known: Map,
    recorded: Map,
}

impl Foresight {
    /// The outputs of a component that are known before it is changed; `None` when nothing changes
    /// them.
    pub fn outputs(&self, key: &TargetKey) -> Option<&Map> {
        Some(&self.0.get(key)?.known)
    }

    /// As if what `symbols` stand for were not known yet. `own` is whose components name each other's
    /// outputs as the provider does; others' are named as their contract does.
    pub(super) fn without<'r>(
        own: &RequestId,
        symbols: &BTreeSet<Symbol>,
        record: &dyn Fn(&RequestId) -> Option<&'r Record>,
    ) -> Self {
        let mut all: BTreeMap<TargetKey, Outlook> = BTreeMap::new();
        for Symbol { request, component, output } in symbols {
            let (Some(component), Some(record)) = (component, record(request)) else { continue };
            let Some(recorded) = record.components.get(component) else { continue };
            let key = TargetKey { request: request.clone(), component: component.clone() };
            let outlook = || {
                let outputs = recorded.outputs.clone();
                Outlook { known: outputs.clone(), recorded: outputs }
            };
            let spec = record.output_specs.get(output).filter(|_| request != own);
            let name = spec.map_or(output, |spec| &spec.output);
            all.entry(key).or_insert_with(outlook).known.remove(name);
        }
        Self(all)
    }

    /// The same, if what is not known turned out to be as it is now.
    fn at_rest(&self) -> Self {
        let rest = |Outlook { known, recorded }: &Outlook| {
            let mut outputs = recorded.clone();
            outputs.extend(known.clone());
            Outlook { known: outputs, recorded: recorded.clone() }
        };
        Self(self.0.iter().map(|(key, outlook)| (key.clone(), rest(outlook))).collect())
    }

    /// What the steps of a plan do to the outputs of what is recorded.
    fn of(seen: &Foreseen, sight: &dyn Sight) -> Self {
        let outlook = |step: &Step| -> Option<(TargetKey, Outlook)> {
            let key = &step.target.key;
            let recorded = sight.record(&key.request)?.components.get(&key.component)?;
            let known = known(step, seen, sight);
            (known != recorded.outputs)
                .then(|| (key.clone(), Outlook { known, recorded: recorded.outputs.clone() }))
        };
        let is_used = |step: &&Step| {
            makes_outputs(step.action) && !sight.users(&step.target.key.request).is_empty()
        };
        Self(seen.plan.steps.iter().filter(is_used).filter_map(outlook).collect())
    }

    /// The requests whose outputs are not foreseen alike.
    fn differs(&self, other: &Self) -> BTreeSet<RequestId> {
        let here = self.0.iter().filter(|(key, outlook)| other.0.get(*key) != Some(*outlook));
        let gone = other.0.keys().filter(|key| !self.0.contains_key(*key));
        here.map(|(key, _)| key).chain(gone).map(|key| key.request.clone()).collect()
    }
}

fn makes_outputs(action: Action) -> bool {
    match action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => true,
        Action::Delete | Action::Forget | Action::Move => false,
    }
}

/// The outputs that are known before a step is done. While its own artifact waits for a value, only
/// those count that another artifact would give as well.
fn known(step: &Step, seen: &Foreseen, sight: &dyn Sight) -> Map {
    let Some(provider) = sight.providers().get(&step.target.provider) else { return Map::new() };
    let foreseen = seen.evaluated.get(&step.target.key.request);
    let artifact = foreseen.map_or_else(|| sight.artifact(step), |e| artifact_of(e, step));
    let artifact = artifact
        .unwrap_or_else(|| Arc::new(Artifact { digest: step.artifact, ..Artifact::default() }));
    certain(provider.as_ref(), &step.target, &artifact, !step.unknown.is_empty())
}

/// The outputs that are known before an artifact is applied; while it waits for a value, those that
/// another would give as well.
pub(super) fn certain(
    provider: &dyn Provider,
    target: &crate::model::Target,
    artifact: &Artifact,
    waits: bool,
) -> Map {
    let mut known = provider.known(target, artifact);
    if waits {
        let digest = Some(digest::of(&"another"));
        let other = provider.known(target, &Artifact { digest, ..Artifact::default() });
        known.retain(|name, value| other.get(name) == Some(value));
    }
    known
}

/// What a step's component is rendered to.
pub(super) fn artifact_of(evaluated: &Evaluated, step: &Step) -> Option<Arc<Artifact>> {
    let is_it = |(name, a): &&(_, Arc<Artifact>)| {
        *name == step.target.key.component && a.digest == step.artifact
    };
    evaluated.artifacts.iter().find(is_it).map(|(_, artifact)| artifact.clone())
}

/// What whoever plans knows.
pub(super) trait Sight {
    /// What is applied.
    fn record(&self, id: &RequestId) -> Option<&Record>;
    /// What a step's component is rendered to, where it is at hand.
    fn artifact(&self, step: &Step) -> Option<Arc<Artifact>>;
    /// The providers.
    fn providers(&self) -> &Providers;
    /// Requests that use a request's outputs; itself where its components use each other's.
    fn users(&self, id: &RequestId) -> Vec<RequestId>;
}

/// A plan with the steps that follow from it.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// The plan.
    pub plan: Plan,
    /// The requests that were read for it.
    pub evaluated: BTreeMap<RequestId, Evaluated>,
    /// Requests whose steps cannot be told.
    pub untold: BTreeSet<RequestId>,
}

/// At most so many plans are made for one that is shown; a chain has no more links.
pub(super) const MOST: usize = CHAIN_MAX;

/// A plan on its way to what is shown: as long as [`Foreseer::next`] names requests, they are read,
/// [taken](Foreseer::take), and planned again.
pub(super) struct Foreseer {
    /// The plan that is executed, once the one that is shown may be another.
    base: Option<Plan>,
    own: BTreeSet<RequestId>,
    /// What the plan that is shown is made from.
    pub(super) cases: Vec<Case>,
    /// The plan that is shown.
    pub(super) seen: Foreseen,
    foresight: Foresight,
    perhaps: BTreeSet<TargetKey>,
}

impl Foreseer {
    /// From the plan that is executed and the cases that it was made from.
    pub(super) fn new(base: Plan, cases: Vec<Case>) -> Self {
        let own = cases.iter().map(|case| case.id.clone()).collect();
        let seen = Foreseen { plan: base, ..Foreseen::default() };
        let (foresight, perhaps) = (Foresight::default(), BTreeSet::new());
        Self { base: None, own, cases, seen, foresight, perhaps }
    }

    /// The requests to be read again, since outputs that they may use are foreseen otherwise now.
    pub(super) fn next(&mut self, sight: &dyn Sight) -> BTreeSet<RequestId> {
        let next = Foresight::of(&self.seen, sight);
        let changed = next.differs(&self.foresight);
        self.foresight = next;
        if self.base.is_none() && !changed.is_empty() {
            self.base = Some(self.seen.plan.clone());
        }
        changed.iter().flat_map(|id| sight.users(id)).collect()
    }

    /// With what they are read: as foreseen, and as if what is not known were to stay as it is.
    pub(super) fn foresights(&self) -> (Foresight, Foresight) {
        (self.foresight.clone(), self.foresight.at_rest())
    }

    /// Whether it takes another reading to tell what becomes of it.
    pub(super) fn is_open(evaluated: &Evaluated) -> bool {
        let spec = evaluated.row.desired.spec();
        spec.is_none_or(|spec| spec.components.iter().any(|c| !c.unknown.is_empty()))
    }

    /// Takes one that was read, and again at rest where it is open. `case` makes the case of one
    /// that had none.
    pub(super) fn take(
        &mut self,
        evaluated: Evaluated,
        rest: Option<Evaluated>,
        record: Option<&Record>,
        case: impl FnOnce() -> Case,
    ) {
        let id = evaluated.row.desired.id.clone();
        self.perhaps.retain(|key| key.request != id);
        self.seen.untold.remove(&id);
        let valid = |e: &Evaluated| matches!(e.row.desired.wanted, Wanted::Valid(_));
        let chosen = match rest {
            Some(rest) if !valid(&evaluated) => {
                if valid(&rest) {
                    self.seen.untold.insert(id.clone());
                }
                rest
            }
            Some(rest) => {
                self.perhaps.extend(perhaps(&evaluated, &rest, record));
                evaluated
            }
            None => evaluated,
        };
        let desired = chosen.row.desired.clone();
        let at = self.cases.iter().position(|case| case.id == id);
        let settled = record.is_some_and(|r| r.settled == Some(desired.fingerprint()));
        match at {
            Some(at) if settled && !self.own.contains(&id) => drop(self.cases.swap_remove(at)),
            Some(at) => self.cases[at].desired = Some(desired),
            None if settled => {}
            None => self.cases.push(Case { desired: Some(desired), ..case() }),
        }
        self.seen.evaluated.insert(id, chosen);
    }

    /// Takes what was not looked at to be as it was recorded.
    pub(super) fn as_recorded(&mut self) {
        for case in &mut self.cases {
            for (name, component) in case.recorded.iter().flat_map(|r| &r.components) {
                let seen = || Seen::Observed(as_recorded(component));
                case.live.entry(name.clone()).or_insert_with(seen);
            }
        }
    }

    /// Requests that are cases only here.
    pub(super) fn added(&self) -> impl Iterator<Item = &RequestId> {
        self.cases.iter().map(|case| &case.id).filter(|id| !self.own.contains(id))
    }

    /// What is shown.
    pub(super) fn finish(self) -> Foreseen {
        let Self { base, own: _, cases: _, mut seen, foresight, perhaps } = self;
        // Nobody uses an output that will be another.
        let Some(base) = base else { return seen };
        if foresight == Foresight::default() && seen.evaluated.is_empty() {
            return seen;
        }
        let is_perhaps = |step: &Step| {
            matches!(step.action, Action::Update | Action::Replace)
                && !step.unknown.is_empty()
                && perhaps.contains(&step.target.key)
        };
        for step in seen.plan.steps.iter_mut().filter(|step| is_perhaps(step)) {
            step.remarks.push(Remark::MayChange);
        }
        // What is held and may not even change is nobody's concern.
        let may: BTreeSet<&RequestId> = perhaps.iter().map(|key| &key.request).collect();
        seen.plan.holds.retain(|hold| base.holds.contains(hold) || !may.contains(&hold.request));
        let busy: BTreeSet<&RequestId> =
            seen.plan.steps.iter().map(|step| &step.target.key.request).collect();
        let Plan { steps: _, holds: _, settled: _, settle, drifts, forget, approved, spent } = base;
        let settle = settle.into_iter().filter(|s| !busy.contains(&s.request)).collect();
        seen.plan = Plan { settle, drifts, forget, approved, spent, ..seen.plan };
        seen
    }
}

/// The components of which only what is not known yet differs from what is applied.
fn perhaps(open: &Evaluated, rest: &Evaluated, record: Option<&Record>) -> Vec<TargetKey> {
    let desired = &open.row.desired;
    let (Some(spec), Some(rest)) = (desired.spec(), rest.row.desired.spec()) else {
        return Vec::new();
    };
    let applied = |name| record.and_then(|r| r.components.get(name)).map(|c| c.digest);
    let waits = spec.components.iter().filter(|c| !c.unknown.is_empty()).map(|c| &c.name);
    let same = waits.filter(|name| {
        let then = rest.component(name).map(|c| c.digest);
        then.is_some() && then == applied(name)
    });
    same.map(|name| TargetKey { request: desired.id.clone(), component: name.clone() }).collect()
}

fn as_recorded(component: &ComponentRecord) -> Observation {
    Observation::Present(Live {
        owner: Owner::Ours,
        digest: Some(component.expected_mark()),
        token: Some(component.token.clone()),
        state: component.state.clone(),
        busy: false,
        pending: false,
        unchecked: Some(Box::default()),
        guarded: component.guarded,
        touched: None,
        adoptable: false,
        stuck: None,
        drift: component.drift.clone(),
        outputs: component.outputs.clone(),
    })
}
