//! Tests as JUnit's XML, which CI systems show: the form that Jenkins' and GitLab's readers share.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Tested, at, details, kind, place, sentence};
use crate::model::{Diagnostic, Failure, Trial, TrialOutcome as Outcome};

/// A suite for each version of a template, and one for files that have errors.
pub fn junit(tested: &Tested) -> String {
    let mut suites: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for trial in &tested.trials {
        suites.entry(trial.template.to_string()).or_default().push(case(trial));
    }
    let mut files: BTreeMap<&str, Vec<&Diagnostic>> = BTreeMap::new();
    for problem in &tested.problems {
        files.entry(&problem.place.file).or_default().push(problem);
    }
    let files: Vec<Case> =
        files.into_iter().map(|(file, problems)| broken(file, &problems)).collect();
    let mut body = String::new();
    let mut sum = Sum::default();
    let files = Some(("files".to_owned(), files)).filter(|(_, cases)| !cases.is_empty());
    for (name, cases) in suites.into_iter().chain(files) {
        let own = Sum::of(&cases);
        body.push_str(&format!("  <testsuite name=\"{}\" {own}>\n", attribute(&name)));
        cases.iter().for_each(|case| case.write(&name, &mut body));
        body.push_str("  </testsuite>\n");
        sum.add(&own);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"vend catalog test\" {sum}>\n{body}</testsuites>\n"
    )
}

struct Case {
    name: String,
    file: String,
    took: Duration,
    end: End,
}

enum End {
    Passed,
    Failure { message: String, kind: &'static str, text: String },
    Error { message: String, text: String },
}

fn case(trial: &Trial) -> Case {
    let end = match &trial.outcome {
        Outcome::Passed => End::Passed,
        Outcome::NotRun => {
            End::Error { message: "it, or its template, has errors".into(), text: String::new() }
        }
        Outcome::Failed(failures) => End::Failure {
            message: failures.iter().map(sentence).collect::<Vec<_>>().join("; "),
            kind: failures.first().map_or("Failed", kind),
            text: failures.iter().map(text).collect(),
        },
    };
    Case { name: trial.name.clone(), file: trial.file.to_string(), took: trial.took, end }
}

fn text(failure: &Failure) -> String {
    let place = place(failure).map(|place| format!("{}: ", at(place))).unwrap_or_default();
    let details = details(failure);
    let details = details.iter().map(|line| format!("  {}\n", line.signed()));
    format!("{place}{}\n{}", sentence(failure), details.collect::<String>())
}

fn broken(file: &str, problems: &[&Diagnostic]) -> Case {
    let lines = problems.iter().map(|p| format!("{}: {}: {}\n", at(&p.place), p.code, p.message));
    let message = problems.first().map(|p| format!("{}: {}", p.code, p.message));
    let end = End::Error { message: message.unwrap_or_default(), text: lines.collect() };
    Case { name: file.to_owned(), file: file.to_owned(), took: Duration::ZERO, end }
}

impl Case {
    fn write(&self, suite: &str, out: &mut String) {
        let Self { name, file, took, end } = self;
        let head = format!(
            "    <testcase classname=\"{}\" name=\"{}\" file=\"{}\" time=\"{:.3}\"",
            attribute(suite),
            attribute(name),
            attribute(file),
            took.as_secs_f64()
        );
        let (tag, kind, message, text) = match end {
            End::Passed => return out.push_str(&format!("{head}/>\n")),
            End::Failure { message, kind, text } => ("failure", *kind, message, text),
            End::Error { message, text } => ("error", "Invalid", message, text),
        };
        out.push_str(&format!(
            "{head}>\n      <{tag} type=\"{kind}\" message=\"{}\">{}</{tag}>\n    </testcase>\n",
            attribute(message),
            escaped(text)
        ));
    }
}

#[derive(Default)]
struct Sum {
    tests: usize,
    failures: usize,
    errors: usize,
    took: Duration,
}

impl Sum {
    fn of(cases: &[Case]) -> Self {
        let count = |is_it: fn(&End) -> bool| cases.iter().filter(|c| is_it(&c.end)).count();
        Self {
            tests: cases.len(),
            failures: count(|end| matches!(end, End::Failure { .. })),
            errors: count(|end| matches!(end, End::Error { .. })),
            took: cases.iter().map(|case| case.took).sum(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.tests += other.tests;
        self.failures += other.failures;
        self.errors += other.errors;
        self.took += other.took;
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { tests, failures, errors, took } = self;
        let took = took.as_secs_f64();
        write!(
            f,
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{took:.3}\""
        )
    }
}

/// Text between tags. What no XML 1.0 document may hold, not even escaped, becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // A reader would make a line feed of it.
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// As [`escaped`], where a reader would make spaces of line breaks.
fn attribute(text: &str) -> String {
    escaped(text).replace('\n', "&#10;").replace('\t', "&#9;")
}
