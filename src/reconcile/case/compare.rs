//! What came of a test's request, against what the test expects. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::catalog::{TemplateVersion, TestCase};
use crate::model::{
    Artifact, Certainty, ComponentName, Counted, ExpectedApproval, Failure, Problem,
    ResourceAction, ResourceChange,
};

/// What came of a request.
#[derive(Default)]
pub(super) struct Seen {
    /// Its errors.
    pub(super) problems: Vec<Problem>,
    /// The files of all components, `<component>/<path>`; `None` when nothing can be rendered.
    pub(super) rendered: Option<Artifact>,
    /// What is known of each promised output.
    pub(super) outputs: BTreeMap<String, Certainty>,
    /// Who has to say yes.
    pub(super) approvals: Vec<ExpectedApproval>,
    /// How many resources are replaced and deleted; `None` where it cannot be told.
    pub(super) replaces: Option<u64>,
    pub(super) deletes: Option<u64>,
    /// What happens to which resource; `None` for a component that has no such parts.
    pub(super) resources: Vec<(ComponentName, Option<ResourceChange>, Option<Counted>)>,
}

/// All that is not as expected.
pub(super) fn compare(version: &TemplateVersion, test: &TestCase, seen: &Seen) -> Vec<Failure> {
    let mut failures = problems(test, &seen.problems);
    // What follows from an error that was not expected need not be said as well.
    if failures.is_empty() || seen.rendered.is_some() {
        failures.extend(rendered(version, test, seen));
        failures.extend(outputs(test, seen));
        failures.extend(approvals(test, seen));
        failures.extend(counts(test, seen));
    }
    failures
}

fn problems(test: &TestCase, found: &[Problem]) -> Vec<Failure> {
    let expect = &test.document.spec.expect;
    let mut left: Vec<&Problem> = found.iter().collect();
    let mut failures = Vec::new();
    for (n, message) in expect.policy.iter().flatten().enumerate() {
        let is_it = |p: &&Problem| matches!(p, Problem::Said(d) if d.code == "POL002" && d.message == *message);
        match left.iter().position(is_it) {
            Some(at) => {
                left.remove(at);
            }
            None => failures.push(Failure::NotDenied {
                message: message.clone(),
                place: test.place(&format!("/spec/expect/policy/{n}")),
            }),
        }
    }
    // Those that name a parameter choose first: one without takes what is left.
    let codes = expect.diagnostics.iter().flatten().enumerate();
    let (named, plain): (Vec<_>, Vec<_>) = codes.partition(|(_, code)| code.contains('@'));
    for (n, code) in named.into_iter().chain(plain) {
        match left.iter().position(|problem| fits(test, code, problem)) {
            Some(at) => {
                left.remove(at);
            }
            None => failures.push(Failure::NotFound {
                expected: code.clone(),
                place: test.place(&format!("/spec/expect/diagnostics/{n}")),
            }),
        }
    }
    failures.extend(left.into_iter().cloned().map(Failure::Unexpected));
    failures
}

fn fits(test: &TestCase, expected: &str, problem: &Problem) -> bool {
    match (expected.split_once('@'), problem) {
        (None, problem) => expected == problem.code(),
        (Some((code, name)), Problem::Said(d)) => {
            d.code == code && test.is_of_parameter(&d.place, name)
        }
        (Some(_), Problem::Held(_)) => false,
    }
}

fn rendered(version: &TemplateVersion, test: &TestCase, seen: &Seen) -> Option<Failure> {
    let folder = test.golden()?;
    let place = test.place("/spec/expect/rendered");
    let Some(rendered) = &seen.rendered else { return Some(Failure::NotRendered { place }) };
    let expected = kept(version, folder);
    (expected.files != rendered.files).then(|| Failure::Rendered {
        folder: folder.to_owned(),
        place,
        expected,
        rendered: rendered.clone(),
    })
}

/// The files of a golden folder.
fn kept(version: &TemplateVersion, folder: &str) -> Artifact {
    let inner = |path: &str| path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned);
    let files = version.test_files.iter().filter_map(|(path, bytes)| {
        Some((inner(path)?, String::from_utf8_lossy(bytes).into_owned()))
    });
    Artifact { files: files.collect(), digest: None }
}

fn outputs(test: &TestCase, seen: &Seen) -> Vec<Failure> {
    let expected = test.document.spec.expect.outputs.iter().flatten();
    let differs = |(name, expected): (&String, &Value)| {
        let found = seen.outputs.get(name).cloned().unwrap_or(Certainty::NoSuch);
        let as_expected = match &found {
            Certainty::Value(value) => value == expected,
            Certainty::NotYet => expected.is_null(),
            Certainty::NoSuch => false,
        };
        (!as_expected).then(|| Failure::Output {
            name: name.clone(),
            place: test.key_place(&format!("/spec/expect/outputs/{}", pointer(name))),
            expected: expected.clone(),
            found,
        })
    };
    expected.filter_map(differs).collect()
}

fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn approvals(test: &TestCase, seen: &Seen) -> Option<Failure> {
    let expected = test.document.spec.expect.approvals.as_ref()?;
    let set = |approvals: &[ExpectedApproval]| -> Vec<ExpectedApproval> {
        let sorted = approvals.iter().map(|ExpectedApproval { teams, count }| {
            let teams: BTreeSet<&String> = teams.iter().collect();
            ExpectedApproval { teams: teams.into_iter().cloned().collect(), count: *count }
        });
        sorted.collect::<BTreeSet<_>>().into_iter().collect()
    };
    let (expected, found) = (set(expected), set(&seen.approvals));
    (expected != found).then(|| Failure::Approvals {
        place: test.key_place("/spec/expect/approvals"),
        expected,
        found,
    })
}

fn counts(test: &TestCase, seen: &Seen) -> Vec<Failure> {
    let expect = &test.document.spec.expect;
    let counted = [
        (Counted::Replaces, expect.replaces, seen.replaces),
        (Counted::Deletes, expect.deletes, seen.deletes),
    ];
    let differs = |(what, expected, found): (Counted, Option<u64>, Option<u64>)| {
        let expected = expected?;
        let is_so = |(_, _, counted): &&(_, _, Option<Counted>)| *counted == Some(what);
        let resources = seen.resources.iter().filter(is_so);
        (found != Some(expected)).then(|| Failure::Count {
            what,
            place: test.key_place(&format!("/spec/expect/{}", what.name())),
            expected,
            found,
            resources: resources.map(|(component, r, _)| (component.clone(), r.clone())).collect(),
        })
    };
    counted.into_iter().filter_map(differs).collect()
}

/// As what a resource's change counts.
pub(super) fn counted(action: ResourceAction) -> Option<Counted> {
    match action {
        ResourceAction::Replace | ResourceAction::MayReplace => Some(Counted::Replaces),
        ResourceAction::Delete => Some(Counted::Deletes),
        ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => None,
    }
}
