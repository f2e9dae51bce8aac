//! Tests on a terminal.

use super::{Tested, at, details, place, sentence, summary};
use crate::model::{Failure, Trial, TrialOutcome as Outcome, visible};
use crate::report::plan::terminal::shown;

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const BOLD: &str = "1";

/// How it is printed.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// With colours.
    pub colour: bool,
    /// Columns.
    pub width: usize,
    /// Leave out what is as it should be.
    pub quiet: bool,
    /// At most so many lines below one sentence.
    pub lines: usize,
    /// At most so many in all.
    pub total: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { colour: false, width: 100, quiet: false, lines: 60, total: 600 }
    }
}

impl Options {
    fn paint(&self, code: &str, text: &str) -> String {
        match self.colour {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// A line for each test, with what is not as expected below it, and the summary as the last line.
pub fn terminal(tested: &Tested, options: &Options) -> String {
    let mut out = String::new();
    let mut room = options.total;
    for trial in &tested.trials {
        room = one(trial, options, room, &mut out);
    }
    for (verb, paths) in [
        ("wrote", tested.blessed.as_ref().map(|b| &b.written)),
        ("removed", tested.blessed.as_ref().map(|b| &b.removed)),
    ] {
        for path in paths.into_iter().flatten() {
            out.push_str(&format!("{verb} {}\n", visible(path, 500)));
        }
    }
    for path in &tested.orphans {
        let path = visible(path, 500);
        out.push_str(&format!("note: no test names {path}: `--bless` removes it\n"));
    }
    out.push_str(&options.paint(BOLD, &summary(tested)));
    out.push('\n');
    out
}

fn one(trial: &Trial, options: &Options, room: usize, out: &mut String) -> usize {
    let name = format!("{} {}", trial.template, visible(&trial.name, 100));
    match &trial.outcome {
        Outcome::Passed if options.quiet => room,
        Outcome::Passed => {
            out.push_str(&format!("{} {name}\n", options.paint(GREEN, "ok     ")));
            room
        }
        Outcome::NotRun => {
            let why = "it, or its template, has errors";
            out.push_str(&format!("{} {name}: {why}\n", options.paint(YELLOW, "not run")));
            room
        }
        Outcome::Failed(failures) => {
            out.push_str(&format!("{} {name}\n", options.paint(RED, "FAILED ")));
            failures.iter().fold(room, |room, failure| failed(failure, options, room, out))
        }
    }
}

/// Shows what is below a sentence as far as there is room, and gives the room that is left.
fn failed(failure: &Failure, options: &Options, room: usize, out: &mut String) -> usize {
    let place = place(failure).map(|place| format!("{}: ", at(place))).unwrap_or_default();
    out.push_str(&format!("        {place}{}\n", sentence(failure)));
    let lines = details(failure);
    let most = options.lines.min(room);
    for line in lines.iter().take(most) {
        let text = shown(line, options.width.saturating_sub(10), options.colour);
        out.push_str(&format!("          {text}\n"));
    }
    let hidden = lines.len().saturating_sub(most);
    if hidden > 0 {
        out.push_str(&format!("          … {hidden} more lines\n"));
    }
    room - most.min(lines.len())
}
