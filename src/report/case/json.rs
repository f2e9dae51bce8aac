//! Tests for programs.

use serde_json::{Value, json};

use super::{Tested, details, kind, place, sentence};
use crate::model::{Failure, Trial, TrialOutcome as Outcome};
use crate::report::diagnostic;

/// One object.
pub fn json(tested: &Tested) -> Value {
    let Tested { trials, problems, blessed, orphans } = tested;
    let mut value = json!({
        "tests": trials.iter().map(one).collect::<Vec<_>>(),
        "passed": tested.passed(),
        "failed": tested.failed(),
        "notRun": tested.not_run(),
        "diagnostics": diagnostic::json(problems)["diagnostics"].take(),
        "unused": orphans,
    });
    if let Some(blessed) = blessed {
        value["written"] = json!(blessed.written);
        value["removed"] = json!(blessed.removed);
    }
    value
}

fn one(trial: &Trial) -> Value {
    let Trial { template, name, file, outcome, golden: _, took } = trial;
    let (outcome, failures) = match outcome {
        Outcome::Passed => ("passed", &[][..]),
        Outcome::Failed(failures) => ("failed", failures.as_slice()),
        Outcome::NotRun => ("notRun", &[][..]),
    };
    json!({
        "template": template.name,
        "version": template.version.to_string(),
        "name": name,
        "file": file,
        "outcome": outcome,
        "milliseconds": took.as_millis() as u64,
        "failures": failures.iter().map(failed).collect::<Vec<_>>(),
    })
}

fn failed(failure: &Failure) -> Value {
    let details: Vec<String> = details(failure).iter().map(|line| line.signed()).collect();
    json!({
        "kind": kind(failure),
        "message": sentence(failure),
        "place": place(failure),
        "details": details,
    })
}
