//! Planning what commits that are on no branch yet would do: the same pass, at other commits, with
//! nothing written.
//!
//! # Guarantees
//! - The plan is of what these commits change against the last pass, and of nothing else that is
//!   under way or waits.
//! - A blind review reaches no provider.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::pass::{Pass, Wake};
use super::radius::{Former, radius};
use super::source::{self, Snapshot};
use super::{Engine, Memory, PassError, case, outline};
use crate::catalog::{Catalog, TemplateVersion, published};
use crate::digest::Digest;
use crate::git::{Delta, GitError};
use crate::model::{
    Approval, Artifact, Blast, Desired, Diagnostic, Life, Plan, Record, RequestId, Revision,
    SourceName, Spec, TemplateId,
};
use crate::report;

/// What is asked: the sources that would be at another commit.
#[derive(Clone, Debug)]
pub struct Question {
    /// Each source's commit.
    pub at: BTreeMap<SourceName, Revision>,
    /// Requests to be planned although nothing of them differs.
    pub also: BTreeSet<RequestId>,
    /// Ask providers what changes would do.
    pub previews: bool,
    /// Look at nothing in the world.
    pub blind: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Reviewed {
    /// What would be done now.
    pub plan: Plan,
    /// What would be done with all approvals that the plan asks for.
    pub released: Plan,
    /// Requests of which no step can be told.
    pub untold: Vec<RequestId>,
    /// Requests whose own files differ.
    pub own: BTreeSet<RequestId>,
    /// Requests that would be desired otherwise, those of `own` among them; `None`: it would be gone.
    pub desired: BTreeMap<RequestId, Option<Arc<Desired>>>,
    /// What is recorded of them.
    pub records: BTreeMap<RequestId, Record>,
    /// Problems of the files that differ, and of the catalog where that is at another commit, each
    /// with the source whose file it is.
    pub diagnostics: Vec<(SourceName, Diagnostic)>,
    /// Recorded and desired artifacts, by digest.
    pub artifacts: HashMap<Digest, Arc<Artifact>>,
    /// The catalog's commit that was used.
    pub catalog: Option<Revision>,
    /// The commits of the last pass, which it was held against, the catalog's among them: unlike those that are asked
    /// about they are on a branch, and whoever else has the repository knows them.
    pub against: BTreeMap<SourceName, Revision>,
    /// Who is reached, where that is another one than the last pass'.
    pub blast: Option<Blast>,
    /// When the first of those whose own files differ ends next: the plan is another one from then on.
    pub ends: Option<Timestamp>,
}

impl Reviewed {
    /// What is recorded of a request, under the name that it had before where it has none of its own yet.
    pub fn record_of(&self, id: &RequestId, spec: &Spec) -> Option<&Record> {
        self.records.get(id).or_else(|| self.records.get(spec.moved_from.as_ref()?))
    }
}

impl Engine {
    /// All sources as the last pass has read them, but for those that are to be at other commits.
    pub(super) fn snapshots_at(
        &self,
        memory: &Memory,
        at: &BTreeMap<SourceName, Revision>,
    ) -> Vec<Snapshot> {
        let commit = |name: &SourceName| {
            let known = || memory.sources.get(name).and_then(|record| record.commit.clone());
            at.get(name).cloned().or_else(known)
        };
        let snapshot = |source: &source::Source| Snapshot {
            source: source.clone(),
            commit: commit(&source.name),
            problem: None,
        };
        self.sources.all().map(snapshot).collect()
    }

    /// Plans what other commits would do, without writing anything.
    ///
    /// # Errors
    /// When the store or a mirror cannot be read.
    pub async fn review(
        &mut self,
        question: &Question,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Reviewed, PassError> {
        let memory = self.lent().await?;
        let known = memory.built.clone();
        let mut against = known.sources.clone();
        let catalog = SourceName::new(source::CATALOG);
        let read = memory.sources.get(&catalog).and_then(|record| record.commit.clone());
        against.extend(read.map(|commit| (catalog, commit)));
        let snapshots = self.snapshots_at(&memory, &question.at);
        let wake = Wake::Look { previews: question.previews && !question.blind };
        let mut pass = Pass::at(self, wake, clock, memory, snapshots);
        pass.blind = question.blind;
        pass.keeps_rules = true;
        let outcome = pass.review(question, &known.sources, &known.catalog).await;
        pass.drop_all_prepared().await;
        let read = pass.memory.catalog.take();
        let reviewed = Reviewed { against, ..outcome? };
        drop(pass);
        self.shelve(read, &known.catalog);
        Ok(reviewed)
    }

    /// The indexes for a pass that changes them and writes nothing, with a catalog that need not be
    /// read again.
    pub(super) async fn lent(&mut self) -> Result<Memory, PassError> {
        let mut memory = self.memory().await?;
        let known = memory.built.catalog.as_ref();
        memory.catalog = self.shelf.take().filter(|(_, at)| known == Some(at));
        Ok(memory)
    }

    /// Keeps the catalog that such a pass has read, if it is the one that is `known`. The indexes are as
    /// they would be: the next one starts from what is.
    pub(super) fn shelve(
        &mut self,
        read: Option<(Arc<crate::catalog::Catalog>, Revision)>,
        known: &Option<Revision>,
    ) {
        self.shelf = read.filter(|(_, at)| known.as_ref() == Some(at));
        self.memory = None;
    }
}

impl Pass<'_> {
    async fn review(
        &mut self,
        question: &Question,
        sources: &BTreeMap<SourceName, Revision>,
        catalog: &Option<Revision>,
    ) -> Result<Reviewed, PassError> {
        let fail = |name: &SourceName| {
            let name = name.clone();
            move |source| PassError::Source { name, source }
        };
        let mut own = BTreeSet::new();
        let mut paths = BTreeSet::new();
        for snapshot in &self.snapshots[1..] {
            let name = &snapshot.source.name;
            let deltas = deltas(snapshot, sources.get(name)).map_err(fail(name))?;
            let folder = snapshot.source.watched_folder();
            for delta in deltas {
                let path = source::join(&folder, &delta.path);
                if let Some(id) = snapshot.source.request_at(&path) {
                    own.insert(id);
                }
                paths.insert(format!("{name}:{path}"));
            }
        }
        let was: HashMap<RequestId, Digest> =
            self.memory.desired().iter().map(|e| (e.id.clone(), e.fingerprint)).collect();
        let published: BTreeSet<TemplateId> = self.memory.templates.keys().cloned().collect();
        let former = (self.snapshots[0].commit != *catalog)
            .then(|| Former::of(&self.memory, published.clone()));
        let mut writes = Vec::new();
        let seeds = self.read_catalog(&mut writes).await?;
        let found = self.list(seeds, &mut writes).into_values().collect();
        self.evaluate(found, &mut writes).await?;
        if !question.at.is_empty() {
            // What was approved before was not what is proposed now, although it may come to the same.
            self.memory.approvals.clear();
        }
        let differs = self
            .fresh
            .iter()
            .filter(|(id, evaluated)| was.get(*id) != Some(&evaluated.row.fingerprint));
        let mut scope: BTreeSet<RequestId> = differs.map(|(id, _)| id.clone()).collect();
        scope.extend(own.iter().chain(&question.also).cloned());
        // What names they had is in the files.
        self.read_unread(&scope).await?;
        let moved = scope.iter().filter_map(|id| self.desired_of(id)?.spec()?.moved_from.clone());
        let moved: Vec<RequestId> = moved.collect();
        scope.extend(moved);
        self.scope = Some(scope.clone());
        self.rounds(BTreeSet::new()).await?;
        let plan = std::mem::take(&mut self.report.plan);
        let untold = std::mem::take(&mut self.report.untold);
        let asked = plan.holds.iter().filter_map(|hold| report::hold::digest(&hold.reason));
        let asked: BTreeSet<Digest> = asked.collect();
        let asks = !asked.is_empty();
        if asks {
            let at = (self.clock)();
            for digest in asked {
                let yes = Approval { digest, by: String::new(), by_id: None, teams: None, at };
                self.memory.approvals.entry(digest).or_default().push(yes);
            }
            self.rounds(BTreeSet::new()).await?;
        }
        // Without anything to be approved it is the same plan.
        let released = if asks { std::mem::take(&mut self.report.plan) } else { plan.clone() };
        self.report.plan = released;
        let mut diagnostics = Vec::new();
        if self.snapshots[0].commit != *catalog {
            let name = SourceName::new(source::CATALOG);
            let problems = self.memory.catalog_problems.iter().cloned();
            let missed = published::missed(&self.report.holds);
            let tested = self.tested(&published)?;
            let all = problems.chain(missed).chain(tested);
            diagnostics.extend(all.map(|problem| (name.clone(), problem)));
        }
        for (key, problem) in &self.memory.paths {
            if paths.contains(key)
                && let Some((name, _)) = key.split_once(':')
            {
                diagnostics.push((SourceName::new(name), problem.clone()));
            }
        }
        let mut desired = BTreeMap::new();
        for id in &scope {
            let now = self.desired_of(id).cloned();
            if let Some(now) = &now {
                let problems = match &now.wanted {
                    crate::model::Wanted::Invalid(problems) => problems.clone(),
                    crate::model::Wanted::Valid(_) | crate::model::Wanted::Waiting(_) => Vec::new(),
                };
                let said = problems.into_iter().chain(now.notes.iter().cloned());
                diagnostics.extend(said.map(|d| (now.origin.source.clone(), d)));
            }
            desired.insert(id.clone(), now);
        }
        self.load_records(scope.iter().cloned().collect()).await?;
        let records =
            scope.iter().filter_map(|id| Some((id.clone(), self.records.get(id)?.clone()?)));
        let records: BTreeMap<RequestId, Record> = records.collect();
        let (now, grace) = ((self.clock)(), self.engine.config.settings.expiry.grace());
        let end = |id: &RequestId| {
            let lifetime = desired.get(id)?.as_ref()?.spec()?.lifetime.as_ref()?;
            let known = records.get(id).and_then(|record| record.life.as_ref());
            Life::end(lifetime, known, now, grace).filter(|end| *end > now)
        };
        let ends = own.iter().filter_map(end).min();
        let mut artifacts = self.outlined().await?;
        let (memory, plan_now) = (&self.memory, &self.report.plan);
        let catalogs = (self.former.as_deref(), &*self.catalog);
        let mut blast =
            former.map(|former| radius(&former, &own, memory, catalogs, plan_now, &desired));
        if let Some(blast) = &mut blast {
            self.add_waves(blast, &mut artifacts).await?;
        }
        Ok(Reviewed {
            artifacts,
            blast,
            ends,
            plan,
            released: std::mem::take(&mut self.report.plan),
            untold,
            own,
            desired,
            records,
            diagnostics,
            catalog: self.snapshots[0].commit.clone(),
            against: BTreeMap::new(),
        })
    }

    /// What tests of templates find: those of versions that are new, which fail, and those of `published` ones
    /// that were edited or whose environment was, which are told.
    fn tested(&self, published: &BTreeSet<TemplateId>) -> Result<Vec<Diagnostic>, PassError> {
        let former = self.former.as_deref();
        let is_other_place = |name: &str| {
            let of = |catalog: &Catalog| catalog.environments.get(name).map(|e| e.digest);
            former.is_none_or(|former| of(former) != of(&self.catalog))
        };
        let is_edited = |version: &TemplateVersion| {
            let was = former.and_then(|former| former.version(&version.id));
            was.is_none_or(|was| was.tests != version.tests || was.test_files != version.test_files)
        };
        let trials = case::run(&self.catalog, &self.memory.catalog_problems, &|version, test| {
            !published.contains(&version.id)
                || is_other_place(&test.document.spec.environment)
                || is_edited(version)
        })?;
        Ok(report::case::problems(&trials, &|id| published.contains(id)))
    }

    /// Fills in what the plan's creations and deletions come to; the artifacts that it speaks of, by
    /// digest.
    pub(super) async fn outlined(&mut self) -> Result<HashMap<Digest, Arc<Artifact>>, PassError> {
        let artifacts = self.artifacts().await?;
        let find = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d).cloned());
        outline::fill(&mut self.report.plan, &self.engine.providers, |step| {
            (find(step.from), find(step.artifact))
        });
        Ok(artifacts)
    }

    /// The artifacts that the plan speaks of, by digest.
    pub(super) async fn artifacts(&self) -> Result<HashMap<Digest, Arc<Artifact>>, PassError> {
        let recorded: BTreeSet<Digest> =
            self.report.plan.steps.iter().filter_map(|s| s.from).collect();
        let recorded: Vec<Digest> = recorded.into_iter().collect();
        let read = self.fresh.values().chain(self.foreseen.values());
        let fresh = read.flat_map(|e| e.artifacts.iter().map(|(_, a)| a.clone()));
        let mut artifacts: HashMap<Digest, _> =
            fresh.filter_map(|a| Some((a.digest?, a))).collect();
        for artifact in self.engine.store.artifacts(&recorded).await? {
            if let Some(digest) = artifact.digest {
                artifacts.insert(digest, Arc::new(artifact));
            }
        }
        Ok(artifacts)
    }
}

/// What differs in a source's folder between the last pass's commit and the one that is asked about.
fn deltas(snapshot: &Snapshot, last: Option<&Revision>) -> Result<Vec<Delta>, GitError> {
    let (Some(last), Some(now)) = (last, &snapshot.commit) else { return Ok(Vec::new()) };
    if last == now {
        return Ok(Vec::new());
    }
    let mirror = snapshot.source.mirror();
    let folder = snapshot.source.watched_folder();
    mirror.diff(mirror.tree(last, &folder)?, mirror.tree(now, &folder)?)
}
