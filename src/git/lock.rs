//! One user of a mirror's files at a time, and the remains of those who died.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::error::{GitError, io};

const POLL: Duration = Duration::from_millis(10);

/// The lock beside a mirror's folder. The kernel frees it with the last process that holds it:
/// ours, or a `git` that outlived us (it has the file as its standard input). So whoever gets it
/// knows that every `*.lock` inside belongs to nobody.
pub(super) fn file(folder: &Path) -> Result<(File, PathBuf), GitError> {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let path = folder.with_file_name(name);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = options.open(&path).map_err(io(format!("opening `{}`", path.display())))?;
    Ok((file, path))
}

/// Takes the lock if nobody has it.
pub(super) fn try_take(file: &File) -> Result<bool, GitError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(error) if error == rustix::io::Errno::WOULDBLOCK => Ok(false),
        Err(error) => Err(io("locking a mirror")(error.into())),
    }
}

/// Waits for the lock.
pub(super) async fn take(folder: &Path, deadline: Duration) -> Result<File, GitError> {
    let (file, path) = file(folder)?;
    let until = tokio::time::Instant::now() + deadline;
    while !try_take(&file)? {
        if tokio::time::Instant::now() > until {
            let what = format!("mirror `{}`", folder.display());
            let text = format!("another process holds `{}`", path.display());
            return Err(GitError::Unavailable { what, text });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(file)
}

/// Removes `*.lock` and temporary files. Only for who holds the lock.
pub(super) fn clean(git_dir: &Path) {
    let objects = git_dir.join("objects");
    remove(git_dir, &|name| name.ends_with(".lock") || name == "gc.pid", false);
    remove(&git_dir.join("refs"), &|name| name.ends_with(".lock"), true);
    remove(&objects, &is_temporary, true);
}

fn is_temporary(name: &str) -> bool {
    ["tmp_obj_", "tmp_pack_", "tmp_idx_", "tmp_rev_", ".tmp-", "incoming-", "tmp_objdir-"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || name.ends_with(".lock")
        || name.starts_with("pack-") && name.ends_with(".temp")
}

fn remove(folder: &Path, stale: &dyn Fn(&str) -> bool, deep: bool) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        // What cannot be removed is in somebody's way later, and is named then.
        if stale(&name) {
            tracing::info!(path = %entry.path().display(), "removing what a stopped git left");
            let _ = if is_dir {
                std::fs::remove_dir_all(entry.path())
            } else {
                std::fs::remove_file(entry.path())
            };
        } else if is_dir && deep {
            remove(&entry.path(), stale, deep);
        }
    }
}
