//! Who a commit of the catalog reaches, by the plan that was made of it and the indexes: as
//! `vend catalog diff` tells it on a laptop.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use semver::Version;

use super::PassError;
use super::arrive::{self, arriving, is_awaited, through};
use super::compare::Compare;
use super::foresee::Foresight;
use super::memory::Memory;
use super::pass::Pass;
use crate::catalog::{Catalog, compat};
use crate::digest::Digest;
use crate::model::{
    Artifact, Blast, Desired, Effect, Hit, HoldReason, Plan, Reach, RequestId, Step, TemplateId,
    Wanted,
};

/// What stood before the commit was read.
pub(super) struct Former {
    /// Requests that were valid.
    valid: BTreeSet<RequestId>,
    /// Versions of the catalog.
    versions: BTreeSet<TemplateId>,
}

impl Former {
    /// By the indexes of the last pass, and the versions that its catalog had.
    pub fn of(memory: &Memory, versions: BTreeSet<TemplateId>) -> Self {
        let valid = memory.desired().iter().filter(|entry| entry.valid);
        Self { valid: valid.map(|entry| entry.id.clone()).collect(), versions }
    }
}

/// What it comes to for those whose desired state differs, but not by files of their `own`.
pub(super) fn radius(
    former: &Former,
    own: &BTreeSet<RequestId>,
    memory: &Memory,
    (before, catalog): (Option<&Catalog>, &Catalog),
    plan: &Plan,
    desired: &BTreeMap<RequestId, Option<Arc<Desired>>>,
) -> Blast {
    let mut steps: BTreeMap<&RequestId, Vec<Step>> = BTreeMap::new();
    let mut follows = BTreeSet::new();
    for step in plan.steps.iter().filter(|step| !own.contains(&step.target.key.request)) {
        let id = &step.target.key.request;
        if desired.contains_key(id) && !step.may_change() {
            steps.entry(id).or_default().push(step.clone());
        } else {
            follows.insert(id.clone());
        }
    }
    let mut blast = Blast {
        requests: memory.desired().iter().count() as u64,
        rendered: desired.len() as u64,
        waves: !catalog.waves().is_empty(),
        ..Blast::default()
    };
    let held: BTreeMap<&RequestId, &HoldReason> =
        plan.holds.iter().rev().map(|hold| (&hold.request, &hold.reason)).collect();
    for (id, now) in desired.iter().filter(|(id, _)| !own.contains(*id)) {
        let Some(now) = now else { continue };
        let held = held.get(id).copied();
        blast.hits.extend(hit(now, former.valid.contains(id), steps.remove(id), held));
        follows.remove(id);
    }
    blast.follows = follows.into_iter().collect();
    let known = memory.rollouts.values();
    blast.rerouted =
        before.map(|before| arrive::rerouted(known, before, catalog)).unwrap_or_default();
    blast.reaches = reaches(former, memory, before, catalog);
    blast.sort();
    blast
}

impl Pass<'_> {
    /// Adds what the waves of versions come to that the commit brings, and the artifacts that this speaks
    /// of. No plan has that: it is done when each wave begins.
    pub(super) async fn add_waves(
        &mut self,
        blast: &mut Blast,
        artifacts: &mut HashMap<Digest, Arc<Artifact>>,
    ) -> Result<(), PassError> {
        let catalog = self.catalog.clone();
        let (Some(before), waves) = (self.former.clone(), catalog.waves()) else { return Ok(()) };
        let arriving = arriving(&self.memory, Some(&before), &catalog);
        let may_come = |id: &RequestId| {
            let entry = self.memory.desired().get(id);
            let used = entry.and_then(|entry| entry.template.as_deref());
            arriving.iter().any(|(version, rollout)| {
                let is_older =
                    |used: &TemplateId| used.name == version.name && used.version < version.version;
                used.is_none_or(is_older) && is_awaited(rollout, waves, id)
            })
        };
        let is_known = |id: &&RequestId| self.memory.records().contains(id);
        let ids = self.fresh.keys().filter(is_known).filter(|id| may_come(id));
        let ids: BTreeSet<RequestId> = ids.cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        self.load_records(ids.iter().cloned().collect()).await?;
        let kept = self.memory.rollouts.clone();
        let come = arriving.iter().map(|(id, rollout)| (id.clone(), through(rollout, waves)));
        self.memory.rollouts.extend(come);
        let then = self.read_as(&ids, &Foresight::default()).await;
        self.memory.rollouts = kept;
        let compare =
            Compare { providers: &self.engine.providers, instance: self.engine.instance.clone() };
        for then in then?.iter().filter(|then| ids.contains(&then.row.desired.id)) {
            let id = &then.row.desired.id;
            let record = self.records.get(id).and_then(Option::as_ref);
            let Some(is) = self.fresh.get(id) else { continue };
            let hit = arrive::hit(&compare, (is, then), record, (&arriving, waves));
            let Some(hit) = hit else { continue };
            let read = is.artifacts.iter().chain(&then.artifacts);
            artifacts.extend(read.filter_map(|(_, a)| Some((a.digest?, a.clone()))));
            blast.hits.push(hit);
        }
        blast.rendered += ids.len() as u64;
        arrive::settle(&mut blast.hits);
        blast.sort();
        Ok(())
    }
}

/// `None`: it was not valid, and is not.
fn hit(
    now: &Desired,
    was_valid: bool,
    steps: Option<Vec<Step>>,
    held: Option<&HoldReason>,
) -> Option<Hit> {
    let mut hit = Hit {
        request: now.id.clone(),
        template: now.spec().map(|spec| spec.template.clone()),
        effect: Effect::Recorded,
        steps: steps.unwrap_or_default(),
        settings: Vec::new(),
        problems: Vec::new(),
        held: None,
        arrival: None,
    };
    match (&now.wanted, was_valid) {
        (Wanted::Valid(_), false) => hit.effect = Effect::BecomesValid,
        (Wanted::Valid(_), true) => match (Effect::of(&hit.steps), held) {
            (Some(effect), _) => hit.effect = effect,
            (None, Some(reason)) => {
                hit.effect = Effect::Waits;
                hit.held = Some(reason.clone());
            }
            (None, None) => {}
        },
        (Wanted::Invalid(problems), true) => {
            hit.effect = Effect::BecomesInvalid;
            hit.problems = problems.clone();
        }
        (Wanted::Waiting(reason), true) => {
            hit.effect = Effect::Waits;
            hit.held = Some(reason.clone());
        }
        (Wanted::Invalid(_) | Wanted::Waiting(_), false) => return None,
    }
    Some(hit)
}

/// Who uses an older version of a template that has a new one. What range each asks for stands in its
/// file, which is not read for this.
fn reaches(
    former: &Former,
    memory: &Memory,
    before: Option<&Catalog>,
    catalog: &Catalog,
) -> Vec<Reach> {
    let had = |id: &TemplateId| match before {
        Some(before) => before.version(id).is_some_and(|version| version.is_sound()),
        None => former.versions.contains(id),
    };
    let is_new =
        |id: &TemplateId| !had(id) && former.versions.iter().any(|v| v.name == id.name && v != id);
    let new = catalog.versions().filter(|version| version.is_sound() && is_new(&version.id));
    let mut reaches: Vec<Reach> = new
        .map(|version| Reach {
            version: version.id.clone(),
            ranges: BTreeMap::new(),
            pinned: BTreeMap::new(),
            uses: BTreeMap::new(),
            ends: compat::before(&catalog.templates[&version.id.name], &version.id.version)
                .map(|before| compat::ends(before, version))
                .unwrap_or_default(),
            waves: Vec::new(),
        })
        .collect();
    if reaches.is_empty() {
        return reaches;
    }
    let mut used: BTreeMap<&str, BTreeMap<&Version, u64>> = BTreeMap::new();
    for template in memory.desired().iter().filter_map(|entry| entry.template.as_deref()) {
        *used.entry(&template.name).or_default().entry(&template.version).or_default() += 1;
    }
    for reach in &mut reaches {
        let older = used.get(reach.version.name.as_str()).into_iter().flatten();
        let older = older.filter(|(version, _)| **version < &reach.version.version);
        reach.uses = older.map(|(version, n)| ((*version).clone(), *n)).collect();
    }
    reaches
}
