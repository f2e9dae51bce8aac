//! Commits of many files: one pack by `git fast-import`, where thousands of loose objects would
//! take a file each, and a push would have to look for deltas among them.

use std::io::{BufWriter, Write};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::commit::Edit;
use super::error::{GitError, io};
use super::mirror::Mirror;
use super::{child, lock, outcome};
use crate::fault::point;
use crate::model::Revision;

/// From here on a process is cheaper than loose objects.
pub(super) const MANY: usize = 500;

/// For how long another user of the mirror is waited for; loose objects need nobody's leave.
const PATIENCE: Duration = Duration::from_secs(1);

impl Mirror {
    /// The commit, or `None` when somebody else holds the mirror: make it another way.
    ///
    /// The paths have been checked: none holds a line break or a backslash.
    pub(super) fn import(
        &self,
        parent: Option<&Revision>,
        edits: &[Edit],
        message: &str,
        at: jiff::Timestamp,
    ) -> Result<Option<Revision>, GitError> {
        let remote = self.remote()?;
        let (file, _) = lock::file(&self.inner.folder)?;
        let until = Instant::now() + PATIENCE;
        while !lock::try_take(&file)? {
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let doing = || format!("writing a pack into `{}`", self.inner.folder.display());
        let transport = &remote.transport;
        let mut command = Command::new(child::program(&transport.git));
        child::scrub(&mut command, transport, transport.local_environment()?);
        command.arg("--git-dir").arg(&self.inner.folder).current_dir(&self.inner.folder);
        command.args(["fast-import", "--quiet", "--done", "--force", "--date-format=raw"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        point!("git.import.before")?;
        let running = command.spawn().map_err(io(doing()))?;
        lock::sign(&file, running.id());
        let feed = |to| {
            let mut to = BufWriter::with_capacity(1 << 18, to);
            feed(&mut to, &transport.author, parent, edits, message, at).and_then(|()| to.flush())
        };
        let (ended, fed) = child::fed(running, transport.deadline, feed).map_err(io(doing()))?;
        outcome::upkeep(&self.inner.folder, transport, &ended)?;
        fed.map_err(io(doing()))?;
        self.forget_open();
        point!("git.import.after")?;
        Ok(Some(Revision::new(ended.stdout.trim())))
    }
}

/// One commit in the language of git-fast-import(1).
fn feed(
    to: &mut impl Write,
    author: &super::Author,
    parent: Option<&Revision>,
    edits: &[Edit],
    message: &str,
    at: jiff::Timestamp,
) -> std::io::Result<()> {
    // The branch is of no interest, but there has to be one.
    writeln!(to, "commit refs/vend/made\nmark :1")?;
    let plain = |text: &str| text.replace(['<', '>', '\n', '\0'], "");
    let (name, email) = (plain(&author.name), plain(&author.email));
    writeln!(to, "committer {name} <{email}> {} +0000", at.as_second())?;
    writeln!(to, "data {}\n{message}", message.len())?;
    if let Some(parent) = parent {
        writeln!(to, "from {parent}")?;
    }
    for edit in edits {
        let path = edit.path.trim_matches('/').replace('"', "\\\"");
        match &edit.content {
            None => writeln!(to, "D \"{path}\"")?,
            Some(content) => {
                writeln!(to, "M 100644 inline \"{path}\"\ndata {}", content.len())?;
                to.write_all(content)?;
                writeln!(to)?;
            }
        }
    }
    writeln!(to, "get-mark :1\ndone")
}
