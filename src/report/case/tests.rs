use std::time::Duration;

use super::*;
use crate::model::{Artifact, HoldReason, TemplateId, TrialOutcome};

fn place(line: u32) -> Place {
    Place {
        file: "templates/q/1.0.0/tests/t.yaml".into(),
        line,
        column: 5,
        end_line: line,
        end_column: 9,
    }
}

fn trial(name: &str, outcome: TrialOutcome) -> Trial {
    Trial {
        template: TemplateId { name: "q".into(), version: semver::Version::new(1, 0, 0) },
        name: name.into(),
        file: "templates/q/1.0.0/tests/t.yaml".into(),
        outcome,
        golden: None,
        took: Duration::from_millis(3),
    }
}

fn artifact(text: &str) -> Artifact {
    Artifact { files: [("q/stack.json".to_owned(), text.to_owned())].into(), digest: None }
}

fn tested() -> Tested {
    let said = Diagnostic::error("SCH003", place(7), "expected a number, found text").help("4");
    let failures = vec![
        Failure::Unexpected(Problem::Said(said)),
        Failure::Unexpected(Problem::Held(HoldReason::Protected { locked: false })),
        Failure::NotFound { expected: "SCH001@days".into(), place: place(9) },
        Failure::Rendered {
            folder: "golden/t".into(),
            place: place(10),
            expected: artifact("a: 1\nb: 2\n"),
            rendered: artifact("a: 1\nb: \u{1b}[31m3\n"),
        },
        Failure::Count {
            what: Counted::Replaces,
            place: place(11),
            expected: 0,
            found: Some(2),
            resources: vec![(ComponentName::new("q"), None)],
        },
        Failure::Count {
            what: Counted::Deletes,
            place: place(12),
            expected: 1,
            found: None,
            resources: Vec::new(),
        },
    ];
    let trials = vec![
        trial("good", TrialOutcome::Passed),
        trial("bad", TrialOutcome::Failed(failures)),
        trial("broken", TrialOutcome::NotRun),
    ];
    Tested { trials, ..Tested::default() }
}

#[test]
fn tests_on_a_terminal() {
    let shown = terminal(&tested(), &Options::default());
    for line in [
        "ok      q@1.0.0 good\n",
        "FAILED  q@1.0.0 bad\n",
        "        templates/q/1.0.0/tests/t.yaml:7:5: unexpected SCH003: expected a number, found text\n          help: 4\n",
        "        unexpected Protected: ",
        "t.yaml:9:5: `SCH001@days` is expected and was not found\n",
        "          q/stack.json\n           a: 1\n          -b: 2\n          +b: \\u{1B}[31m3\n",
        "t.yaml:11:5: nothing is to be replaced, and 2 are\n          q\n",
        "t.yaml:12:5: 1 resource is to be deleted, and how many are cannot be told",
        "not run q@1.0.0 broken: ",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    assert!(shown.ends_with("3 tests: 1 passed, 1 failed, 1 not run.\n"), "{shown}");
    let options = Options { quiet: true, lines: 2, ..Options::default() };
    let quiet = terminal(&tested(), &options);
    assert!(!quiet.contains("good") && quiet.contains("more lines"), "{quiet}");
}

#[test]
fn nothing_to_run_has_a_line() {
    assert_eq!(terminal(&Tested::default(), &Options::default()), "There is no test to run.\n");
}

#[test]
fn every_failure_is_one_of_junit_s() {
    let text = junit(&tested());
    assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"1\""), "{text}");
    assert!(text.contains("name=\"good\"") && !text.contains('\u{1b}'), "{text}");
}
