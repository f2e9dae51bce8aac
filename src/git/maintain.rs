//! Upkeep: many small fetches leave many packs and loose objects.

use std::ffi::OsStr;

use super::error::GitError;
use super::mirror::Mirror;
use super::outcome;
use crate::fault::point;

/// Above these, reading gets slower than a repack is worth.
const PACKS_MOST: usize = 30;
const LOOSE_MOST: usize = 2_000;

impl Mirror {
    /// Joins packs and loose objects when there are many; gives whether it did. Nothing is ever
    /// dropped, reachable or not: a rewritten branch's old commits stay to be compared with, and
    /// commits not pushed yet are reachable from nothing.
    ///
    /// # Errors
    /// `Unavailable` past the deadline, `Corrupt` when an object cannot be read.
    pub async fn maintain(&self) -> Result<bool, GitError> {
        let (packs, loose) = self.clutter();
        if packs <= PACKS_MOST && loose <= LOOSE_MOST {
            return Ok(false);
        }
        self.repack().await?;
        Ok(true)
    }

    pub(super) async fn repack(&self) -> Result<(), GitError> {
        let remote = self.remote()?;
        let turn = self.inner.turn.lock().await;
        // Geometric: the cost follows what is new, and loose objects go in whether reachable or not.
        let args = ["repack", "--geometric=2", "-d", "-l", "-q", "--no-write-bitmap-index"];
        let args: Vec<&OsStr> = args.iter().map(OsStr::new).collect();
        point!("git.repack.before")?;
        let ended = self.git(remote, None, &args).await?;
        point!("git.repack.after")?;
        self.forget_open();
        drop(turn);
        outcome::upkeep(&self.inner.folder, &remote.transport, &ended).inspect_err(|error| {
            if matches!(error, GitError::Corrupt { .. }) {
                self.suspect();
            }
        })
    }

    /// Packs, and an estimate of loose objects from one of the 256 folders, as `git gc` makes it.
    fn clutter(&self) -> (usize, usize) {
        let objects = self.inner.folder.join("objects");
        let count = |folder: &str, wanted: &dyn Fn(&str) -> bool| {
            let entries = std::fs::read_dir(objects.join(folder)).into_iter().flatten().flatten();
            entries.filter(|entry| wanted(&entry.file_name().to_string_lossy())).count()
        };
        (
            count("pack", &|name| name.ends_with(".pack")),
            256 * count("17", &|name| name.len() == 38),
        )
    }
}
