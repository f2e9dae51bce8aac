//! The status branch, itself reconciled: what it should hold against what it holds.
//!
//! # Flow
//! What is to be said lies in the store. It becomes one commit on the tip that we pushed last, and
//! is pushed with that tip as the expected parent. When somebody else was faster, the new tip is
//! fetched, their edits of our files are undone, and the commit is made again on top; never forced.
//! A branch that a glance found to be another than we left is published to, whether there is
//! something new to say or not. Where passes come faster than `status.interval`, what they have to say is
//! published together: everybody who reads the branch is woken by each of its commits.
//!
//! # Guarantees
//! - A pass never reads the branch to decide anything about requests.
//! - A branch that cannot be written delays nothing but itself.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use serde_json::Value;
use tracing::Instrument as _;
use tracing::field::{Empty, display};

use super::PassError;
use super::front::{self, InstanceFile};
use super::pass::Pass;
use super::rebuild::{self, ReadUpTo, StateFile};
use crate::error::chain;
use crate::fault::{planted, point};
use crate::git::{Edit, GitError, Mirror};
use crate::model::{Artifact, RequestId, Revision};
use crate::report;
use crate::store::{StatusRow, Write};
use crate::{digest, trace, yaml};

/// Lost races before giving up until the next pass.
const MAX_RACES: u32 = 8;

/// Statuses in one commit: beyond that, memory would grow with the number of requests.
const PAGE: usize = 10_000;

/// Named value in the store: what the front page and the templates were.
const FRONT: &str = "status-front";

/// Our folders on the branch.
const FOLDERS: [&str; 3] = ["status", "rendered", "catalog"];

/// Whether a path on the status branch is a folder's or file's of ours.
pub fn is_ours(path: &str) -> bool {
    path.split_once('/').is_some_and(|(folder, _)| FOLDERS.contains(&folder))
        || matches!(path, "README.md" | "instance.yaml" | rebuild::FILE)
}

/// At most this many overwritten paths are named in a commit.
const NAMED: usize = 20;

/// What is to be published, gathered from the store.
#[derive(Default)]
struct Batch {
    rows: Vec<StatusRow>,
    drops: Vec<RequestId>,
    front: Option<String>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        let Self { rows, drops, front } = self;
        rows.is_empty() && drops.is_empty() && front.is_none()
    }
}

impl Pass<'_> {
    /// Publishes what the branch does not hold yet, in one commit or, where there is very much of it,
    /// in several.
    pub(super) async fn publish(&mut self) -> Result<(), PassError> {
        if self.lease.is_none() {
            return Ok(());
        }
        // From here on the store has it all.
        (self.fresh, self.records) = Default::default();
        if let Some(due) = self.may_publish() {
            let is_told = self.gather(1).await?.is_empty();
            self.publish_due = (!is_told).then_some(due);
            return Ok(());
        }
        loop {
            let batch = self.gather(PAGE).await?;
            if batch.is_empty() && !self.moved {
                return Ok(());
            }
            let more = batch.rows.len() == PAGE || batch.drops.len() == PAGE;
            let branch = self.engine.config.settings.status.branch.as_str();
            let span = tracing::debug_span!(
                "publish",
                "vcs.ref.head.name" = branch,
                "vcs.ref.head.revision" = Empty,
                "vend.statuses" = batch.rows.len() + batch.drops.len()
            );
            let began = (self.clock)();
            let pushed = self.push(&batch).instrument(span.clone()).await;
            match pushed {
                Ok(revision) => {
                    if let Some(revision) = &revision {
                        span.record("vcs.ref.head.revision", display(revision));
                    }
                    self.published(batch, revision).instrument(span.clone()).await?;
                    span.in_scope(|| self.trace_published(began));
                }
                Err(PushError::Git(error)) => {
                    trace::failed(&span);
                    let error = chain(&error);
                    tracing::warn!(error, "the status branch could not be written");
                    self.report.publish_error = Some(error);
                    return Ok(());
                }
                Err(PushError::Pass(error)) => return Err(error),
            }
            if !more || self.engine.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// When what there is to publish is, where that is not now: the last commit is young, and nobody waits.
    fn may_publish(&self) -> Option<Timestamp> {
        let engine = self.engine;
        let is_now = !engine.is_paced || self.moved || engine.stop.load(Ordering::Relaxed);
        let last = self.published_at.filter(|_| !is_now)?;
        let interval = engine.config.settings.status.interval;
        let due = last.checked_add(interval).unwrap_or(Timestamp::MAX);
        let now = (self.clock)();
        // By a clock that was set back nothing waits for longer.
        (last <= now && now < due).then_some(due)
    }

    /// At most so many statuses, and as many that go.
    async fn gather(&mut self, most: usize) -> Result<Batch, PassError> {
        let store = &self.engine.store;
        let rows = store.unpublished(most).await?;
        let drops = store.unpublished_drops(most).await?;
        let page = self.page();
        let said = store.value(FRONT).await?;
        let front = (said != Some(self.front_value(&page))).then_some(page);
        Ok(Batch { rows, drops, front })
    }

    fn page(&self) -> String {
        let holds: Vec<_> = self
            .memory
            .holds
            .iter()
            .filter_map(|(id, rows)| Some((id, &rows.first()?.hold)))
            .collect();
        report::front::page(&report::front::Facts {
            counts: &self.memory.counts.0,
            holds: &holds,
            problems: &self.report.problems,
            diagnostics: &self.report.diagnostics,
        })
    }

    async fn push(&mut self, batch: &Batch) -> Result<Option<Revision>, PushError> {
        let engine = self.engine;
        let front = &engine.status;
        let known = front.known(engine.store.as_ref()).await?;
        // The branch may be another one by now, and the mirror cloned anew: then what we pushed
        // compares with nothing.
        let is_here = |at: &Revision| front.mirror().tree(at, "").is_ok();
        let lost = known.as_ref().is_some_and(|at| !is_here(at));
        let known = known.filter(|_| !lost);
        let mut tip = known.clone().filter(|_| self.checked && !self.moved);
        let edits = self.edits(batch).await?;
        for race in 0..MAX_RACES {
            if race > 0 || tip.is_none() {
                tip = front.fetch().await?;
                self.owner(tip.as_ref())?;
                self.checked = true;
            }
            let mut all = Vec::new();
            match (&known, &tip) {
                (Some(known), Some(tip)) if known != tip => {
                    all.extend(undo(front.mirror(), known, tip)?);
                }
                (Some(_), None) => all.extend(self.everything().await?),
                (None, _) if lost => {
                    let ours = FOLDERS.map(|path| Edit { path: path.into(), content: None });
                    all.extend(ours);
                    all.extend(self.everything().await?);
                }
                _ => {}
            }
            // Others may add what is not ours: that is no reason for a commit.
            if batch.is_empty() && all.is_empty() && tip.is_some() {
                return Ok(tip);
            }
            let mut message = message(batch, tip.is_none());
            if known.is_some() && tip.is_some() && !all.is_empty() {
                message.push_str("\n\nOverwritten, since this branch is written by vend alone:\n");
                let paths = all.iter().take(NAMED).map(|edit| format!("- {}\n", edit.path));
                message.extend(paths);
            }
            all.extend(edits.iter().cloned());
            let Some(revision) =
                front.mirror().commit(tip.as_ref(), &all, &message, (self.clock)())?
            else {
                return Ok(tip);
            };
            point!("pass.publish.before").map_err(GitError::from)?;
            let push = front.mirror().push(&revision, tip.as_ref());
            match push.instrument(tracing::debug_span!("push")).await {
                Ok(()) => return Ok(Some(revision)),
                // A lost answer is looked up like a lost race: our commit is the tip, or it is not.
                Err(GitError::Raced { .. } | GitError::Unknown { .. }) => {
                    let wait = 20.0
                        * f64::from(1 << race.min(6))
                        * (0.5 + super::ledger::jitter(revision.as_str()));
                    tokio::time::sleep(std::time::Duration::from_secs_f64(wait / 1000.0)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(PushError::Git(GitError::Raced {
            what: format!("{MAX_RACES} commits on the status branch"),
        }))
    }

    /// Marks as published what is.
    async fn published(
        &mut self,
        batch: Batch,
        revision: Option<Revision>,
    ) -> Result<(), PassError> {
        let mut writes: Vec<Write> = batch
            .rows
            .iter()
            .map(|row| Write::Published { request: row.request.clone(), digest: Some(row.digest) })
            .collect();
        writes.extend(
            batch.drops.iter().map(|id| Write::Published { request: id.clone(), digest: None }),
        );
        let json = |v: &Revision| serde_json::to_value(v).unwrap_or_default();
        writes.push(Write::Value { key: front::TIP.into(), value: revision.as_ref().map(json) });
        if let Some(page) = &batch.front {
            let value = Some(self.front_value(page));
            writes.push(Write::Value { key: FRONT.into(), value });
        }
        self.report.published = revision;
        self.publish_due = None;
        self.published_at = Some((self.clock)());
        self.moved = false;
        point!("pass.published.before")?;
        self.commit(writes).await?;
        Ok(point!("pass.published.after")?)
    }

    async fn edits(&self, batch: &Batch) -> Result<Vec<Edit>, PassError> {
        let mut edits = self.row_edits(&batch.rows).await?;
        for id in &batch.drops {
            edits.push(Edit { path: format!("status/{id}.yaml"), content: None });
            edits.push(Edit { path: format!("rendered/{id}"), content: None });
        }
        if let Some(page) = &batch.front {
            edits.push(Edit { path: "README.md".into(), content: Some(page.clone().into_bytes()) });
            edits.extend(self.template_edits().await?);
        }
        let epoch = self.lease.map_or(0, crate::store::Lease::epoch);
        let instance = InstanceFile { instance: self.engine.instance.clone(), epoch };
        edits.push(Edit {
            path: "instance.yaml".into(),
            content: Some(yaml::to_string(&instance).into_bytes()),
        });
        edits.push(Edit {
            path: rebuild::FILE.into(),
            content: Some(rebuild::text(&self.state_file())),
        });
        Ok(edits)
    }

    /// What a rebuild needs beside the statuses. It goes along with what is published in any case: that
    /// a source was read further is no reason for a commit.
    fn state_file(&self) -> StateFile {
        let sources = self.memory.sources.iter();
        let sources = sources.filter_map(|(name, r)| Some((name.clone(), ReadUpTo::of(r)?)));
        StateFile {
            sources: sources.collect(),
            gates: self.memory.gates.clone(),
            rollouts: self.memory.all_rollouts(),
        }
    }

    /// What the front page, the templates, the gates and the rollouts were: any of them is a reason for
    /// a commit.
    fn front_value(&self, page: &str) -> Value {
        let memory = &self.memory;
        let templates: Vec<_> =
            memory.templates.iter().map(|(id, d)| (id.to_string(), d)).collect();
        let rollouts = memory.all_rollouts();
        serde_json::json!(
            digest::of(&(page, templates, &memory.gates, &rollouts.versions, &rollouts.young))
                .to_string()
        )
    }

    async fn template_edits(&self) -> Result<Vec<Edit>, PassError> {
        let edit = |row: crate::store::TemplateRow| {
            let crate::store::TemplateRow { id, digest, commit, at } = row;
            let facts = serde_json::json!({"digest": digest, "catalogCommit": commit, "at": at});
            Edit {
                path: format!("catalog/{}/{}.yaml", id.name, id.version),
                content: Some(yaml::write_json(&facts).into_bytes()),
            }
        };
        Ok(self.engine.store.templates().await?.into_iter().map(edit).collect())
    }

    async fn row_edits(&self, rows: &[StatusRow]) -> Result<Vec<Edit>, PassError> {
        let mut wanted: Vec<digest::Digest> =
            rows.iter().flat_map(|r| r.artifacts.iter().map(|(_, d)| *d)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let artifacts: BTreeMap<digest::Digest, Artifact> = self
            .engine
            .store
            .artifacts(&wanted)
            .await?
            .into_iter()
            .filter_map(|a| Some((a.digest?, a)))
            .collect();
        let mut edits = Vec::with_capacity(rows.len() * 3);
        for row in rows {
            let id = &row.request;
            edits.push(Edit {
                path: format!("status/{id}.yaml"),
                content: Some(document(&row.document).into_bytes()),
            });
            edits.push(Edit { path: format!("rendered/{id}"), content: None });
            for (component, digest) in &row.artifacts {
                for (path, text) in artifacts.get(digest).iter().flat_map(|a| &a.files) {
                    let path = format!("rendered/{id}/{component}/{path}");
                    edits.push(Edit { path, content: Some(text.clone().into_bytes()) });
                }
            }
        }
        Ok(edits)
    }

    /// The whole branch, when it is gone.
    async fn everything(&self) -> Result<Vec<Edit>, PassError> {
        let mut edits = self.template_edits().await?;
        edits.push(Edit { path: "README.md".into(), content: Some(self.page().into_bytes()) });
        let mut after: Option<RequestId> = None;
        loop {
            let rows = self.engine.store.statuses_after(after.as_ref(), PAGE).await?;
            let Some(last) = rows.last() else { return Ok(edits) };
            after = Some(last.request.clone());
            edits.extend(self.row_edits(&rows).await?);
        }
    }
}

/// A status as text, its fields in the order of the type and not of the alphabet.
fn document(value: &Value) -> String {
    match serde_json::from_value::<crate::model::Status>(value.clone()) {
        Ok(status) => yaml::to_string(&status),
        Err(_) => yaml::write_json(value),
    }
}

/// What others changed of ours between the tip we pushed and the tip there is, put back.
///
/// # Errors
/// One of the commits cannot be read.
pub fn undo(mirror: &Mirror, known: &Revision, tip: &Revision) -> Result<Vec<Edit>, GitError> {
    let tree = |at| mirror.tree(at, "");
    let mut edits = Vec::new();
    for delta in mirror.diff(tree(known)?, tree(tip)?)? {
        if !is_ours(&delta.path) || planted!("hand-edit-kept") {
            continue;
        }
        let content = match delta.old {
            Some((_, id)) => match mirror.blob(id, u64::MAX)? {
                crate::git::Blob::Bytes(bytes) => Some(bytes),
                crate::git::Blob::TooLarge(_) => continue,
            },
            None => None,
        };
        tracing::warn!(
            path = delta.path,
            "a change by another on the status branch is overwritten"
        );
        edits.push(Edit { path: delta.path, content });
    }
    Ok(edits)
}

fn message(batch: &Batch, anew: bool) -> String {
    let one = |rows: &[StatusRow]| rows.first().map(|r| r.request.to_string());
    match (batch.rows.len(), batch.drops.len()) {
        (1, 0) => format!("status: {}", one(&batch.rows).unwrap_or_default()),
        (0, 1) => format!("status: {} is gone", batch.drops[0]),
        (0, 0) if anew => "status: the branch is written anew".into(),
        (0, 0) if batch.front.is_none() => "status: changes by others are undone".into(),
        (0, 0) => "status: front page".into(),
        (said, gone) => format!("status: {said} changed, {gone} gone"),
    }
}

enum PushError {
    Git(GitError),
    Pass(PassError),
}

impl From<GitError> for PushError {
    fn from(error: GitError) -> Self {
        Self::Git(error)
    }
}

impl From<PassError> for PushError {
    fn from(error: PassError) -> Self {
        Self::Pass(error)
    }
}
