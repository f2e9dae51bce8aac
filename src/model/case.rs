//! A template test, and what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Artifact, ComponentName, Diagnostic, HoldReason, Place, ResourceChange, TemplateId};

/// A test that was run, or could not be.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The version that it is a test of.
    pub template: TemplateId,
    /// Its name.
    pub name: String,
    /// Its file in the catalog.
    pub file: Arc<str>,
    /// What came of it.
    pub outcome: TrialOutcome,
    /// The folder in which it keeps what it renders to, where it has one.
    pub golden: Option<Golden>,
    /// How long it took.
    pub took: Duration,
}

/// See [`Trial::outcome`].
#[derive(Clone, PartialEq, Debug)]
pub enum TrialOutcome {
    /// All is as expected.
    Passed,
    /// Something is not.
    Failed(Vec<Failure>),
    /// Its file, or its template, has errors.
    NotRun,
}

/// Rendered files that a test keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Golden {
    /// The folder, from the top of the catalog.
    pub folder: String,
    /// `<component>/<path>` to text; `None` when nothing is rendered.
    pub files: Option<BTreeMap<String, String>>,
}

/// An error of a request.
#[derive(Clone, PartialEq, Debug)]
pub enum Problem {
    /// Its file, or a rule, is against it.
    Said(Diagnostic),
    /// A pass would hold it.
    Held(HoldReason),
}

impl Problem {
    /// What tests call it.
    pub fn code(&self) -> &str {
        match self {
            Self::Said(diagnostic) => &diagnostic.code,
            Self::Held(reason) => reason.name(),
        }
    }
}

/// One thing that is not as a test expects.
#[derive(Clone, PartialEq, Debug)]
pub enum Failure {
    /// An error that it does not expect.
    Unexpected(Problem),
    /// An error that it expects, by code, and that was not found.
    NotFound {
        /// As the test has it.
        expected: String,
        /// Where.
        place: Place,
    },
    /// No rule denies it with these words.
    NotDenied {
        /// As the test has it.
        message: String,
        /// Where.
        place: Place,
    },
    /// Files are expected, and the request's own errors let nothing be rendered.
    NotRendered {
        /// Where they are asked for.
        place: Place,
    },
    /// Other files are rendered.
    Rendered {
        /// The folder, in `tests/`.
        folder: String,
        /// Where the test names it.
        place: Place,
        /// As they lie in the folder.
        expected: Artifact,
        /// As they are rendered.
        rendered: Artifact,
    },
    /// Another output is known.
    Output {
        /// Which.
        name: String,
        /// Where.
        place: Place,
        /// Null: it must not be known.
        expected: Value,
        /// What is known of it.
        found: Certainty,
    },
    /// Others have to say yes.
    Approvals {
        /// Where.
        place: Place,
        /// As the test has them.
        expected: Vec<ExpectedApproval>,
        /// As rules ask for them.
        found: Vec<ExpectedApproval>,
    },
    /// More or less is lost.
    Count {
        /// What is counted.
        what: Counted,
        /// Where.
        place: Place,
        /// As the test has it.
        expected: u64,
        /// `None`: it cannot be told without asking.
        found: Option<u64>,
        /// What is counted so, by name.
        resources: Vec<(ComponentName, Option<ResourceChange>)>,
    },
    /// What it is an upgrade from cannot be had.
    Before {
        /// By which version.
        version: TemplateId,
        /// Why not.
        problems: Vec<Problem>,
    },
    /// A bug of ours.
    Panicked,
}

/// Whose approval a test expects to be asked for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedApproval {
    /// One of these teams.
    pub teams: Vec<String>,
    /// How many different people.
    #[serde(default = "one")]
    pub count: u32,
}

fn one() -> u32 {
    1
}

/// What is known of an output before an apply.
#[derive(Clone, PartialEq, Debug)]
pub enum Certainty {
    /// The template promises no such output.
    NoSuch,
    /// Only an apply tells it.
    NotYet,
    /// Its value.
    Value(Value),
}

/// What a test counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// Resources that are made anew.
    Replaces,
    /// Resources that go.
    Deletes,
}

impl Counted {
    /// As the field of a test.
    pub fn name(self) -> &'static str {
        match self {
            Self::Replaces => "replaces",
            Self::Deletes => "deletes",
        }
    }
}

/// What was written of golden files, by paths in the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blessed {
    /// Files that are new or differ.
    pub written: Vec<String>,
    /// Files that nothing renders to any more.
    pub removed: Vec<String>,
}
