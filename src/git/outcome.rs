//! What `git` meant: its words, sorted by what to do about them.
//!
//! `git` has one exit code for all of it, so the words decide (`LC_ALL=C` keeps them stable). What
//! is not recognised is `Unavailable` for a fetch, and `Unknown` for a push: both change nothing.

use super::child::Ended;
use super::error::GitError;
use super::location::Location;
use super::path::escape;
use super::transport::{Shown, Transport};

/// The server answered: there is no such thing, or not for us.
const MISSING: [&str; 15] = [
    "couldn't find remote ref",
    "does not appear to be a git repository",
    "repository not found",
    "not found",
    "no such file or directory",
    "could not read username",
    "could not read password",
    "authentication failed",
    "permission denied",
    "does not exist",
    "access denied",
    "the requested url returned error: 403",
    "the requested url returned error: 404",
    "the requested url returned error: 401",
    "unable to update url base from redirection",
];

/// Nobody answered, or stopped in the middle.
const UNAVAILABLE: [&str; 15] = [
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
    // Somebody else answers, perhaps: nobody whom we know.
    "host key verification failed",
];

/// Said by a push before anything is sent: while it connects, or asks which branches there are.
const UNSENT: [&str; 10] = [
    "could not resolve host",
    "failed to connect",
    "couldn't connect",
    "connection refused",
    "network is unreachable",
    "no route to host",
    "fatal: unable to access",
    "ssh: connect to host",
    "kex_exchange_identification",
    "host key verification failed",
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
    let Said { remote, ours, text } = said(location, transport, ended);
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
    let Said { remote, ours, text } = said(location, transport, ended);
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
    if any(&ours, &MISSING) {
        return Err(GitError::Missing { what, text });
    }
    if any(&ours, &UNSENT) {
        return Err(GitError::Unavailable { what, text });
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

/// What was said: the other side's lines and our `git`'s, in lower case and without the address,
/// which may hold any words; and all of it for people.
struct Said {
    remote: String,
    ours: String,
    text: String,
}

fn said(location: &Location, transport: &Transport, ended: &Ended) -> Said {
    let text = ended.stderr.replace(&location.url, "").replace(&location.shown(), "");
    let lower = text.to_ascii_lowercase();
    let (remote, ours): (Vec<_>, Vec<_>) =
        lower.lines().partition(|line| line.starts_with("remote:"));
    let ours = ours.join("\n");
    let text = match plainly(&ours, transport.shows_to(location)) {
        Some(meaning) => format!("{meaning} ({})", words(&ended.stderr)),
        None => words(&ended.stderr),
    };
    Said { remote: remote.join("\n"), ours, text }
}

/// What `git` means by words that only those understand who know how it is run here.
fn plainly(ours: &str, shown: Shown) -> Option<&'static str> {
    let has = |word: &str| ours.contains(word);
    let wants = ["could not read username", "could not read password", "authentication failed"];
    if any(ours, &wants) || has("returned error: 401") {
        return Some(match shown {
            Shown::Credential => "the server refuses the token that `credentials` has for it",
            Shown::Token => "the server refuses the token that `forge` has for it",
            Shown::Nothing => {
                "the server wants a token, and `credentials` has none for this address"
            }
        });
    }
    if has("identification has changed") {
        return Some("the server's key is another one than `knownHostsFile` says");
    }
    if has("host key verification failed") {
        return Some("the server's key is not in `knownHostsFile`");
    }
    if has("unprotected private key") {
        return Some("others can read the key's file, so ssh does not use it");
    }
    if has("permission denied (") {
        return Some(if shown != Shown::Nothing {
            "the server refuses the key that `credentials` has for it"
        } else {
            "the server wants a key, and `credentials` has none for this address"
        });
    }
    if ["301", "302", "303", "307", "308"].iter().any(|n| has(&format!("returned error: {n}"))) {
        return Some("the server redirects, and vend follows nowhere: name the new address");
    }
    if has("certificate") {
        return Some("the server's certificate is not trusted; `caFile` can name who signed it");
    }
    None
}

/// Lines that say nothing: a program that is missing on purpose, and advice after any failure of ssh.
const EMPTY_WORDS: [&str; 4] = [
    "unable to read askpass response",
    "Please make sure you have the correct access rights",
    "and the repository exists.",
    "Please contact your system administrator.",
];

/// What was said, in one short and printable line.
fn words(text: &str) -> String {
    const MOST: usize = 600;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('@') && !EMPTY_WORDS.iter().any(|w| line.contains(w)))
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::super::location::Trust;
    use super::*;

    const URL: &str = "https://ssl.example/packfile/unsupported not found";

    /// The failure of a fetch from an address full of words that mean something elsewhere.
    fn fetched(stderr: &str) -> GitError {
        let location = Location { url: URL.into(), branch: "main".into(), trust: Trust::Operator };
        let status = Some(std::process::ExitStatus::from_raw(128 << 8));
        let stderr = stderr.replace("<url>", URL);
        let ended = Ended { status, stdout: String::new(), stderr };
        let transport = Transport::new("/nowhere");
        let pushed = pushed(&location, &transport, &ended).unwrap_err();
        assert!(!matches!(pushed, GitError::Unknown { .. }), "nothing was sent: {pushed}");
        failed_fetch(&location, &transport, &ended)
    }

    #[test]
    fn words_of_an_address_decide_nothing() {
        for reason in [
            "The requested URL returned error: 500",
            "The requested URL returned error: 302",
            "server certificate verification failed. CAfile: none CRLfile: none",
            "SSL certificate problem: unable to get local issuer certificate",
            "Failed to connect to ssl.example port 443 after 0 ms: Couldn't connect to server",
        ] {
            let error = fetched(&format!("fatal: unable to access '<url>/': {reason}\n"));
            assert!(matches!(error, GitError::Unavailable { .. }), "{error}");
        }
        for reason in [
            "fatal: unable to access '<url>/': The requested URL returned error: 403",
            "fatal: repository '<url>/' not found",
            "fatal: could not read Username for 'https://ssl.example': terminal prompts disabled",
            "fatal: Authentication failed for '<url>/'",
        ] {
            let error = fetched(reason);
            assert!(matches!(error, GitError::Missing { .. }), "{error}");
        }
    }

    #[test]
    fn what_ssh_says_about_a_server_that_is_another_one_is_no_word_about_the_repository() {
        let error = fetched(
            "@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@\n\
             Host key verification failed.\nfatal: Could not read from remote repository.\n",
        );
        insta::assert_snapshot!(error, @"branch `main` of `https://ssl.example/packfile/unsupported not found`: no answer: the server's key is another one than `knownHostsFile` says (Host key verification failed.; fatal: Could not read from remote repository.)");
    }
}
