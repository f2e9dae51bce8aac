//! One pass, from the fetch to what is published.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::backlog::Backlog;
use super::desired::{self, Evaluated, Found};
use super::evaluate::Evaluator;
use super::foresee::Foresight;
use super::front::Glance;
use super::memory::{Built, Memory};
use super::preview::Told;
use super::source::{Fetched, Snapshot};
use super::traced::Traced;
use super::{Engine, Notice, PassError};
use crate::catalog::{self, Catalog};
use crate::digest::{self, Digest};
use crate::error::chain;
use crate::fault::{planted, point};
use crate::git::{Blob, Kind};
use crate::model::{
    Desired, Diagnostic, File, Files, HoldReason, PassReport, Record, RequestId, Revision,
    SourceProblem, SourceRecord, TargetKey, TemplateId, Wanted,
};
use crate::plan::{Bounds, Gone};
use crate::store::{ASIDE, DesiredEntry, Lease, Quiet, Write};
use crate::trace;

/// What a pass is for.
#[derive(Clone, Copy, Debug)]
pub enum Wake<'a> {
    /// Do what Git asks, with the right to write.
    Apply(&'a Lease),
    /// Only say what would be done: nothing is written anywhere but into our own mirrors.
    Look {
        /// Ask providers what changes would do.
        previews: bool,
    },
}

/// What one pass gathers on its way.
pub(super) struct Pass<'a> {
    pub(super) engine: &'a Engine,
    pub(super) lease: Option<&'a Lease>,
    pub(super) clock: &'a (dyn Fn() -> Timestamp + Sync),
    pub(super) memory: Memory,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) catalog: Arc<Catalog>,
    /// Rules that another catalog than the last pass' drops bind all the same.
    pub(super) keeps_rules: bool,
    /// The last pass' catalog, where its rules do.
    pub(super) former: Option<Arc<Catalog>>,
    /// Requests read in this pass.
    pub(super) fresh: HashMap<RequestId, Evaluated>,
    /// Records read or changed in this pass; `None`: gone.
    pub(super) records: HashMap<RequestId, Option<Record>>,
    /// Requests whose status may have changed.
    pub(super) touched: BTreeSet<RequestId>,
    /// How much of what this pass does has been said.
    pub(super) said: Said,
    /// Requests read to show what follows from the first plan.
    pub(super) foreseen: BTreeMap<RequestId, Evaluated>,
    /// What providers said of changes before they were begun.
    pub(super) told: Told,
    /// What was reviewed of requests that were merged and are not done, of those that were planned.
    pub(super) bounds: BTreeMap<RequestId, Bounds>,
    /// Providers are asked for previews although nothing is done.
    pub(super) previews: bool,
    /// Only these are planned; `None`: all that differ.
    pub(super) scope: Option<BTreeSet<RequestId>>,
    /// Nothing in the world is looked at.
    pub(super) blind: bool,
    /// What files that this pass found gone last said.
    pub(super) lost: BTreeMap<RequestId, Option<Gone>>,
    /// Targets that are looked at for drift, and of which nothing was said yet in the last round.
    pub(super) looking: BTreeSet<TargetKey>,
    /// When the last plan was made.
    pub(super) planned: Timestamp,
    /// Out of rounds, or told to stop, with steps left that are ready: it has not found that there
    /// is nothing to do.
    pub(super) unfinished: bool,
    /// Targets that were not as planned for when their turn came; see [`Pass::resolve`].
    pub(super) again: BTreeSet<TargetKey>,
    /// Files that are left to the passes after it.
    pub(super) backlog: Option<Backlog>,
    /// Nothing is left any more of what former passes left: the store is told of the commits.
    pub(super) caught_up: bool,
    /// The status branch is not as we left it: it is published to although nothing is new.
    pub(super) moved: bool,
    /// The status branch was reached and is ours to write.
    pub(super) checked: bool,
    /// When the last commit of statuses was made.
    pub(super) published_at: Option<Timestamp>,
    /// When there is more to publish, which waits since that commit is young.
    pub(super) publish_due: Option<Timestamp>,
    /// What it is told of in which traces.
    pub(super) traced: Traced,
    pub(super) report: PassReport,
}

/// Whether the store knows that statuses may be behind what was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// Nothing was done yet.
    Nothing,
    /// It is on disk that something was done, and that it was not said.
    Marked,
    /// All is said.
    All,
}

impl Engine {
    /// Makes a pass. `clock` is asked whenever a moment is written down.
    pub async fn pass(
        &mut self,
        wake: Wake<'_>,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<PassReport, PassError> {
        let Wake::Apply(held) = wake else {
            return self.whole(wake, clock, self.sources.fetch().await, false).await;
        };
        let quiet = self.store.quiet().await?;
        let recalled = self.spare.take().and_then(|within| self.sources.recall(within));
        let glance = self.glance(quiet.as_ref(), clock());
        let fetch = async {
            match recalled {
                Some(recalled) => recalled,
                None => self.sources.fetch().await,
            }
        };
        let (fetched, glance) = tokio::join!(fetch, glance);
        let Glance { moved, looked } = glance?;
        self.looked = looked;
        let inputs = self.inputs(&fetched);
        if let Some(quiet) = quiet
            && quiet.inputs == inputs
            && quiet.due.is_none_or(|due| due > clock())
            && !moved
        {
            if looked != quiet.looked {
                let quiet = Quiet { looked, ..quiet.clone() };
                self.store.commit(held, vec![Write::Quiet(Some(quiet))]).await?;
            }
            return Ok(PassReport { quiet: true, due: quiet.due, ..PassReport::default() });
        }
        trace::keep();
        self.whole(wake, clock, fetched, moved).await
    }

    /// A pass that looks at everything; `moved`: the status branch is not as we left it.
    async fn whole(
        &mut self,
        wake: Wake<'_>,
        clock: &(dyn Fn() -> Timestamp + Sync),
        fetched: Vec<Fetched>,
        moved: bool,
    ) -> Result<PassReport, PassError> {
        let inputs = self.inputs(&fetched);
        let memory = self.memory().await?;
        let notes = memory.notes;
        let backlog = self.backlog.take();
        let mut pass = Pass::begin(self, wake, clock, memory, fetched).await?;
        match backlog {
            Some(backlog) if *backlog.built() == pass.memory.built => pass.backlog = Some(backlog),
            // Another reading, or a source that could not be read: all of it is listed again.
            Some(_) => {
                let reading = pass.memory.built.reading;
                pass.memory.built = Built { reading, ..Built::default() };
            }
            None => {}
        }
        pass.moved = moved;
        pass.check_epoch().await?;
        let outcome = pass.run().await;
        let Pass {
            mut memory,
            mut report,
            lease,
            planned,
            unfinished,
            backlog,
            checked,
            published_at,
            publish_due,
            traced,
            ..
        } = pass;
        // A pass that failed half-way leaves its memory behind: the store is what is believed.
        outcome?;
        memory.brought.tidy();
        report.unread = backlog.as_ref().map_or(0, Backlog::len);
        if let Some(lease) = lease {
            let next = self.maintain(lease, &mut memory, clock()).await?;
            // Where looks for drift do not wake a pass for what previews leave, nothing else would: they are
            // rare, or nothing is made that is looked at.
            let rare = self.config.settings.reconcile.drift_interval > super::sweep::OFTEN
                || memory.records().is_empty();
            let wakes = (rare && self.has_previews(&memory)).then_some(next);
            report.due = report.due.into_iter().chain(wakes).min();
        }
        let poll = clock() + self.config.settings.reconcile.interval;
        // What came due while effects were made and published has not been looked at.
        let warn = &self.config.settings.expiry.warn;
        report.due = memory.due(warn, planned, poll).into_iter().chain(report.due).min();
        report.ends = memory.end_counts(warn, planned);
        if let Some(lease) = lease {
            let is_told = report.publish_error.is_none() && publish_due.is_none();
            let is_said = is_told || planted!("unpublished-forgotten");
            let again = report.publish_error.is_some() || !memory.unremoved.is_empty();
            let due = again.then(|| clock() + RETRY_PUBLISH);
            let due = due
                .into_iter()
                .chain(publish_due)
                .chain(report.due)
                .chain(unfinished.then_some(planned))
                .min();
            // What could not be seen or said is tried again by whatever pass comes next.
            let is_over = !unfinished && is_said && !memory.is_blind();
            let quiet = is_over.then_some(Quiet { inputs, due, notes, looked: self.looked });
            point!("pass.quiet.before")?;
            self.store.commit(lease, vec![Write::Quiet(quiet)]).await?;
            point!("pass.quiet.after")?;
            report.due = due;
        }
        report.counts = memory.counts.clone();
        (report.drift, report.since) = (memory.drifted, memory.since());
        report.rollouts_stopped = memory.stopped_rollouts().count();
        report.under_way = memory.under_way();
        self.checked |= checked;
        self.published_at = published_at;
        self.told = traced.told;
        self.backlog = backlog;
        self.memory = Some(memory);
        Ok(report)
    }

    /// For whoever asked for a pass: one that was quiet has not looked at what is held or under way,
    /// and leaves it as it was.
    pub async fn standing(&mut self, report: PassReport) -> Result<PassReport, PassError> {
        if !report.quiet {
            return Ok(report);
        }
        // Whoever asks about a pass over nothing new need not wait for a hundred thousand entries.
        let basis = self.store.basis().await?;
        let kept = self.memory.take().filter(|m| m.basis == basis);
        let is_kept = kept.is_some();
        let memory = match kept {
            Some(memory) => memory,
            None => self.read_values(self.store.standing().await?).await?,
        };
        let holds: Vec<_> = memory.holds.values().flatten().map(|row| row.hold.clone()).collect();
        let problems =
            memory.sources.iter().filter_map(|(n, s)| Some((n.clone(), s.problem.clone()?)));
        let report = PassReport {
            under_way: memory.under_way(),
            problems: problems.collect(),
            diagnostics: memory
                .catalog_problems
                .iter()
                .chain(memory.paths.values())
                .cloned()
                .chain(memory.rollout_problems())
                .chain(catalog::published::missed(&holds))
                .collect(),
            holds,
            counts: memory.counts.clone(),
            drift: memory.drifted,
            since: memory.since(),
            rollouts_stopped: memory.stopped_rollouts().count(),
            ..report
        };
        self.memory = is_kept.then_some(memory);
        Ok(report)
    }

    /// Everything from outside that a pass depends on.
    fn inputs(&self, fetched: &[Fetched]) -> Digest {
        let tips: Vec<_> = fetched.iter().map(|f| (f.source.name.as_str(), f.word())).collect();
        digest::of(&(self.reading(), tips))
    }
}

/// Where the commits are kept of which all is announced.
pub(super) fn told_key() -> String {
    format!("{ASIDE}told")
}

/// How long until the status branch, or a branch that files are to be removed from, is tried again.
const RETRY_PUBLISH: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);

/// Named values in the store.
pub(super) const BUILT: &str = "built";
pub(super) const COUNTS: &str = "counts";
/// How many targets differ from what was applied.
pub(super) const DRIFTED: &str = "drift-counts";
/// Sources of which nothing was listed yet since the store was made anew.
pub(super) const REBUILT: &str = "rebuilt";
/// Deletions that were held as too many.
pub(super) const STOPPED: &str = "stopped";
/// Names of targets that requests took along when they moved.
pub(super) const TAKEN: &str = "taken";
pub(super) const PATHS: &str = "paths";
pub(super) const CATALOG: &str = "catalog-problems";
pub(super) const UNSAID: &str = "unsaid";

/// Statuses read at once.
pub(super) const PAGE: usize = 10_000;

/// That statuses may be behind what was done, or that they are not.
pub(super) fn unsaid(is: bool) -> Write {
    Write::Value { key: UNSAID.into(), value: is.then_some(serde_json::Value::Bool(true)) }
}

/// Where the last content of a file that is gone is kept until its deletion is done.
pub(super) fn gone_key(id: &RequestId) -> String {
    format!("gone/{id}")
}

impl<'a> Pass<'a> {
    pub(super) async fn begin(
        engine: &'a Engine,
        wake: Wake<'a>,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
        memory: Memory,
        fetched: Vec<Fetched>,
    ) -> Result<Self, PassError> {
        let now = clock();
        let settle = |f: Fetched| {
            let record = memory.sources.get(&f.source.name).cloned().unwrap_or_default();
            f.settle(&record, now)
        };
        let snapshots = fetched.into_iter().map(settle).collect();
        Ok(Self::at(engine, wake, clock, memory, snapshots))
    }

    /// A pass at these commits.
    pub(super) fn at(
        engine: &'a Engine,
        wake: Wake<'a>,
        clock: &'a (dyn Fn() -> Timestamp + Sync),
        mut memory: Memory,
        snapshots: Vec<Snapshot>,
    ) -> Self {
        let lease = match wake {
            Wake::Apply(lease) => Some(lease),
            Wake::Look { .. } => None,
        };
        if memory.built.reading != Some(engine.reading()) {
            memory.built = Built { reading: Some(engine.reading()), ..Built::default() };
        }
        Self {
            engine,
            lease,
            clock,
            memory,
            snapshots,
            catalog: Arc::new(Catalog::default()),
            keeps_rules: false,
            former: None,
            fresh: HashMap::new(),
            foreseen: BTreeMap::new(),
            told: Told::default(),
            bounds: BTreeMap::new(),
            previews: matches!(wake, Wake::Look { previews: true }),
            records: HashMap::new(),
            touched: BTreeSet::new(),
            said: Said::Nothing,
            scope: None,
            blind: false,
            lost: BTreeMap::new(),
            planned: clock(),
            looking: BTreeSet::new(),
            unfinished: false,
            backlog: None,
            caught_up: false,
            again: BTreeSet::new(),
            moved: false,
            checked: engine.checked,
            published_at: engine.published_at,
            publish_due: None,
            traced: Traced::default(),
            report: PassReport::default(),
        }
    }

    pub(super) async fn run(&mut self) -> Result<(), PassError> {
        let cut_off = self.lease.is_some() && std::mem::take(&mut self.memory.unsaid);
        if cut_off && !planted!("unsaid-forgotten") {
            self.said = Said::Marked;
            self.touch_all().await?;
        }
        let mut writes = Vec::new();
        if self.lease.is_some() && std::mem::take(&mut self.memory.is_new_taken) {
            let value = serde_json::to_value(&self.memory.taken).ok();
            writes.push(Write::Value { key: TAKEN.into(), value });
        }
        if self.lease.is_some() && std::mem::take(&mut self.memory.is_new_drifted) {
            let value = serde_json::to_value(self.memory.drifted).ok();
            writes.push(Write::Value { key: DRIFTED.into(), value });
        }
        let span = tracing::debug_span!("evaluate", "vend.requests" = Empty);
        self.read(writes).instrument(span.clone()).await?;
        span.record("vend.requests", self.report.evaluated);
        drop(span);
        let mut changed = self.resume().await?;
        if cut_off {
            // Whose outputs changed then, and who had not read them yet, nothing tells.
            let entries = self.memory.desired().iter();
            changed.extend(entries.flat_map(|entry| entry.references.iter().cloned()));
        }
        self.mark_ends();
        self.rounds(self.with_dependents(changed)).await?;
        self.resolve();
        self.announce().await?;
        self.note_missed();
        self.note_planned();
        self.note_rollouts().await?;
        self.report.due = self.next_end();
        self.publish().await?;
        self.expire().await?;
        self.sweep().await?;
        self.note_told().await
    }

    /// Reads what is desired now, and makes that durable.
    async fn read(&mut self, mut writes: Vec<Write>) -> Result<(), PassError> {
        let mut seeds = self.read_catalog(&mut writes).await?;
        seeds.extend(self.roll_out(&mut writes).await?);
        self.read_portion(seeds, &mut writes).await?;
        self.weigh_rollouts(&mut writes).await?;
        self.begin_gates(&mut writes).await?;
        self.remember_sources(&mut writes)?;
        point!("pass.read.before")?;
        self.commit(writes).await?;
        Ok(point!("pass.read.after")?)
    }

    /// Notes of which commits all is announced and published, as far as it can be.
    async fn note_told(&mut self) -> Result<(), PassError> {
        let is_behind = self.backlog.is_some();
        if self.lease.is_none() || is_behind || self.memory.told == self.memory.built.sources {
            return Ok(());
        }
        self.memory.told.clone_from(&self.memory.built.sources);
        let value = serde_json::to_value(&self.memory.told).ok();
        point!("pass.told.before")?;
        self.commit(vec![Write::Value { key: told_key(), value }]).await?;
        Ok(point!("pass.told.after")?)
    }

    /// Writes to the store, when this pass may.
    pub(super) async fn commit(&mut self, writes: Vec<Write>) -> Result<(), PassError> {
        if let Some(lease) = self.lease
            && !writes.is_empty()
        {
            let counts = writes.iter().any(|w| !w.keeps_quiet());
            let mut writes = writes;
            if counts && self.said == Said::Nothing {
                self.said = Said::Marked;
                writes.push(unsaid(true));
            }
            self.engine.store.commit(lease, writes).await?;
            self.memory.basis += u64::from(counts);
        }
        Ok(())
    }

    /// Before effects, whose ends are committed by the executor.
    pub(super) async fn mark_unsaid(&mut self) -> Result<(), PassError> {
        match self.said {
            Said::Nothing => self.commit(vec![unsaid(true)]).await,
            Said::Marked | Said::All => Ok(()),
        }
    }

    /// After a pass that was cut off before it had said what it did, all is looked through: nothing
    /// else tells which statuses are behind.
    async fn touch_all(&mut self) -> Result<(), PassError> {
        self.touched.extend(self.memory.desired().iter().map(|entry| entry.id.clone()));
        self.touched.extend(self.memory.records().iter().map(|entry| entry.id.clone()));
        let mut after: Option<RequestId> = None;
        loop {
            let page = self.engine.store.statuses_after(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.request.clone());
            self.touched.extend(page.into_iter().map(|row| row.request));
        }
    }

    /// Reads the catalog when its commit moved; gives the requests that this touches.
    pub(super) async fn read_catalog(
        &mut self,
        writes: &mut Vec<Write>,
    ) -> Result<BTreeSet<RequestId>, PassError> {
        let Some(commit) = self.snapshots[0].commit.clone() else {
            // Nothing was ever fetched: every request waits for its template.
            return Ok(BTreeSet::new());
        };
        if let Some((catalog, at)) = &self.memory.catalog
            && *at == commit
            && self.memory.built.catalog.as_ref() == Some(&commit)
        {
            self.catalog = catalog.clone();
            return Ok(BTreeSet::new());
        }
        let last = match (&self.memory.catalog, &self.memory.built.catalog) {
            (Some((catalog, at)), Some(built)) if at == built => Some(catalog.clone()),
            // A commit that is gone for good compares with nothing: all requests are read again.
            (_, Some(built)) => {
                let loaded = self.load_catalog(built, None).await;
                loaded.ok().map(|(catalog, _)| Arc::new(catalog))
            }
            (_, None) => None,
        };
        let (catalog, mut problems) = self.load_catalog(&commit, last.as_deref()).await?;
        problems.extend(self.numbers(&catalog)?);
        if self.lease.is_some() && self.engine.forge.is_some() {
            super::rights::warn(&catalog, &self.engine.warned);
        }
        let catalog = Arc::new(catalog);
        let touched = desired::touched_by_catalog(&self.memory, last.as_deref(), &catalog);
        self.engine.templates.keep(&catalog);
        let known: BTreeSet<TemplateId> = self.memory.templates.keys().cloned().collect();
        for version in catalog.versions() {
            if !self.memory.templates.contains_key(&version.id) && !version.is_broken() {
                self.memory.templates.insert(version.id.clone(), version.digest);
                let at = (self.clock)();
                writes.push(Write::Template {
                    id: version.id.clone(),
                    digest: version.digest,
                    commit: Some(commit.clone()),
                    at,
                });
            }
        }
        self.memory.catalog_problems = problems;
        self.memory.catalog = Some((catalog.clone(), commit.clone()));
        // What cannot be understood takes nothing back: the last word counts, and nothing goes on.
        self.memory.frozen = catalog.rollout.is_none();
        if let Some(waves) = &catalog.rollout {
            self.memory.waves.clone_from(waves);
        }
        let fresh: Vec<TemplateId> =
            self.memory.templates.keys().filter(|id| !known.contains(id)).cloned().collect();
        self.take_new(&fresh, &known);
        self.memory.built.catalog = Some(commit);
        self.catalog = catalog;
        self.former = last.filter(|_| self.keeps_rules);
        Ok(touched)
    }

    /// A catalog at a commit, with those that were published before as they were then.
    async fn load_catalog(
        &self,
        commit: &Revision,
        last: Option<&Catalog>,
    ) -> Result<(Catalog, Vec<Diagnostic>), PassError> {
        let source = &self.snapshots[0].source;
        let files = read_files(source, commit, self.engine.config.settings.limits.file_bytes)
            .map_err(|error| PassError::Source { name: source.name.clone(), source: error })?;
        let (mut catalog, mut problems) = catalog::load(&files, last);
        problems.extend(self.restore(&mut catalog, &files).await?);
        Ok((catalog, problems))
    }

    /// Reads, validates and renders `found` and takes the results into the indexes.
    pub(super) async fn evaluate(
        &mut self,
        found: Vec<Found>,
        writes: &mut Vec<Write>,
    ) -> Result<(), PassError> {
        if found.is_empty() {
            return Ok(());
        }
        self.engine.watch.notice(&Notice::Reading { requests: found.len() });
        self.report.evaluated += found.len();
        let max = self.engine.config.settings.limits.file_bytes;
        let (blobs, broken) = desired::read(&found, &self.snapshots, max);
        let is_whole = |f: &Found| !broken.iter().any(|(source, _)| *source == f.origin.source);
        let (found, homeless): (Vec<Found>, Vec<Found>) = found
            .into_iter()
            .filter(is_whole)
            .partition(|f| self.snapshots.iter().any(|s| s.source.name == f.origin.source));
        let fresh = |id: &RequestId| self.fresh.get(id).map(|e| &*e.row.desired);
        let evaluator = self.evaluator(&fresh, None);
        let mut evaluated = desired::evaluate(&evaluator, found, blobs).await?;
        evaluated.extend(self.homeless(&homeless).await?);
        for (source, error) in broken {
            let problem = SourceProblem::Stale { error: chain(&error), since: (self.clock)() };
            tracing::error!(%source, error = chain(&error), "objects cannot be read");
            for snapshot in self.snapshots.iter_mut().filter(|s| s.source.name == source) {
                snapshot.problem.get_or_insert(problem.clone());
            }
            // What was not read is read when the source is whole again.
            self.memory.built.sources.remove(&source);
        }
        for mut evaluated in evaluated {
            self.note_refused(&evaluated);
            let id = evaluated.row.desired.id.clone();
            if let Some(record) = evaluated.record.take() {
                let record = || Some(Arc::unwrap_or_clone(record));
                self.records.entry(id.clone()).or_insert_with(record);
            }
            let entry = entry(&mut self.memory, &evaluated);
            if self.memory.desired().get(&id) != Some(&entry) {
                writes.push(Write::Desired(Box::new(evaluated.row.clone())));
                self.memory.put_desired(entry);
                self.touched.insert(id.clone());
            }
            self.fresh.insert(id, evaluated);
        }
        Ok(())
    }

    /// Requests of sources that are not configured any more: nobody can read them, and nobody has
    /// asked for anything else.
    async fn homeless(&self, found: &[Found]) -> Result<Vec<Evaluated>, PassError> {
        let ids: Vec<RequestId> = found.iter().map(|f| f.id.clone()).collect();
        let known = self.engine.store.desired(&ids).await?;
        let by_id: HashMap<RequestId, Desired> =
            known.into_iter().map(|d| (d.id.clone(), d)).collect();
        let one = |f: &Found| {
            let source = f.origin.source.clone();
            let problem = SourceProblem::NotConfigured;
            let desired = Desired {
                id: f.id.clone(),
                origin: f.origin.clone(),
                content: by_id.get(&f.id).map_or_else(|| digest::sha256(b""), |d| d.content),
                wanted: Wanted::Waiting(HoldReason::Source { source, problem }),
                notes: Vec::new(),
            };
            Evaluated::from(desired::Read::without(f.clone(), desired))
        };
        Ok(found.iter().map(one).collect())
    }

    pub(super) fn evaluator<'b>(
        &'b self,
        fresh: &'b (dyn Fn(&RequestId) -> Option<&'b Desired> + Sync),
        foresight: Option<&'b Foresight>,
    ) -> Evaluator<'b> {
        static NONE: BTreeMap<RequestId, Record> = BTreeMap::new();
        let teams = self.snapshots.iter().map(|s| (s.source.name.clone(), s.source.teams.clone()));
        Evaluator {
            catalog: &self.catalog,
            former: self.former.as_deref(),
            templates: &self.engine.templates,
            memory: &self.memory,
            store: Some(self.engine.store.as_ref()),
            providers: &self.engine.providers,
            teams: teams.collect(),
            given: &NONE,
            fresh,
            foresight,
        }
    }

    /// The commits in use become the last good ones.
    fn remember_sources(&mut self, writes: &mut Vec<Write>) -> Result<(), PassError> {
        for snapshot in &self.snapshots {
            let name = snapshot.source.name.clone();
            let before = self.memory.sources.get(&name);
            // While another place is held, the one that was believed last is remembered.
            let location = match (&snapshot.problem, before) {
                (Some(_), Some(before)) => before.location.clone(),
                (Some(_) | None, _) => snapshot.source.place(),
            };
            let record = SourceRecord {
                location,
                commit: snapshot.commit.clone(),
                problem: snapshot.problem.clone(),
                accepted: before
                    .and_then(|b| b.accepted.clone())
                    .filter(|_| snapshot.problem.is_some()),
            };
            if before != Some(&record) {
                self.memory.sources.insert(name.clone(), record.clone());
                writes.push(Write::Source { name: name.clone(), record });
            }
            if let Some(problem) = &snapshot.problem {
                tracing::warn!(source = %name, problem = %crate::report::source::sentence(&name, problem), "source");
                self.report.problems.push((name, problem.clone()));
            }
        }
        self.report.diagnostics = self
            .memory
            .catalog_problems
            .iter()
            .chain(self.memory.paths.values())
            .cloned()
            .chain(self.memory.rollout_problems())
            .collect();
        let built = self.note_listed();
        if !writes.is_empty() || self.caught_up {
            let built = serde_json::to_value(built).ok();
            writes.push(Write::Value { key: BUILT.into(), value: built });
            let paths = serde_json::to_value(&self.memory.paths).unwrap_or_default();
            writes.push(Write::Value { key: PATHS.into(), value: Some(paths) });
            let catalog = serde_json::to_value(&self.memory.catalog_problems).unwrap_or_default();
            writes.push(Write::Value { key: CATALOG.into(), value: Some(catalog) });
        }
        Ok(())
    }
}

fn entry(memory: &mut Memory, evaluated: &Evaluated) -> DesiredEntry {
    let row = &evaluated.row;
    let spec = row.desired.spec();
    let references: BTreeSet<RequestId> =
        spec.iter().flat_map(|s| s.references.values().map(|r| r.request.clone())).collect();
    DesiredEntry {
        id: row.desired.id.clone(),
        spot: memory.spot(&row.desired.id, &row.desired.origin),
        blob: row.blob,
        key: row.key,
        fingerprint: row.fingerprint,
        references: references.into_iter().collect(),
        valid: spec.is_some(),
        template: row.desired.template().cloned().map(Arc::new),
    }
}

/// All files of a source's folder at a commit, for the catalog.
pub fn read_files(
    source: &super::source::Source,
    commit: &Revision,
    max: u64,
) -> Result<Files, crate::git::GitError> {
    read_folder(source.mirror(), commit, &source.folder, max)
}

/// All files of a folder at a commit, by their paths in it.
pub(super) fn read_folder(
    mirror: &crate::git::Mirror,
    commit: &Revision,
    folder: &str,
    max: u64,
) -> Result<Files, crate::git::GitError> {
    let mut files = Files::default();
    let Some(tree) = mirror.tree(commit, folder)? else { return Ok(files) };
    let entries = mirror.entries(tree, MAX_CATALOG_FILES)?;
    let mut by_id: HashMap<_, Vec<String>> = HashMap::new();
    for entry in entries {
        match entry.kind {
            Kind::File | Kind::Executable => {
                by_id.entry(entry.id).or_default().push(entry.path);
                continue;
            }
            Kind::Link => files.0.insert(entry.path, File::Link),
            Kind::Submodule => files.0.insert(entry.path, File::Submodule),
            Kind::Unsafe(why) => files.0.insert(entry.path, File::Unsafe(why.to_string())),
        };
    }
    let ids: Vec<_> = by_id.keys().copied().collect();
    mirror.blobs(&ids, max, &mut |id, blob| {
        let file = match blob {
            Blob::Bytes(bytes) => File::Bytes(bytes.into()),
            Blob::TooLarge(size) => File::TooLarge(size),
        };
        for path in by_id.remove(&id).unwrap_or_default() {
            files.0.insert(path, file.clone());
        }
    })?;
    Ok(files)
}

/// More than this and it is no catalog: templates are few.
const MAX_CATALOG_FILES: usize = 100_000;
