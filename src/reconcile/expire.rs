//! Requests whose time is over: their files go from the branch, and what they made with the pass that
//! finds them gone. Nothing is ever taken away that Git still asks for.
//!
//! # Flow
//! The plan holds such a request and says what becomes of its file ([`Fate`]). When all of a pass is
//! done and published, the files that a commit may remove go in one commit for each source, made on
//! the very tip that the pass read and pushed with that tip as the expected parent. The next pass
//! deletes as after any removal, with all guards.
//!
//! # Guarantees
//! - Nothing is forced: whoever was faster is read first, and may have extended what would have gone.
//! - A push whose answer was lost is found on the branch, or is not there; it is never made twice.
//!
//! # Caveats
//! Where nothing comes to a branch but by pull requests, whoever talks with the forge proposes it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use jiff::Timestamp;

use super::PassError;
use super::desired::Evaluated;
use super::gate::let_through;
use super::pass::Pass;
use super::source::Snapshot;
use crate::config::Remove;
use crate::error::chain;
use crate::fault::point;
use crate::git::{Edit, GitError};
use crate::model::{Approval, Fate, HoldReason, Life, Origin, RequestId, Revision, SourceName};
use crate::plan::Expiry;
use crate::report;
use crate::store::Write;

/// Files removed in one commit; the rest goes with the next pass.
const MOST: usize = 1_000;

/// A file whose request is over.
struct Over {
    id: RequestId,
    path: String,
    since: Timestamp,
}

impl Pass<'_> {
    /// What a plan has to know of ends.
    pub(super) fn expiry(&self) -> Expiry {
        let settings = &self.engine.config.settings.expiry;
        let sources = self.snapshots.iter().map(|snapshot| &snapshot.source.name);
        let fates = sources.map(|name| (name.clone(), self.fate(name))).collect();
        Expiry { grace: settings.grace(), fates }
    }

    /// How files of a source go.
    fn fate(&self, source: &SourceName) -> Fate {
        match self.engine.config.settings.expiry.remove {
            Remove::Never => Fate::People,
            Remove::Auto if self.engine.gated.contains(source) => Fate::PullRequest,
            Remove::Auto | Remove::Commit => {
                Fate::Commit { error: self.memory.unremoved.get(source).cloned() }
            }
        }
    }

    /// Looks at those again of whose end something is to be said.
    pub(super) fn mark_ends(&mut self) {
        if self.lease.is_some() {
            let warn = &self.engine.config.settings.expiry.warn;
            let marked = self.memory.mark(warn, (self.clock)());
            self.touched.extend(marked);
        }
    }

    /// When the first of those that were read ends that has not: of one that was never applied, or
    /// whose other end is not recorded yet, no index tells.
    pub(super) fn next_end(&self) -> Option<Timestamp> {
        let grace = self.engine.config.settings.expiry.grace();
        let end = |(id, read): (&RequestId, &Evaluated)| {
            let lifetime = read.row.desired.spec()?.lifetime.as_ref()?;
            let known = self.records.get(id).and_then(Option::as_ref);
            let known = known.and_then(|record| record.life.as_ref());
            Life::end(lifetime, known, self.planned, grace)
        };
        let stands = |(id, _): &(&RequestId, &Evaluated)| self.memory.desired().contains(id);
        let ends = self.fresh.iter().filter(stands).filter_map(end);
        ends.filter(|end| *end > self.planned).min()
    }

    /// Removes the files of requests whose time is over, as far as that is vend's to do.
    pub(super) async fn expire(&mut self) -> Result<(), PassError> {
        if self.lease.is_none() || self.engine.stop.load(std::sync::atomic::Ordering::Relaxed) {
            return Ok(());
        }
        let now = (self.clock)();
        let mut commits: BTreeMap<SourceName, Vec<Over>> = BTreeMap::new();
        for row in self.memory.holds.values().flatten() {
            let HoldReason::Expired { since, fate } = &row.hold.reason else { continue };
            if !matches!(fate, Fate::Commit { .. }) {
                continue;
            }
            let Some(entry) = self.memory.desired().get(&row.hold.request) else { continue };
            // What was over is not, by a clock that was set right.
            if *since > now {
                continue;
            }
            let Origin { source, path } = entry.spot.origin(&entry.id);
            let over = Over { id: entry.id.clone(), path: path.to_string(), since: *since };
            commits.entry(source).or_default().push(over);
        }
        self.memory.unremoved.retain(|source, _| commits.contains_key(source));
        for (source, over) in commits {
            let Some(snapshot) = self.snapshots.iter().find(|s| s.source.name == source).cloned()
            else {
                continue;
            };
            match self.remove(&snapshot, over).await? {
                Ok(()) => drop(self.memory.unremoved.remove(&source)),
                Err(error) => {
                    let error = chain(&error);
                    tracing::warn!(%source, error, "files whose time is over could not be removed");
                    self.report.unremoved.push((source.clone(), error.clone()));
                    self.memory.unremoved.insert(source, error);
                }
            }
        }
        self.say_unremoved().await
    }

    /// Says why files are still there, in the pass that met it: who waits for their going looks at the
    /// status, and the next pass may be far.
    async fn say_unremoved(&mut self) -> Result<(), PassError> {
        let (memory, mut news) = (&self.memory, Vec::new());
        for hold in &mut self.report.holds {
            let HoldReason::Expired { fate: Fate::Commit { error }, .. } = &mut hold.reason else {
                continue;
            };
            let Some(entry) = memory.desired().get(&hold.request) else { continue };
            let now = memory.unremoved.get(entry.spot.source());
            if now.is_some() && now != error.as_ref() {
                *error = now.cloned();
                news.push(hold.request.clone());
            }
        }
        if news.is_empty() {
            return Ok(());
        }
        self.touched.extend(news);
        self.announce().await?;
        self.publish().await
    }

    /// One commit that removes the files, on the tip that was read.
    async fn remove(
        &mut self,
        snapshot: &Snapshot,
        over: Vec<Over>,
    ) -> Result<Result<(), GitError>, PassError> {
        // A source in doubt is not written to: what it holds was not read at that tip.
        let Some(tip) = snapshot.commit.clone().filter(|_| snapshot.problem.is_none()) else {
            return Ok(Ok(()));
        };
        let mirror = snapshot.source.mirror();
        // Only what stands there as it was read.
        let stands = |one: &Over| {
            let entry = self.memory.desired().get(&one.id).map(|entry| entry.blob);
            mirror.find(&tip, &one.path).is_ok_and(|found| found.map(|found| found.id) == entry)
        };
        let over: Vec<Over> = over.into_iter().filter(stands).take(MOST).collect();
        if over.is_empty() {
            return Ok(Ok(()));
        }
        let edits: Vec<Edit> =
            over.iter().map(|one| Edit { path: one.path.clone(), content: None }).collect();
        let listed: Vec<_> = over.iter().map(|one| (&one.id, one.since)).collect();
        let message = report::expiry::message(&listed);
        let revision = match mirror.commit(Some(&tip), &edits, &message, (self.clock)()) {
            Ok(Some(revision)) => revision,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        self.let_go(&snapshot.source.name, &over, &revision).await?;
        point!("pass.expire.before")?;
        match mirror.push(&revision, Some(&tip)).await {
            Ok(()) => {
                point!("pass.expire.after")?;
                tracing::info!(source = %snapshot.source.name, commit = %revision, files = over.len(), "removed what is over");
                self.tell_removed(&over, &revision).await?;
                // The next pass finds them gone, and need not wait for anything.
                self.unfinished = true;
                Ok(Ok(()))
            }
            Err(error) => {
                // It may have arrived: then it is let through.
                if !matches!(error, GitError::Unknown { .. }) {
                    self.take_back(&over, &revision).await?;
                }
                Ok(Err(error))
            }
        }
    }

    /// Where it is asked how what is there came: vend's own removal is let through before it is made, so
    /// that a crash in between holds nothing up. Of that very commit alone.
    async fn let_go(
        &mut self,
        source: &SourceName,
        over: &[Over],
        revision: &Revision,
    ) -> Result<(), PassError> {
        if !self.engine.followed.contains(source) {
            return Ok(());
        }
        let at = (self.clock)();
        let mut writes = Vec::new();
        for one in over {
            let digest = let_through(&one.id, None, Some(revision));
            let approval =
                Approval { digest, by: "vend".into(), by_id: None, teams: Some(Vec::new()), at };
            if let Entry::Vacant(entry) = self.memory.approvals.entry(digest) {
                entry.insert(vec![approval.clone()]);
                writes.push(Write::Approve(approval));
            }
        }
        self.commit(writes).await
    }

    /// Nothing was removed: whoever removes it now needs a pull request again.
    async fn take_back(&mut self, over: &[Over], revision: &Revision) -> Result<(), PassError> {
        let mut writes = Vec::new();
        for one in over {
            let digest = let_through(&one.id, None, Some(revision));
            if self.memory.approvals.remove(&digest).is_some() {
                writes.push(Write::DropApproval(digest));
            }
        }
        self.commit(writes).await
    }

    async fn tell_removed(&mut self, over: &[Over], revision: &Revision) -> Result<(), PassError> {
        let event = |one: &Over| {
            let message = format!("its file was removed with commit {}", revision.short());
            Write::Event(self.event(&one.id, "Removed", message))
        };
        let writes = over.iter().map(event).collect();
        self.commit(writes).await
    }
}
