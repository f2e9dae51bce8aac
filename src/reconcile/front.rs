//! The status branch as it is in its repository: whose it is, and whether it is as we left it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::pass::Pass;
use super::source::open_mirror;
use super::{Engine, PassError};
use crate::config::Settings;
use crate::error::chain;
use crate::git::{GitError, Mirror, Transport};
use crate::model::{InstanceId, Revision, SourceName};
use crate::store::{Acquired, Lease, Quiet, Store};
use crate::yaml;

/// Named value in the store: the commit that we pushed or found last.
pub(super) const TIP: &str = "status-tip";

/// How long a look may keep a pass waiting.
const PATIENCE: Duration = Duration::from_secs(10);

/// A branch on another machine is looked at with each tenth poll, and at least this often.
const POLLS: i32 = 10;
const SELDOM: SignedDuration = SignedDuration::from_mins(10);

/// The status branch.
pub struct Front {
    mirror: Mirror,
}

/// `instance.yaml`: whose branch this is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceFile {
    /// The vend that writes here.
    pub instance: InstanceId,
    /// Raised at each lease.
    pub epoch: u64,
}

impl Front {
    /// Opens our mirror of the branch.
    pub fn open(
        settings: &Settings,
        state: &Path,
        transport: &Arc<Transport>,
    ) -> Result<Self, PassError> {
        let (_, mirror) =
            open_mirror(state, settings.status_repository(), &settings.status.branch, transport)
                .map_err(|source| PassError::Source { name: SourceName::new("status"), source })?;
        Ok(Self { mirror })
    }

    /// Its objects.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Fetches; a branch that is not in its repository is `None`.
    pub async fn fetch(&self) -> Result<Option<Revision>, GitError> {
        match self.mirror.fetch().await {
            Err(error) if error.is_branch_missing() => Ok(None),
            answer => answer,
        }
    }

    /// The commit that the store has as the last one of ours; `None`: nothing was ever published.
    pub(super) async fn known(&self, store: &dyn Store) -> Result<Option<Revision>, PassError> {
        Ok(store.value(TIP).await?.and_then(|v| serde_json::from_value(v).ok()))
    }

    /// Whether looking costs no process and no connection.
    fn is_near(&self) -> bool {
        self.mirror.location().is_some_and(|at| at.local_path().is_some())
    }

    /// Whose branch it says it is.
    pub fn instance(&self, tip: &Revision) -> Result<Option<InstanceFile>, GitError> {
        let Some(entry) = self.mirror.find(tip, "instance.yaml")? else { return Ok(None) };
        let crate::git::Blob::Bytes(bytes) = self.mirror.blob(entry.id, 65_536)? else {
            return Ok(None);
        };
        let file: Arc<str> = "instance.yaml".into();
        let node =
            yaml::read(&file, &bytes, &yaml::Options::request()).ok().and_then(|mut d| d.pop());
        Ok(node.and_then(|n| serde_json::from_value(n.to_json()).ok()))
    }
}

/// A store that may write again.
pub struct Takeover {
    /// With an epoch above the published one.
    pub lease: Lease,
    /// Another copy of the store had published since.
    pub was_behind: bool,
}

/// What a look at the status branch came to.
#[derive(Clone, Copy)]
pub(super) struct Glance {
    /// It is there, and is not what we left; or it was there and is gone.
    pub moved: bool,
    /// When it was looked at last, where that is worth remembering.
    pub looked: Option<Timestamp>,
}

impl Engine {
    /// Looks whether the branch is as we left it, at each pass where that is cheap, and now and then
    /// where it is not. A branch that cannot be reached says nothing.
    pub(super) async fn glance(
        &self,
        quiet: Option<&Quiet>,
        now: Timestamp,
    ) -> Result<Glance, PassError> {
        let looked = self.looked.max(quiet.and_then(|quiet| quiet.looked));
        let is_near = self.status.is_near();
        let every = self.config.settings.reconcile.interval.saturating_mul(POLLS).min(SELDOM);
        let is_due = looked.is_none_or(|at| now.duration_since(at).abs() >= every);
        let known =
            if is_near || is_due { self.status.known(self.store.as_ref()).await? } else { None };
        let Some(known) = known else { return Ok(Glance { moved: false, looked }) };
        let moved = match tokio::time::timeout(PATIENCE, self.status.fetch()).await {
            Ok(Ok(tip)) => tip != Some(known),
            Ok(Err(error)) => {
                tracing::debug!(error = chain(&error), "the status branch cannot be looked at");
                false
            }
            Err(_) => false,
        };
        // What is not as it should be is looked at until it is.
        Ok(Glance { moved, looked: (!moved && !is_near).then_some(now) })
    }
}

impl Engine {
    /// The epoch that this vend has published; nothing: zero. Refuses a tip that is another's.
    fn published_epoch(&self, tip: &Revision) -> Result<u64, PassError> {
        match self.status.instance(tip).map_err(unreachable)? {
            Some(file) if file.instance == self.instance => Ok(file.epoch),
            Some(file) => Err(another(Some(&file.instance), &self.instance)),
            None => Ok(0),
        }
    }

    /// Raises the lease's epoch above the one that the status branch names, so that this copy of the
    /// store may write again. Nothing is applied: that is for the next pass.
    pub async fn take_over(
        &self,
        lease: Lease,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Takeover, PassError> {
        let published = match self.status.fetch().await.map_err(unreachable)? {
            Some(tip) => self.published_epoch(&tip)?,
            None => 0,
        };
        let was_behind = published > lease.epoch();
        let ttl = self.config.settings.reconcile.lease;
        let mut lease = lease;
        while lease.epoch() <= published {
            let holder = lease.holder().clone();
            self.store.release(lease).await?;
            match self.store.acquire(&holder, clock(), ttl).await? {
                Acquired::Held(next) => lease = next,
                Acquired::Busy { holder, .. } => {
                    let message = format!("{} took the lease meanwhile", holder.name);
                    return Err(PassError::Settings(message));
                }
            }
        }
        Ok(Takeover { lease, was_behind })
    }
}

impl Pass<'_> {
    /// Before anything is done: refuses to go on with a store that an older backup or another copy
    /// has overtaken. A branch that cannot be reached says nothing, and is asked by the next pass
    /// and before it is written.
    pub(super) async fn check_epoch(&mut self) -> Result<(), PassError> {
        let is_looking = self.lease.is_none();
        if self.checked {
            return Ok(());
        }
        let front = &self.engine.status;
        // A store that has done nothing may be a new one in the place of one that was lost, which
        // would make everything a second time: that it cannot look is no reason to go on.
        if self.is_unknown().await? {
            let tip = match front.fetch().await {
                Err(error) if is_looking => {
                    tracing::debug!(error = chain(&error), "the status branch cannot be looked at");
                    return Ok(());
                }
                fetched => fetched.map_err(unreachable)?,
            };
            if let Some(tip) = tip {
                // Also for whoever only looks: the plan would be to make everything a second time.
                self.engine.published_epoch(&tip)?;
                self.owner(Some(&tip))?;
                self.is_free(&tip)?;
            }
            self.checked = true;
            return Ok(());
        }
        if is_looking {
            return Ok(());
        }
        // The first fetch is a whole clone; later ones need not keep applies waiting.
        let is_first = !matches!(front.mirror().tip(), Ok(Some(_)));
        let fetched = if is_first {
            front.fetch().await.ok()
        } else {
            tokio::time::timeout(PATIENCE, front.fetch()).await.ok().and_then(Result::ok)
        };
        if let Some(tip) = fetched {
            self.owner(tip.as_ref())?;
            self.checked = true;
        }
        Ok(())
    }

    /// Whether this store has neither done nor published anything.
    async fn is_unknown(&self) -> Result<bool, PassError> {
        let memory = &self.memory;
        Ok(memory.records().is_empty()
            && memory.journal.is_empty()
            && self.engine.status.known(self.engine.store.as_ref()).await?.is_none())
    }

    /// Refuses a branch with statuses of which nobody says whose they are.
    fn is_free(&self, tip: &Revision) -> Result<(), PassError> {
        let front = &self.engine.status;
        let is_named = front.instance(tip).map_err(unreachable)?.is_some();
        let has_statuses = front.mirror().tree(tip, "status").map_err(unreachable)?.is_some();
        if has_statuses && !is_named {
            return Err(another(None, &self.engine.instance));
        }
        Ok(())
    }

    /// Refuses a tip that is another vend's, or that a later copy of this one wrote.
    pub(super) fn owner(&self, tip: Option<&Revision>) -> Result<(), PassError> {
        let (Some(lease), Some(tip)) = (self.lease, tip) else { return Ok(()) };
        let epoch = self.engine.published_epoch(tip)?;
        if epoch > lease.epoch() {
            return Err(PassError::Behind { ours: lease.epoch(), published: epoch });
        }
        Ok(())
    }
}

pub(super) fn unreachable(source: GitError) -> PassError {
    PassError::Source { name: SourceName::new("status"), source }
}

fn another(published: Option<&InstanceId>, ours: &InstanceId) -> PassError {
    let whose = match published {
        Some(id) => format!("it is `{id}`'s"),
        None => "its `instance.yaml` does not say whose it is".into(),
    };
    PassError::Another { whose, ours: ours.clone() }
}
