//! One request: its bytes, its template, its context, its rendered components.
//!
//! Everything here is a function of its arguments, so that many requests are read at once on as
//! many threads as there are cores.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::PassError;
use super::desired::{Found, Read, unreadable};
use super::foresee::Foresight;
use super::law::{self, Law};
use super::memory::Memory;
use super::promise;
use super::rollout;
use crate::catalog::{self, Catalog, Checked, Filled, RequestFile, TemplateVersion, Verdict};
use crate::digest::{self, Digest};
use crate::fault::point;
use crate::git::Blob;
use crate::model::{
    Artifact, ComponentName, Dependency, Desired, DesiredComponent, Diagnostic, HoldReason, Map,
    ObjectId, OutputSpec, Place, Record, Reference, RequestId, Slot, Spec, Symbol, TargetKey,
    TemplateId, Wanted, is_hidden_output, symbol_text,
};
use crate::plan;
use crate::provider::{Objection, Providers};
use crate::render::{self, Compiled, Context, Limits};
use crate::store::Store;

/// Compiled templates by the digest of their version's folder.
#[derive(Default)]
pub struct Templates(Mutex<HashMap<Digest, Arc<Vec<CompiledComponent>>>>);

type CompiledComponent = Result<Compiled, Vec<Diagnostic>>;

/// What evaluating needs.
pub struct Evaluator<'a> {
    /// The catalog in use.
    pub catalog: &'a Catalog,
    /// The one before it, where this one is only looked at: its rules bind as well.
    pub former: Option<&'a Catalog>,
    /// Compiled templates, kept between passes.
    pub templates: &'a Templates,
    /// For what the index knows.
    pub memory: &'a Memory,
    /// For records of requests that are referred to.
    pub store: Option<&'a dyn Store>,
    /// For concrete settings.
    pub providers: &'a Providers,
    /// Teams that may ask, by source; everybody when empty.
    pub teams: BTreeMap<crate::model::SourceName, Vec<String>>,
    /// Records known without a store.
    pub given: &'a BTreeMap<RequestId, Record>,
    /// What this pass has read already, which the store need not know yet.
    pub fresh: &'a (dyn Fn(&RequestId) -> Option<&'a Desired> + Sync),
    /// Outputs as a plan will make them, in place of those applied: for what is only shown.
    pub foresight: Option<&'a Foresight>,
}

/// A file that was read, and what it says when it can be understood.
#[derive(Clone)]
pub struct Parsed {
    /// Which.
    pub found: Found,
    content: Digest,
    file: Result<Box<RequestFile>, Vec<Diagnostic>>,
}

impl Parsed {
    /// A request that was read by other ways than from a file's bytes.
    pub(super) fn of(found: Found, file: RequestFile) -> Self {
        Self { found, content: file.digest, file: Ok(Box::new(file)) }
    }

    /// Requests that it refers to.
    pub fn references(&self) -> impl Iterator<Item = &RequestId> {
        self.file.iter().flat_map(|f| f.references.values().map(|r| &r.request))
    }

    /// What it says; `None`: that cannot be understood.
    pub fn file(&self) -> Option<&RequestFile> {
        self.file.as_deref().ok()
    }

    fn moved_from(&self) -> Option<&RequestId> {
        self.file.as_ref().ok()?.moved_from.as_ref()
    }
}

/// What is known of requests that are referred to, and of the records of those evaluated.
#[derive(Default)]
pub struct Shelf {
    records: HashMap<RequestId, Arc<Record>>,
    promised: HashMap<RequestId, Promise>,
}

enum Promise {
    Outputs { template: String, outputs: BTreeMap<String, OutputSpec> },
    NotWellFormed,
}

impl Shelf {
    /// What a desired request promises.
    pub fn put(&mut self, desired: &Desired) {
        let promise = match &desired.wanted {
            Wanted::Valid(spec) => Promise::Outputs {
                template: spec.template.name.clone(),
                outputs: spec.outputs.clone(),
            },
            Wanted::Invalid(_) | Wanted::Waiting(_) => Promise::NotWellFormed,
        };
        self.promised.insert(desired.id.clone(), promise);
    }

    /// The record of a request, if it was asked for.
    pub fn record(&self, id: &RequestId) -> Option<&Arc<Record>> {
        self.records.get(id)
    }

    /// What a reference comes to; with `wanted`, only a request of that template may fill it.
    fn fill(
        &self,
        reference: &Reference,
        wanted: Option<&str>,
        foresight: Option<&Foresight>,
    ) -> Filled {
        let Reference { request, output } = reference;
        let record = self.records.get(request);
        let promise = self.promised.get(request);
        let sensitive =
            |specs: &BTreeMap<String, OutputSpec>| specs.get(output).is_some_and(|s| s.sensitive);
        let is_sensitive = record.is_some_and(|r| sensitive(&r.output_specs))
            || matches!(promise, Some(Promise::Outputs { outputs, .. }) if sensitive(outputs));
        if is_sensitive {
            return Filled::Refused(format!(
                "output `{output}` of `{request}` is sensitive and cannot fill a parameter"
            ));
        }
        let template = match promise {
            Some(Promise::Outputs { template, .. }) => Some(template.as_str()),
            Some(Promise::NotWellFormed) | None => record.map(|r| r.template.name.as_str()),
        };
        if let (Some(wanted), Some(template)) = (wanted, template)
            && wanted != template
        {
            return Filled::Refused(format!(
                "`{request}` is of the template `{template}`; this parameter is filled from a `{wanted}`"
            ));
        }
        if let Some(filled) = foresight.and_then(|f| self.foreseen(f, reference)) {
            return filled;
        }
        if let Some(value) = record.and_then(|r| r.outputs().remove(output)) {
            return Filled::Known(value);
        }
        let symbol = Symbol { request: request.clone(), component: None, output: output.clone() };
        match promise {
            Some(Promise::Outputs { outputs, .. }) => match outputs.get(output) {
                Some(spec) => {
                    Filled::Unknown(Symbol { component: Some(spec.component.clone()), ..symbol })
                }
                None => Filled::Missing(Dependency::Output(symbol)),
            },
            Some(Promise::NotWellFormed) => Filled::Missing(Dependency::Request(request.clone())),
            None => Filled::Missing(Dependency::Request(request.clone())),
        }
    }

    /// What a reference comes to when the component behind it is about to change.
    fn foreseen(&self, foresight: &Foresight, reference: &Reference) -> Option<Filled> {
        let Reference { request, output } = reference;
        let spec = match self.promised.get(request) {
            Some(Promise::Outputs { outputs, .. }) => outputs.get(output),
            Some(Promise::NotWellFormed) | None => {
                self.records.get(request).and_then(|r| r.output_specs.get(output))
            }
        };
        let OutputSpec { component, output, sensitive: _ } = spec?;
        let key = TargetKey { request: request.clone(), component: component.clone() };
        Some(match foresight.outputs(&key)?.get(output) {
            Some(value) => Filled::Known(value.clone()),
            None => Filled::Unknown(Symbol {
                request: key.request,
                component: Some(key.component),
                output: reference.output.clone(),
            }),
        })
    }
}

/// Work is worth a second thread from this many requests on.
const PARALLEL_FROM: usize = 64;

/// Runs `work` over `items` on as many threads as there are cores, in order.
fn each<T: Send, U: Send>(items: Vec<T>, work: impl Fn(T) -> U + Sync) -> Vec<U> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if items.len() < PARALLEL_FROM || cores == 1 {
        return items.into_iter().map(work).collect();
    }
    let size = items.len().div_ceil(cores);
    let mut chunks: Vec<Vec<T>> = Vec::with_capacity(cores);
    let mut items = items.into_iter();
    loop {
        let chunk: Vec<T> = items.by_ref().take(size).collect();
        if chunk.is_empty() {
            break;
        }
        chunks.push(chunk);
    }
    // What they log belongs to the same pass.
    let (work, span) = (&work, &tracing::Span::current());
    let run =
        move |chunk: Vec<T>| span.in_scope(|| chunk.into_iter().map(work).collect::<Vec<U>>());
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            chunks.into_iter().map(|chunk| scope.spawn(move || run(chunk))).collect();
        threads.into_iter().flat_map(|t| t.join().expect("work catches its own panics")).collect()
    })
}

/// Whose records matter: of the requests themselves and of those that they refer to.
fn asked(parsed: &[Parsed]) -> BTreeSet<&RequestId> {
    let own = parsed.iter().flat_map(|p| std::iter::once(&p.found.id).chain(p.moved_from()));
    parsed.iter().flat_map(Parsed::references).chain(own).collect()
}

impl Evaluator<'_> {
    /// Reads the files.
    pub fn parse(&self, found: Vec<Found>, blobs: &HashMap<ObjectId, Blob>) -> Vec<Parsed> {
        each(found, |found| {
            let blob = blobs.get(&found.blob);
            let (content, file) = match (unreadable(&found, blob), blob) {
                (Some(problem), _) => {
                    (digest::sha256(found.blob.to_string().as_bytes()), Err(vec![problem]))
                }
                (None, Some(Blob::Bytes(bytes))) => {
                    let work = std::panic::AssertUnwindSafe(|| {
                        let _ = point!("read.parse");
                        self.parse_one(&found, bytes)
                    });
                    let file = std::panic::catch_unwind(work)
                        .unwrap_or_else(|_| Err(vec![panicked(&found)]));
                    let content =
                        file.as_ref().map_or_else(|_| digest::sha256(bytes), |f| f.digest);
                    (content, file)
                }
                (None, _) => unreachable!("`unreadable` names every blob that has no bytes"),
            };
            Parsed { found, content, file }
        })
    }

    fn parse_one(&self, found: &Found, bytes: &[u8]) -> Result<Box<RequestFile>, Vec<Diagnostic>> {
        let team = found.id.team();
        if let Some(teams) = self.teams.get(&found.origin.source).filter(|t| !t.is_empty())
            && !teams.iter().any(|t| t == team)
        {
            let message =
                format!("team `{team}` may not ask in the repository `{}`", found.origin.source);
            let place = Place::file(found.origin.path.clone());
            let help = format!("it takes requests of: {}", teams.join(", "));
            return Err(vec![Diagnostic::error("REQ003", place, message).help(help)]);
        }
        catalog::request(&found.origin.path, &found.id, bytes).map(Box::new)
    }

    /// Loads what `parsed` refer to, and their own records.
    pub async fn shelf(&self, parsed: &[Parsed]) -> Result<Shelf, PassError> {
        let mut shelf = self.given_shelf(parsed);
        let Some(store) = self.store else { return Ok(shelf) };
        let referred: BTreeSet<&RequestId> = parsed.iter().flat_map(Parsed::references).collect();
        let records = asked(parsed);
        let wanted = |id: &&RequestId| self.memory.records().contains(id);
        let records: Vec<RequestId> = records.into_iter().filter(wanted).cloned().collect();
        for record in store.records(&records).await? {
            shelf.records.insert(record.id.clone(), Arc::new(record));
        }
        let wanted = |id: &&RequestId| self.memory.desired().contains(id);
        let desired: Vec<RequestId> = referred.into_iter().filter(wanted).cloned().collect();
        for desired in store.desired(&desired).await? {
            shelf.put(self.fresh_or(&desired));
        }
        Ok(shelf)
    }

    /// As [`Evaluator::shelf`], of the records that are known without a store.
    pub(super) fn given_shelf(&self, parsed: &[Parsed]) -> Shelf {
        let given = asked(parsed).into_iter().filter_map(|id| self.given.get_key_value(id));
        let records = given.map(|(id, record)| (id.clone(), Arc::new(record.clone())));
        Shelf { records: records.collect(), promised: HashMap::new() }
    }

    fn fresh_or<'b>(&'b self, stored: &'b Desired) -> &'b Desired {
        (self.fresh)(&stored.id).unwrap_or(stored)
    }

    /// What a request in a cycle would give, by its template alone: so that planning can name the
    /// cycle, where waiting for one another would say nothing.
    pub fn promise(&self, parsed: &Parsed, shelf: &mut Shelf) {
        let Ok(file) = &parsed.file else { return };
        let record = shelf.record(&parsed.found.id).map(|r| &r.template);
        if let Some(template) = catalog::template_of(self.catalog, file, record) {
            let promise = Promise::Outputs {
                template: template.id.name.clone(),
                outputs: template.outputs.clone(),
            };
            shelf.promised.insert(parsed.found.id.clone(), promise);
        }
    }

    /// Validates and renders; a panic in one request's reading is that request's alone.
    pub fn render_all<T: From<Read> + Send>(&self, parsed: Vec<Parsed>, shelf: &Shelf) -> Vec<T> {
        each(parsed, |parsed| T::from(self.read_one(parsed, shelf)))
    }

    fn read_one(&self, parsed: Parsed, shelf: &Shelf) -> Read {
        let Parsed { found, content, file } = parsed;
        let outcome = match &file {
            Err(problems) => Outcome::without(Wanted::Invalid(problems.clone()), Vec::new()),
            Ok(file) => {
                let work = std::panic::AssertUnwindSafe(|| {
                    let _ = point!("read.render");
                    self.render_one(&found, file, shelf)
                });
                std::panic::catch_unwind(work).unwrap_or_else(|_| {
                    let id = digest::of(&(&found.id, content)).hex()[..12].to_owned();
                    tracing::error!(request = %found.id, id, "a panic while this request was read");
                    Outcome::without(Wanted::Waiting(HoldReason::InternalError { id }), Vec::new())
                })
            }
        };
        let Outcome { wanted, notes, artifacts, law, refused, unfit } = outcome;
        let (id, origin) = (found.id.clone(), found.origin.clone());
        let desired = Desired { id, origin, content, wanted, notes };
        let waits = match desired.template() {
            Some(_) => Vec::new(),
            None => self.waits(&found.id, file.as_deref().ok(), shelf),
        };
        let record = self.store.and_then(|_| shelf.record(&found.id).cloned());
        Read { found, desired, artifacts, law, refused, unfit, waits, record }
    }

    fn render_one(&self, found: &Found, file: &RequestFile, shelf: &Shelf) -> Outcome {
        let record = shelf.record(&found.id).or_else(|| shelf.record(file.moved_from.as_ref()?));
        // A range keeps its version until a newer one reaches it, or the file changes; an exact
        // version speaks for itself.
        let is_changed = |r: &Record| r.observed.request_digest != Some(file.digest);
        let version = record.and_then(|r| {
            let is_changed = is_changed(r);
            let stands =
                |version: &TemplateId| rollout::stands(self.memory, &found.id, version, is_changed);
            catalog::kept(self.catalog, file, &r.template, is_changed, &stands)
        });
        let outcome = self.render_as(found, file, shelf, version.as_ref());
        // What a file did not ask for makes nobody invalid: such a request stays where it was.
        match (record, version) {
            (Some(r), Some(version)) if version != r.template && !outcome.is_valid() => {
                let kept = self.render_as(found, file, shelf, Some(&r.template));
                // Nor is an edit to blame for what did not fit before it.
                let is_to_blame = is_changed(r) && !self.memory.was_refused(&found.id, &version);
                if !is_to_blame && (kept.is_valid() || kept.is_missing()) {
                    kept.in_spite_of(version, file, &outcome)
                } else {
                    outcome
                }
            }
            _ => outcome,
        }
    }

    /// Versions on their way that a request would take if it could be read. Of a file that says nothing
    /// that can be understood, any newer one of what it has may be meant.
    fn waits(&self, id: &RequestId, file: Option<&RequestFile>, shelf: &Shelf) -> Vec<TemplateId> {
        let Some(record) = shelf.record(id) else { return Vec::new() };
        let has = &record.template;
        let admits = |version: &TemplateId| match file.map(|file| &file.template) {
            None => true,
            Some(asked) => {
                let is_range = matches!(asked.requirement, catalog::Requirement::Range(_));
                is_range
                    && asked.name == has.name
                    && asked.requirement.matches(&has.version)
                    && asked.requirement.matches(&version.version)
            }
        };
        let open = self.memory.rollouts.values().filter(|rollout| rollout.is_open());
        let newer = open.map(|rollout| &rollout.version);
        let newer = newer.filter(|v| v.name == has.name && v.version > has.version);
        newer.filter(|version| admits(version)).cloned().collect()
    }

    /// Reads it with the version that it goes on from.
    fn render_as(
        &self,
        found: &Found,
        file: &RequestFile,
        shelf: &Shelf,
        version: Option<&TemplateId>,
    ) -> Outcome {
        let record = shelf.record(&found.id).or_else(|| shelf.record(file.moved_from.as_ref()?));
        let kinds: Vec<&str> = self.providers.kinds().collect();
        let fill = |reference: &Reference, template: Option<&str>| {
            shelf.fill(reference, template, self.foresight)
        };
        let checked = match catalog::check(self.catalog, file, version, &kinds, &fill) {
            Verdict::Checked(checked) => checked,
            Verdict::Invalid(problems) => {
                return Outcome::without(Wanted::Invalid(problems), Vec::new());
            }
            Verdict::Waiting(reason, notes) => {
                return Outcome::without(Wanted::Waiting(reason), notes);
            }
        };
        if let Some(problem) = self.edited(&checked.template, found) {
            return Outcome::without(Wanted::Invalid(vec![problem]), Vec::new());
        }
        if let Some((reason, notes)) = self.unadoptable(file, &checked) {
            return Outcome::without(Wanted::Waiting(reason), notes);
        }
        if let Some(reason) = self.changed_source(found, shelf) {
            return Outcome::without(Wanted::Waiting(reason), checked.notes);
        }
        let applied = record.map(Arc::as_ref);
        let applied = applied.map(|r| (r, self.catalog));
        let law = Law::of(file, &checked, self.former, applied);
        let mut problems = law.iter().flat_map(|law| law.denied(file)).collect::<Vec<_>>();
        let rendered = self.components(found, file, &checked, record.map(Arc::as_ref));
        match rendered {
            Ok((components, artifacts, odd)) if problems.is_empty() => {
                let notes = checked.notes.iter().cloned().chain(odd).collect();
                let wanted = Wanted::Valid(Box::new(spec(file, *checked, components)));
                Outcome { artifacts, law: law.map(Arc::new), ..Outcome::without(wanted, notes) }
            }
            Ok(_) => Outcome::without(Wanted::Invalid(problems), checked.notes),
            Err(others) => {
                problems.extend(others);
                Outcome::without(Wanted::Invalid(problems), checked.notes)
            }
        }
    }

    /// A file that left one repository and appeared in another may be a mistake of whoever set the
    /// repositories up: a person says that it is meant.
    fn changed_source(&self, found: &Found, shelf: &Shelf) -> Option<HoldReason> {
        let record = shelf.record(&found.id)?;
        let (from, to) = (&record.origin.source, &found.origin.source);
        let digest = plan::other_source(&found.id, from, to);
        let meant = from == to || self.memory.approvals.contains_key(&digest);
        (!meant).then(|| HoldReason::LooksLikeAMove {
            other: None,
            also: Vec::new(),
            setting: Some("source".into()),
            digest: Some(digest),
            set: None,
            later: false,
        })
    }

    /// Not every provider can take over what stands there already.
    fn unadoptable(
        &self,
        file: &RequestFile,
        checked: &Checked,
    ) -> Option<(HoldReason, Vec<Diagnostic>)> {
        let cannot = |kind: &&str| !self.providers.get(kind).is_some_and(|p| p.can_adopt());
        let components = checked.template.components.iter();
        let kind = components.map(|c| c.provider.as_str()).find(cannot).filter(|_| file.adopt)?;
        let what = format!("`adopt` with the provider `{kind}`");
        let problem = Diagnostic::error(
            "SUP001",
            file.key_place("/spec/adopt"),
            format!("{what} is not supported yet"),
        );
        let problem = problem.help("take it out: it would not be obeyed");
        let notes = checked.notes.iter().cloned().chain([problem]).collect();
        Some((HoldReason::NotSupportedYet { what }, notes))
    }

    /// A published version never changes: another digest under the same name is refused.
    fn edited(&self, template: &TemplateVersion, found: &Found) -> Option<Diagnostic> {
        let published = self.memory.templates.get(&template.id)?;
        (*published != template.digest).then(|| {
            let message = format!("template `{}` was edited after it was published", template.id);
            Diagnostic::error("CAT010", Place::file(found.origin.path.clone()), message).help(
                "the platform team restores that version's folder and publishes a new version",
            )
        })
    }

    fn components(
        &self,
        found: &Found,
        file: &RequestFile,
        checked: &Checked,
        record: Option<&Record>,
    ) -> Result<(Vec<DesiredComponent>, Artifacts, Vec<Diagnostic>), Vec<Diagnostic>> {
        let compiled = self.templates.get(&checked.template);
        let mut context = context(&found.id, file, checked);
        let mut problems = Vec::new();
        let mut components: Vec<DesiredComponent> = Vec::new();
        let (mut artifacts, mut notes) = (Vec::new(), Vec::new());
        for n in order(&checked.template) {
            let component = &checked.template.components[n];
            let recorded = record.and_then(|r| {
                r.components
                    .get(&component.name)
                    .or_else(|| r.components.get(component.moved_from.as_ref()?))
            });
            let rendered = match &compiled[n] {
                Ok(compiled) => compiled.render(&context, &Limits::default()),
                Err(broken) => Err(broken.clone()),
            };
            let rendered = match rendered {
                Ok(rendered) => rendered,
                Err(found) => {
                    problems.extend(found);
                    continue;
                }
            };
            let asked = file.place("/spec/template");
            problems.extend(promise::unkept(
                &checked.template,
                component,
                &rendered.artifact,
                &asked,
            ));
            problems.extend(law::not_allowed(checked, component, &rendered.artifact, &asked));
            let digest = rendered.artifact.digest.expect("rendering sets the digest");
            let (name, id) = (component.name.to_string(), &found.id);
            let key = TargetKey { request: id.clone(), component: component.name.clone() };
            let (wrong, odd) = self.objections(file, checked, component, &key, &rendered.artifact);
            problems.extend(wrong);
            notes.extend(odd);
            let same = recorded.filter(|r| r.digest == digest && rendered.unknown.is_empty());
            match (self.foresight.and_then(|f| f.outputs(&key)), same) {
                (Some(foreseen), _) => {
                    context.components.insert(name.clone(), foreseen.clone());
                    context.pending.insert(name);
                }
                (None, Some(recorded)) => {
                    // What is sensitive stands nowhere, and fills no other component.
                    let shown = recorded.outputs.iter().filter(|(_, v)| !is_hidden_output(v));
                    let shown = shown.map(|(n, v)| (n.clone(), v.clone())).collect();
                    context.components.insert(name.clone(), shown);
                    // Without the store only those are known that the template promises.
                    if self.store.is_none() {
                        context.pending.insert(name);
                    }
                }
                (None, None) => {
                    context.pending.insert(name);
                }
            }
            artifacts.push((component.name.clone(), Arc::new(rendered.artifact)));
            components.push(DesiredComponent {
                name: component.name.clone(),
                moved_from: component.moved_from.clone(),
                provider: component.provider.clone(),
                settings: checked.settings.get(&component.name).cloned().unwrap_or_default(),
                needs: component.needs.clone(),
                digest,
                unknown: rendered.unknown,
            });
        }
        if problems.is_empty() { Ok((components, artifacts, notes)) } else { Err(problems) }
    }

    /// What the component's provider would refuse, and what somebody should look at, at the places that
    /// are the matter.
    fn objections(
        &self,
        file: &RequestFile,
        checked: &Checked,
        component: &catalog::ComponentSpec,
        key: &TargetKey,
        artifact: &Artifact,
    ) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let Some(provider) = self.providers.get(&component.provider) else {
            return (Vec::new(), Vec::new());
        };
        let none = Map::new();
        let settings = checked.settings.get(&component.name).unwrap_or(&none);
        let found = provider.objections(settings, key, &file.labels, artifact);
        let diagnostic = |objection: Objection| {
            let Objection { label, message, tolerable } = objection;
            let (place, help) = match label {
                Some(label) => (
                    file.key_place(&format!("/metadata/labels/{}", pointer(&label))),
                    "change the label, or take it out".to_owned(),
                ),
                None => (
                    file.place("/spec/template"),
                    format!(
                        "whoever looks after the catalog mends `{}`, or the environment `{}`",
                        checked.template.id, checked.environment.name
                    ),
                ),
            };
            let message = format!("component `{}`: {message}", component.name);
            let problem = match tolerable {
                true => Diagnostic::warning("PRV002", place, message),
                false => Diagnostic::error("PRV001", place, message),
            };
            problem.help(help)
        };
        found.into_iter().map(diagnostic).partition(Diagnostic::is_error)
    }
}

/// A name as a part of a JSON pointer.
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What components render to.
type Artifacts = Vec<(ComponentName, Arc<Artifact>)>;

/// What a request was read as.
struct Outcome {
    wanted: Wanted,
    notes: Vec<Diagnostic>,
    artifacts: Artifacts,
    law: Option<Arc<Law>>,
    /// A version that would have made it invalid.
    refused: Option<TemplateId>,
    /// What would have been wrong with it.
    unfit: Vec<Diagnostic>,
}

impl Outcome {
    /// Nothing of it can be planned.
    fn without(wanted: Wanted, notes: Vec<Diagnostic>) -> Self {
        let (artifacts, unfit) = (Vec::new(), Vec::new());
        Self { wanted, notes, artifacts, law: None, refused: None, unfit }
    }

    fn is_valid(&self) -> bool {
        matches!(self.wanted, Wanted::Valid(_))
    }

    /// The version that it has is gone from the catalog.
    fn is_missing(&self) -> bool {
        matches!(self.wanted, Wanted::Waiting(HoldReason::TemplateMissing { .. }))
    }

    /// With a note on the version that it does not take, and why.
    fn in_spite_of(mut self, version: TemplateId, file: &RequestFile, other: &Self) -> Self {
        self.unfit = match &other.wanted {
            Wanted::Invalid(problems) => problems.clone(),
            Wanted::Valid(_) | Wanted::Waiting(_) => other.notes.clone(),
        };
        let first = match &other.wanted {
            Wanted::Invalid(_) => self.unfit.iter().find(|problem| problem.is_error()),
            Wanted::Valid(_) | Wanted::Waiting(_) => self.unfit.first(),
        };
        let message = format!("`{version}` has reached this request and cannot be taken");
        let note = Diagnostic::warning("ROL001", file.place("/spec/template"), message)
            .help("it stays as it is; the platform team publishes a version that it can take");
        self.notes.push(match first {
            Some(first) => note.related(first.place.clone(), first.message.clone()),
            None => note,
        });
        self.refused = Some(version);
        self
    }
}

/// A bug of ours that one file brought up: that file's problem alone.
fn panicked(found: &Found) -> Diagnostic {
    tracing::error!(request = %found.id, blob = %found.blob, "a panic while this file was read");
    let place = Place::file(found.origin.path.clone());
    Diagnostic::error("INT001", place, "vend itself failed at reading this file")
        .help("report it with the file; what was applied stays as it is")
}

/// Components with those they need before them; the catalog has refused cycles.
pub(super) fn order(template: &TemplateVersion) -> Vec<usize> {
    let mut order: Vec<usize> = Vec::new();
    let mut left: Vec<usize> = (0..template.components.len()).collect();
    while !left.is_empty() {
        let is_done = |name: &ComponentName| {
            order.iter().any(|n: &usize| template.components[*n].name == *name)
        };
        let ready = left
            .iter()
            .position(|n| template.components[*n].needs.iter().all(is_done))
            .unwrap_or(0);
        order.push(left.remove(ready));
    }
    order
}

/// What a request's template may read, before any of its components is applied.
pub(super) fn context(id: &RequestId, file: &RequestFile, checked: &Checked) -> Context {
    let Checked { template, environment, parameters, .. } = checked;
    Context {
        request: json!({
            "id": id.as_str(), "team": id.team(), "environment": id.environment(),
            "name": id.name(), "labels": file.labels,
        }),
        parameters: parameters.clone(),
        environment: json!({"name": environment.name, "variables": environment.variables}),
        template: json!({"name": template.id.name, "version": template.id.version.to_string()}),
        components: BTreeMap::new(),
        pending: BTreeSet::new(),
        request_id: id.clone(),
        secrets: checked.secrets.clone(),
    }
}

fn spec(file: &RequestFile, checked: Checked, components: Vec<DesiredComponent>) -> Spec {
    let Checked { template, parameters, protect, lifetime, on_drift, upgrade, .. } = checked;
    let shown = parameters.into_iter().filter_map(|(name, slot)| match slot {
        Slot::Known(Value::Null) => None,
        Slot::Known(value) => Some((name, value)),
        Slot::Unknown(symbol) => Some((name, symbol_text(&symbol))),
    });
    Spec {
        template: template.id.clone(),
        template_digest: template.digest,
        upgrade,
        parameters: shown.collect(),
        sensitive: template.parameters.sensitive.iter().cloned().collect(),
        references: file.references.clone(),
        labels: file.labels.clone(),
        protect,
        adopt: file.adopt,
        timeout: template.timeout,
        lifetime,
        suspend: file.suspend,
        tombstone: file.tombstone,
        moved_from: file.moved_from.clone(),
        reason: file.reason.clone(),
        on_drift,
        components,
        outputs: template.outputs.clone(),
        change_rules: template.parameters.change_rules.clone(),
    }
}

impl Templates {
    /// The compiled components of a version, in its order.
    pub fn get(&self, template: &TemplateVersion) -> Arc<Vec<CompiledComponent>> {
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(compiled) = lock().get(&template.digest) {
            return compiled.clone();
        }
        let compiled: Arc<Vec<_>> =
            Arc::new(template.components.iter().map(|c| compile(template, c)).collect());
        lock().insert(template.digest, compiled.clone());
        compiled
    }

    /// Forgets versions that `catalog` no longer has.
    pub fn keep(&self, catalog: &Catalog) {
        let digests: BTreeSet<Digest> = catalog.versions().map(|v| v.digest).collect();
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .retain(|d, _| digests.contains(d));
    }
}

/// Compiles one component.
pub fn compile(
    template: &TemplateVersion,
    component: &catalog::ComponentSpec,
) -> CompiledComponent {
    try_compile(template, component).map_err(|unfit| unfit.problems)
}

/// As [`compile`], with what can be seen of sources that do not compile.
pub fn try_compile(
    template: &TemplateVersion,
    component: &catalog::ComponentSpec,
) -> Result<render::Compiled, render::Unfit> {
    let flavour = match component.provider.as_str() {
        "cloudformation" => render::Flavour::CloudFormation,
        _ => render::Flavour::Plain,
    };
    let prefix = format!("templates/{}/{}", template.id.name, template.id.version);
    render::try_compile(&component.sources, &component.root, &template.partials, &prefix, flavour)
}
