//! What the parser of the crate `handlebars` could not read, in our words.

use handlebars::{Template, TemplateError, TemplateErrorReason};

use super::ast::Span;
use super::guard::{SPACE, Tag, TagKind};
use super::problem::{Problem, byte};
use crate::model::quote;

/// Every tag that the parser refuses. It stops at the first, so each is given to it alone.
pub(super) fn problems(text: &str, tags: &[Tag], error: &TemplateError) -> Vec<Problem> {
    let mut problems: Vec<_> = tags.iter().filter_map(|tag| alone(text, tag)).collect();
    if problems.is_empty() {
        let at = place(text, error).unwrap_or(0);
        let problem = Problem::new("TPL007", at..at, "this template cannot be read");
        problems.push(problem.help("look at the tags around this place"));
    }
    problems
}

fn alone(text: &str, tag: &Tag) -> Option<Problem> {
    let said = &text[tag.span.clone()];
    let (before, after) = match tag.kind {
        TagKind::Output | TagKind::Partial | TagKind::Comment => (String::new(), String::new()),
        TagKind::Open => (String::new(), format!("{{{{/{}}}}}", block(said))),
        TagKind::Else | TagKind::Chain => ("{{#if x}}".to_owned(), "{{/if}}".to_owned()),
        TagKind::Close => (format!("{{{{#{} x}}}}", block(said)), String::new()),
    };
    let whole = format!("{before}{said}{after}");
    let error = Template::compile(&whole).err()?;
    let unread = match error.reason() {
        TemplateErrorReason::InvalidParam(param) => whole.find(param.as_str()),
        _ => place(&whole, &error),
    };
    // Braces included, a tag has four bytes at least.
    let unread = unread.unwrap_or(0).saturating_sub(before.len()).clamp(2, said.len() - 2);
    Some(problem(tag, said, unread))
}

/// A problem at a byte of a tag.
fn problem(tag: &Tag, said: &str, at: usize) -> Problem {
    let rest = &said[at..said.len() - 2];
    let rest = rest.strip_suffix('~').unwrap_or(rest);
    let found = rest.trim_start_matches(SPACE);
    let at = tag.span.start + at + rest.len() - found.len();
    let word = word(found);
    let message = match word {
        "" => "something is missing here".to_owned(),
        word => format!("{} cannot be read here", quote(word)),
    };
    let help = match tag.kind {
        _ if word.starts_with(['"', '\'']) => "the escapes of a string are those of JSON",
        TagKind::Open | TagKind::Chain => {
            "write `{{#if value}}`, or `{{#each list as |item index|}}`"
        }
        TagKind::Partial => "write `{{> name}}`, `{{> name value}}` or `{{> name key=value}}`",
        TagKind::Close => "write `{{/if}}`",
        TagKind::Output | TagKind::Else | TagKind::Comment => {
            "write `{{name}}`, or a helper and its arguments: `{{join list \",\"}}`"
        }
    };
    let span: Span = at..at + word.len();
    Problem::new("TPL007", span, message).help(help)
}

/// The word, string or sign that a text begins with.
fn word(text: &str) -> &str {
    let first = text.chars().next();
    let end = match first {
        Some(quote @ ('"' | '\'')) => text[1..].find(quote).map(|n| n + 2),
        _ => {
            let ends = |c: char| SPACE.contains(&c) || matches!(c, '(' | ')' | '|' | '=');
            let rest = &text[first.map_or(0, char::len_utf8)..];
            rest.find(ends).map(|n| text.len() - rest.len() + n)
        }
    };
    &text[..end.unwrap_or(text.len())]
}

/// The name of the block that a tag opens or closes.
fn block(tag: &str) -> &str {
    let said = tag.trim_start_matches(|c| SPACE.contains(&c) || matches!(c, '{' | '~' | '#' | '/'));
    let end = said.find(|c: char| SPACE.contains(&c) || matches!(c, '~' | '}' | '(' | '"' | '\''));
    &said[..end.unwrap_or(said.len())]
}

fn place(text: &str, error: &TemplateError) -> Option<usize> {
    let (line, column) = error.pos()?;
    Some(byte(text, u32::try_from(line).ok()?, u32::try_from(column).ok()?))
}
