//! What a change of the catalog comes to for all requests, without looking at the world.
//!
//! Both catalogs are read against the same request files and the same recorded state, so that what
//! differs is the catalog's doing alone. Who is in a wave of a version that it brings is read a third time, as
//! if that had come. Only users of what differs are read: a status file names the
//! template that its request uses. What is not in the status branch is read.
//!
//! # Caveats
//! A file that was edited after the status branch was written, from another template to one that
//! differs, is not seen until that is applied.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::super::arrive::{self, arriving, is_awaited};
use super::super::call;
use super::super::compare::Compare;
use super::super::evaluate::{Evaluator, Parsed, Templates};
use super::super::memory::Memory;
use super::super::{PassError, providers, transport};
use super::asked::{Asked, evaluated};
use super::requests::local_providers;
use super::sheets::Sheets;
use crate::catalog::file::Lifecycle;
use crate::catalog::{self, Catalog, RequestFile, Requirement, TemplateVersion, compat};
use crate::config::Config;
use crate::digest::{self, Digest};
use crate::model::{
    Action, Artifact, Blast, Change, Effect, InstanceId, Preview, Reach, RequestId, Rollout, Step,
    Target, TargetKey, TemplateId, Token, WaveReach,
};
use crate::plan::rollout;

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
    blast.rerouted = arrive::rerouted(&sheets.rollouts.versions, before, after);
    if changed == catalog::Changed::default() {
        return Ok((blast, HashMap::new()));
    }
    let concerned = |id: &&RequestId| {
        changed.environments.contains(id.environment()) || sheets.concerns(id, &changed.templates)
    };
    let ids: BTreeSet<RequestId> = asked.found.keys().filter(concerned).cloned().collect();
    let templates = Templates::default();
    let (stands, lands, comes) = suppose(scene);
    let arriving = arriving(&lands, Some(before), after);
    let nobody = BTreeMap::new();
    let evaluator = |catalog, memory, given| Evaluator {
        catalog,
        former: None,
        templates: &templates,
        memory,
        store: None,
        providers: &providers,
        teams: asked.teams.clone(),
        given,
        fresh: &|_| None,
        foresight: None,
    };
    let parsed = asked.parse(&evaluator(after, &lands, &nobody), &ids)?;
    let records = sheets.records(parsed.iter().map(|p| &p.found.id));
    let (mut users, mut reaches) = (BTreeSet::new(), BTreeMap::new());
    let (mut brought, mut awaited) = (BTreeMap::new(), BTreeSet::new());
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
        reach((&mut reaches, &mut brought), (scene, &arriving), (id, file), used);
        // Who waits takes a version up that reaches it, as well as who has an older one.
        let is_range = matches!(file.template.requirement, Requirement::Range(_));
        let mut coming = arriving.values().filter(|r| r.version.name == file.template.name);
        if is_range && records.contains_key(id) && coming.any(|r| is_awaited(r, after.waves(), id))
        {
            awaited.insert(id.clone());
        }
    }
    // Those that users refer to come along; others are not rendered.
    let all: BTreeSet<RequestId> = users.union(&awaited).cloned().collect();
    let among = |ids: &BTreeSet<RequestId>| -> Vec<Parsed> {
        let needed = needed(&parsed, ids);
        parsed.iter().filter(|p| needed.contains(&p.found.id)).cloned().collect()
    };
    blast.rendered = all.len() as u64;
    let was = evaluated(&evaluator(before, &stands, &records), among(&users)).await?;
    let is = evaluated(&evaluator(after, &lands, &records), among(&all)).await?;
    let then = evaluated(&evaluator(after, &comes, &records), among(&awaited)).await?;
    let compare = Compare {
        providers: &providers,
        instance: sheets.instance.clone().unwrap_or_else(|| InstanceId::new("not-known")),
    };
    let mut hits = Vec::new();
    let mut artifacts = HashMap::new();
    for id in &all {
        let (Some(is), record) = (is.get(id), records.get(id)) else { continue };
        let merged = was.get(id).filter(|_| users.contains(id));
        let merged = merged.and_then(|was| Some((compare.hit(was, is, record)?, [was, is])));
        let later = then.get(id).filter(|_| awaited.contains(id)).and_then(|then| {
            let hit = arrive::hit(&compare, (is, then), record, (&arriving, after.waves()))?;
            Some((hit, [is, then]))
        });
        for (hit, read) in merged.into_iter().chain(later) {
            let spoken: BTreeSet<Digest> =
                hit.steps.iter().flat_map(|s| [s.from, s.artifact]).flatten().collect();
            for (_, artifact) in read.into_iter().flat_map(|read| &read.artifacts) {
                if let Some(digest) = artifact.digest.filter(|d| spoken.contains(d)) {
                    artifacts.insert(digest, artifact.clone());
                }
            }
            hits.push(hit);
        }
    }
    arrive::settle(&mut hits);
    blast.hits = hits;
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

/// How far versions have come: before the change, when it lands, and when all waves have come.
fn suppose(scene: &Scene<'_>) -> (Memory, Memory, Memory) {
    let Scene { before, after, sheets, .. } = scene;
    let [mut stands, mut lands, mut comes] = [(); 3].map(|()| Memory::default());
    for memory in [&mut stands, &mut lands] {
        memory.take_rollouts(sheets.rollouts.clone());
    }
    let now = sheets.at.unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    // As a pass takes in what is new; see `Pass::take_new`.
    for version in after.versions().filter(|v| v.is_sound() && !after.waves().is_empty()) {
        let id = &version.id;
        let is_new = match before.version(id) {
            None => true,
            Some(was) => {
                let is_young = was.lifecycle == Lifecycle::Experimental;
                was.is_broken() || is_young || sheets.rollouts.young.contains(id)
            }
        };
        let mut others = before.versions();
        let follows = others.any(|v| v.id.name == id.name && v.id.version < id.version);
        if is_new && follows {
            let new = || Rollout::new(id.clone(), now);
            lands.rollouts.entry(id.clone()).or_insert_with(new);
        }
    }
    comes.take_rollouts(lands.all_rollouts());
    for (id, rollout) in arriving(&lands, Some(before), after) {
        comes.rollouts.insert(id, arrive::through(&rollout, after.waves()));
    }
    (stands, lands, comes)
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
        former: None,
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
    (scene, arriving): (&Scene<'_>, &BTreeMap<TemplateId, Rollout>),
    (request, file): (&RequestId, &RequestFile),
    used: Option<&TemplateId>,
) {
    let Scene { before, after, .. } = scene;
    let name = &file.template.name;
    let Some(versions) = after.templates.get(name) else { return };
    let was = before.templates.get(name);
    let had = |id: &TemplateId| was.and_then(|was| was.get(&id.version));
    let new = versions.values().filter(|v| !had(&v.id).is_some_and(|had| had.is_sound()));
    let in_use = catalog::template_of(after, file, used).map(|v| &v.id.version);
    for version in new.filter(|version| version.is_sound()) {
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
                    let coming =
                        arriving.get(id).is_some_and(|r| is_awaited(r, after.waves(), request));
                    let wave = rollout::first_wave(after.waves(), id, request);
                    if let Some(n) = wave.filter(|_| coming && used.is_some()) {
                        brought.entry((id.clone(), n)).or_default().push(request.clone());
                    }
                }
            }
        }
    }
}
