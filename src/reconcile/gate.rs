//! Whether what a file says came to its branch with a pull request.
//!
//! A pass asks no forge: it holds what nobody has spoken for, and whoever talks with the forge writes
//! down how it came. Files as they stood when this began are taken as they are.

use super::PassError;
use super::pass::Pass;
use crate::digest::{self, Digest};
use crate::model::{Desired, HoldReason, Passage, Record, RequestId, Revision, SourceName};
use crate::store::{Write, passage_key};

/// Commits looked through for one that touched a file.
const SEARCH: usize = 2_000;

/// Where the commit is kept from which on everything of a source needs a pull request.
fn since_key(source: &SourceName) -> String {
    format!("gate/{source}")
}

/// What a person approves who lets a file through that came without a pull request.
pub(super) fn let_through(id: &RequestId, content: Option<Digest>) -> Digest {
    digest::of(&("without a pull request", id, content))
}

impl Pass<'_> {
    /// Notes from which commit on each gated source needs pull requests: the last one that was
    /// believed before, else the first.
    pub(super) async fn begin_gates(&mut self, writes: &mut Vec<Write>) -> Result<(), PassError> {
        for snapshot in &self.snapshots {
            let name = &snapshot.source.name;
            if self.lease.is_none()
                || !self.engine.gated.contains(name)
                || self.memory.gates.contains_key(name)
            {
                continue;
            }
            let kept = self.engine.store.value(&since_key(name)).await?;
            let kept = kept.and_then(|v| serde_json::from_value::<Revision>(v).ok());
            let known = self.memory.sources.get(name).and_then(|s| s.commit.clone());
            let Some(since) = kept.clone().or(known).or_else(|| snapshot.commit.clone()) else {
                continue;
            };
            if kept.is_none() {
                let value = serde_json::to_value(&since).ok();
                writes.push(Write::Value { key: since_key(name), value });
            }
            self.memory.gates.insert(name.clone(), since);
        }
        Ok(())
    }

    /// Why nothing may be done with what a request's file says, if so.
    pub(super) async fn barred(
        &self,
        id: &RequestId,
        desired: Option<&Desired>,
        recorded: Option<&Record>,
    ) -> Result<Option<HoldReason>, PassError> {
        if let Some(reason) = self.halted(id, desired, recorded) {
            return Ok(Some(reason));
        }
        let origin = desired.map(|d| &d.origin).or_else(|| recorded.map(|r| &r.origin));
        let Some(origin) = origin.filter(|o| self.engine.gated.contains(&o.source)) else {
            return Ok(None);
        };
        let content = desired.map(|d| d.content);
        let applied = recorded.and_then(|r| r.observed.request_digest);
        let is_applied = content.is_some() && applied == content;
        if self.lease.is_none() || is_applied || self.stood_before(id, &origin.source, &origin.path)
        {
            return Ok(None);
        }
        let key = let_through(id, content);
        if self.memory.approvals.contains_key(&key) {
            return Ok(None);
        }
        let passage = self.engine.store.value(&passage_key(id)).await?;
        let passage = passage.and_then(|v| serde_json::from_value::<Passage>(v).ok());
        let Some(passage) = passage.filter(|p| p.content == content) else {
            return Ok(Some(HoldReason::NeedsPullRequest {
                direct: false,
                commit: None,
                digest: key,
            }));
        };
        Ok(match (passage.pull, passage.changed) {
            (None, _) => Some(HoldReason::NeedsPullRequest {
                direct: true,
                commit: passage.commit,
                digest: key,
            }),
            (Some(_), Some((reviewed, now))) => (!self.memory.approvals.contains_key(&now))
                .then_some(HoldReason::PlanChanged { reviewed, now }),
            (Some(_), None) => None,
        })
    }

    /// Whether the file stood so, or was gone, when pull requests began to be asked for.
    fn stood_before(&self, id: &RequestId, source: &SourceName, path: &str) -> bool {
        let snapshot = self.snapshots.iter().find(|s| s.source.name == *source);
        let snapshot = snapshot.and_then(|s| Some((s.source.mirror(), s.commit.as_ref()?)));
        let (Some(since), Some((mirror, tip))) = (self.memory.gates.get(source), snapshot) else {
            return false;
        };
        if since == tip {
            return true;
        }
        let now = self.memory.desired().get(id).map(|entry| entry.blob);
        if !mirror.find(since, path).is_ok_and(|then| then.map(|entry| entry.id) == now) {
            return false;
        }
        // It may have been otherwise in between, and have come back to what it was.
        match mirror.last_commit_touching(path, tip, SEARCH) {
            Ok(Some(commit)) => mirror.is_ancestor(&commit, since).unwrap_or(false),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}
