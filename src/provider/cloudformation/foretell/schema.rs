//! Which properties make a resource anew when they change, as the published schemas say.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::super::NESTED;
use crate::model::Recreates;

/// Made by `scripts/cloudformation-schemas`, which says from what; a test holds it against that.
const TEXT: &str = include_str!("schemas.json");

static TABLE: LazyLock<HashMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    // Our own file, held by a test.
    let table: Table = serde_json::from_str(TEXT).expect("the embedded table is JSON");
    table.types
});

#[derive(Deserialize)]
struct Table {
    #[serde(borrow)]
    types: HashMap<&'static str, Vec<&'static str>>,
}

/// What is known of a type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema {
    /// Paths of properties, `/` between their parts, `*` for each entry of a list, `?` before one
    /// that makes it anew under some conditions only.
    Known(&'static [&'static str]),
    /// Nothing: whatever changes may make it anew.
    Unknown,
}

/// A part of a property, and whether its change makes the resource anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// Within the property; empty for all of it.
    pub(super) path: &'static str,
    pub(super) recreates: Recreates,
}

impl Schema {
    /// Of a type such as `AWS::SQS::Queue`. What becomes of a custom resource is its function's to
    /// say, and what becomes of what is in a stack within the stack is its template's, which is not here.
    pub(super) fn of(kind: &str) -> Self {
        let tells_nothing = ["AWS::CloudFormation::CustomResource", NESTED].contains(&kind);
        match TABLE.get(kind) {
            Some(paths) if !tells_nothing => Self::Known(paths),
            Some(_) | None => Self::Unknown,
        }
    }

    pub(super) fn is_unknown(self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// The parts of a property that are more than a change in place: all of it, or those inside it.
    pub(super) fn parts(self, property: &str) -> Vec<Part> {
        let Self::Known(paths) = self else {
            return vec![Part { path: "", recreates: Recreates::Conditionally }];
        };
        let part = |path: &&'static str| {
            let (path, recreates) = match path.strip_prefix('?') {
                Some(path) => (path, Recreates::Conditionally),
                None => (*path, Recreates::Always),
            };
            let (name, path) = path.split_once('/').unwrap_or((path, ""));
            (name == property).then_some(Part { path, recreates })
        };
        let parts: Vec<Part> = paths.iter().filter_map(part).collect();
        match parts.iter().find(|part| part.path.is_empty()) {
            Some(whole) => vec![*whole],
            None => parts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_found_whole_by_part_and_under_conditions() {
        let show = |kind, property| {
            let parts = Schema::of(kind).parts(property).into_iter();
            parts.map(|p| format!("{} {:?}", p.path, p.recreates)).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(show("AWS::SQS::Queue", "QueueName"), " Always");
        assert_eq!(show("AWS::SQS::Queue", "DelaySeconds"), "");
        assert_eq!(show("AWS::RDS::DBInstance", "Engine"), " Conditionally");
        assert_eq!(
            show("AWS::SageMaker::CodeRepository", "GitConfig"),
            "Branch Always; RepositoryUrl Always"
        );
        assert_eq!(show("Custom::Seed", "Anything"), " Conditionally");
        assert_eq!(show("AWS::CloudFormation::CustomResource", "ServiceToken"), " Conditionally");
        assert_eq!(show("AWS::CloudFormation::Stack", "TemplateURL"), " Conditionally");
        assert!(TABLE.len() > 1000);
    }
}
