//! Upgrades for people and for programs: what becomes of each file, and what stays and why.

use serde_json::{Value, json};
use similar::TextDiff;

use super::markdown::{capital, code, plain, plural};
use crate::catalog::{Moved, Upgrade, Why};
use crate::model::{Diagnostic, RequestId, TemplateId, escape, quote, visible};

/// A file that is edited.
#[derive(Clone, Debug)]
pub struct Edited {
    /// Whose.
    pub id: RequestId,
    /// Its path.
    pub path: String,
    /// What is done.
    pub upgrade: Upgrade,
    /// Its text before.
    pub before: String,
    /// And after.
    pub after: String,
}

/// A file that stays as it is.
#[derive(Clone, Debug)]
pub struct Left {
    /// Whose.
    pub id: RequestId,
    /// Its path.
    pub path: String,
    /// Why.
    pub reason: Reason,
}

/// Why a file stays as it is.
#[derive(Clone, Debug)]
pub enum Reason {
    /// The catalog, or what the file says, does not allow it.
    Why(Why),
    /// It has problems already, or would have them then.
    Invalid {
        /// Not before, only then.
        after: bool,
        /// All of them.
        problems: Vec<Diagnostic>,
    },
    /// The way it is written leaves no place for the edit; what the editor says.
    Unfit(String),
    /// What lies on the disk is not what is committed.
    NotCommitted,
    /// Somebody changed it meanwhile.
    Changed,
    /// It says something else on the branch that a pull request would be merged into.
    Elsewhere,
}

/// One sentence.
pub fn sentence(reason: &Reason) -> String {
    match reason {
        Reason::Why(why) => why_not(why),
        Reason::Invalid { after: false, .. } => "its file has errors as it is".into(),
        Reason::Invalid { after: true, .. } => "it would have errors in that version".into(),
        Reason::Unfit(text) => format!("{text}: edit it by hand"),
        Reason::NotCommitted => "it has changes that are not committed".into(),
        Reason::Changed => "somebody changed it meanwhile".into(),
        Reason::Elsewhere => {
            "the branch that it would be merged into has another text: pull or push first".into()
        }
    }
}

fn why_not(why: &Why) -> String {
    match why {
        Why::NoTemplate => "the catalog has no such template".into(),
        Why::NoVersion(Some(version)) => format!("the catalog has no version `{version}` of it"),
        Why::NoVersion(None) => "the catalog has no stable version of it".into(),
        Why::Retired(id) => format!("`{id}` takes no new requests"),
        Why::Broken(id) => format!("`{id}` has errors: `vend validate` in the catalog shows them"),
        Why::Newer(id) => format!("it is at `{id}`, which is newer"),
        Why::Both { from, to } => {
            format!("{} becomes {}, which has a value of its own already", quote(from), quote(to))
        }
        Why::NotText(name) => {
            format!("{} would be split, and is no text that stands in the file", quote(name))
        }
        Why::Parts { name, by, wanted, found } => format!(
            "{} would be split at {} into {wanted} parts, and has {found}",
            quote(name),
            quote(by)
        ),
        Why::Unlocked { environment, lock } => {
            let sentence = format!(
                "the lock of {} in `{environment}` has no effect in that version",
                quote(&lock.name)
            );
            match lock.called.as_slice() {
                [] => sentence,
                called => {
                    let called: Vec<_> = called.iter().map(|name| quote(name)).collect();
                    format!("{sentence}: lock {} as well", called.join(" and "))
                }
            }
        }
        Why::Output { output, user } => {
            format!("`{user}` uses its output {}, which that version does not have", quote(output))
        }
    }
}

/// What was done to a parameter, as a line.
pub fn moved(moved: &Moved) -> String {
    match moved {
        Moved::Renamed { from, to } => format!("{} is called {} now", quote(from), quote(to)),
        Moved::Split { from, into } => {
            let into: Vec<_> = into.iter().map(|name| quote(name)).collect();
            format!("{} became {}", quote(from), into.join(" and "))
        }
        Moved::Set(name) => format!("{} is set", quote(name)),
        Moved::Defaulted(name) => format!("{} is given, since it had no value", quote(name)),
        Moved::Dropped(name) => format!("{} is dropped", quote(name)),
    }
}

/// All files, each with what is done to it; with `diff` line by line.
pub fn terminal(edited: &[Edited], left: &[Left], diff: bool) -> String {
    let mut out = String::new();
    for Edited { id, path, upgrade, before, after } in edited {
        let Upgrade { from, to, template, moves, edits: _ } = upgrade;
        out.push_str(&format!("{id}  {from} -> {to}, as `{template}`\n"));
        out.extend(moves.iter().map(|one| format!("  {}\n", moved(one))));
        if diff {
            let path = escape(path, 200);
            let lines = TextDiff::from_lines(before.as_str(), after.as_str());
            let text = lines.unified_diff().context_radius(1).header(&path, &path).to_string();
            out.extend(text.lines().map(|line| format!("    {line}\n")));
        }
    }
    for Left { id, path: _, reason } in left {
        out.push_str(&format!("{id}  left as it is: {}\n", sentence(reason)));
    }
    out
}

/// How many files, in one line.
pub fn summary(edited: usize, left: usize, done: Done<'_>) -> String {
    let files = |n: usize| if n == 1 { "1 file".to_owned() } else { format!("{n} files") };
    let what = match done {
        Done::Nothing => format!("Would edit {}", files(edited)),
        Done::Files => format!("Edited {}", files(edited)),
        Done::Branch(name) => format!("Edited {} on the branch `{name}`", files(edited)),
        Done::Proposed => format!("Proposed to edit {}", files(edited)),
    };
    format!("{what}; {left} left as they are.")
}

/// Where edits went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done<'a> {
    /// Nowhere: they are only shown.
    Nothing,
    /// Into the files.
    Files,
    /// Onto a branch.
    Branch(&'a str),
    /// Into pull requests.
    Proposed,
}

/// A pull request for one version and team.
#[derive(Clone, Debug)]
pub struct Proposed {
    /// The version.
    pub to: TemplateId,
    /// The team.
    pub team: String,
    /// Its branch.
    pub branch: String,
    /// How many files it edits.
    pub files: usize,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a proposal, with the address of its pull request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is open, and says what it should.
    Open(String),
    /// Somebody else has pushed to its branch, or opened a pull request of it.
    Theirs(Option<String>),
    /// Somebody closed it.
    Declined(String),
    /// The branch that it would be merged into has it, or had it.
    Merged,
}

/// How many files open pull requests of ours edit.
pub fn open_files(all: &[Proposed]) -> usize {
    let open = all.iter().filter(|one| matches!(one.fate, Fate::Open(_)));
    open.map(|one| one.files).sum()
}

/// Each in a line.
pub fn proposed(all: &[Proposed]) -> String {
    let line = |one: &Proposed| {
        let Proposed { to, team, branch, files: _, fate } = one;
        let what = match fate {
            Fate::Open(url) => visible(url, 200),
            Fate::Merged => {
                "it was merged already; edit the files by hand if they were put back".into()
            }
            Fate::Theirs(Some(url)) => format!("left to whoever works on {}", visible(url, 200)),
            Fate::Theirs(None) => format!(
                "branch `{branch}` holds something else already: remove it to have it made anew"
            ),
            Fate::Declined(url) => {
                format!(
                    "somebody closed {}: reopen it if it is wanted after all",
                    visible(url, 200)
                )
            }
        };
        format!("{team} to {to}: {what}\n")
    };
    all.iter().map(line).collect()
}

/// For programs.
pub fn proposed_json(all: &[Proposed]) -> Value {
    let one = |one: &Proposed| {
        let Proposed { to, team, branch, files: _, fate } = one;
        let (state, url) = match fate {
            Fate::Open(url) => ("open", Some(url)),
            Fate::Merged => ("merged", None),
            Fate::Theirs(url) => ("theirs", url.as_ref()),
            Fate::Declined(url) => ("declined", Some(url)),
        };
        json!({"to": to.to_string(), "team": team, "branch": branch, "state": state, "url": url})
    };
    all.iter().map(one).collect()
}

/// For programs.
pub fn json(edited: &[Edited], left: &[Left]) -> Value {
    let one = |edited: &Edited| {
        let Edited { id, path, upgrade, before: _, after: _ } = edited;
        let Upgrade { from, to, template, moves, edits: _ } = upgrade;
        let changes: Vec<_> = moves.iter().map(change).collect();
        json!({
            "request": id, "path": path, "from": from.to_string(), "to": to.to_string(), "template": template,
            "parameters": changes,
        })
    };
    let stays = |left: &Left| {
        let problems = match &left.reason {
            Reason::Invalid { problems, .. } => problems.as_slice(),
            _ => &[],
        };
        json!({
            "request": left.id, "path": left.path, "reason": sentence(&left.reason),
            "diagnostics": super::diagnostic::json(problems)["diagnostics"].take(),
        })
    };
    json!({
        "upgrades": edited.iter().map(one).collect::<Vec<_>>(),
        "left": left.iter().map(stays).collect::<Vec<_>>(),
    })
}

fn change(moved: &Moved) -> Value {
    match moved {
        Moved::Renamed { from, to } => json!({"renamed": from, "to": to}),
        Moved::Split { from, into } => json!({"split": from, "into": into}),
        Moved::Set(name) => json!({"set": name}),
        Moved::Defaulted(name) => json!({"default": name}),
        Moved::Dropped(name) => json!({"dropped": name}),
    }
}

/// The title of a pull request that brings a team's requests to a version.
pub fn title(team: &str, to: &TemplateId, n: usize) -> String {
    format!("Upgrade {} of {team} to {to}", plural(n, "request"))
}

/// Files named one by one in a pull request; the rest are counted.
const NAMED: usize = 200;

/// What such a pull request says, in Markdown.
pub fn proposal(to: &TemplateId, edited: &[Edited], left: &[Left]) -> String {
    let mut out = format!(
        "{} can take {}. Merging this edits their files as below; what that would do is planned in a comment, as for every pull request.\n\n| request | from | parameters |\n|---|---|---|\n",
        capital(&plural(edited.len(), "request")),
        code(&to.to_string()),
    );
    for Edited { id, upgrade, .. } in edited.iter().take(NAMED) {
        let moves: Vec<String> = upgrade.moves.iter().map(|one| plain(&moved(one))).collect();
        let moves = if moves.is_empty() { "as they are".to_owned() } else { moves.join("<br>") };
        let from = code(&upgrade.from.version.to_string());
        out.push_str(&format!("| {} | {from} | {moves} |\n", code(&id.to_string())));
    }
    let more = edited.len().saturating_sub(NAMED);
    if more > 0 {
        out.push_str(&format!("\nAnd {more} more.\n"));
    }
    if !left.is_empty() {
        out.push_str("\nLeft as they are:\n\n");
        for Left { id, reason, .. } in left.iter().take(NAMED) {
            let why = plain(&sentence(reason));
            out.push_str(&format!("- {}: {why}\n", code(&id.to_string())));
        }
        let more = left.len().saturating_sub(NAMED);
        if more > 0 {
            out.push_str(&format!("- {more} more\n"));
        }
    }
    out.push_str(&format!(
        "\nClosed without being merged, this is not proposed again for {}. Commits that you add to its branch stay: it is yours from then on.\n",
        code(&to.to_string()),
    ));
    out
}

/// The message of the commit that holds them.
pub fn message(edited: &[Edited]) -> String {
    let mut targets: Vec<String> = edited.iter().map(|e| e.upgrade.to.to_string()).collect();
    targets.sort();
    targets.dedup();
    let head = match (edited, targets.as_slice()) {
        ([one], _) => format!("Upgrade {} to {}", one.id, one.upgrade.to),
        (_, [target]) => format!("Upgrade {} requests to {target}", edited.len()),
        _ => format!("Upgrade {} requests", edited.len()),
    };
    let mut out = head;
    out.push_str("\n\n");
    for Edited { id, upgrade, .. } in edited {
        out.push_str(&format!("{id}: {} to {}\n", upgrade.from, upgrade.to));
        out.extend(upgrade.moves.iter().map(|one| format!("  {}\n", moved(one))));
    }
    out
}
