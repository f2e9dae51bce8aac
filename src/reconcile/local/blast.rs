//! What a change of the catalog comes to for all requests, without looking at the world.
//!
//! Both catalogs are read against the same request files and the same recorded state, so that what
//! differs is the catalog's doing alone. Only users of what differs are read: a status file names the
//! template that its request uses. What is not in the status branch is read.
//!
//! # Caveats
//! A file that was edited after the status branch was written, from another template to one that
//! differs, is not seen until that is applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::call;
use super::super::desired::Evaluated;
use super::super::evaluate::{Evaluator, Parsed, Templates};
use super::super::memory::Memory;
use super::super::{PassError, providers, transport};
use super::asked::{Asked, evaluated};
use super::requests::local_providers;
use super::sheets::Sheets;
use crate::catalog::{self, Catalog, RequestFile, Requirement, TemplateVersion, compat};
use crate::config::Config;
use crate::digest::{self, Digest};
use crate::model::{
    Action, Artifact, Blast, Change, ComponentName, DesiredComponent, Effect, Hit, HoldReason,
    InstanceId, Preview, Reach, Record, RequestId, Spec, Step, Target, TargetKey, TargetName,
    TemplateId, Token, Wanted, WaveReach,
};
use crate::plan::{self, rollout};
use crate::provider::Providers;

/// What is compared, and for whom.
pub struct Scene<'a> {
    /// The catalog before.
    pub before: &'a Catalog,
    /// The catalog after.
    pub after: &'a Catalog,
    /// Everybody's request files.
    pub asked: &'a Asked,
    /// Recorded state.
    pub sheets: &'a Sheets,
    /// The configuration.
    pub config: &'a Config,
}

/// What it comes to, with the artifacts that its steps speak of, by digest.
///
/// # Errors
/// When request files cannot be read.
pub async fn blast(
    scene: &Scene<'_>,
) -> Result<(Blast, HashMap<Digest, Arc<Artifact>>), PassError> {
    let Scene { before, after, asked, sheets, config } = scene;
    let providers = local_providers(config)?;
    let changed = catalog::changed(before, after);
    let mut blast = Blast { requests: asked.found.len() as u64, ..Blast::default() };
    blast.waves = !after.waves().is_empty();
    blast.edited = edited(before, after);
    if changed == catalog::Changed::default() {
        return Ok((blast, HashMap::new()));
    }
    let concerned = |id: &&RequestId| {
        changed.environments.contains(id.environment()) || sheets.concerns(id, &changed.templates)
    };
    let ids: BTreeSet<RequestId> = asked.found.keys().filter(concerned).cloned().collect();
    let (templates, memory) = (Templates::default(), Memory::default());
    let nobody = BTreeMap::new();
    let evaluator = |catalog, given| Evaluator {
        catalog,
        former: None,
        templates: &templates,
        memory: &memory,
        store: None,
        providers: &providers,
        teams: asked.teams.clone(),
        given,
        fresh: &|_| None,
        foresight: None,
    };
    let parsed = asked.parse(&evaluator(after, &nobody), &ids)?;
    let records = sheets.records(parsed.iter().map(|p| &p.found.id));
    let (mut users, mut reaches) = (BTreeSet::new(), BTreeMap::new());
    let mut brought = BTreeMap::new();
    for parsed in parsed.iter().filter(|p| ids.contains(&p.found.id)) {
        let id = &parsed.found.id;
        let Some(file) = parsed.file() else { continue };
        let record = records.get(id).filter(|r| r.observed.request_digest == Some(file.digest));
        let used = record.map(|record| &record.template);
        let version = |catalog| catalog::template_of(catalog, file, used).map(|v| v.digest);
        let (was, is) = (version(before), version(after));
        if was != is || is.is_none() || changed.environments.contains(id.environment()) {
            users.insert(id.clone());
        }
        reach((&mut reaches, &mut brought), before, after, (id, file), used);
    }
    // Those that users refer to come along; others are not rendered.
    let needed = needed(&parsed, &users);
    let parsed: Vec<Parsed> = parsed.into_iter().filter(|p| needed.contains(&p.found.id)).collect();
    blast.rendered = users.len() as u64;
    let mut was = evaluated(&evaluator(before, &records), parsed.clone()).await?;
    let mut is = evaluated(&evaluator(after, &records), parsed).await?;
    let compare = Compare {
        providers: &providers,
        instance: sheets.instance.clone().unwrap_or_else(|| InstanceId::new("not-known")),
    };
    let mut artifacts = HashMap::new();
    for id in &users {
        let (Some(was), Some(is)) = (was.remove(id), is.remove(id)) else { continue };
        let Some(hit) = compare.hit(&was, &is, records.get(id)) else { continue };
        let spoken: BTreeSet<Digest> =
            hit.steps.iter().flat_map(|s| [s.from, s.artifact]).flatten().collect();
        for (_, artifact) in was.artifacts.into_iter().chain(is.artifacts) {
            if let Some(digest) = artifact.digest.filter(|d| spoken.contains(d)) {
                artifacts.insert(digest, artifact);
            }
        }
        blast.hits.push(hit);
    }
    let hit: HashSet<&str> =
        blast.hits.iter().filter(|h| !h.steps.is_empty()).map(|h| h.request.as_str()).collect();
    if !hit.is_empty() {
        let users = sheets.users(&hit).into_iter();
        blast.follows =
            users.filter(|id| !hit.contains(id.as_str()) && asked.found.contains_key(id)).collect();
    }
    for ((version, n), requests) in brought {
        if let (Some(reach), Some(wave)) = (reaches.get_mut(&version), after.waves().get(n)) {
            let (environment, share) = (wave.environment.clone(), wave.share);
            reach.waves.push(WaveReach { environment, share, requests });
        }
    }
    blast.reaches = reaches.into_values().collect();
    blast.sort();
    Ok((blast, artifacts))
}

/// Previews that are asked for at once.
const AT_ONCE: usize = 8;

/// Asks the providers what each update would do, and puts that in place of what was foretold; gives
/// those that could not be asked, and why. Nothing is carried out, and what was prepared is dropped.
///
/// # Errors
/// When the providers cannot be opened.
pub async fn preview(
    blast: &mut Blast,
    artifacts: &HashMap<Digest, Arc<Artifact>>,
    config: &Config,
) -> Result<Vec<(TargetKey, String)>, PassError> {
    let state = config.settings.state_dir.clone().unwrap_or_default();
    let providers = providers(config, &state, &transport(config, &state, None))?;
    let mut wanted: Vec<(usize, usize)> = Vec::new();
    for (n, hit) in blast.hits.iter().enumerate() {
        let asked = |step: &Step| {
            let provider = providers.get(&step.target.provider);
            // Without a mark nothing was ever applied.
            step.action == Action::Update
                && step.mark.is_some()
                && provider.is_some_and(|p| p.previews())
        };
        let steps = hit.steps.iter().enumerate().filter(|(_, step)| asked(step));
        wanted.extend(steps.map(|(m, _)| (n, m)));
    }
    let mut failed = Vec::new();
    for part in wanted.chunks(AT_ONCE) {
        let mut asked = tokio::task::JoinSet::new();
        for (n, m) in part.iter().copied() {
            let Some(hit) = blast.hits.get(n) else { continue };
            let Some(step) = hit.steps.get(m) else { continue };
            let Some(provider) = providers.get(&step.target.provider).cloned() else { continue };
            let artifact = step.artifact.and_then(|digest| artifacts.get(&digest).cloned());
            let change = change_of(step, artifact, hit.template.clone());
            asked.spawn(async move {
                let target = change.target.clone();
                let preview = call::preview(provider.clone(), change).await;
                if let Ok(Preview { handle: Some(handle), .. }) = &preview {
                    call::discard(provider, target, handle.clone()).await;
                }
                (n, m, preview)
            });
        }
        while let Some(answered) = asked.join_next().await {
            let (n, m, preview) = answered.map_err(PassError::task)?;
            let step = blast.hits.get_mut(n).and_then(|hit| hit.steps.get_mut(m));
            let Some(step) = step else { continue };
            match preview {
                Ok(preview) => step.preview = Some(preview),
                Err(error) => failed.push((step.target.key.clone(), crate::error::chain(&error))),
            }
        }
    }
    for hit in blast.hits.iter_mut().filter(|hit| hit.effect != Effect::BecomesValid) {
        if hit.held.is_none() && !hit.steps.is_empty() {
            hit.effect = Effect::of(&hit.steps).unwrap_or(hit.effect);
        }
    }
    blast.sort();
    failed.sort();
    Ok(failed)
}

/// The token comes from what is asked, so that the same question is the same change set.
fn change_of(step: &Step, artifact: Option<Arc<Artifact>>, template: Option<TemplateId>) -> Change {
    let Target { instance, name, .. } = &step.target;
    let seed = digest::of(&("blast", instance, name, step.artifact));
    Change {
        token: Token::derive(instance, name, &seed, 0, jiff::Timestamp::UNIX_EPOCH),
        target: step.target.clone(),
        action: step.action,
        artifact,
        expect: step.mark.or(step.from),
        labels: BTreeMap::new(),
        commit: None,
        template,
        protect: false,
        adopt: false,
        timeout: None,
        preview: None,
    }
}

/// Versions that are in both catalogs and differ.
fn edited(before: &Catalog, after: &Catalog) -> Vec<TemplateId> {
    let versions = before.versions();
    let differs =
        versions.filter(|was| after.version(&was.id).is_some_and(|is| is.digest != was.digest));
    differs.map(|version| version.id.clone()).collect()
}

/// These, and all that they refer to.
fn needed(parsed: &[Parsed], users: &BTreeSet<RequestId>) -> BTreeSet<RequestId> {
    let by_id: HashMap<&RequestId, &Parsed> = parsed.iter().map(|p| (&p.found.id, p)).collect();
    let mut needed = users.clone();
    let mut next: Vec<&RequestId> = users.iter().collect();
    while let Some(id) = next.pop() {
        for other in by_id.get(id).into_iter().flat_map(|p| p.references()) {
            if needed.insert(other.clone()) {
                next.push(other);
            }
        }
    }
    needed
}

/// Requests that a rollout brings a version to, by the number of the wave.
type Brought = BTreeMap<(TemplateId, usize), Vec<RequestId>>;

/// What a version does to the ends of those who have the one before it.
fn ends(versions: &catalog::Versions, version: &TemplateVersion) -> Vec<String> {
    let before = compat::before(versions, &version.id.version);
    before.map(|before| compat::ends(before, version)).unwrap_or_default()
}

/// Counts a request among those that may take a new version of its template, or pin another.
fn reach(
    (reaches, brought): (&mut BTreeMap<TemplateId, Reach>, &mut Brought),
    before: &Catalog,
    after: &Catalog,
    (request, file): (&RequestId, &RequestFile),
    used: Option<&TemplateId>,
) {
    let name = &file.template.name;
    let Some(versions) = after.templates.get(name) else { return };
    let was = before.templates.get(name);
    let new = versions.values().filter(|v| was.is_none_or(|w| !w.contains_key(&v.id.version)));
    let in_use = catalog::template_of(after, file, used).map(|v| &v.id.version);
    for version in new.filter(|version| version.is_stable()) {
        let id = &version.id;
        let empty = || Reach {
            version: id.clone(),
            ranges: BTreeMap::new(),
            pinned: BTreeMap::new(),
            uses: BTreeMap::new(),
            ends: ends(versions, version),
            waves: Vec::new(),
        };
        let reach = reaches.entry(id.clone()).or_insert_with(empty);
        match &file.template.requirement {
            Requirement::Exact(pinned) => *reach.pinned.entry(pinned.clone()).or_default() += 1,
            Requirement::Range(range) => {
                if range.matches(&id.version) && in_use.is_some_and(|used| *used < id.version) {
                    *reach.ranges.entry(range.to_string()).or_default() += 1;
                    // Beside no lower one it is no newer version, and nothing is rolled out.
                    let follows = was.is_some_and(|w| w.range(..&id.version).next().is_some());
                    let wave = rollout::first_wave(after.waves(), id, request);
                    if let Some(n) = wave.filter(|_| follows && used.is_some()) {
                        brought.entry((id.clone(), n)).or_default().push(request.clone());
                    }
                }
            }
        }
    }
}

struct Compare<'a> {
    providers: &'a Providers,
    instance: InstanceId,
}

impl Compare<'_> {
    /// `None`: nothing becomes of it.
    fn hit(&self, was: &Evaluated, is: &Evaluated, record: Option<&Record>) -> Option<Hit> {
        let id = &is.row.desired.id;
        let mut hit = Hit {
            request: id.clone(),
            template: is.row.desired.spec().map(|spec| spec.template.clone()),
            effect: Effect::Recorded,
            steps: Vec::new(),
            settings: Vec::new(),
            problems: Vec::new(),
            held: None,
        };
        match (&was.row.desired.wanted, &is.row.desired.wanted) {
            (Wanted::Valid(before), Wanted::Valid(after)) => {
                if before.fingerprint() == after.fingerprint()
                    && before.template_digest == after.template_digest
                {
                    return None;
                }
                hit.steps = self.steps((was, before), (is, after), record);
                hit.settings = settings(before, after);
                hit.held = record.and_then(|record| forbidden(record, before, after));
                hit.effect = match &hit.held {
                    Some(_) => Effect::Waits,
                    None if hit.steps.is_empty() && !hit.settings.is_empty() => Effect::Updates,
                    None => Effect::of(&hit.steps).unwrap_or(Effect::Recorded),
                };
            }
            (Wanted::Valid(_), Wanted::Invalid(problems)) => {
                hit.problems = problems.clone();
                hit.effect = Effect::BecomesInvalid;
            }
            (Wanted::Valid(_), Wanted::Waiting(reason)) => {
                hit.held = Some(reason.clone());
                hit.effect = Effect::Waits;
            }
            (Wanted::Invalid(_) | Wanted::Waiting(_), Wanted::Valid(after)) => {
                hit.steps = self.anew((is, after), record);
                hit.effect = Effect::BecomesValid;
            }
            (Wanted::Waiting(_), Wanted::Invalid(problems)) => {
                hit.problems = problems.clone();
                hit.effect = Effect::BecomesInvalid;
            }
            (Wanted::Invalid(_), Wanted::Invalid(_) | Wanted::Waiting(_))
            | (Wanted::Waiting(_), Wanted::Waiting(_)) => return None,
        }
        Some(hit)
    }

    fn steps(
        &self,
        (was, before): (&Evaluated, &Spec),
        (is, after): (&Evaluated, &Spec),
        record: Option<&Record>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut met: BTreeSet<&ComponentName> = BTreeSet::new();
        for component in &after.components {
            let former = before
                .component(&component.name)
                .or_else(|| before.component(component.moved_from.as_ref()?));
            met.extend(former.map(|former| &former.name));
            let action = match former {
                None => Action::Create,
                Some(former) if former.provider != component.provider => Action::Replace,
                Some(former) if former.digest != component.digest => Action::Update,
                Some(_) => continue,
            };
            let texts =
                (former.and_then(|f| artifact(was, &f.name)), artifact(is, &component.name));
            let id = &is.row.desired.id;
            steps.push(self.step(id, action, former, Some(component), texts, record));
        }
        for former in before.components.iter().filter(|former| !met.contains(&former.name)) {
            let texts = (artifact(was, &former.name), None);
            let id = &is.row.desired.id;
            steps.push(self.step(id, Action::Delete, Some(former), None, texts, record));
        }
        steps
    }

    /// Of what was not valid before: against what is recorded.
    fn anew(&self, (is, after): (&Evaluated, &Spec), record: Option<&Record>) -> Vec<Step> {
        let mut steps = Vec::new();
        for component in &after.components {
            let applied = record.and_then(|record| record.components.get(&component.name));
            let action = match applied {
                Some(applied) if applied.digest == component.digest => continue,
                Some(_) => Action::Update,
                None => Action::Create,
            };
            let texts = (None, artifact(is, &component.name));
            let id = &is.row.desired.id;
            steps.push(self.step(id, action, None, Some(component), texts, record));
        }
        steps
    }

    fn step(
        &self,
        id: &RequestId,
        action: Action,
        former: Option<&DesiredComponent>,
        component: Option<&DesiredComponent>,
        (applied, desired): (Option<Arc<Artifact>>, Option<Arc<Artifact>>),
        record: Option<&Record>,
    ) -> Step {
        let some = component.or(former);
        let name = former.or(component).map(|c| &c.name);
        let recorded = record.and_then(|record| record.components.get(name?));
        let component_name = some.map(|c| c.name.clone()).expect("a step is of a component");
        let key = TargetKey { request: id.clone(), component: component_name };
        let target = Target {
            name: recorded.map_or_else(
                || TargetName::compute(&self.instance, &key),
                |recorded| recorded.target.clone(),
            ),
            key,
            instance: self.instance.clone(),
            provider: some.map(|c| c.provider.clone()).unwrap_or_default(),
            settings: recorded
                .map(|r| r.settings.clone())
                .or_else(|| some.map(|c| c.settings.clone()))
                .unwrap_or_default(),
            id: recorded.and_then(|r| r.id.clone()),
        };
        let provider = self.providers.get(&target.provider);
        let preview = provider.and_then(|provider| match (action, &applied, &desired) {
            (Action::Create, _, Some(desired)) => provider.outline(action, desired),
            (Action::Delete, Some(applied), _) => provider.outline(action, applied),
            (Action::Update, Some(applied), Some(desired)) => provider.foretell(applied, desired),
            _ => None,
        });
        Step {
            target,
            action,
            artifact: desired.and_then(|a| a.digest),
            from: applied.and_then(|a| a.digest),
            mark: recorded.map(crate::model::ComponentRecord::expected_mark),
            moved_from: None,
            after: Vec::new(),
            unknown: component.map(|c| c.unknown.clone()).unwrap_or_default(),
            remarks: Vec::new(),
            preview,
            released: Vec::new(),
            needs: Vec::new(),
        }
    }
}

fn artifact(of: &Evaluated, name: &ComponentName) -> Option<Arc<Artifact>> {
    of.artifacts.iter().find(|(component, _)| component == name).map(|(_, a)| a.clone())
}

/// Settings of components that differ, such as `queue: region`.
fn settings(before: &Spec, after: &Spec) -> Vec<String> {
    let mut differ = Vec::new();
    for component in &after.components {
        let Some(former) = before.component(&component.name) else { continue };
        let names: BTreeSet<&String> =
            former.settings.keys().chain(component.settings.keys()).collect();
        let names =
            names.into_iter().filter(|n| former.settings.get(*n) != component.settings.get(*n));
        differ.extend(names.map(|name| format!("{}: {name}", component.name)));
    }
    differ
}

/// Parameters that the schema does not let change, and that the catalog changes by its defaults.
fn forbidden(record: &Record, before: &Spec, after: &Spec) -> Option<HoldReason> {
    let now = plan::forbidden(record, after);
    let names: Vec<String> = now
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| before.parameters.get(name) != after.parameters.get(name))
        .map(|name| format!("`{name}`"))
        .collect();
    (!names.is_empty()).then(|| HoldReason::ForbiddenChange { what: names.join(", ") })
}
