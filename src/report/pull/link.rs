//! Links into the repository of a pull request: they are ours, so they may be live.

use crate::model::{Brief, Revision};
use crate::report::markdown::code;

/// The repository's address, when the forge gave one that is safe to print.
fn repository(brief: &Brief) -> Option<&str> {
    let (base, _) = brief.pull.url.rsplit_once("/pull/")?;
    let rest = base.strip_prefix("https://").or(base.strip_prefix("http://"))?;
    let sound =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '/' | ':');
    (!rest.is_empty() && rest.chars().all(sound)).then_some(base)
}

/// Whose repository it is: an organisation, or a person.
pub(super) fn owner(brief: &Brief) -> Option<&str> {
    let (base, _) = repository(brief)?.rsplit_once('/')?;
    base.rsplit_once('/').map(|(_, owner)| owner)
}

fn is_commit(revision: &Revision) -> bool {
    let text = revision.as_str();
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// A commit of the pull request's repository.
pub(super) fn commit(brief: &Brief, revision: &Revision) -> String {
    let short = code(revision.short());
    match repository(brief).filter(|_| is_commit(revision)) {
        Some(base) => format!("[{short}]({base}/commit/{revision})"),
        None => short,
    }
}

/// A line of a file at the pull request's head.
pub(super) fn place(brief: &Brief, path: &str, line: u32, column: u32) -> String {
    let shown = crate::report::markdown::short_code(&format!("{path}:{line}:{column}"), 200);
    match repository(brief).filter(|_| is_commit(&brief.pull.head)) {
        Some(base) => {
            format!("[{shown}]({base}/blob/{}/{}#L{line})", brief.pull.head, encoded(path))
        }
        None => shown,
    }
}

/// Another pull request of the same repository.
pub(super) fn pull(brief: &Brief, number: u64) -> String {
    match repository(brief) {
        Some(base) => format!("[#{number}]({base}/pull/{number})"),
        None => code(&format!("#{number}")),
    }
}

/// A path within an address.
fn encoded(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'/' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
