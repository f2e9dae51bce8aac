//! What `git` meant: its words, sorted by what to do about them.
//!
//! `git` has one exit code for all of it, so the words decide (`LC_ALL=C` keeps them stable). What
//! is not recognised is `Unavailable` for a fetch, and `Unknown` for a push: both change nothing.

use super::child::Ended;
use super::error::GitError;
use super::location::Location;
use super::path::escape;
use super::transport::Transport;

/// The server answered: there is no such thing, or not for us.
const MISSING: [&str; 16] = [
    "couldn't find remote ref",
    "does not appear to be a git repository",
    "repository not found",
    "not found",
    "no such file or directory",
    "could not read username",
    "could not read password",
    "authentication failed",
    "permission denied",
    "host key verification failed",
    "does not exist",
    "access denied",
    "the requested url returned error: 403",
    "the requested url returned error: 404",
    "the requested url returned error: 401",
    "unable to update url base from redirection",
];

/// Nobody answered, or stopped in the middle.
const UNAVAILABLE: [&str; 14] = [
    "could not resolve host",
    "could not resolve hostname",
    "failed to connect",
    "couldn't connect",
    "connection refused",
    "connection timed out",
    "operation timed out",
    "connection reset",
    "network is unreachable",
    "no route to host",
    "early eof",
    "unexpected disconnect",
    "the remote end hung up unexpectedly",
    "ssl",
];

/// Our own objects are damaged.
const CORRUPT: [&str; 12] = [
    "is corrupt",
    "object corrupt",
    "bad object refs/vend",
    "bad object",
    "object file is empty",
    "is empty",
    "sha1 mismatch",
    "hash mismatch",
    "inflate: data stream error",
    "packfile",
    "did not send all necessary objects",
    "unable to read tree",
];

/// Content or format that no retry will mend.
const REFUSED: [&str; 6] = [
    "fsck error",
    "mismatched algorithms",
    "unsupported",
    "detected dubious ownership",
    "transport '",
    "unknown repository extension",
];

fn any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Why a fetch failed.
pub(super) fn failed_fetch(location: &Location, transport: &Transport, ended: &Ended) -> GitError {
    let what = location.to_string();
    let Some(_) = ended.status else {
        return GitError::Unavailable { what, text: past_deadline(transport) };
    };
    let text = words(&ended.stderr);
    let (remote, ours) = split(&ended.stderr);
    if any(&ours, &REFUSED) {
        return GitError::Refused { code: "SRC001", what, text };
    }
    // `cannot run ssh: No such file or directory` speaks of this machine.
    let here = any(&ours, &["cannot run", "no space left", "cannot allocate memory"]);
    if here || any(&ours, &UNAVAILABLE) && !any(&ours, &MISSING) {
        return GitError::Unavailable { what, text };
    }
    if any(&ours, &MISSING) || any(&remote, &["not found", "denied"]) {
        return GitError::Missing { what, text };
    }
    if any(&ours, &CORRUPT) {
        return GitError::Corrupt { what, text };
    }
    GitError::Unavailable { what, text }
}

/// What became of a push.
pub(super) fn pushed(
    location: &Location,
    transport: &Transport,
    ended: &Ended,
) -> Result<(), GitError> {
    let what = format!("push to {location}");
    if ended.status.is_none() {
        return Err(GitError::Unknown { what, text: past_deadline(transport) });
    }
    // One line for our one ref: `<flag>\t<from>:<to>\t<summary>`.
    let line = ended.stdout.lines().find(|line| line.split('\t').count() == 3);
    if let Some(line) = line {
        let summary = line.rsplit('\t').next().unwrap_or_default();
        return verdict(what, line.as_bytes().first().copied(), summary, ended);
    }
    if ended.success() {
        return Ok(());
    }
    let text = words(&ended.stderr);
    let (remote, ours) = split(&ended.stderr);
    if any(&ours, &REFUSED) {
        return Err(GitError::Refused { code: "SRC001", what, text });
    }
    // Without a line for the ref the server may have got as far as to move it, unless what was said
    // can only be said before anything is sent.
    if any(&ours, &["returned error: 403", "write access"])
        || any(&remote, &["denied", "read-only"])
    {
        return Err(GitError::Denied { what, text, always: true });
    }
    if any(
        &ours,
        &[
            "could not resolve host",
            "failed to connect",
            "couldn't connect",
            "connection refused",
            "network is unreachable",
            "no route to host",
        ],
    ) {
        return Err(GitError::Unavailable { what, text });
    }
    if any(&ours, &MISSING) {
        return Err(GitError::Missing { what, text });
    }
    if any(&ours, &CORRUPT) {
        return Err(GitError::Corrupt { what, text });
    }
    Err(GitError::Unknown { what, text })
}

fn verdict(what: String, flag: Option<u8>, summary: &str, ended: &Ended) -> Result<(), GitError> {
    if flag != Some(b'!') {
        return Ok(());
    }
    let lower = summary.to_ascii_lowercase();
    let text = || format!("{}; {}", words(summary), words(&ended.stderr));
    // A compare-and-swap lost at our end, at the server's check, or at its lock.
    if lower.starts_with("[rejected]")
        || any(
            &lower,
            &[
                "stale info",
                "fetch first",
                "non-fast-forward",
                "incorrect old value",
                "failed to update ref",
                "cannot lock ref",
                "reference already exists",
                "is at ",
            ],
        )
    {
        return Err(GitError::Raced { what });
    }
    if lower.starts_with("[remote failure]") || any(&lower, &["remote failed to report"]) {
        return Err(GitError::Unknown { what, text: text() });
    }
    // A hook, or the rules of a server that looks into what is pushed. `protected branch hook` is how
    // GitHub says that the branch is closed to us.
    let may_look_inside = any(&lower, &["hook", "rule", "unpacker", "size", "push declined"]);
    let always = !may_look_inside || lower.contains("protected branch");
    Err(GitError::Denied { what, text: text(), always })
}

fn past_deadline(transport: &Transport) -> String {
    format!("no end within {} s", transport.deadline.as_secs_f32())
}

/// Lines of the other side and lines of our `git`, in lower case.
fn split(stderr: &str) -> (String, String) {
    let lower = stderr.to_ascii_lowercase();
    let (remote, ours): (Vec<_>, Vec<_>) =
        lower.lines().partition(|line| line.starts_with("remote:"));
    (remote.join("\n"), ours.join("\n"))
}

/// What was said, in one short and printable line.
fn words(text: &str) -> String {
    const MOST: usize = 600;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("hint:") && *line != "remote:");
    let mut out = escape(lines.collect::<Vec<_>>().join("; ").as_bytes());
    if out.len() > MOST {
        // The end says why.
        let from = (out.len() - MOST..).find(|n| out.is_char_boundary(*n)).unwrap_or(0);
        out = format!("…{}", &out[from..]);
    }
    if out.is_empty() { "git said nothing".into() } else { out }
}

/// What became of work on our own objects.
pub(super) fn upkeep(
    folder: &std::path::Path,
    transport: &Transport,
    ended: &Ended,
) -> Result<(), GitError> {
    let what = format!("mirror `{}`", folder.display());
    if ended.status.is_none() {
        return Err(GitError::Unavailable { what, text: past_deadline(transport) });
    }
    if ended.success() {
        return Ok(());
    }
    let text = words(&ended.stderr);
    // A full disk is not damage; anything else that stops a repack of our own objects is.
    if any(
        &ended.stderr.to_ascii_lowercase(),
        &["no space left", "cannot allocate", "out of memory"],
    ) {
        return Err(GitError::Unavailable { what, text });
    }
    Err(GitError::Corrupt { what, text })
}
