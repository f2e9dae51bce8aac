//! The difference between two rendered artifacts, safe to show.

use std::collections::BTreeSet;

use similar::{ChangeTag, TextDiff};

use crate::model::{Artifact, HIDDEN, is_invisible};
use crate::provider;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// A line longer than this is cut: what follows is no longer read by people.
const LINE_MAX: usize = 400;

/// A secret's lines shorter than this are not masked one by one: too much else looks like them.
const PART_MIN: usize = 4;

/// Larger texts are not compared line by line; their sizes are told instead.
const TEXT_MAX: usize = 1 << 20;

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::report) enum Kind {
    /// A file's name or a stretch's place.
    Head,
    Same,
    Added,
    Removed,
    /// In our words.
    Note,
}

/// One line to show, without its line break and without its sign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::report) struct Line {
    pub(in crate::report) kind: Kind,
    pub(in crate::report) text: String,
}

impl Line {
    fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// One in our words.
    pub(in crate::report) fn note(text: impl Into<String>) -> Self {
        Self::new(Kind::Note, text)
    }

    /// With its sign, as unified differences have it.
    pub(in crate::report) fn signed(&self) -> String {
        match self.kind {
            Kind::Head | Kind::Note => self.text.clone(),
            Kind::Same => format!(" {}", self.text),
            Kind::Added => format!("+{}", self.text),
            Kind::Removed => format!("-{}", self.text),
        }
    }
}

/// The unified difference, file by file, with secrets masked and at most `most` lines.
pub(in crate::report) fn lines(
    old: Option<&Artifact>,
    new: Option<&Artifact>,
    secrets: &[String],
    most: usize,
) -> Vec<Line> {
    let unechoed = [old, new].into_iter().flatten().flat_map(provider::hidden);
    let secrets: Vec<String> = secrets.iter().cloned().chain(unechoed).collect();
    let masks = masks(&secrets);
    let paths: BTreeSet<&String> =
        [old, new].into_iter().flatten().flat_map(|a| a.files.keys()).collect();
    let mut out = Vec::new();
    for path in paths {
        let text = |artifact: Option<&Artifact>| artifact.and_then(|a| a.files.get(path).cloned());
        file(path, text(old), text(new), &masks, &mut out);
    }
    let hidden = out.len().saturating_sub(most);
    if hidden > 0 {
        out.truncate(most);
        out.push(Line::new(Kind::Note, format!("… {hidden} more lines")));
    }
    out
}

fn file(
    path: &str,
    old: Option<String>,
    new: Option<String>,
    masks: &[String],
    out: &mut Vec<Line>,
) {
    if old == new {
        return;
    }
    let mark = match (&old, &new) {
        (None, _) => " (new)",
        (_, None) => " (removed)",
        (Some(_), Some(_)) => "",
    };
    out.push(Line::new(Kind::Head, format!("{}{mark}", clean(&mask(path.to_owned(), masks)))));
    let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
    if old.len() > TEXT_MAX || new.len() > TEXT_MAX {
        let sizes = format!("{} bytes before, {} bytes after", old.len(), new.len());
        return out.push(Line::new(Kind::Note, sizes));
    }
    let (old, new) = (mask(old, masks), mask(new, masks));
    if old == new {
        return out.push(Line::new(Kind::Note, "only sensitive values differ"));
    }
    let diff = TextDiff::from_lines(&old, &new);
    for (n, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if n > 0 {
            out.push(Line::new(Kind::Head, "…"));
        }
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let kind = match change.tag() {
                ChangeTag::Equal => Kind::Same,
                ChangeTag::Insert => Kind::Added,
                ChangeTag::Delete => Kind::Removed,
            };
            out.push(Line::new(kind, clean(change.value().trim_end_matches(['\n', '\r']))));
        }
    }
}

/// Lines added and removed, by file; for programs, which get no content.
pub(super) fn counts<'a>(
    old: Option<&'a Artifact>,
    new: Option<&'a Artifact>,
) -> Vec<(String, usize, usize)> {
    let paths: BTreeSet<&String> =
        [old, new].into_iter().flatten().flat_map(|a| a.files.keys()).collect();
    let mut counts = Vec::new();
    for path in paths {
        let text = |artifact: Option<&'a Artifact>| {
            artifact.and_then(|a| a.files.get(path)).map(String::as_str).unwrap_or_default()
        };
        let (old, new) = (text(old), text(new));
        if old == new {
            continue;
        }
        let (added, removed) = if old.len() > TEXT_MAX || new.len() > TEXT_MAX {
            (new.lines().count(), old.lines().count())
        } else {
            let (old, new) = between(old, new);
            count(old, new)
        };
        counts.push((path.clone(), added, removed));
    }
    counts
}

/// Lines added and removed.
fn count(old: &str, new: &str) -> (usize, usize) {
    let diff = TextDiff::from_lines(old, new);
    let count = |tag| diff.iter_all_changes().filter(|c| c.tag() == tag).count();
    (count(ChangeTag::Insert), count(ChangeTag::Delete))
}

/// Two texts without the whole lines that are equal at their beginning and at their end: of most changes
/// a line or two is left.
fn between<'t>(old: &'t str, new: &'t str) -> (&'t str, &'t str) {
    let same = old.bytes().zip(new.bytes()).take_while(|(a, b)| a == b).count();
    let start = old.as_bytes()[..same].iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let (old, new) = (&old[start..], &new[start..]);
    let same = old.bytes().rev().zip(new.bytes().rev()).take_while(|(a, b)| a == b).count();
    let tail = &old.as_bytes()[old.len() - same..];
    let end = tail.iter().position(|b| *b == b'\n').map_or(0, |n| tail.len() - n - 1);
    (&old[..old.len() - end], &new[..new.len() - end])
}

/// The forms in which a secret may stand in rendered text, the longest first: as it is, as JSON and
/// YAML escape it, and line by line.
fn masks(secrets: &[String]) -> Vec<String> {
    let mut masks = BTreeSet::new();
    for secret in secrets.iter().filter(|s| !s.is_empty()) {
        let quoted = serde_json::Value::from(secret.as_str()).to_string();
        masks.insert(quoted[1..quoted.len() - 1].to_owned());
        masks.insert(secret.replace('\'', "''"));
        let parts = secret.lines().map(str::trim).filter(|part| part.len() >= PART_MIN);
        masks.extend(parts.map(ToOwned::to_owned));
        masks.insert(secret.clone());
    }
    let mut masks: Vec<_> = masks.into_iter().collect();
    masks.sort_by_key(|mask| std::cmp::Reverse(mask.len()));
    masks
}

fn mask(text: String, masks: &[String]) -> String {
    masks.iter().fold(
        text,
        |text, secret| {
            if text.contains(secret) { text.replace(secret, HIDDEN) } else { text }
        },
    )
}

/// A line that cannot move the cursor, hide what it says or go on for ever.
fn clean(line: &str) -> String {
    let mut out = String::new();
    for (n, c) in line.chars().enumerate() {
        if n == LINE_MAX {
            out.push('…');
            break;
        }
        match c {
            '\t' => out.push_str("    "),
            c if c.is_control() || is_invisible(c) => {
                out.push_str(&format!("\\u{{{:X}}}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_many_lines_differ_between_the_equal_ends(
            old in "(a|ab|é|\n|\r\n|\r){0,12}",
            new in "(a|ab|é|\n|\r\n|\r){0,12}",
            head in "(a|b\n|\r){0,4}",
            tail in "(a|b\n|\r){0,4}",
        ) {
            let (old, new) = (format!("{head}{old}{tail}"), format!("{head}{new}{tail}"));
            let (inner_old, inner_new) = between(&old, &new);
            prop_assert_eq!(count(inner_old, inner_new), count(&old, &new));
        }
    }
}
