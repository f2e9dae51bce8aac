//! A whole small world in memory: files, records and targets, and an executor that has no choices.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::digest::{self, Digest};
use crate::model::{
    Action, ChangeRule, ComponentName, ComponentRecord, Dependency, Desired, DesiredComponent,
    DriftItem, Fate, Hold, HoldReason, InstanceId, Life, Lifetime, Live, Map, Observation,
    Observed, OnDrift, Origin, OutputSpec, Owner, Plan, Record, Reference, Remark, RequestId,
    Retry, Revision, SourceName, SourceProblem, Spec, Step, Stuck, Symbol, Target, TargetKey,
    TargetName, TemplateId, Token, Unchecked, Wanted, symbol_text,
};
use crate::plan::{
    Case, Expiry, Gone, Guards, InFlight, Looks, Seen, Situation, Totals, needs_observing, plan,
};

pub fn id(text: &str) -> RequestId {
    RequestId::parse(text).unwrap()
}

pub fn key(text: &str) -> TargetKey {
    let (request, component) = text.split_once('#').unwrap();
    TargetKey { request: id(request), component: ComponentName::new(component) }
}

/// The longest warning.
const GRACE: jiff::SignedDuration = jiff::SignedDuration::from_hours(72);

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A request file and the template it names, in few words.
#[derive(Clone, Debug)]
pub struct File {
    pub template: &'static str,
    pub version: &'static str,
    pub parameters: Map,
    pub references: BTreeMap<String, (RequestId, String)>,
    /// Name, former name, provider, needs.
    pub components: Vec<(&'static str, Option<&'static str>, &'static str, Vec<&'static str>)>,
    pub settings: Map,
    pub rules: BTreeMap<String, ChangeRule>,
    pub labels: BTreeMap<String, String>,
    pub protect: bool,
    pub suspend: bool,
    pub adopt: bool,
    pub tombstone: bool,
    pub moved_from: Option<RequestId>,
    pub on_drift: OnDrift,
    pub source: &'static str,
    pub broken: bool,
    pub lifetime: Option<Lifetime>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            template: "queue",
            version: "1.0.0",
            parameters: Map::new(),
            references: BTreeMap::new(),
            components: vec![("main", None, "files", vec![])],
            settings: json!({"repository": "r", "path": "{environment}/{team}/{name}/{component}"})
                .as_object()
                .unwrap()
                .clone()
                .into_iter()
                .collect(),
            rules: BTreeMap::new(),
            labels: BTreeMap::new(),
            protect: false,
            suspend: false,
            adopt: false,
            tombstone: false,
            moved_from: None,
            on_drift: OnDrift::Report,
            source: "main",
            broken: false,
            lifetime: None,
        }
    }
}

impl File {
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(name.into(), value.into());
        self
    }

    pub fn referring(mut self, parameter: &str, to: &str) -> Self {
        self.references.insert(parameter.into(), (id(to), "arn".into()));
        self
    }
}

/// What stands somewhere.
#[derive(Clone, Debug)]
pub struct Thing {
    pub digest: Digest,
    pub owner: Owner,
    pub drift: Vec<DriftItem>,
    pub busy: bool,
    pub pending: bool,
    pub unchecked: Option<Box<Unchecked>>,
    pub guarded: Option<bool>,
    pub stuck: Option<Stuck>,
}

#[derive(Clone)]
pub struct World {
    pub now: Timestamp,
    pub instance: InstanceId,
    pub files: BTreeMap<RequestId, File>,
    pub gone: BTreeMap<RequestId, Gone>,
    pub records: BTreeMap<RequestId, Record>,
    /// By provider and name.
    pub things: BTreeMap<(String, TargetName), Thing>,
    pub unseen: BTreeSet<TargetName>,
    pub in_flight: BTreeMap<TargetKey, InFlight>,
    pub retries: BTreeMap<TargetKey, Retry>,
    pub sources: BTreeMap<SourceName, SourceProblem>,
    pub approvals: BTreeSet<Digest>,
    /// Requests whose files came in a way that nobody has let through.
    pub barred: BTreeSet<RequestId>,
    /// How files whose time is over go, where that is not by a commit.
    pub fates: BTreeMap<SourceName, Fate>,
    pub drift_due: bool,
    pub blind: bool,
    /// Requests whose files came after a commit.
    pub later: BTreeMap<RequestId, BTreeSet<Revision>>,
    /// Requests whose files stood before a commit, which left them as they were.
    pub untouched: BTreeMap<RequestId, BTreeSet<Revision>>,
    /// Requests that the last pass held as what may have moved.
    pub may_have_moved: BTreeSet<RequestId>,
    /// Requests that those are held for: they are looked at too.
    pub partners: BTreeSet<RequestId>,
    /// What the last plan held as too many deletions: the set, and its size.
    pub stopped: BTreeMap<RequestId, (Digest, u64)>,
    /// Deletions and creations in the world, as they happened.
    pub log: Vec<String>,
}

impl World {
    pub fn empty() -> Self {
        Self {
            now: at(1_000_000),
            instance: InstanceId::new("i"),
            files: BTreeMap::new(),
            gone: BTreeMap::new(),
            records: BTreeMap::new(),
            things: BTreeMap::new(),
            unseen: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            sources: BTreeMap::new(),
            approvals: BTreeSet::new(),
            barred: BTreeSet::new(),
            fates: BTreeMap::new(),
            drift_due: false,
            blind: false,
            later: BTreeMap::new(),
            untouched: BTreeMap::new(),
            may_have_moved: BTreeSet::new(),
            partners: BTreeSet::new(),
            stopped: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    /// These requests, applied.
    pub fn of<'a>(files: impl IntoIterator<Item = (&'a str, File)>) -> Self {
        let mut world = Self::empty();
        for (name, file) in files {
            world.files.insert(id(name), file);
        }
        world.converge();
        world.again();
        world.log.clear();
        world
    }

    pub fn put(&mut self, name: &str, file: File) {
        self.files.insert(id(name), file);
    }

    pub fn file(&mut self, name: &str) -> &mut File {
        self.files.get_mut(&id(name)).unwrap()
    }

    pub fn remove(&mut self, name: &str) {
        self.files.remove(&id(name));
    }

    pub fn thing(&mut self, target: &str) -> &mut Thing {
        let key = key(target);
        let component = &self.records[&key.request].components[&key.component];
        self.things.get_mut(&(component.provider.clone(), component.target.clone())).unwrap()
    }

    fn desired(&self, id: &RequestId) -> Option<Desired> {
        let file = self.files.get(id)?;
        let wanted = if file.broken {
            Wanted::Invalid(Vec::new())
        } else {
            Wanted::Valid(Box::new(self.spec(file)))
        };
        let path = format!("requests/{id}.yaml");
        let origin = Origin { source: SourceName::new(file.source), path: path.into() };
        Some(Desired {
            id: id.clone(),
            origin,
            content: digest::sha256(b""),
            wanted,
            notes: Vec::new(),
        })
    }

    pub fn desired_fingerprint(&self, name: &str) -> Digest {
        self.desired(&id(name)).unwrap().fingerprint()
    }

    fn spec(&self, file: &File) -> Spec {
        let mut parameters = file.parameters.clone();
        let mut unknown = Vec::new();
        for (name, (request, output)) in &file.references {
            let known = self.records.get(request).and_then(|r| r.outputs().get(output).cloned());
            let value = known.unwrap_or_else(|| {
                let output = output.clone();
                let symbol = Symbol { request: request.clone(), component: None, output };
                let text = symbol_text(&symbol);
                unknown.push(symbol);
                text
            });
            parameters.insert(name.clone(), value);
        }
        let components: Vec<_> = file
            .components
            .iter()
            .map(|(name, former, provider, needs)| DesiredComponent {
                name: ComponentName::new(*name),
                moved_from: former.map(ComponentName::new),
                provider: (*provider).into(),
                settings: file.settings.clone(),
                needs: needs.iter().copied().map(ComponentName::new).collect(),
                digest: digest::of(&(file.template, file.version, &parameters)),
                unknown: unknown.clone(),
            })
            .collect();
        let first = components.first().map(|c| c.name.clone());
        let arn =
            first.map(|component| OutputSpec { component, output: "arn".into(), sensitive: false });
        let references = file.references.iter().map(|(name, (request, output))| {
            (name.clone(), Reference { request: request.clone(), output: output.clone() })
        });
        Spec {
            template: TemplateId {
                name: file.template.into(),
                version: file.version.parse().unwrap(),
            },
            template_digest: digest::sha256(b"t"),
            upgrade: None,
            parameters,
            sensitive: Vec::new(),
            references: references.collect(),
            labels: file.labels.clone(),
            protect: file.protect,
            adopt: file.adopt,
            timeout: None,
            lifetime: file.lifetime.clone(),
            suspend: file.suspend,
            tombstone: file.tombstone,
            moved_from: file.moved_from.clone(),
            reason: None,
            on_drift: file.on_drift,
            components,
            outputs: arn.into_iter().map(|arn| ("arn".to_owned(), arn)).collect(),
            change_rules: file.rules.clone(),
        }
    }

    fn references(&self, id: &RequestId) -> Vec<RequestId> {
        match (self.files.get(id), self.records.get(id)) {
            (Some(file), _) => file.references.values().map(|(r, _)| r.clone()).collect(),
            (None, Some(record)) => record.references.values().map(|r| r.request.clone()).collect(),
            (None, None) => Vec::new(),
        }
    }

    /// What other requests have, under whatever names.
    fn taken(&self, id: &RequestId) -> BTreeSet<TargetName> {
        let others = self.records.values().filter(|record| record.id != *id);
        others.flat_map(|r| r.components.values()).map(|c| c.target.clone()).collect()
    }

    fn dependents(&self, id: &RequestId) -> Vec<RequestId> {
        let desired = self
            .files
            .iter()
            .filter(|(_, file)| file.references.values().any(|(request, _)| request == id));
        let recorded = self.records.iter().filter(|(_, record)| {
            record.references.values().any(|reference| reference.request == *id)
        });
        desired.map(|(id, _)| id).chain(recorded.map(|(id, _)| id)).cloned().collect()
    }

    fn cases(&self) -> (Vec<Case>, u64) {
        let (mut cases, mut settled) = (Vec::new(), 0);
        let flying = self.in_flight.keys().chain(self.retries.keys()).map(|k| &k.request);
        let mut ids: BTreeSet<&RequestId> =
            self.files.keys().chain(self.records.keys()).chain(self.gone.keys()).collect();
        ids.extend(flying.clone());
        for id in ids {
            let desired = self.desired(id);
            let recorded = self.records.get(id).cloned();
            let satisfied = desired.as_ref().is_some_and(|d| {
                recorded.as_ref().is_some_and(|r| r.settled == Some(d.fingerprint()))
            });
            let life = recorded.as_ref().and_then(|r| r.life.as_ref());
            let is_over = life.is_some_and(|life| life.ends <= self.now);
            let is_looked_at = self.drift_due || self.partners.contains(id);
            if satisfied && !is_over && !is_looked_at && !flying.clone().any(|f| f == id) {
                settled += 1;
                continue;
            }
            let gone = self.gone.get(id).cloned().filter(|_| desired.is_none());
            let mine = |k: &TargetKey| k.request == *id;
            cases.push(Case {
                id: id.clone(),
                gone,
                live: BTreeMap::new(),
                in_flight: self
                    .in_flight
                    .iter()
                    .filter(|(k, _)| mine(k))
                    .map(|(k, v)| (k.component.clone(), v.clone()))
                    .collect(),
                retries: self
                    .retries
                    .iter()
                    .filter(|(k, _)| mine(k))
                    .map(|(k, v)| (k.component.clone(), v.clone()))
                    .collect(),
                drift_due: self.drift_due && recorded.is_some(),
                barred: self.barred.contains(id).then(|| HoldReason::NeedsPullRequest {
                    direct: true,
                    commit: None,
                    digest: digest::of(id),
                }),
                later: self.later.get(id).cloned().unwrap_or_default(),
                untouched: self.untouched.get(id).cloned().unwrap_or_default(),
                may_have_moved: self.may_have_moved.contains(id),
                stopped: self.stopped.get(id).copied(),
                taken: self.taken(id),
                desired: desired.map(Arc::new),
                recorded,
            });
        }
        (cases, settled)
    }

    pub fn look(&self, target: &Target) -> Seen {
        if self.unseen.contains(&target.name) {
            return Seen::Failed("throttled".into());
        }
        Seen::Observed(match self.things.get(&(target.provider.clone(), target.name.clone())) {
            None => Observation::Absent,
            Some(thing) => Observation::Present(Live {
                owner: thing.owner.clone(),
                digest: Some(thing.digest),
                token: None,
                state: "there".into(),
                busy: thing.busy,
                drift: thing.drift.clone(),
                pending: thing.pending,
                unchecked: thing.unchecked.clone(),
                guarded: thing.guarded,
                touched: None,
                adoptable: thing.owner == Owner::Nobody,
                stuck: thing.stuck.clone(),
                outputs: Map::new(),
            }),
        })
    }

    /// Plans, with the cases in an order of the caller's.
    pub fn plan_with(&self, shuffle: impl FnOnce(&mut Vec<Case>)) -> Plan {
        let (mut cases, settled) = self.cases();
        shuffle(&mut cases);
        let mut by_team = BTreeMap::new();
        for id in self.records.keys() {
            *by_team.entry(id.team().to_owned()).or_default() += 1;
        }
        let mut situation = Situation {
            now: self.now,
            instance: &self.instance,
            cases,
            totals: Totals { recorded: self.records.len() as u64, by_team },
            settled,
            sources: self.sources.clone(),
            dependents: &|id| self.dependents(id),
            references: &|id| self.references(id),
            stands: &|id| self.files.contains_key(id) || self.records.contains_key(id),
            approvals: &self.approvals,
            guards: Guards::default(),
            expiry: Expiry { grace: GRACE, fates: self.fates.clone() },
            blind: self.blind,
        };
        if !self.blind {
            let Looks { targets, drift } = needs_observing(&situation);
            situation.saw(targets.into_iter().chain(drift).map(|t| (t.key.clone(), self.look(&t))));
        }
        plan(&situation)
    }

    pub fn plan(&self) -> Plan {
        self.plan_with(|_| {})
    }

    /// The plan as one line for each step and hold.
    pub fn show(&self) -> String {
        show(&self.plan())
    }

    /// What the next pass knows of this one's holds.
    fn remember(&mut self, plan: &Plan) {
        self.partners = plan.holds.iter().flat_map(partners).collect();
        let stopped = plan.holds.iter().filter_map(|hold| match hold.reason {
            HoldReason::TooManyDeletes { digest, count, .. } => {
                Some((hold.request.clone(), (digest, count)))
            }
            _ => None,
        });
        self.stopped.extend(stopped);
        let (files, records) = (&self.files, &self.records);
        self.stopped.retain(|id, _| !files.contains_key(id) && records.contains_key(id));
    }

    /// Does what the plan says, as an executor would: what the store does alone, then what is ready.
    pub fn apply(&mut self, plan: &Plan) {
        self.remember(plan);
        self.approvals.extend(&plan.approved);
        self.approvals.retain(|digest| !plan.spent.contains(digest));
        for step in plan.steps.iter().filter(|s| !s.action.touches_the_world()) {
            self.bookkeep(step);
        }
        for id in &plan.forget {
            self.records.remove(id);
        }
        for drift in &plan.drifts {
            let record = self.records.get_mut(&drift.target.request);
            if let Some(c) = record.and_then(|r| r.components.get_mut(&drift.target.component)) {
                c.drift.clone_from(&drift.items);
            }
        }
        for settle in &plan.settle {
            let desired = self.desired(&settle.request).unwrap();
            let mut record = self.facts(&desired);
            record.settled = Some(settle.fingerprint);
            self.approvals.retain(|digest| !settle.released.contains(digest));
            self.records.insert(settle.request.clone(), record);
        }
        for step in plan.steps.iter().filter(|s| s.action.touches_the_world() && s.is_ready()) {
            self.submit(step);
        }
    }

    /// The record as the desired state has it, with the components that are there.
    fn facts(&self, desired: &Desired) -> Record {
        let spec = desired.spec().unwrap();
        let components = self.records.get(&desired.id).map(|r| r.components.clone());
        let known = self.records.get(&desired.id).and_then(|r| r.life.clone());
        Record {
            id: desired.id.clone(),
            origin: desired.origin.clone(),
            settled: None,
            template: spec.template.clone(),
            template_digest: spec.template_digest,
            parameters: spec.parameters.clone(),
            sensitive: Vec::new(),
            digests: BTreeMap::new(),
            references: spec.references.clone(),
            labels: spec.labels.clone(),
            protect: spec.protect,
            tombstone: spec.tombstone,
            life: spec.lifetime.as_ref().map(|l| Life::of(l, known.as_ref(), self.now, GRACE)),
            former: Vec::new(),
            whole_at: None,
            components: components.unwrap_or_default(),
            output_specs: spec.outputs.clone(),
            observed: Observed::default(),
            last_apply: None,
        }
    }

    fn bookkeep(&mut self, step: &Step) {
        let key = &step.target.key;
        match step.action {
            Action::Move => {
                let from = step.moved_from.clone().unwrap();
                if from.request != key.request
                    && let Some(mut record) = self.records.remove(&from.request)
                {
                    record.id = key.request.clone();
                    record.settled = None;
                    self.records.insert(key.request.clone(), record);
                    for (tried, retry) in std::mem::take(&mut self.retries) {
                        let moves = tried.request == from.request;
                        let request = if moves { key.request.clone() } else { tried.request };
                        self.retries.insert(TargetKey { request, ..tried }, retry);
                    }
                }
                let record = self.records.get_mut(&key.request).unwrap();
                assert!(record.rename_component(&from.component, &key.component));
            }
            Action::Forget => {
                self.approvals.retain(|digest| !step.released.contains(digest));
                self.forget(key);
            }
            Action::Create
            | Action::Update
            | Action::Replace
            | Action::Delete
            | Action::Restore => unreachable!(),
        }
    }

    fn forget(&mut self, key: &TargetKey) {
        self.retries.remove(key);
        // What is left of a failed try has no record.
        let Some(record) = self.records.get_mut(&key.request) else { return };
        record.components.remove(&key.component);
        record.settled = None;
        if record.components.is_empty() && !self.files.contains_key(&key.request) {
            self.records.remove(&key.request);
        }
    }

    fn submit(&mut self, step: &Step) {
        let Target { name, key, provider, settings, .. } = step.target.clone();
        let place = (provider.clone(), name.clone());
        self.approvals.retain(|digest| !step.released.contains(digest) && *digest != step.digest());
        self.log.push(format!("{:?} {key}", step.action));
        if step.action == Action::Delete {
            let thing = self.things.remove(&place).expect("only what is there is deleted");
            assert_eq!(thing.owner, Owner::Ours, "a stranger's was deleted");
            return self.forget(&key);
        }
        let digest = step.artifact.unwrap();
        let desired = self.desired(&key.request).unwrap();
        let component = desired.spec().unwrap().component(&key.component).unwrap().clone();
        assert_eq!(component.digest, digest);
        let (owner, drift) = (Owner::Ours, Vec::new());
        let thing = Thing {
            digest,
            owner,
            drift,
            busy: false,
            pending: false,
            unchecked: None,
            guarded: None,
            stuck: None,
        };
        if let Some(there) = self.things.insert(place, thing) {
            let adopts = step.remarks.contains(&Remark::Adopts) && there.owner == Owner::Nobody;
            assert!(adopts || there.owner == Owner::Ours, "a stranger's was overwritten");
        }
        let mut record = self.facts(&desired);
        let arn = Value::from(format!("arn:{name}"));
        let applied = ComponentRecord {
            provider,
            target: name,
            settings,
            id: None,
            digest,
            state: "there".into(),
            outputs: Map::from([("arn".to_owned(), arn)]),
            mark: None,
            link: None,
            needs: component.needs,
            token: Token::new("t"),
            attempts: 0,
            drift: Vec::new(),
            labels: Default::default(),
            drift_since: None,
            checked: None,
            unchecked: None,
            guarded: None,
        };
        self.retries.remove(&key);
        record.components.insert(key.component, applied);
        self.records.insert(key.request, record);
    }

    /// Passes until one has nothing to do any more.
    pub fn converge(&mut self) {
        for _ in 0..200 {
            let plan = self.plan();
            let idle = plan.settle.is_empty() && plan.forget.is_empty() && plan.drifts.is_empty();
            if idle && !plan.steps.iter().any(Step::is_ready) {
                self.remember(&plan);
                return;
            }
            self.apply(&plan);
            self.drift_due = false;
        }
        panic!("no end in sight:\n{}", self.show());
    }

    /// Nothing to do, nothing held.
    #[track_caller]
    pub fn again(&self) {
        let plan = self.plan();
        let text = show(&plan);
        assert!(plan.steps.is_empty() && plan.holds.is_empty(), "{text}");
        assert!(plan.settle.is_empty() && plan.drifts.is_empty(), "{text}");
        assert_eq!(plan.settled, self.files.len() as u64);
    }

    /// Converges, and then there is nothing to do and nothing held.
    #[track_caller]
    pub fn done(&mut self) {
        self.converge();
        self.again();
    }
}

fn partners(hold: &Hold) -> Vec<RequestId> {
    match &hold.reason {
        HoldReason::LooksLikeAMove { other, also, .. } => {
            other.iter().chain(also).cloned().collect()
        }
        _ => Vec::new(),
    }
}

pub fn show(plan: &Plan) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        let _ = write!(out, "{:?} {}", step.action, step.target.key);
        if let Some(from) = &step.moved_from {
            let _ = write!(out, " from {from}");
        }
        if !step.after.is_empty() {
            let after: Vec<_> = step.after.iter().map(ToString::to_string).collect();
            let _ = write!(out, " after {}", after.join(", "));
        }
        if !step.unknown.is_empty() {
            let unknown: Vec<_> = step.unknown.iter().map(ToString::to_string).collect();
            let _ = write!(out, " unknown {}", unknown.join(", "));
        }
        for remark in &step.remarks {
            let _ = write!(out, " ({})", format!("{remark:?}").split(['(', ' ']).next().unwrap());
        }
        out.push('\n');
    }
    for hold in &plan.holds {
        let _ = writeln!(out, "hold {}", show_hold(hold));
    }
    for settle in &plan.settle {
        let _ = writeln!(out, "settle {}", settle.request);
    }
    for drift in &plan.drifts {
        let _ = writeln!(out, "drift {} {}", drift.target, drift.items.len());
    }
    let _ = write!(out, "{} settled", plan.settled);
    out
}

pub fn show_hold(hold: &Hold) -> String {
    let Hold { request, component, action, reason } = hold;
    let mut out = request.to_string();
    if let Some(component) = component {
        let _ = write!(out, "#{component}");
    }
    if let Some(action) = action {
        let _ = write!(out, " {action:?}");
    }
    let _ = write!(out, ": {}", reason.name());
    let detail = match reason {
        HoldReason::Invalid { problems } => {
            problems.iter().map(|p| format!("{} {}", p.code, p.message)).collect()
        }
        HoldReason::WaitingFor { dependency } => match dependency {
            Dependency::Target(key) => vec![key.to_string()],
            Dependency::Request(id) => vec![id.to_string()],
            Dependency::Output(symbol) => vec![symbol.to_string()],
            Dependency::Catalog(version) => vec![version.clone()],
        },
        HoldReason::TooManyDeletes { count, recorded, team, .. } => {
            vec![format!("{count} of {recorded} {}", team.as_deref().unwrap_or("all"))]
        }
        HoldReason::LooksLikeAMove { other, also, setting, .. } => {
            let other = other.iter().chain(also).map(ToString::to_string);
            other.chain(setting.iter().cloned()).collect()
        }
        HoldReason::Referenced { by } => by.iter().map(ToString::to_string).collect(),
        HoldReason::ForbiddenChange { what } => vec![what.clone()],
        HoldReason::NotOurs { owner, adoptable, name: _ } => {
            owner.iter().cloned().chain(adoptable.then(|| "adoptable".into())).collect()
        }
        HoldReason::NotObserved { error } => vec![error.clone()],
        _ => Vec::new(),
    };
    if !detail.is_empty() {
        let _ = write!(out, " {}", detail.join("; "));
    }
    out
}

/// The digest that a hold asks a person to approve.
pub fn asked(plan: &Plan) -> Digest {
    let digests = plan.holds.iter().filter_map(|hold| match &hold.reason {
        HoldReason::TooManyDeletes { digest, .. } | HoldReason::NeedsApproval { digest, .. } => {
            Some(*digest)
        }
        HoldReason::LooksLikeAMove { digest, set, .. } => set.or(*digest),
        HoldReason::Stuck { digest, .. } => *digest,
        _ => None,
    });
    digests.into_iter().next().expect("something asks for approval")
}
