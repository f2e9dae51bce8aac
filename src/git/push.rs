//! Handing a commit over, by compare-and-swap.

use std::ffi::OsStr;

use super::error::{GitError, git2 as git2_error};
use super::mirror::{Mirror, Remote, oid};
use super::outcome;
use crate::fault::{Fault, planted, point};
use crate::model::Revision;

impl Mirror {
    /// Moves the branch from `expected` (`None`: there is no such branch yet) to `revision`.
    ///
    /// `--force-with-lease` with an explicit value is the compare-and-swap that a plain push lacks;
    /// that `revision` descends from `expected` is checked here, so that nothing is ever forced.
    ///
    /// # Errors
    /// `Raced`, `Denied`, `Unknown` (it may have arrived), `Unavailable` and `Missing` (it has not).
    pub async fn push(
        &self,
        revision: &Revision,
        expected: Option<&Revision>,
    ) -> Result<(), GitError> {
        let remote = self.remote()?;
        let location = &remote.location;
        if let Some(expected) = expected
            && !self.is_ancestor(expected, revision)?
        {
            let what = format!("push to {location}");
            let text = format!("`{revision}` does not descend from `{expected}`");
            return Err(GitError::Refused { code: "SRC001", what, text });
        }
        let turn = self.inner.turn.lock().await;
        self.swap(remote, &location.remote_ref(), Some(revision), expected).await?;
        let note = self.with(|repository| {
            repository
                .reference(&location.fetched_ref(), oid(revision)?, true, "pushed")
                .map(drop)
                .map_err(git2_error("noting what was pushed"))
        });
        if note.is_err() {
            // It has arrived all the same; the next fetch notes it.
            tracing::warn!(%location, "the tip that was pushed could not be noted");
        }
        drop(turn);
        Ok(())
    }

    /// Moves a ref of the other side (`None`: away with it) where it is what is expected there.
    /// Whoever calls has the turn.
    pub(super) async fn swap(
        &self,
        remote: &Remote,
        name: &str,
        revision: Option<&Revision>,
        expected: Option<&Revision>,
    ) -> Result<(), GitError> {
        let location = &remote.location;
        let mut lease =
            format!("--force-with-lease={name}:{}", expected.map_or("", Revision::as_str));
        if planted!("push-by-force") {
            lease = "--force".into();
        }
        let spec = match revision {
            Some(revision) => format!("{}:{name}", oid(revision)?),
            None => format!(":{name}"),
        };
        let args = [
            "push",
            "--porcelain",
            "--quiet",
            "--no-verify",
            "--no-follow-tags",
            "--no-signed",
            "--recurse-submodules=no",
            &lease,
            "--end-of-options",
            &location.url,
            &spec,
        ];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        point!("git.push.before")?;
        let ended = self.git(remote, Some(location), &args).await?;
        outcome::pushed(location, &remote.transport, &ended)?;
        point!("git.push.after").map_err(lost)
    }
}

/// It has arrived, and nobody heard of it.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
pub(super) fn lost(fault: Fault) -> GitError {
    GitError::Unknown { what: "push".into(), text: fault.to_string() }
}
