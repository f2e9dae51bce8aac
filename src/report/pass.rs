//! What a pass did, on a terminal and as JSON.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{hold, source};
use crate::model::{Action, Hold, PassReport, RequestPhase, TargetKey, escape};

/// Lines of one kind that are printed; the rest is counted.
const MAX_LINES: usize = 200;

/// Problems of other files that are printed.
const MAX_PROBLEMS: usize = 20;

/// Characters of a path that are printed.
const PATH_MAX: usize = 300;

/// For people.
pub fn terminal(report: &PassReport, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    for (name, problem) in &report.problems {
        out.push_str(&format!("{} {}\n", paint.yellow("source"), source::sentence(name, problem)));
    }
    if report.quiet {
        diagnostics(report, &paint, &mut out);
        held(report, &paint, &mut out);
        out.push_str("Nothing to do.\n");
        return out;
    }
    diagnostics(report, &paint, &mut out);
    done(report, &paint, &mut out);
    held(report, &paint, &mut out);
    if let Some(error) = &report.publish_error {
        out.push_str(&format!(
            "{} the status branch could not be written: {error}\n",
            paint.red("status")
        ));
    }
    for (source, error) in &report.unremoved {
        out.push_str(&format!(
            "{} those in `{source}` whose time is over could not be removed: {error}\n",
            paint.red("files")
        ));
    }
    out.push_str(&summary(report));
    out.push('\n');
    out
}

/// What is wrong in files that are no request's own: the catalog's, and paths that are passed over.
fn diagnostics(report: &PassReport, paint: &Paint, out: &mut String) {
    for problem in report.diagnostics.iter().take(MAX_PROBLEMS) {
        let word = if problem.is_error() { paint.red("error") } else { paint.yellow("warning") };
        let place = &problem.place;
        let at = format!("{}:{}:{}", escape(&place.file, PATH_MAX), place.line, place.column);
        out.push_str(&format!("{word} {at}: {} {}\n", problem.code, problem.message));
    }
    if report.diagnostics.len() > MAX_PROBLEMS {
        let more = report.diagnostics.len() - MAX_PROBLEMS;
        out.push_str(&format!("     … {more} more (`vend validate` shows all)\n"));
    }
}

fn done(report: &PassReport, paint: &Paint, out: &mut String) {
    let mut failed: Vec<&(TargetKey, Action, Option<String>)> = Vec::new();
    for (n, entry) in report.done.iter().enumerate() {
        let (key, action, error) = entry;
        if error.is_some() {
            failed.push(entry);
        } else if n < MAX_LINES {
            out.push_str(&format!("{} {}  {}\n", paint.green("done"), past(*action), key));
        }
    }
    if report.done.len() > MAX_LINES {
        out.push_str(&format!("     … {} more\n", report.done.len() - MAX_LINES));
    }
    for (key, action, error) in failed.iter().take(MAX_LINES) {
        let error = error.as_deref().unwrap_or_default();
        out.push_str(&format!(
            "{} {} {}: {error}\n",
            paint.red("failed"),
            imperative(*action),
            key
        ));
    }
}

fn held(report: &PassReport, paint: &Paint, out: &mut String) {
    let mut by_request: BTreeMap<&str, Vec<&Hold>> = BTreeMap::new();
    for hold in &report.holds {
        by_request.entry(hold.request.as_str()).or_default().push(hold);
    }
    let groups = hold::grouped(by_request.values().flat_map(|holds| holds.iter().copied().take(3)));
    for (sentence, group) in groups.iter().take(MAX_LINES) {
        match group.as_slice() {
            [one] => {
                let (word, id) = (paint.yellow("held"), &one.request);
                out.push_str(&format!("{word} {id}: {sentence}\n"));
            }
            several => {
                let (word, count) = (paint.yellow("held"), hold::requests(several).len());
                let names = hold::names(several);
                out.push_str(&format!("{word} {count} requests: {sentence}\n     {names}\n"));
            }
        }
    }
    let more = groups.iter().skip(MAX_LINES).flat_map(|(_, group)| hold::requests(group));
    let more: BTreeSet<_> = more.collect();
    if !more.is_empty() {
        out.push_str(&format!("     … {} more requests are held\n", more.len()));
    }
}

/// One line with the counts.
pub fn summary(report: &PassReport) -> String {
    let count =
        |action: Action| report.done.iter().filter(|(_, a, e)| *a == action && e.is_none()).count();
    let made = [
        (count(Action::Create), "created"),
        (count(Action::Update), "updated"),
        (count(Action::Replace), "replaced"),
        (count(Action::Restore), "restored"),
        (count(Action::Delete), "deleted"),
        (count(Action::Move), "moved"),
        (report.failures(), "failed"),
    ];
    let mut parts: Vec<String> =
        made.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if parts.is_empty() {
        parts.push("nothing done".into());
    }
    let held: std::collections::BTreeSet<_> = report.holds.iter().map(|h| &h.request).collect();
    if !held.is_empty() {
        parts.push(format!("{} held", held.len()));
    }
    if report.under_way > 0 {
        parts.push(format!("{} under way", report.under_way));
    }
    parts.push(format!("{} ready", report.counts.of(RequestPhase::Ready)));
    format!("Applied: {}.", parts.join(", "))
}

fn past(action: Action) -> &'static str {
    match action {
        Action::Create => "created ",
        Action::Update => "updated ",
        Action::Replace => "replaced",
        Action::Delete => "deleted ",
        Action::Restore => "restored",
        Action::Forget => "forgot  ",
        Action::Move => "moved   ",
    }
}

pub(super) fn imperative(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Restore => "restore",
        Action::Forget => "forget",
        Action::Move => "move",
    }
}

/// For programs.
pub fn json(report: &PassReport) -> Value {
    let done = report.done.iter().map(|(key, action, error)| {
        json!({"request": key.request, "component": key.component, "action": action, "error": error})
    });
    let holds = report.holds.iter().map(|h| {
        json!({"request": h.request, "component": h.component, "reason": h.reason.name(), "sentence": hold::sentence(h), "details": h.reason})
    });
    json!({
        "quiet": report.quiet,
        "done": done.collect::<Vec<_>>(),
        "holds": holds.collect::<Vec<_>>(),
        "underWay": report.under_way,
        "sources": source::json(&report.problems),
        "diagnostics": report.diagnostics,
        "published": report.published,
        "publishError": report.publish_error,
        "unremoved": report.unremoved.iter().map(|(source, error)| json!({"source": source, "error": error})).collect::<Vec<_>>(),
        "due": report.due,
        "counts": report.counts,
        "evaluated": report.evaluated,
        "summary": summary(report),
    })
}

/// Colour, or none.
pub struct Paint(pub bool);

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// Something went well.
    pub fn green(&self, text: &str) -> String {
        self.with("32", text)
    }

    /// Something went wrong.
    pub fn red(&self, text: &str) -> String {
        self.with("31", text)
    }

    /// Something wants attention.
    pub fn yellow(&self, text: &str) -> String {
        self.with("33", text)
    }

    /// Something matters.
    pub fn bold(&self, text: &str) -> String {
        self.with("1", text)
    }

    /// Something does not matter.
    pub fn dim(&self, text: &str) -> String {
        self.with("2", text)
    }
}
