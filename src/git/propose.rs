//! Branches of our own beside the one that is followed: what we propose lies there.

use super::error::{GitError, git2 as git2_error};
use super::mirror::Mirror;
use super::path::escape;
use super::push::lost;
use crate::fault::point;
use crate::model::Revision;

/// What the names of such branches begin with: no other is ever moved back or taken away.
const OURS: &str = "vend/";

impl Mirror {
    /// The tip of a branch of ours, asked now; `None`: the repository has no such branch.
    ///
    /// # Errors
    /// As [`Mirror::fetch`], but for a branch that is not there; `Refused` for a name that is not ours.
    pub async fn fetch_own(&self, branch: &str) -> Result<Option<Revision>, GitError> {
        let theirs = self.own_ref(branch)?;
        let ours = kept(branch);
        match self.fetch_specs(&[format!("+{theirs}:{ours}")]).await {
            Ok(()) => self.branch_tip(&ours),
            Err(error) if error.is_branch_missing() => {
                self.with(|repository| match repository.find_reference(&ours) {
                    Ok(mut known) => known.delete().map_err(git2_error("dropping a ref")),
                    Err(_) => Ok(()),
                })?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Moves a branch of ours from `expected` (`None`: there is none yet) to `revision` (`None`: away
    /// with it). It need not descend from where it was: what is proposed is made anew when its base moves.
    ///
    /// # Errors
    /// As [`Mirror::push`]: `Raced` when somebody else moved it; `Refused` for a name that is not ours.
    pub async fn push_own(
        &self,
        branch: &str,
        revision: Option<&Revision>,
        expected: Option<&Revision>,
    ) -> Result<(), GitError> {
        let remote = self.remote()?;
        let name = self.own_ref(branch)?;
        let turn = self.inner.turn.lock().await;
        point!("git.own.before")?;
        self.swap(remote, &name, revision, expected).await?;
        drop(turn);
        point!("git.own.after").map_err(lost)
    }

    fn own_ref(&self, branch: &str) -> Result<String, GitError> {
        let name = format!("refs/heads/{branch}");
        let followed = self.location().is_some_and(|location| location.branch == branch);
        if branch.starts_with(OURS) && !followed && git2::Reference::is_valid_name(&name) {
            return Ok(name);
        }
        Err(GitError::Refused {
            code: "SRC001",
            what: format!("branch `{}`", escape(branch.as_bytes())),
            text: format!("branches of ours begin with `{OURS}`"),
        })
    }
}

/// Where the tip of a branch of ours is kept in the mirror.
fn kept(branch: &str) -> String {
    format!("refs/vend/own/{branch}")
}
