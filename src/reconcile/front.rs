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
use crate::store::{Quiet, Store};
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

impl Pass<'_> {
    /// Before anything is done: refuses to go on with a store that an older backup or another copy
    /// has overtaken. A branch that cannot be reached says nothing, and is asked by the next pass
    /// and before it is written.
    pub(super) async fn check_epoch(&mut self) -> Result<(), PassError> {
        if self.lease.is_none() || self.checked {
            return Ok(());
        }
        let front = &self.engine.status;
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

    /// Refuses a tip that is another vend's, or that a later copy of this one wrote.
    pub(super) fn owner(&self, tip: Option<&Revision>) -> Result<(), PassError> {
        let (Some(lease), Some(tip)) = (self.lease, tip) else { return Ok(()) };
        let engine = self.engine;
        let published = engine
            .status
            .instance(tip)
            .map_err(|source| PassError::Source { name: SourceName::new("status"), source })?;
        match published {
            Some(file) if file.instance == engine.instance && file.epoch > lease.epoch() => {
                Err(PassError::Behind { ours: lease.epoch(), published: file.epoch })
            }
            Some(file) if file.instance != engine.instance && !engine.takeover => {
                let message = format!(
                    "the status branch belongs to another vend (`{}`, this one is `{}`): give each its own `status.branch`, or run `vend state takeover`",
                    file.instance, engine.instance
                );
                Err(PassError::Settings(message))
            }
            Some(_) | None => Ok(()),
        }
    }
}
