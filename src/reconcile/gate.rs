//! Whether what a file says came to its branch with a pull request.
//!
//! A pass asks no forge: it holds what nobody has spoken for, and whoever talks with the forge writes
//! down how it came. Files as they stood when this began are taken as they are.
//!
//! What came with a pull request is held to its review wherever the forge is known; the settings say only what
//! becomes of what came without one.

use std::collections::{BTreeMap, BTreeSet};

use super::brought;
use super::foresee::Foresight;
use super::pass::Pass;
use super::{Engine, PassError};
use crate::digest::{self, Digest};
use crate::fault::planted;
use crate::git::{GitError, Mirror};
use crate::model::{
    Approval, Bound, ComponentName, Desired, HoldReason, Origin, Passage, Plan, Record, RequestId,
    Revision, SourceName, Symbol, Terms,
};
use crate::plan::{Bounds, Case};
use crate::store::{Write, passage_key};

/// Where the commit is kept from which on it is asked how what is in a source came.
pub(super) fn since_key(source: &SourceName) -> String {
    format!("gate/{source}")
}

/// What a person approves who lets through what that commit brought without a pull request. The same content, or
/// the same deletion, of another commit is another one's doing and asks again.
pub(super) fn let_through(
    id: &RequestId,
    content: Option<Digest>,
    commit: Option<&Revision>,
) -> Digest {
    digest::of(&("without a pull request", id, content, commit))
}

/// What a person approves of a file that says otherwise now than was seen of it.
fn spoken(id: &RequestId, fingerprint: Digest, passage: &Passage) -> Digest {
    let now = (id, fingerprint, &passage.pull, &passage.commit);
    digest::of(&("said otherwise than reviewed", now))
}

/// Whether all of what a file says was applied.
fn is_done(content: Option<Digest>, recorded: Option<&Record>) -> bool {
    is_begun(content, recorded) && recorded.is_some_and(|r| r.settled.is_some())
}

/// Whether some of what a file says was applied.
fn is_begun(content: Option<Digest>, recorded: Option<&Record>) -> bool {
    content.is_some() && recorded.and_then(|r| r.observed.request_digest) == content
}

/// Whether a passage is of what that commit brought. Where the forge was asked about a commit that was too far
/// back to be found, it came without a pull request as far as anybody knows.
pub(super) fn speaks_of(passage: &Passage, commit: Option<&Revision>) -> bool {
    passage.commit.as_ref() == commit || passage.commit.is_none() && passage.pull.is_none()
}

/// Whether no commit from `since` to `tip` has touched a path; of too many, nobody can tell.
fn untouched(
    mirror: &Mirror,
    path: &str,
    since: &Revision,
    tip: &Revision,
) -> Result<bool, GitError> {
    let commit = brought::bringing_since(mirror, path, tip, since)?;
    commit.map_or(Ok(false), |commit| mirror.is_ancestor(&commit, since))
}

impl Pass<'_> {
    /// Notes from which commit on it is asked how what is in each source came: the last one that was
    /// believed before, else the first.
    pub(super) async fn begin_gates(&mut self, writes: &mut Vec<Write>) -> Result<(), PassError> {
        for snapshot in &self.snapshots {
            let name = &snapshot.source.name;
            if self.lease.is_none()
                || !self.engine.followed.contains(name)
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
        let Some(origin) = origin.filter(|o| self.engine.followed.contains(&o.source)) else {
            return Ok(None);
        };
        let content = desired.map(|d| d.content);
        if self.lease.is_none() || self.stood_before(id, origin, recorded.is_some()) {
            return Ok(None);
        }
        if is_done(content, recorded) || planted!("pull-request-unasked") {
            return Ok(None);
        }
        let commit = self.bringing(&origin.source, &origin.path);
        let key = let_through(id, content, commit.as_ref());
        if self.memory.approvals.contains_key(&key) {
            return Ok(None);
        }
        let Engine { gated, is_answered, .. } = self.engine;
        let asks = gated.contains(&origin.source);
        let known = self.passage(id).await?;
        // What was begun goes on, unless another content has been there since, or was spoken of: then its file has
        // come anew, and what was reviewed of it before is not known any more.
        let is_latest = known.as_ref().is_none_or(|passage| passage.content == content)
            && self.came_before(&origin.source, commit.as_ref(), recorded);
        let is_begun = is_begun(content, recorded) && is_latest;
        let passage = known.filter(|p| p.content == content);
        let passage = passage.filter(|p| is_begun || speaks_of(p, commit.as_ref()));
        let Some(passage) = passage else {
            // Where nobody would ever say how it came, nobody waits for that unless the settings want it.
            let waits = !is_begun && (asks || *is_answered);
            return Ok(waits.then_some(HoldReason::NeedsPullRequest {
                direct: false,
                commit: None,
                digest: key,
            }));
        };
        Ok(match passage.pull {
            None => (asks && !is_begun).then_some(HoldReason::NeedsPullRequest {
                direct: true,
                commit,
                digest: key,
            }),
            Some(_) if planted!("review-binds-nothing") => None,
            // Which steps are more than was reviewed is seen once there is a plan.
            Some(_) => self.unshown(id, &passage),
        })
    }

    /// Another plan than was reviewed, or other words of a file than were seen, to which nobody has said yes yet.
    fn unshown(&self, id: &RequestId, passage: &Passage) -> Option<HoldReason> {
        let reviewed = passage.bound.as_ref()?.plan;
        let is_open = |now: &Digest| !self.memory.approvals.contains_key(now);
        if let Some(now) = passage.changed.as_ref().filter(|now| is_open(&now.plan)) {
            let (now, needs) = (now.plan, now.needs.clone());
            return Some(HoldReason::PlanChanged { reviewed, now, needs });
        }
        let now = self.said_otherwise(id, passage).filter(is_open)?;
        Some(HoldReason::PlanChanged { reviewed, now, needs: Vec::new() })
    }

    /// Reads once more what is approved, where somebody spoke since the pass began. What is let through is
    /// looked up as it is now, and with a passage what was approved of the one before it is withdrawn.
    pub(super) async fn hear_again(&mut self) -> Result<(), PassError> {
        let store = &self.engine.store;
        let is_free = self.lease.is_none() || self.engine.followed.is_empty();
        if is_free || store.basis().await? == self.memory.basis {
            return Ok(());
        }
        let index = store.standing().await?;
        if index.notes != self.memory.notes {
            self.memory.approvals.clear();
            for approval in index.approvals {
                self.memory.approvals.entry(approval.digest).or_default().push(approval);
            }
        }
        Ok(())
    }

    /// The commit of the tip that this pass works on that brought what a file says.
    fn bringing(&self, source: &SourceName, path: &str) -> Option<Revision> {
        let snapshot = self.snapshots.iter().find(|s| s.source.name == *source)?;
        let (mirror, tip) = (snapshot.source.mirror(), snapshot.commit.as_ref()?);
        // What cannot be told was brought by a commit that nobody has spoken for.
        self.memory.brought.by(source, mirror, path, tip).ok().flatten()
    }

    /// Whether a commit was on the branch already when something was applied last. What cannot be told was.
    fn came_before(
        &self,
        source: &SourceName,
        commit: Option<&Revision>,
        recorded: Option<&Record>,
    ) -> bool {
        let snapshot = self.snapshots.iter().find(|s| s.source.name == *source);
        let then = recorded.and_then(|record| record.observed.commit.as_ref());
        let (Some(snapshot), Some(commit), Some(then)) = (snapshot, commit, then) else {
            return true;
        };
        snapshot.source.mirror().is_ancestor(commit, then).unwrap_or(false)
    }

    /// The approval that lets through what stands in a request's file now, or that it is gone.
    fn key_of(&self, id: &RequestId) -> Option<Digest> {
        let desired = self.desired_of(id);
        let recorded = self.records.get(id).and_then(Option::as_ref);
        // Of what was begun and never made, what it was to be says where its file lay.
        let mut left =
            self.components(id, &self.memory.retries).filter_map(|(_, r)| r.left.as_deref());
        let recorded = recorded.or_else(|| left.next().map(|left| &left.record));
        let origin = desired.map(|d| &d.origin).or_else(|| recorded.map(|r| &r.origin))?;
        let commit = self.bringing(&origin.source, &origin.path);
        Some(let_through(id, desired.map(|d| d.content), commit.as_ref()))
    }

    async fn passage(&self, id: &RequestId) -> Result<Option<Passage>, PassError> {
        let passage = self.engine.store.value(&passage_key(id)).await?;
        Ok(passage.and_then(|v| serde_json::from_value(v).ok()))
    }

    /// Reads what was reviewed of the requests of a plan, as far as it binds what may be done, and what
    /// their components render to without what was not known then.
    pub(super) async fn read_bounds(&mut self, plan: &Plan) -> Result<(), PassError> {
        let is_free = self.engine.followed.is_empty() || planted!("review-binds-nothing");
        if self.lease.is_none() || is_free {
            return Ok(());
        }
        let steps = plan.steps.iter().map(|s| &s.target.key.request);
        // What touches nothing is written down all the same.
        let ids: BTreeSet<&RequestId> =
            steps.chain(plan.settle.iter().map(|settle| &settle.request)).collect();
        for id in ids {
            if self.bounds.contains_key(id) {
                continue;
            }
            self.shed(id).await?;
            if let Some(passage) = self.binding(id).await? {
                let passage = self.take_up(id, passage).await?;
                if let Some(reviewed) = passage.bound {
                    let bounds = Bounds { reviewed, veiled: BTreeMap::new() };
                    self.bounds.insert(id.clone(), bounds);
                }
            }
        }
        let open = plan.steps.iter().filter(|step| {
            let bounds = self.bounds.get(&step.target.key.request);
            bounds.is_some_and(|bounds| bounds.is_open(step))
        });
        let open: BTreeSet<RequestId> = open.map(|s| s.target.key.request.clone()).collect();
        for id in open {
            let veiled = self.veil(&id).await?;
            if let Some(bounds) = self.bounds.get_mut(&id) {
                bounds.veiled = veiled;
            }
        }
        Ok(())
    }

    /// What a person approves, where a file says otherwise now than it was reviewed: it could not be read then, for
    /// instance, and nobody was shown what it would come to. `None`: it says what was seen.
    fn said_otherwise(&self, id: &RequestId, passage: &Passage) -> Option<Digest> {
        let reviewed = passage.bound.as_ref().filter(|bound| bound.shown)?;
        // What a person approved of a changed plan was seen, whether it has been taken up yet or not.
        let is_given = |now: &&Bound| self.memory.approvals.contains_key(&now.plan);
        let bound = passage.changed.as_ref().filter(is_given).unwrap_or(reviewed);
        let seen = bound.terms.as_ref()?;
        let spec = self.desired_of(id)?.spec()?;
        let of = |id: &RequestId| self.records.get(id).and_then(Option::as_ref);
        let record = of(id).or_else(|| of(spec.moved_from.as_ref()?));
        let is_within = Terms::new(spec, record).is_none_or(|terms| terms.is_within(seen));
        let fingerprint = spec.fingerprint();
        let is_unseen = bound.is_unseen() && record.is_some_and(|r| r.settled != Some(fingerprint));
        (!is_within || is_unseen).then(|| spoken(id, fingerprint, passage))
    }

    /// What was approved of a content that was taken back before it was done is approved no more: what is applied
    /// may come to the same by a change of the catalog, which nobody was asked about.
    async fn shed(&mut self, id: &RequestId) -> Result<(), PassError> {
        let content = self.desired_of(id).map(|d| d.content);
        let recorded = self.records.get(id).and_then(Option::as_ref);
        if self.memory.approvals.is_empty() || !is_done(content, recorded) {
            return Ok(());
        }
        let passage = self.passage(id).await?;
        let Some(passage) = passage.filter(|p| p.content != content && p.bound.is_some()) else {
            return Ok(());
        };
        let bounds = passage.bound.iter().chain(&passage.changed);
        let given: BTreeSet<Digest> = bounds
            .flat_map(Bound::digests)
            .filter(|digest| self.memory.approvals.contains_key(digest))
            .collect();
        let mut writes = Vec::new();
        self.use_up(given.into_iter(), &mut writes);
        let passage = Passage { bound: None, changed: None, ..passage };
        let value = serde_json::to_value(&passage).ok();
        writes.push(Write::Value { key: passage_key(id), value });
        self.commit(writes).await
    }

    /// Takes up what was approved of changed plans since they were held. Before it is planned: another version that
    /// takes over is a part of such a plan, and is held by itself until it is approved.
    pub(super) async fn take_up_given(&mut self, cases: &[Case]) -> Result<(), PassError> {
        let is_free = self.lease.is_none() || self.engine.followed.is_empty();
        if is_free || self.memory.approvals.is_empty() {
            return Ok(());
        }
        for Case { id, .. } in cases {
            let mut held = self.memory.holds.get(id).into_iter().flatten();
            let is_given = held.any(|row| {
                row.hold.changed_plan().is_some_and(|now| self.memory.approvals.contains_key(&now))
            });
            if is_given && let Some(passage) = self.binding(id).await? {
                self.take_up(id, passage).await?;
            }
        }
        Ok(())
    }

    /// Takes what a person approved of a changed plan for reviewed: each of its steps is approved as if
    /// it had been asked about alone, so that rules count the same people and nobody is asked twice.
    async fn take_up(&mut self, id: &RequestId, passage: Passage) -> Result<Passage, PassError> {
        let Passage { bound: Some(reviewed), changed: Some(now), .. } = &passage else {
            return Ok(passage);
        };
        let Some(given) = self.memory.approvals.get(&now.plan).cloned() else {
            return Ok(passage);
        };
        let mut writes = Vec::new();
        for digest in now.approvable() {
            for approval in &given {
                let approval = Approval { digest, ..approval.clone() };
                self.memory.approvals.entry(digest).or_default().push(approval.clone());
                writes.push(Write::Approve(approval));
            }
        }
        let steps = reviewed.steps.iter().chain(&now.steps).cloned().collect();
        let bound = Bound { steps, shown: reviewed.shown, ..now.clone() };
        let passage = Passage { bound: Some(bound), changed: None, ..passage };
        let value = serde_json::to_value(&passage).ok();
        writes.push(Write::Value { key: passage_key(id), value });
        self.commit(writes).await?;
        Ok(passage)
    }

    /// The passage of what a request's file says, while it binds.
    async fn binding(&self, id: &RequestId) -> Result<Option<Passage>, PassError> {
        let desired = self.desired_of(id);
        let recorded = self.records.get(id).and_then(Option::as_ref);
        let origin = desired.map(|d| &d.origin).or_else(|| recorded.map(|r| &r.origin));
        let content = desired.map(|d| d.content);
        let free = origin.is_none_or(|o| {
            !self.engine.followed.contains(&o.source)
                || self.stood_before(id, o, recorded.is_some())
        });
        if free || is_done(content, recorded) {
            return Ok(None);
        }
        let passage = self.passage(id).await?;
        let Some(passage) = passage.filter(|p| p.content == content && p.bound.is_some()) else {
            return Ok(None);
        };
        let is_let_through =
            self.key_of(id).is_some_and(|key| self.memory.approvals.contains_key(&key));
        Ok((!is_let_through).then_some(passage))
    }

    /// Once a request is as it was reviewed, what comes later is not held against that, and what was
    /// approved on the way is used up.
    pub(super) async fn unbind(
        &mut self,
        id: &RequestId,
        writes: &mut Vec<Write>,
    ) -> Result<(), PassError> {
        if self.lease.is_none() || self.engine.followed.is_empty() {
            return Ok(());
        }
        if let Some(passage) = self.binding(id).await? {
            let spec = self.desired_of(id).and_then(|desired| desired.spec());
            let said = spec.map(|spec| spoken(id, spec.fingerprint(), &passage));
            let bound = passage.bound.iter();
            let given: Vec<Digest> = bound
                .flat_map(Bound::digests)
                .chain(said)
                .filter(|digest| self.memory.approvals.contains_key(digest))
                .collect();
            self.use_up(given.into_iter(), writes);
            let passage = Passage { bound: None, changed: None, ..passage };
            let value = serde_json::to_value(&passage).ok();
            writes.push(Write::Value { key: passage_key(id), value });
        }
        self.bounds.remove(id);
        self.use_up_passage(id, writes);
        Ok(())
    }

    /// What was let through is done: the same asks again when it comes again.
    pub(super) fn use_up_passage(&mut self, id: &RequestId, writes: &mut Vec<Write>) {
        if self.memory.approvals.is_empty() || self.engine.followed.is_empty() {
            return;
        }
        let key = self.key_of(id).filter(|key| self.memory.approvals.contains_key(key));
        self.use_up(key.into_iter(), writes);
    }

    /// What components render to while what was not known at the review still is not.
    async fn veil(&mut self, id: &RequestId) -> Result<BTreeMap<ComponentName, Digest>, PassError> {
        let Some(bounds) = self.bounds.get(id) else { return Ok(BTreeMap::new()) };
        let steps = bounds.reviewed.steps.iter();
        let symbols: BTreeSet<Symbol> = steps.flat_map(|step| step.unknown.clone()).collect();
        let whose = symbols.iter().map(|symbol| symbol.request.clone()).collect();
        self.load_records(whose).await?;
        let record = |id: &RequestId| self.records.get(id).and_then(Option::as_ref);
        let veil = Foresight::without(id, &symbols, &record);
        let read = self.read_as(&BTreeSet::from([id.clone()]), &veil).await?;
        let specs = read.iter().filter_map(|evaluated| evaluated.row.desired.spec());
        let components = specs.flat_map(|spec| &spec.components);
        Ok(components.map(|c| (c.name.clone(), c.digest)).collect())
    }

    /// Whether the file stood so, or was gone, when pull requests began to be asked for.
    fn stood_before(&self, id: &RequestId, origin: &Origin, is_recorded: bool) -> bool {
        let Origin { source, path, .. } = origin;
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
        match self.memory.brought.by(source, mirror, path, tip) {
            Ok(Some(commit)) => mirror.is_ancestor(&commit, since).unwrap_or(false),
            // Too far back to be found: it stood there only if nothing has touched it since.
            Ok(None) => !is_recorded && untouched(mirror, path, since, tip).unwrap_or(false),
            Err(_) => false,
        }
    }
}
