//! What came of template tests: on a terminal, for programs, and as JUnit's XML.

mod json;
mod junit;
mod terminal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;

use super::hold;
use super::plan::diff::{self, Line};
use crate::model::{
    Blessed, Certainty, ComponentName, Counted, Diagnostic, ExpectedApproval, Failure, Place,
    Problem, ResourceChange, TemplateId, Trial, TrialOutcome as Outcome, escape, quote, visible,
};

pub use json::json;
pub use junit::junit;
pub use terminal::{Options, terminal};

/// All that a run has to say.
#[derive(Debug, Default)]
pub struct Tested {
    /// The tests that were run or could not be.
    pub trials: Vec<Trial>,
    /// Errors of the files that they lie in or need.
    pub problems: Vec<Diagnostic>,
    /// What was written down, where that was asked for.
    pub blessed: Option<Blessed>,
    /// Golden files that no test names.
    pub orphans: Vec<String>,
}

impl Tested {
    fn count(&self, is_it: impl Fn(&Outcome) -> bool) -> usize {
        self.trials.iter().filter(|trial| is_it(&trial.outcome)).count()
    }

    /// How many tests found something that is not as they expect.
    pub fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    fn passed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Passed))
    }

    fn not_run(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::NotRun))
    }
}

/// At most so many lines of one difference are kept for programs: it is cut for people later.
const MOST: usize = 2_000;

/// The stable name of what is not as expected.
fn kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unexpected(_) => "Unexpected",
        Failure::NotFound { .. } => "NotFound",
        Failure::NotDenied { .. } => "NotDenied",
        Failure::NotRendered { .. } => "NotRendered",
        Failure::Rendered { .. } => "Rendered",
        Failure::Output { .. } => "Output",
        Failure::Approvals { .. } => "Approvals",
        Failure::Count { .. } => "Count",
        Failure::Before { .. } => "Before",
        Failure::Panicked => "Panicked",
    }
}

fn place(failure: &Failure) -> Option<&Place> {
    match failure {
        Failure::Unexpected(Problem::Said(diagnostic)) => Some(&diagnostic.place),
        Failure::NotFound { place, .. }
        | Failure::NotDenied { place, .. }
        | Failure::NotRendered { place }
        | Failure::Rendered { place, .. }
        | Failure::Output { place, .. }
        | Failure::Approvals { place, .. }
        | Failure::Count { place, .. } => Some(place),
        Failure::Unexpected(Problem::Held(_)) | Failure::Before { .. } | Failure::Panicked => None,
    }
}

/// One sentence, without its place.
fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Unexpected(problem) => format!("unexpected {}", problem_words(problem)),
        Failure::NotFound { expected, .. } => {
            format!("{} is expected and was not found", quote(expected))
        }
        Failure::NotDenied { message, .. } => {
            format!("no rule denies it with the message {}", quote(message))
        }
        Failure::NotRendered { .. } => {
            "nothing is rendered that could be compared: the request has errors".into()
        }
        Failure::Rendered { folder, expected, .. } if expected.files.is_empty() => {
            format!("`tests/{folder}/` is not there yet: `--bless` writes it, then read it")
        }
        Failure::Rendered { folder, .. } => {
            format!("other files are rendered than `tests/{folder}/` has: `--bless` writes them")
        }
        Failure::Output { name, expected, found, .. } => output(name, expected, found),
        Failure::Approvals { expected, found, .. } => format!(
            "expected that {}, and {}",
            approvals(expected, "is asked"),
            approvals(found, "is asked")
        ),
        Failure::Count { what, expected, found, .. } => count(*what, *expected, *found),
        Failure::Before { version, problems } => {
            let what = if problems.len() == 1 { "this error" } else { "these errors" };
            format!("the request cannot have been applied with `{version}`: it has {what}")
        }
        Failure::Panicked => {
            "vend itself failed at this test: report it with the test's file".into()
        }
    }
}

fn problem_words(problem: &Problem) -> String {
    match problem {
        Problem::Said(diagnostic) => format!("{}: {}", diagnostic.code, diagnostic.message),
        Problem::Held(reason) => format!("{}: {}", reason.name(), hold::reason(reason)),
    }
}

fn value(value: &Value) -> String {
    format!("`{}`", escape(&value.to_string(), 200))
}

fn output(name: &str, expected: &Value, found: &Certainty) -> String {
    let name = quote(name);
    let expected = match expected {
        Value::Null => "known only after an apply".into(),
        expected => value(expected),
    };
    match found {
        Certainty::NoSuch => format!("the template promises no output {name}"),
        Certainty::NotYet => {
            format!("output {name} is to be {expected}, and only an apply tells it")
        }
        Certainty::Value(found) => {
            format!("output {name} is to be {expected}, and is {}", value(found))
        }
    }
}

fn approvals(approvals: &[ExpectedApproval], asked: &str) -> String {
    let one = |ExpectedApproval { teams, count }: &ExpectedApproval| {
        let teams: Vec<String> = teams.iter().map(|team| quote(team)).collect();
        let teams = teams.join(" or ");
        if *count == 1 { teams } else { format!("{teams} ({count} people)") }
    };
    match approvals {
        [] => format!("nobody {asked}"),
        approvals => {
            let all: Vec<String> = approvals.iter().map(one).collect();
            format!("{} {asked}", all.join(" and "))
        }
    }
}

fn count(what: Counted, expected: u64, found: Option<u64>) -> String {
    let done = match what {
        Counted::Replaces => "replaced",
        Counted::Deletes => "deleted",
    };
    let expected = match expected {
        0 => "nothing is to be".to_owned(),
        1 => "1 resource is to be".to_owned(),
        n => format!("{n} resources are to be"),
    };
    match found {
        None => format!(
            "{expected} {done}, and how many are cannot be told without asking the provider"
        ),
        Some(0) => format!("{expected} {done}, and none is"),
        Some(1) => format!("{expected} {done}, and 1 is"),
        Some(n) => format!("{expected} {done}, and {n} are"),
    }
}

/// What stands below the sentence.
fn details(failure: &Failure) -> Vec<Line> {
    match failure {
        Failure::Unexpected(Problem::Said(diagnostic)) => said(diagnostic),
        Failure::Rendered { expected, rendered, .. } if expected.files.is_empty() => {
            rendered.files.keys().map(|path| Line::note(visible(path, 200))).collect()
        }
        Failure::Rendered { expected, rendered, .. } => {
            diff::lines(Some(expected), Some(rendered), &[], MOST)
        }
        Failure::Count { resources, .. } => resources.iter().map(resource).collect(),
        Failure::Before { problems, .. } => problems.iter().flat_map(before).collect(),
        Failure::Unexpected(Problem::Held(_))
        | Failure::NotFound { .. }
        | Failure::NotDenied { .. }
        | Failure::NotRendered { .. }
        | Failure::Output { .. }
        | Failure::Approvals { .. }
        | Failure::Panicked => Vec::new(),
    }
}

fn said(diagnostic: &Diagnostic) -> Vec<Line> {
    let help = Some(&diagnostic.help).filter(|help| !help.is_empty());
    let help = help.map(|help| Line::note(format!("help: {help}")));
    let related = diagnostic
        .related
        .iter()
        .map(|(place, label)| Line::note(format!("{}: {label}", at(place))));
    help.into_iter().chain(related).collect()
}

fn before(problem: &Problem) -> Vec<Line> {
    match problem {
        Problem::Said(diagnostic) => {
            let line = format!("{}: {}", at(&diagnostic.place), problem_words(problem));
            std::iter::once(Line::note(line)).chain(said(diagnostic)).collect()
        }
        Problem::Held(_) => vec![Line::note(problem_words(problem))],
    }
}

fn resource((component, resource): &(ComponentName, Option<ResourceChange>)) -> Line {
    Line::note(match resource {
        None => component.to_string(),
        Some(ResourceChange { name, kind, cause, .. }) => {
            let cause = cause.as_ref().map(|cause| format!(": {}", visible(cause, 200)));
            format!(
                "{component}/{} ({}){}",
                visible(name, 200),
                visible(kind, 200),
                cause.unwrap_or_default()
            )
        }
    })
}

fn at(place: &Place) -> String {
    format!("{}:{}:{}", visible(&place.file, 500), place.line, place.column)
}

/// The code of a test that found something.
const FAILED: &str = "TST005";

/// What tests found, each at its place. What is published stays as it is, so that of it is a warning: its test
/// has to follow what it renders with.
pub fn problems(trials: &[Trial], is_published: &dyn Fn(&TemplateId) -> bool) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for Trial { template, name, file, outcome, golden: _, took: _ } in trials {
        let Outcome::Failed(failures) = outcome else { continue };
        for failure in failures {
            let place = place(failure).cloned().unwrap_or_else(|| Place::file(Arc::clone(file)));
            let said = sentence(failure);
            let message = format!("the test {} of `{template}`: {said}", quote(name));
            problems.push(match is_published(template) {
                true => Diagnostic::warning(FAILED, place, message).help(format!(
                    "the version is published: if what it renders now is meant, `vend catalog test {template} \
                     --bless` brings the test up to date"
                )),
                false => Diagnostic::error(FAILED, place, message)
                    .help(format!("`vend catalog test {template}` shows it in full")),
            });
        }
    }
    problems
}

/// The last line: how many there were, and what became of them.
pub fn summary(tested: &Tested) -> String {
    let all = tested.trials.len();
    if all == 0 && tested.problems.is_empty() {
        return "There is no test to run.".into();
    }
    let tests = if all == 1 { "1 test".into() } else { format!("{all} tests") };
    let mut parts = vec![format!("{} passed", tested.passed())];
    for (count, what) in [(tested.failed(), "failed"), (tested.not_run(), "not run")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    match tested.problems.len() {
        0 => {}
        1 => parts.push("1 error in files".into()),
        n => parts.push(format!("{n} errors in files")),
    }
    format!("{tests}: {}.", parts.join(", "))
}
