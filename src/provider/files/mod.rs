//! The provider `files`: the rendered files of a component, in a folder of an output repository's
//! branch or in a plain folder of this host.
//!
//! Each target has a folder of its own with a file `.vend` that says whose it is, from what it was
//! written, by which change, and with which files. A folder with files and without ours is
//! somebody else's; folders of targets never lie inside one another.

mod allow;
mod directory;
mod disk;
mod look;
mod marker;
mod path;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;

use self::allow::Allow;
use self::disk::DiskError;
use self::look::{Look, Mark};
use self::marker::State;
use self::settings::{Root, Where};
use super::{Provider, ProviderError};
use crate::model::{
    Artifact, Change, Map, Observation, Preview, Progress, Target, TargetKey, Ticket, Token,
};

pub use settings::settle;

/// What the operator says about `files`.
#[derive(Clone, Debug)]
pub struct FilesSettings {
    /// `providers.files.allow`: absolute paths and URLs; what lies under one may be written.
    pub allow: Vec<String>,
    /// How many changes one commit may carry, at least 1.
    pub batch: usize,
}

impl Default for FilesSettings {
    fn default() -> Self {
        Self { allow: Vec::new(), batch: 500 }
    }
}

/// See the module.
#[derive(Clone)]
pub struct Files(Arc<Inner>);

struct Inner {
    allow: Allow,
    batch: usize,
}

impl Files {
    /// The error is a sentence that names the entry of `providers.files.allow` that is wrong.
    pub fn new(settings: FilesSettings) -> Result<Self, String> {
        let FilesSettings { allow, batch } = settings;
        Ok(Self(Arc::new(Inner { allow: Allow::parse(&allow)?, batch: batch.max(1) })))
    }
}

impl Inner {
    /// Where a target's files go, if the operator allows it.
    fn place(&self, target: &Target) -> Result<Where, ProviderError> {
        let place = Where::read(&target.settings).map_err(ProviderError::Refused)?;
        place.permit(&self.allow).map_err(ProviderError::Refused)?;
        Ok(place)
    }

    fn look(&self, target: &Target) -> Result<(Where, Seen), ProviderError> {
        let place = self.place(target)?;
        let look = match &place.root {
            Root::Directory(root) => {
                let folder = directory::Place::new(&self.allow, root, &place.path);
                directory::look(&folder, target).map_err(DiskError::before)?
            }
            Root::Repository { .. } => return Err(not_yet()),
        };
        Ok((place, Seen { look, commit: None }))
    }

    fn submit(&self, change: &Change) -> Result<Progress, ProviderError> {
        let place = self.place(&change.target)?;
        match &place.root {
            Root::Directory(root) => {
                let folder = directory::Place::new(&self.allow, root, &place.path);
                directory::submit(&folder, change, &|| Ok(()))?;
                Ok(look::succeeded(change, &place, None))
            }
            Root::Repository { .. } => Err(not_yet()),
        }
    }
}

fn not_yet() -> ProviderError {
    ProviderError::Refused("`files` writes to a `directory`, not to a `repository` yet".into())
}

/// A target's folder, and the commit that last changed it where there are commits.
struct Seen {
    look: Look,
    commit: Option<String>,
}

/// Runs what waits for the disk where it keeps nobody else waiting.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProviderError> {
    tokio::task::spawn_blocking(work).await.map_err(ProviderError::unknown)
}

#[async_trait]
impl Provider for Files {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn lane(&self, target: &Target) -> String {
        Where::read(&target.settings).map_or_else(|_| "files".into(), |place| place.lane())
    }

    fn batch(&self) -> usize {
        self.0.batch
    }

    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        settle(settings, key)
    }

    fn known(&self, target: &Target, artifact: &Artifact) -> Map {
        Where::read(&target.settings)
            .map(|place| look::outputs(&place, look::digest_of(artifact), None))
            .unwrap_or_default()
    }

    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        let (inner, all) = (self.0.clone(), targets.to_vec());
        let look = move || {
            all.into_iter()
                .map(|target| {
                    let seen = inner.look(&target);
                    let seen = seen.map(|(place, Seen { look, commit })| {
                        look.observation(&place, commit.as_deref())
                    });
                    (target, seen)
                })
                .collect()
        };
        match blocking(look).await {
            Ok(seen) => seen,
            Err(error) => targets.iter().map(|t| (t.clone(), Err(error.clone()))).collect(),
        }
    }

    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        let (inner, change) = (self.0.clone(), change.clone());
        blocking(move || inner.look(&change.target)?.1.look.preview(&change)).await?
    }

    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let (inner, all) = (self.0.clone(), changes.to_vec());
        let submit =
            move || all.iter().map(|change| (change.token.clone(), inner.submit(change))).collect();
        match blocking(submit).await {
            Ok(done) => done,
            Err(error) => changes.iter().map(|c| (c.token.clone(), Err(error.clone()))).collect(),
        }
    }

    /// Every change has its end when `submit` returns, so this is asked only by one who did not
    /// see that: the answer is in the folder.
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        let (inner, target) = (self.0.clone(), ticket.target.clone());
        let (place, seen) = blocking(move || inner.look(&target)).await??;
        match &seen.look.mark {
            Mark::Ours(marker)
                if marker.token == ticket.token && marker.state == State::Written =>
            {
                Ok(Progress::Succeeded {
                    outputs: look::outputs(&place, marker.digest, seen.commit.as_deref()),
                    state: marker.state.word().into(),
                    events: Vec::new(),
                })
            }
            Mark::Vacant | Mark::Nobody | Mark::Other(_) | Mark::Ours(_) => {
                Err(ProviderError::unknown(
                    "the folder does not bear the change's token: send it again",
                ))
            }
        }
    }

    /// A change is over before anybody could stop it.
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.poll(ticket).await
    }
}
