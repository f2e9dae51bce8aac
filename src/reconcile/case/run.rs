//! Running tests, as many at once as there are cores.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::super::bookkeeping::record_of;
use super::super::desired::{Evaluated, Found};
use super::super::evaluate::{Evaluator, Parsed, Templates};
use super::super::foresee::{artifact_of, certain};
use super::super::law::Court;
use super::super::local::forbidden_at;
use super::super::memory::Memory;
use super::super::{PassError, outline, promise};
use super::compare::{Seen, compare, counted};
use crate::catalog::file::Lifecycle;
use crate::catalog::{
    Asked, Catalog, RequestFile, StandIn, TemplateVersion, TestCase, applied_version,
};
use crate::digest;
use crate::git::{Kind, Transport};
use crate::model::{
    Action, Artifact, Certainty, ComponentName, ComponentRecord, Counted, Diagnostic,
    ExpectedApproval, Failure, Golden, HoldReason, InstanceId, Map, ObjectId, Observed, Origin,
    OutputSpec, Plan, Problem, Record, RequestId, ResourceChange, SourceName, Spec, Step, Symbol,
    Target, TargetKey, TargetName, TemplateId, Token, Trial, TrialOutcome as Outcome, Wanted,
    symbol_text,
};
use crate::plan::{self, Case, Expiry, Guards, Ruling, Situation, Totals};
use crate::policy;
use crate::provider::Providers;
use crate::provider::cloudformation::{CloudFormation, CloudFormationSettings, Rate};
use crate::provider::files::{Files, FilesSettings};

/// Runs the tests of `catalog` that are `wanted`, in its order. `problems` are those of its files: a
/// test whose own file has an error, or whose template has one, is not run.
///
/// # Errors
/// When a provider cannot be had.
pub fn run(
    catalog: &Catalog,
    problems: &[Diagnostic],
    wanted: &dyn Fn(&TemplateVersion, &TestCase) -> bool,
) -> Result<Vec<Trial>, PassError> {
    let broken: BTreeSet<&str> =
        problems.iter().filter(|p| p.is_error()).map(|p| &*p.place.file).collect();
    let tests: Vec<(&Arc<TemplateVersion>, &TestCase)> = catalog
        .versions()
        .flat_map(|version| version.tests.iter().map(move |test| (version, test)))
        .filter(|(version, test)| wanted(version, test))
        .collect();
    let bench = Bench::new(catalog)?;
    Ok(each(&tests, |(version, test)| {
        let begun = Instant::now();
        let sound = !version.is_broken() && !broken.contains(&*test.file);
        let (outcome, files) = match sound {
            true => catch_unwind(AssertUnwindSafe(|| bench.run(version, test)))
                .unwrap_or_else(|_| (Outcome::Failed(vec![Failure::Panicked]), None)),
            false => (Outcome::NotRun, None),
        };
        let golden = test.golden().map(|folder| Golden {
            folder: format!("{}/tests/{folder}", version.folder),
            files: files.map(|files| files.files),
        });
        Trial {
            template: version.id.clone(),
            name: test.name.clone(),
            file: test.file.clone(),
            outcome,
            golden,
            took: if sound { begun.elapsed() } else { Duration::ZERO },
        }
    }))
}

/// Does `work` on each item, whichever thread is free taking the next one, and keeps their order.
fn each<T: Sync, U: Send>(items: &[T], work: impl Fn(&T) -> U + Sync) -> Vec<U> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, U)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..cores.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(n) else { break };
                    let result = work(item);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((n, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(n, _)| *n);
    done.into_iter().map(|(_, result)| result).collect()
}

/// The providers, which are only asked for what they know by themselves.
fn offline() -> Result<Providers, PassError> {
    let nowhere = PathBuf::from("/nonexistent");
    let files = FilesSettings {
        allow: Vec::new(),
        transport: Arc::new(Transport::new(nowhere.clone())),
        state: nowhere,
        batch: 1,
    };
    let rate = Rate::of(1.0);
    let cloudformation =
        CloudFormationSettings { endpoint: None, changes: rate, looks: rate, events: rate };
    let files = Files::new(files).map_err(PassError::Settings)?;
    Ok(Providers::new().with(files).with(CloudFormation::new(cloudformation)))
}

/// What tests are run with.
pub(super) struct Bench<'a> {
    catalog: &'a Catalog,
    templates: Templates,
    memory: Memory,
    pub(super) providers: Providers,
}

/// What a request was read as.
pub(super) struct Read {
    pub(super) evaluated: Evaluated,
    problems: Vec<Problem>,
}

impl Read {
    pub(super) fn spec(&self) -> Option<&Spec> {
        self.evaluated.row.desired.spec()
    }

    fn artifact(&self, component: &ComponentName) -> Option<&Arc<Artifact>> {
        let mut artifacts = self.evaluated.artifacts.iter();
        artifacts.find(|(name, _)| name == component).map(|(_, artifact)| artifact)
    }
}

/// What a request was applied as.
struct Applied {
    record: Record,
    artifacts: Vec<(ComponentName, Arc<Artifact>)>,
}

impl<'a> Bench<'a> {
    pub(super) fn new(catalog: &'a Catalog) -> Result<Self, PassError> {
        let (templates, memory) = (Templates::default(), Memory::default());
        Ok(Self { catalog, templates, memory, providers: offline()? })
    }
}

impl Bench<'_> {
    /// What comes of a test, and what it renders to.
    fn run(&self, version: &Arc<TemplateVersion>, test: &TestCase) -> (Outcome, Option<Artifact>) {
        let seen = match self.see(version, test) {
            Ok(seen) => seen,
            Err(failure) => return (Outcome::Failed(vec![*failure]), None),
        };
        let failures = compare(version, test, &seen);
        match failures.is_empty() {
            true => (Outcome::Passed, seen.rendered),
            false => (Outcome::Failed(failures), seen.rendered),
        }
    }

    fn see(&self, version: &Arc<TemplateVersion>, test: &TestCase) -> Result<Seen, Box<Failure>> {
        let applied = match test.document.spec.is_upgrade() {
            true => Some(self.applied(version, test)?),
            false => None,
        };
        let record = applied.as_ref().map(|applied| &applied.record);
        let read = match self.read(version, test, Asked::Now, record) {
            Ok(read) => read,
            Err(problems) => return Ok(Seen { problems: said(problems), ..Seen::default() }),
        };
        let Some(spec) = read.spec() else {
            return Ok(Seen { problems: read.problems, ..Seen::default() });
        };
        let rendered = Some(together(&read.evaluated.artifacts));
        let mut seen = Seen { rendered, ..Seen::default() };
        let plan = self.plan(&read, applied.as_ref());
        seen.problems.extend(self.held(test, &read, record, &plan));
        let ruling = self.ruling(&read, &plan);
        seen.problems.extend(ruling.hold.into_iter().flat_map(problems));
        let asked = ruling.needs.into_iter();
        seen.approvals =
            asked.map(|n| ExpectedApproval { teams: n.teams, count: n.count }).collect();
        let facts = policy::plan(&plan.steps, &|step| self.resources(step));
        (seen.replaces, seen.deletes) = (facts.count("replaces"), facts.count("deletes"));
        seen.resources = plan.steps.iter().flat_map(parts).collect();
        for (name, output) in &spec.outputs {
            seen.outputs.insert(name.clone(), self.output(&read, spec, output, &plan, record));
        }
        Ok(seen)
    }

    /// Reads the request of a test.
    pub(super) fn read(
        &self,
        version: &TemplateVersion,
        test: &TestCase,
        asked: Asked,
        record: Option<&Record>,
    ) -> Result<Read, Vec<Diagnostic>> {
        let (file, stand_ins) = test.request(version, asked)?;
        let id = file.id.clone();
        let origin = Origin { source: SourceName::new("test"), path: test.file.clone() };
        let found = Found { id: id.clone(), origin, blob: ObjectId([0; 20]), kind: Kind::File };
        let mut given: BTreeMap<RequestId, Record> = stand_ins
            .iter()
            .map(|stand_in| (stand_in.reference.request.clone(), stands_in(stand_in, version)))
            .collect();
        // What takes no new requests is tested as one that it has.
        let kept = || (version.lifecycle == Lifecycle::Retired).then(|| kept(&file, version));
        given.extend(record.cloned().or_else(kept).map(|record| (id, record)));
        let evaluator = Evaluator {
            catalog: self.catalog,
            former: None,
            templates: &self.templates,
            memory: &self.memory,
            store: None,
            providers: &self.providers,
            teams: BTreeMap::new(),
            given: &given,
            fresh: &|_| None,
            foresight: None,
        };
        let parsed = vec![Parsed::of(found, file)];
        let shelf = evaluator.given_shelf(&parsed);
        let evaluated =
            evaluator.render_all::<Evaluated>(parsed, &shelf).pop().expect("one in, one out");
        let desired = &evaluated.row.desired;
        let problems = match &desired.wanted {
            Wanted::Valid(_) => Vec::new(),
            Wanted::Invalid(problems) => said(problems.clone()),
            Wanted::Waiting(reason) => {
                let problems = said(desired.notes.clone());
                if problems.is_empty() { vec![Problem::Held(reason.clone())] } else { problems }
            }
        };
        Ok(Read { evaluated, problems })
    }

    /// What it is an upgrade from: planned, and taken to have been done.
    fn applied(
        &self,
        version: &Arc<TemplateVersion>,
        test: &TestCase,
    ) -> Result<Applied, Box<Failure>> {
        let from = applied_version(self.catalog, version, test).unwrap_or(version);
        let failed = |problems| Box::new(Failure::Before { version: from.id.clone(), problems });
        let read = self.read(from, test, Asked::Before, None);
        let read = read.map_err(|problems| failed(said(problems)))?;
        let Some(spec) = read.spec() else { return Err(failed(read.problems)) };
        let plan = self.plan(&read, None);
        let held = self.held(test, &read, None, &plan);
        if !held.is_empty() {
            return Err(failed(held));
        }
        let desired = &read.evaluated.row.desired;
        let observed = Observed { request_digest: Some(desired.content), ..Observed::default() };
        let mut record = record_of(desired, spec, observed);
        for step in plan.steps.iter().filter(|step| step.action == Action::Create) {
            let component = self.done(&read, spec, step);
            record.components.insert(step.target.key.component.clone(), component);
        }
        record.hide_outputs();
        Ok(Applied { record, artifacts: read.evaluated.artifacts })
    }

    /// A creation as it is recorded once it is done. Outputs that only an apply tells stand as what is
    /// shown in their place, so that what uses them renders to the same again.
    fn done(&self, read: &Read, spec: &Spec, step: &Step) -> ComponentRecord {
        let key = &step.target.key;
        let component = spec.components.iter().find(|c| c.name == key.component);
        let artifact = read.artifact(&key.component);
        let given = artifact.and_then(|artifact| promise::given(artifact)).unwrap_or_default();
        let promised = spec.outputs.values().filter(|o| o.component == key.component);
        let used = spec.components.iter().flat_map(|c| &c.unknown);
        let used = used.filter(|s| s.component.as_ref() == Some(&key.component));
        let names: BTreeSet<String> = given
            .into_iter()
            .chain(promised.map(|o| o.output.clone()))
            .chain(used.map(|s| s.output.clone()))
            .collect();
        let mut outputs: Map = names
            .into_iter()
            .map(|output| {
                let component = Some(key.component.clone());
                let symbol =
                    Symbol { request: key.request.clone(), component, output: output.clone() };
                (output, symbol_text(&symbol))
            })
            .collect();
        outputs.extend(self.known(&step.target, artifact, !step.unknown.is_empty()));
        ComponentRecord {
            provider: step.target.provider.clone(),
            target: step.target.name.clone(),
            settings: step.target.settings.clone(),
            id: None,
            digest: step.artifact.unwrap_or_else(|| digest::of(&"nothing")),
            mark: None,
            state: "APPLIED".into(),
            outputs,
            link: None,
            needs: component.map(|c| c.needs.clone()).unwrap_or_default(),
            token: Token::new("test"),
            attempts: 1,
            drift: Vec::new(),
            labels: Default::default(),
            drift_since: None,
            checked: None,
            unchecked: None,
            guarded: None,
        }
    }

    fn known(&self, target: &Target, artifact: Option<&Arc<Artifact>>, waits: bool) -> Map {
        let provider = self.providers.get(&target.provider);
        let known = provider.zip(artifact).map(|(p, a)| certain(p.as_ref(), target, a, waits));
        known.unwrap_or_default()
    }

    fn plan(&self, read: &Read, applied: Option<&Applied>) -> Plan {
        let id = read.evaluated.row.desired.id.clone();
        let recorded = applied.map(|applied| applied.record.clone());
        let case = Case {
            id: id.clone(),
            desired: Some(read.evaluated.row.desired.clone()),
            gone: None,
            recorded,
            live: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            drift_due: false,
            barred: None,
            later: BTreeSet::new(),
            untouched: BTreeSet::new(),
            may_have_moved: false,
            stopped: None,
            taken: BTreeSet::new(),
        };
        let count = u64::from(applied.is_some());
        let by_team = BTreeMap::from([(id.team().to_owned(), count)]);
        let situation = Situation {
            now: Timestamp::UNIX_EPOCH,
            instance: &InstanceId::new("test"),
            cases: vec![case],
            totals: Totals { recorded: count, by_team },
            settled: 0,
            sources: BTreeMap::new(),
            dependents: &|_| Vec::new(),
            references: &|_| Vec::new(),
            stands: &|_| true,
            approvals: &BTreeSet::new(),
            guards: Guards::default(),
            expiry: Expiry::default(),
            blind: true,
        };
        let mut plan = plan::plan(&situation);
        let find = |step: &Step| {
            let name = &step.target.key.component;
            let was = applied.into_iter().flat_map(|applied| &applied.artifacts);
            let was = was.filter(|(_, a)| a.digest.is_some() && a.digest == step.from);
            (was.map(|(_, a)| a.clone()).next(), read.artifact(name).cloned())
        };
        outline::fill(&mut plan, &self.providers, find);
        plan
    }

    /// What a plan holds, as errors.
    fn held(
        &self,
        test: &TestCase,
        read: &Read,
        record: Option<&Record>,
        plan: &Plan,
    ) -> Vec<Problem> {
        let place = |name: &str| {
            let name = name.replace('~', "~0").replace('/', "~1");
            let fields = ["parameters", "references"].map(|f| format!("/spec/request/{f}/{name}"));
            let found = fields.iter().find(|pointer| test.node.at(pointer).is_some());
            test.place(found.map_or("/spec/request", String::as_str))
        };
        // A request is held as a whole, and may be so at each of its components.
        let mut reasons: Vec<&HoldReason> = Vec::new();
        for hold in &plan.holds {
            if !reasons.contains(&&hold.reason) {
                reasons.push(&hold.reason);
            }
        }
        let problem = |reason: &HoldReason| match (reason, record) {
            (HoldReason::ForbiddenChange { .. }, Some(record)) => {
                said(forbidden_at(&read.evaluated.row.desired, record, &place))
            }
            (reason, _) => problems(reason.clone()),
        };
        reasons.into_iter().flat_map(problem).collect()
    }

    fn ruling(&self, read: &Read, plan: &Plan) -> Ruling {
        let id = &read.evaluated.row.desired.id;
        let court = Court {
            law: &|_| read.evaluated.law.clone().filter(|law| law.looks_at_plans()),
            path: &|_| Some(read.evaluated.row.desired.origin.path.clone()),
            resources: &|step| self.resources(step),
        };
        let ids = BTreeSet::from([id]);
        court.rulings(&ids, &plan.steps, &BTreeMap::new()).remove(id).unwrap_or_default()
    }

    /// What a step does to which resources, where no preview says.
    fn resources(&self, step: &Step) -> Option<Vec<ResourceChange>> {
        let provider = self.providers.get(&step.target.provider)?;
        (!provider.previews()).then(Vec::new)
    }

    /// What is known of an output once the plan is made, and not done.
    fn output(
        &self,
        read: &Read,
        spec: &Spec,
        output: &OutputSpec,
        plan: &Plan,
        record: Option<&Record>,
    ) -> Certainty {
        let key = TargetKey {
            request: read.evaluated.row.desired.id.clone(),
            component: output.component.clone(),
        };
        let is_made =
            |step: &&Step| step.target.key == key && artifact_of(&read.evaluated, step).is_some();
        let target = plan.steps.iter().find(is_made).map(|step| step.target.clone());
        let recorded = || {
            let component = record?.components.get(&output.component)?;
            Some(Target {
                name: component.target.clone(),
                key: key.clone(),
                instance: InstanceId::new("test"),
                provider: component.provider.clone(),
                settings: component.settings.clone(),
                id: component.id.clone(),
            })
        };
        let Some(target) = target.or_else(recorded) else { return Certainty::NotYet };
        let waits = spec.components.iter().find(|c| c.name == output.component);
        let waits = waits.is_some_and(|c| !c.unknown.is_empty());
        let mut known = self.known(&target, read.artifact(&output.component), waits);
        match known.remove(&output.output).filter(|_| !output.sensitive) {
            Some(value) => Certainty::Value(value),
            None => Certainty::NotYet,
        }
    }
}

fn said(problems: Vec<Diagnostic>) -> Vec<Problem> {
    problems.into_iter().filter(Diagnostic::is_error).map(Problem::Said).collect()
}

fn problems(reason: HoldReason) -> Vec<Problem> {
    match reason {
        HoldReason::Invalid { problems } => said(problems),
        reason => vec![Problem::Held(reason)],
    }
}

/// The files of all components in one.
fn together(artifacts: &[(ComponentName, Arc<Artifact>)]) -> Artifact {
    let files = artifacts.iter().flat_map(|(component, artifact)| {
        artifact.files.iter().map(move |(path, text)| (format!("{component}/{path}"), text.clone()))
    });
    Artifact { files: files.collect(), digest: None }
}

/// What a step does to resources, or to the whole where it has no such parts.
fn parts(step: &Step) -> Vec<(ComponentName, Option<ResourceChange>, Option<Counted>)> {
    let component = &step.target.key.component;
    let resources = step.preview.iter().flat_map(|preview| &preview.resources);
    let resources: Vec<_> = resources
        .map(|r| (component.clone(), Some(r.clone()), counted(r.action)))
        .filter(|(_, _, counted)| counted.is_some())
        .collect();
    let whole = match step.action {
        Action::Replace => Some(Counted::Replaces),
        Action::Delete => Some(Counted::Deletes),
        _ => None,
    };
    if resources.iter().any(|(_, _, counted)| *counted == whole) {
        return resources;
    }
    resources.into_iter().chain(whole.map(|whole| (component.clone(), None, Some(whole)))).collect()
}

/// The record of a request that gives just the value of a stand-in.
fn stands_in(stand_in: &StandIn, version: &TemplateVersion) -> Record {
    let StandIn { reference, template, value } = stand_in;
    let component = ComponentName::new("stand-in");
    let output = OutputSpec {
        component: component.clone(),
        output: reference.output.clone(),
        sensitive: false,
    };
    let name = template.clone().unwrap_or_else(|| "stand-in".into());
    let made = ComponentRecord {
        provider: "test".into(),
        target: TargetName::new("stand-in"),
        settings: Map::new(),
        id: None,
        digest: digest::of(&"stand-in"),
        mark: None,
        state: "APPLIED".into(),
        outputs: Map::from([(reference.output.clone(), value.clone())]),
        link: None,
        needs: Vec::new(),
        token: Token::new("test"),
        attempts: 1,
        drift: Vec::new(),
        labels: Default::default(),
        drift_since: None,
        checked: None,
        unchecked: None,
        guarded: None,
    };
    let id = TemplateId { name, version: semver::Version::new(1, 0, 0) };
    Record {
        components: BTreeMap::from([(component, made)]),
        output_specs: BTreeMap::from([(reference.output.clone(), output)]),
        template: id,
        ..empty(reference.request.clone(), version)
    }
}

/// The record of a request that a version that takes no new ones has.
fn kept(file: &RequestFile, version: &TemplateVersion) -> Record {
    let observed = Observed { request_digest: Some(file.digest), ..Observed::default() };
    Record { observed, ..empty(file.id.clone(), version) }
}

fn empty(id: RequestId, version: &TemplateVersion) -> Record {
    Record {
        id,
        origin: Origin { source: SourceName::new("test"), path: "".into() },
        settled: None,
        template: version.id.clone(),
        template_digest: version.digest,
        parameters: Map::new(),
        sensitive: Vec::new(),
        digests: BTreeMap::new(),
        references: BTreeMap::new(),
        labels: BTreeMap::new(),
        protect: false,
        tombstone: false,
        life: None,
        former: Vec::new(),
        whole_at: None,
        components: BTreeMap::new(),
        output_specs: BTreeMap::new(),
        observed: Observed::default(),
        last_apply: None,
    }
}
