//! One user of a mirror's files at a time, and the remains of those who died.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process_group};

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

/// Writes down who holds the lock, for [`free_from_the_dead`]: this process and its child.
pub(super) fn sign(file: &File, child: u32) {
    let owner = std::process::id();
    let words =
        [boot(), Some(owner.to_string()), started(owner), Some(child.to_string()), started(child)];
    let line = words.map(|word| word.unwrap_or_else(|| "-".into())).join(" ");
    // Only a restart after a crash reads it, and without it waits for the child.
    let _ = file.set_len(0).and_then(|()| file.write_all_at(line.as_bytes(), 0));
}

/// Kills the `git` that holds the lock when the process that started it is dead: nobody waits for
/// it any more, and nobody else would end it.
pub(super) fn free_from_the_dead(path: &Path) {
    let Ok(line) = std::fs::read_to_string(path) else { return };
    let words: Vec<&str> = line.split(' ').collect();
    let [signed, owner, owner_started, child, child_started] = words[..] else { return };
    let (Ok(owner), Ok(child)) = (owner.parse::<u32>(), child.parse::<u32>()) else { return };
    // A process number alone may be somebody else's by now.
    let alive = |pid, since: &str| started(pid).is_some_and(|start| start == since);
    if boot().as_deref() != Some(signed)
        || alive(owner, owner_started)
        || !alive(child, child_started)
    {
        return;
    }
    tracing::info!(pid = child, "ending a git that outlived the process that started it");
    if let Some(group) = Pid::from_raw(child.cast_signed()) {
        let _ = kill_process_group(group, Signal::KILL);
    }
}

fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// When a process started, in ticks since boot: the 22nd field of proc_pid_stat(5), the second of
/// which may hold blanks and parentheses.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

/// Waits for the lock.
pub(super) async fn take(folder: &Path, deadline: Duration) -> Result<File, GitError> {
    let (file, path) = file(folder)?;
    let until = tokio::time::Instant::now() + deadline;
    while !try_take(&file)? {
        free_from_the_dead(&path);
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
    remove(git_dir, &is_left, false);
    remove(&git_dir.join("refs"), &|name| name.ends_with(".lock"), true);
    remove(&objects, &is_temporary, true);
}

fn is_left(name: &str) -> bool {
    name.ends_with(".lock") || name == "gc.pid" || name.starts_with("fast_import_crash_")
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
