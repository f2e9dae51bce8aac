//! A newer version reaches the requests whose range admits it: wave by wave, as the catalog says.
//!
//! # Flow
//! A version that lands beside an older one while `catalog.yaml` has a `rollout` is *rolled out*; one that
//! is not stable then, once it is. At its start a pass begins each wave whose time has come: the requests that it reaches are read again, and
//! their plan is that of a changed catalog. At its end it notes what became of them. What decides is
//! pure ([`plan::rollout`]); how far each version has come lies in the store.
//!
//! # Guarantees
//! - Exact versions never move, and a version that came without a `rollout` moves nobody.
//! - A wave begins in a pass with the lease, and is on disk before anything of it is done.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::json;

use super::PassError;
use super::desired::Evaluated;
use super::memory::Memory;
use super::pass::Pass;
use crate::catalog::file::Lifecycle;
use crate::catalog::{Standing, TemplateVersion};
use crate::model::{
    Desired, Diagnostic, Event, HoldReason, Place, Record, RequestId, Retry, Rollout, RolloutWord,
    Rollouts, TemplateId,
};
use crate::plan::rollout::{self, Facts};
use crate::report;
use crate::store::{Store, StoreError, Write, word_key};

/// Where it is kept how far versions have come.
pub(super) const ROLLOUTS: &str = "rollouts";

/// The code of what is said of a version that goes no further.
const STOPPED: &str = "ROL002";

/// Refusals that are remembered by name; they are counted only to stop.
const REFUSED_MOST: usize = 1_000;

/// Tries after which a failure that may pass counts as one.
const TRIES: u32 = 3;

/// How a version stands to a request whose range admits it. An edit of its file is not what a stop holds:
/// it is done with the version that the request has, as if the stopped one were still on its way.
pub(super) fn stands(
    memory: &Memory,
    id: &RequestId,
    version: &TemplateId,
    is_changed: bool,
) -> Standing {
    match memory.rollouts.get(version) {
        None => Standing::Free,
        Some(known) if rollout::admits(known, id) => {
            let is_stopped = known.is_open() && known.stopped.is_some();
            match is_stopped && is_changed && !memory.has_begun(id, version) {
                true => Standing::OnTheWay,
                false => Standing::Reached,
            }
        }
        Some(known) if known.is_open() => Standing::OnTheWay,
        Some(_) => Standing::Free,
    }
}

/// How all versions stand that are or were rolled out.
///
/// # Errors
/// When the store cannot be read.
pub async fn standing(store: &dyn Store) -> Result<Rollouts, StoreError> {
    let value = store.value(ROLLOUTS).await?;
    let kept = value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default();
    Ok(rollout::recalled(kept))
}

impl Memory {
    /// Takes in how far versions had come.
    pub(super) fn take_rollouts(&mut self, rollouts: Rollouts) {
        let Rollouts { waves, frozen, versions, young } = rollout::recalled(rollouts);
        (self.waves, self.frozen, self.young) = (waves, frozen, young);
        self.rollouts = versions.into_iter().map(|one| (one.version.clone(), one)).collect();
    }

    /// How far versions have come.
    pub(super) fn all_rollouts(&self) -> Rollouts {
        let versions = self.rollouts.values().cloned().collect();
        let young = self.young.clone();
        Rollouts { waves: self.waves.clone(), frozen: self.frozen, versions, young }
    }

    /// Those that go no further.
    pub(super) fn stopped_rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.rollouts.values().filter(|r| r.is_open() && !r.is_away() && r.stopped.is_some())
    }

    /// What is to be said of versions that go no further.
    pub(super) fn rollout_problems(&self) -> Vec<Diagnostic> {
        let problem = |rollout: &Rollout| {
            let sentence = report::rollout::stopped(rollout).unwrap_or_default();
            Diagnostic::warning(STOPPED, Place::file("catalog.yaml"), sentence).help(format!(
                "see `vend catalog rollout`, and go on with `vend catalog rollout resume {}`",
                rollout.version
            ))
        };
        self.stopped_rollouts().map(problem).collect()
    }

    /// What the requests that a version has reached have come to.
    fn facts(&self, rollout: &Rollout) -> Facts {
        let version = &rollout.version;
        let has_it = |id: &&RequestId| {
            let entry = self.desired().get(id);
            entry.and_then(|entry| entry.template.as_deref()) == Some(version)
        };
        let reached = |id: &&RequestId| rollout::admits(rollout, id);
        let open = self.unsettled().iter().filter(has_it).filter(reached);
        let mut facts = Facts::default();
        for id in open {
            let held = || self.holds.get(id).into_iter().flatten().map(|row| &row.hold.reason);
            if held().any(|reason| matches!(reason, HoldReason::Suspended)) {
                continue;
            }
            facts.pending += 1;
            if self.has_failed(id) || held().any(is_failure) {
                facts.failed += 1;
            }
        }
        // Their own trouble is not the version's: they are waited for, and do not stop it.
        let unread = rollout.unread.iter().filter(|id| self.desired().contains(id));
        facts.pending += unread.filter(reached).count();
        let refused = rollout.refused.iter().filter(|id| self.desired().contains(id));
        facts.failed += u32::try_from(refused.count()).unwrap_or(u32::MAX);
        facts
    }

    /// Notes what the last wave has come to. Nothing ends by waves that are not the catalog's own.
    fn weigh(&self, rollout: &mut Rollout, now: Timestamp) {
        rollout::note(rollout, &self.waves, self.facts(rollout), now);
        if self.frozen {
            (rollout.ended, rollout.cut) = (None, false);
        }
    }

    /// Whether something of a version was done for a request already: going back would undo half of it,
    /// and what failed with the version is mended with it.
    fn has_begun(&self, id: &RequestId, version: &TemplateId) -> bool {
        let entry = self.desired().get(id);
        entry.and_then(|entry| entry.template.as_deref()) == Some(version)
            && (self.has_failed(id) || self.journal.keys().any(|key| key.request == *id))
    }

    /// Whether a request could not take a version that had reached it.
    pub(super) fn was_refused(&self, id: &RequestId, version: &TemplateId) -> bool {
        self.rollouts.get(version).is_some_and(|rollout| rollout.refused.contains(id))
    }

    /// Whether a target of it failed, and not only for the moment.
    fn has_failed(&self, id: &RequestId) -> bool {
        let counts = |retry: &Retry| retry.refused || retry.ended || retry.attempts >= TRIES;
        self.retries.iter().any(|(key, retry)| key.request == *id && counts(retry))
    }
}

/// Holds that say that the version does not suit the request.
fn is_failure(reason: &HoldReason) -> bool {
    matches!(
        reason,
        HoldReason::ForbiddenChange { .. }
            | HoldReason::Stuck { .. }
            | HoldReason::NotOurs { .. }
            | HoldReason::LooksLikeAMove { .. }
    )
}

impl Pass<'_> {
    /// Begins to roll out versions that have just come beside older ones, and those that have been there
    /// and are stable only now.
    pub(super) fn take_new(&mut self, fresh: &[TemplateId], known: &BTreeSet<TemplateId>) {
        let now = (self.clock)();
        let Some((catalog, _)) = self.memory.catalog.clone() else { return };
        let memory = &mut self.memory;
        let follows = |id: &TemplateId, k: &TemplateId| k.name == id.name && k.version < id.version;
        let mut new: Vec<TemplateId> = fresh
            .iter()
            .filter(|id| catalog.version(id).is_some_and(|version| version.is_sound()))
            .filter(|id| known.iter().any(|known| follows(id, known)))
            .cloned()
            .collect();
        // One that was deprecated was anybody's before; one that is experimental has come to nobody.
        let is_young = |version: &TemplateVersion| match version.lifecycle {
            Lifecycle::Experimental => true,
            Lifecycle::Deprecated | Lifecycle::Retired => fresh.contains(&version.id),
            Lifecycle::Stable => false,
        };
        for id in memory.templates.keys().filter(|id| id.version.pre.is_empty()) {
            let version = catalog.version(id);
            if version.is_some_and(|v| is_young(v)) && !memory.rollouts.contains_key(id) {
                memory.young.insert(id.clone());
            }
        }
        let ripe = |id: &TemplateId| catalog.version(id).is_some_and(|version| version.is_sound());
        let ripened: Vec<TemplateId> = memory.young.iter().filter(|id| ripe(id)).cloned().collect();
        for id in ripened {
            memory.young.remove(&id);
            if memory.templates.keys().any(|other| follows(&id, other)) {
                new.push(id);
            }
        }
        for id in new.into_iter().filter(|_| !memory.waves.is_empty()) {
            memory.rollouts.entry(id.clone()).or_insert_with(|| Rollout::new(id, now));
        }
    }

    /// Obeys what people said, and begins the waves whose time has come; gives the requests that
    /// they reach.
    pub(super) async fn roll_out(
        &mut self,
        writes: &mut Vec<Write>,
    ) -> Result<BTreeSet<RequestId>, PassError> {
        let mut seeds = BTreeSet::new();
        if self.memory.rollouts.is_empty() {
            return Ok(seeds);
        }
        let now = (self.clock)();
        let versions: Vec<TemplateId> = self.memory.rollouts.keys().cloned().collect();
        for id in versions {
            let Some(mut rollout) = self.memory.rollouts.get(&id).cloned() else { continue };
            if !rollout.is_open() {
                continue;
            }
            let mut before = rollout.clone();
            // A folder that comes back, or a version that is stable again, goes on where it was, with all
            // that people said.
            let version = self.catalog.version(&id);
            rollout.absent = version.is_none();
            rollout.lapsed = version.is_some_and(|version| !version.is_sound());
            let mut goes_on = before.is_away() && !rollout.is_away();
            let facts = self.memory.facts(&rollout);
            if let Some(word) = self.engine.store.value(&word_key(&id)).await?
                && let Ok(word) = serde_json::from_value::<RolloutWord>(word)
            {
                rollout::hear(&mut rollout, &word, facts);
                goes_on |= before.stopped.is_some() && rollout.stopped.is_none();
            }
            // Those whose file changed meanwhile stayed where they were, be it that they could not take it.
            let late = match goes_on {
                true => self.older(&rollout),
                false => Vec::new(),
            };
            if !late.is_empty() {
                // Who was let in and does not have it takes it up again when it is read, which is still
                // to come: until then the wave looks as if it were through, and none begins.
                seeds.extend(late);
            } else {
                self.memory.weigh(&mut rollout, now);
                while !self.memory.frozen && rollout::begin(&mut rollout, &self.memory.waves, now) {
                    self.tell(&before, &rollout, now, writes);
                    before.clone_from(&rollout);
                    let reached = self.reached(&rollout);
                    let nobody = reached.is_empty();
                    seeds.extend(reached);
                    if !nobody {
                        break;
                    }
                    rollout::skip(&mut rollout, &self.memory.waves, now);
                }
            }
            self.tell(&before, &rollout, now, writes);
            self.memory.rollouts.insert(id, rollout);
        }
        self.keep_rollouts(writes).await?;
        Ok(seeds)
    }

    /// Requests of older versions that a rollout has reached, and that are not known to be unable to take
    /// its version.
    fn reached(&self, rollout: &Rollout) -> Vec<RequestId> {
        let mut reached = self.older(rollout);
        reached.retain(|id| !rollout.refused.contains(id));
        reached
    }

    /// Requests of older versions that a rollout has reached. Which of them have a range is seen when
    /// they are read.
    fn older(&self, rollout: &Rollout) -> Vec<RequestId> {
        let version = &rollout.version;
        let is_older = |template: &TemplateId| {
            template.name == version.name && template.version < version.version
        };
        let entries = self.memory.desired().iter();
        // Of what cannot be read and was applied, nobody knows yet whether it is one of them.
        let records = self.memory.records();
        let older = entries.filter(|entry| match entry.template.as_deref() {
            Some(template) => is_older(template),
            None => records.contains(&entry.id),
        });
        older.map(|entry| &entry.id).filter(|id| rollout::admits(rollout, id)).cloned().collect()
    }

    /// Notes which requests could not take the version that reached them.
    pub(super) fn note_refused(&mut self, evaluated: &Evaluated) {
        let desired = &evaluated.row.desired;
        let id = &desired.id;
        for rollout in self.memory.rollouts.values_mut() {
            // Who was read with another version has not shown that it can take this one now.
            let is_open_question = rollout.is_open()
                && rollout.stopped.is_some()
                && desired.template() != Some(&rollout.version);
            if evaluated.refused.as_ref() == Some(&rollout.version) {
                if rollout.refused.len() < REFUSED_MOST {
                    rollout.refused.insert(id.clone());
                }
            } else if !is_open_question {
                rollout.refused.remove(id);
            }
            if evaluated.waits.contains(&rollout.version) {
                if rollout.unread.len() < REFUSED_MOST {
                    rollout.unread.insert(id.clone());
                }
            } else {
                rollout.unread.remove(id);
            }
        }
    }

    /// After reading and before anything is done: who cannot take a version that has just reached it
    /// stops the others of its wave too.
    pub(super) async fn weigh_rollouts(
        &mut self,
        writes: &mut Vec<Write>,
    ) -> Result<(), PassError> {
        let now = (self.clock)();
        let open = self.memory.rollouts.values().filter(|rollout| rollout.is_open());
        for before in open.cloned().collect::<Vec<_>>() {
            let mut rollout = before.clone();
            self.memory.weigh(&mut rollout, now);
            self.tell(&before, &rollout, now, writes);
            self.memory.rollouts.insert(rollout.version.clone(), rollout);
        }
        self.keep_rollouts(writes).await
    }

    /// After all that this pass could do: what the waves have come to.
    pub(super) async fn note_rollouts(&mut self) -> Result<(), PassError> {
        if self.lease.is_none() {
            return Ok(());
        }
        let now = (self.clock)();
        let mut writes = Vec::new();
        let versions: Vec<TemplateId> = self.memory.rollouts.keys().cloned().collect();
        for id in versions {
            let Some(mut rollout) = self.memory.rollouts.get(&id).cloned() else { continue };
            let before = rollout.clone();
            self.memory.weigh(&mut rollout, now);
            if !rollout.is_open() {
                rollout.unread.clear();
            }
            let begins = !self.memory.frozen
                && rollout::due(&rollout, &self.memory.waves).is_some_and(|due| due <= now);
            let stops = before.stopped.is_none() && rollout.stopped.is_some();
            // The next wave begins at once, and those that wait say that they do.
            self.unfinished |= begins || stops;
            self.tell(&before, &rollout, now, &mut writes);
            self.memory.rollouts.insert(id, rollout);
        }
        self.supersede(now, &mut writes);
        self.keep_rollouts(&mut writes).await?;
        // A stop is said in the pass that makes it.
        let problems = self.memory.rollout_problems();
        self.report.diagnostics.retain(|problem| problem.code != STOPPED);
        self.report.diagnostics.extend(problems);
        self.commit(writes).await
    }

    /// A version that a higher one of its line has overtaken is on its way to nobody.
    fn supersede(&mut self, now: Timestamp, writes: &mut Vec<Write>) {
        let through: Vec<TemplateId> = self
            .memory
            .rollouts
            .values()
            .filter(|rollout| rollout.ended.is_some() && !rollout.cut)
            .map(|rollout| rollout.version.clone())
            .collect();
        let line = |id: &TemplateId| (id.name.clone(), id.version.major, id.version.minor);
        let overtakes =
            |by: &TemplateId, id: &TemplateId| line(by) == line(id) && by.version > id.version;
        let open = self.memory.rollouts.values().filter(|rollout| rollout.is_open());
        let over = open.filter(|r| through.iter().any(|by| overtakes(by, &r.version)));
        let over: Vec<Rollout> = over.cloned().collect();
        for before in over {
            let after = Rollout { ended: Some(now), cut: true, ..before.clone() };
            self.tell(&before, &after, now, writes);
            self.memory.rollouts.insert(after.version.clone(), after);
        }
    }

    /// Writes down how far versions have come, when that is not what is written.
    async fn keep_rollouts(&mut self, writes: &mut Vec<Write>) -> Result<(), PassError> {
        let rollouts = self.memory.all_rollouts();
        if standing(self.engine.store.as_ref()).await? != rollouts {
            let value = serde_json::to_value(&rollouts).ok();
            writes.push(Write::Value { key: ROLLOUTS.into(), value });
        }
        Ok(())
    }

    /// Lines of history: a wave began, the rollout stopped or goes on, or is through.
    fn tell(&self, before: &Rollout, now: &Rollout, at: Timestamp, writes: &mut Vec<Write>) {
        if self.lease.is_none() {
            return;
        }
        let lines = report::rollout::lines(before, now, &self.memory.waves);
        writes.extend(lines.into_iter().map(|(kind, message)| {
            tracing::info!(version = %now.version, kind, "{message}");
            Write::Event(Event {
                at,
                request: None,
                kind: kind.to_owned(),
                message,
                data: json!({"version": now.version.to_string(), "waves": now.begun}),
            })
        }));
    }

    /// Why a request that a rollout has reached does not take its version now: it was stopped. What
    /// failed goes on being tried, so that its own trouble is what is said of it.
    pub(super) fn halted(
        &self,
        id: &RequestId,
        desired: Option<&Desired>,
        recorded: Option<&Record>,
    ) -> Option<HoldReason> {
        let (desired, recorded) = (desired?, recorded?);
        let version = &desired.spec()?.template;
        let rollout = self.memory.rollouts.get(version).filter(|rollout| rollout.is_open())?;
        let stopped = rollout.stopped.as_ref()?;
        let asked = recorded.observed.request_digest != Some(desired.content);
        let moves =
            recorded.template.name == version.name && recorded.template.version < version.version;
        (moves && !asked && !self.memory.has_failed(id)).then(|| HoldReason::RolloutStopped {
            version: version.clone(),
            by: stopped.by.clone(),
            failures: stopped.failures,
        })
    }
}
