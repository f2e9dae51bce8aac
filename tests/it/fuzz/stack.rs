//! Bodies of stacks: what vend renders, and what it is told stands there.

use std::collections::{BTreeMap, BTreeSet};

use vend::model::{Action, Artifact, HIDDEN, Place, Preview, ResourceAction};
use vend::policy::{Allowed, outside};
use vend::provider::Provider as _;
use vend::provider::cloudformation::{CloudFormation, CloudFormationSettings, Rate};

use super::bodies::halves;

fn artifact(text: &[u8]) -> Artifact {
    let text = String::from_utf8_lossy(text).into_owned();
    Artifact { files: BTreeMap::from([("stack.json".to_owned(), text)]), digest: None }
}

fn names(preview: &Preview) -> BTreeSet<String> {
    preview.resources.iter().map(|resource| resource.name.clone()).collect()
}

fn allowed(patterns: &[&str]) -> Allowed {
    let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    Allowed { patterns, place: Place::file("template.yaml") }
}

/// What is made is what the list of types was held against; the same text twice changes nothing; and what
/// is foretold is of one of the two, without what is not to be echoed.
pub fn stack(data: &[u8]) {
    let provider = CloudFormation::new(CloudFormationSettings {
        endpoint: None,
        changes: Rate::of(1.0),
        looks: Rate::of(1.0),
        events: Rate::of(1.0),
    });
    let (applied, desired) = halves(data);
    let (applied, desired) = (artifact(applied), artifact(desired));
    for it in [&applied, &desired] {
        let made = provider.outline(Action::Create, it);
        let gone = provider.outline(Action::Delete, it);
        assert_eq!(made.as_ref().map(names), gone.as_ref().map(names));
        assert!(outside(&allowed(&["*"]), it).iter().all(|outside| outside.kind.is_none()));
        if outside(&allowed(&["AWS::SQS::*"]), it).is_empty() {
            for resource in made.iter().flat_map(|made| &made.resources) {
                assert!(resource.kind.starts_with("AWS::SQS::"), "{resource:?}");
                assert_eq!(resource.action, ResourceAction::Create);
            }
        }
        if let Some(same) = provider.foretell(it, it) {
            assert_eq!(same.resources, []);
        }
    }
    let foretold = provider.foretell(&applied, &desired);
    assert_eq!(foretold, provider.foretell(&applied, &desired));
    let Some(foretold) = foretold else { return };
    let whole = |it| provider.outline(Action::Create, it).as_ref().map(names).unwrap_or_default();
    let both = &whole(&applied) | &whole(&desired);
    assert!(names(&foretold).is_subset(&both), "{foretold:?} of {both:?}");
    let hidden = [vend::provider::hidden(&applied), vend::provider::hidden(&desired)].concat();
    // A shorter one is not looked for in what is said.
    for secret in hidden.iter().filter(|secret| secret.len() >= 8 && !HIDDEN.contains(*secret)) {
        for resource in &foretold.resources {
            let values = resource.properties.iter().flat_map(|p| [&p.before, &p.after]);
            for value in values.flatten() {
                assert!(!value.contains(secret), "{secret:?} in {value:?}");
            }
        }
    }
}
