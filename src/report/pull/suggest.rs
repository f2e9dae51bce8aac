//! Suggested changes: for a problem with one sure fix, the lines as they should be.

use std::collections::BTreeMap;

use crate::digest;
use crate::forge::Suggestion;
use crate::model::{Brief, Diagnostic, Fix, is_invisible};
use crate::report::markdown::{fence, line};

/// A problem and how it is mended.
type Found<'a> = (&'a Diagnostic, &'a Fix);

/// At most so many on one pull request: more would be noise, and the check has them all.
const MOST: usize = 20;

/// Characters of a suggested text.
const TEXT_MAX: usize = 4_000;

/// One suggestion for each stretch of lines that a sure fix changes; fixes of the same line are one.
/// `read` gives a line of a file at the head, counted from 1 and without its line break; where it has
/// none, nothing is suggested.
pub fn suggestions(brief: &Brief, read: &dyn Fn(&str, u32) -> Option<String>) -> Vec<Suggestion> {
    let mut at: BTreeMap<(&str, u32, u32), Vec<Found>> = BTreeMap::new();
    for found in &brief.diagnostics {
        if let Some(fix) = &found.fix {
            let place = &fix.place;
            at.entry((&place.file, place.line, place.end_line)).or_default().push((found, fix));
        }
    }
    at.into_iter()
        .filter_map(|((path, first, last), fixes)| suggestion(path, first, last, fixes, read))
        .take(MOST)
        .collect()
}

fn suggestion(
    path: &str,
    first: u32,
    last: u32,
    mut fixes: Vec<Found>,
    read: &dyn Fn(&str, u32) -> Option<String>,
) -> Option<Suggestion> {
    if first == 0 || last < first || last - first > 100 {
        return None;
    }
    let lines: Option<Vec<String>> = (first..=last).map(|n| read(path, n)).collect();
    // From right to left, so that the columns of what is still to be mended stay true.
    fixes.sort_by_key(|(_, fix)| std::cmp::Reverse((fix.place.column, fix.place.end_column)));
    fixes.dedup_by(|(_, later), (_, kept)| later == kept);
    let disjoint =
        fixes.windows(2).all(|pair| pair[1].1.place.end_column <= pair[0].1.place.column);
    if fixes.len() > 1 && (!disjoint || first != last) {
        fixes.truncate(1);
    }
    let before = lines?.join("\n");
    let mut text = before.clone();
    for (_, fix) in &fixes {
        text = mended(&text, fix)?;
    }
    if text == before || !is_fit(&text) {
        return None;
    }
    let said: String = fixes.iter().rev().map(|(found, _)| said(found)).collect();
    let id = digest::of(&(path, first, last, &text)).hex();
    let marker = format!("<!-- vend:suggestion:{} -->", &id[..32]);
    let block = fence("suggestion", &text);
    let body = format!("{said}\n{block}");
    // What is suggested is a stranger's text: no marker of ours in it.
    if body.contains("<!--") {
        return None;
    }
    let body = format!("{body}\n{marker}\n");
    Some(Suggestion { marker, path: path.to_owned(), line: first, end_line: last, body })
}

fn said(found: &Diagnostic) -> String {
    format!("**{}** {}\n", found.code, line(&found.message))
}

/// Whether people see all that they would take over.
fn is_fit(text: &str) -> bool {
    let hidden = |c: char| (c.is_control() && c != '\n' && c != '\t') || is_invisible(c);
    text.chars().count() <= TEXT_MAX && !text.chars().any(hidden)
}

/// The lines with the fix in its place; `None` when they are not as long as it says.
fn mended(text: &str, fix: &Fix) -> Option<String> {
    let place = &fix.place;
    let lines: Vec<&str> = text.split('\n').collect();
    let (first, last) = (lines.first()?, lines.last()?);
    let (start, end) = (at(first, place.column)?, at(last, place.end_column)?);
    if lines.len() == 1 && end < start {
        return None;
    }
    Some(format!("{}{}{}", &first[..start], fix.replacement, &last[end..]))
}

/// Where a column, counted from 1 in characters, is in bytes.
fn at(line: &str, column: u32) -> Option<usize> {
    let before = usize::try_from(column).ok()?.checked_sub(1)?;
    let mut indices = line.char_indices().map(|(n, _)| n).chain([line.len()]);
    indices.nth(before)
}
