//! Which commit brought what stands at a path, or took it away.
//!
//! Git tells by walking back from the tip. What was found is remembered from pass to pass with the tip that it
//! was found at: what waits for long costs a pass the commits that are new, and not all that lie behind.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::git::{GitError, Mirror};
use crate::model::{Revision, SourceName};

/// Commits looked through for the one that brought a file.
const SEARCH: usize = 5_000;

/// See the module.
#[derive(Default)]
pub(super) struct Brought(Mutex<HashMap<(SourceName, String), Known>>);

struct Known {
    tip: Revision,
    commit: Option<Revision>,
    /// Somebody asked since the last tidying.
    asked: bool,
}

/// The commit that brought what stands at a path of a branch at `tip`; `None`: it is too far back, or nothing
/// ever stood there.
///
/// # Errors
/// When the mirror cannot be read.
pub(super) fn bringing(
    mirror: &Mirror,
    path: &str,
    tip: &Revision,
) -> Result<Option<Revision>, GitError> {
    mirror.last_commit_touching(path, tip, SEARCH)
}

/// As [`bringing`], where it is of no interest what happened before `since`: what stood there then counts as brought
/// by that very commit.
///
/// # Errors
/// When the mirror cannot be read.
pub(super) fn bringing_since(
    mirror: &Mirror,
    path: &str,
    tip: &Revision,
    since: &Revision,
) -> Result<Option<Revision>, GitError> {
    mirror.last_commit_touching_since(path, tip, SEARCH, since, Some(since))
}

impl Brought {
    /// As [`bringing`], with what is remembered.
    pub(super) fn by(
        &self,
        source: &SourceName,
        mirror: &Mirror,
        path: &str,
        tip: &Revision,
    ) -> Result<Option<Revision>, GitError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source.clone(), path.to_owned());
        let known = all.get(&key).map(|known| (&known.tip, known.commit.as_ref()));
        let commit = match known {
            Some((at, commit)) if at == tip => commit.cloned(),
            Some((at, commit)) => {
                mirror.last_commit_touching_since(path, tip, SEARCH, at, commit)?
            }
            None => bringing(mirror, path, tip)?,
        };
        let known = Known { tip: tip.clone(), commit: commit.clone(), asked: true };
        all.insert(key, known);
        Ok(commit)
    }

    /// Forgets what nobody has asked for since it was tidied last.
    pub(super) fn tidy(&mut self) {
        let all = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| std::mem::take(&mut known.asked));
    }
}
