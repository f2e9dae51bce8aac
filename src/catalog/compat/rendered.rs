//! What the tests of a version render to, under it and under the one before.

use std::collections::BTreeSet;

use super::Reason;
use super::claim::Bump;
use crate::model::{Artifact, Place, Preview, ResourceAction, quote};

/// What a component of one test's request renders to.
pub struct Rendered<'a> {
    /// The test.
    pub test: &'a str,
    /// Where it is.
    pub place: &'a Place,
    /// The component.
    pub component: &'a str,
    /// Its provider's kind.
    pub provider: &'a str,
    /// Under the version before; `None`: it had no such component, or could not render the test.
    pub before: Option<&'a Artifact>,
    /// Under this one.
    pub now: Option<&'a Artifact>,
}

/// What a provider can tell of a change from the texts alone, by its kind.
pub type Foretell<'a> = &'a dyn Fn(&str, &Artifact, &Artifact) -> Option<Preview>;

/// What differs: other text is a patch; what would be replaced or deleted is a major change, since those
/// who have it lose it.
pub fn compare(rendered: &[Rendered<'_>], foretell: Foretell<'_>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    // The same resource in ten tests is said once.
    let mut said = BTreeSet::new();
    for one in rendered {
        let Rendered { test, place, component, provider, before, now } = one;
        let (Some(before), Some(now)) = (before, now) else { continue };
        if before.digest == now.digest {
            continue;
        }
        let mut say = |bump, what: String| {
            reasons.push(Reason { bump, what, place: (*place).clone() });
        };
        if said.insert((*component, String::new())) {
            let shown = quote(component);
            say(
                Bump::Patch,
                format!("the component {shown} of the test {} renders otherwise", quote(test)),
            );
        }
        let preview = foretell(provider, before, now);
        for resource in preview.iter().flat_map(|preview| &preview.resources) {
            let fate = match resource.action {
                ResourceAction::Replace => "would be replaced",
                // What cannot be told counts as lost.
                ResourceAction::MayReplace => "may be replaced",
                ResourceAction::Delete => "would be deleted",
                ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => {
                    continue;
                }
            };
            let name = format!("{} {fate}", resource.name);
            if said.insert((*component, name)) {
                let (name, kind) = (quote(&resource.name), quote(&resource.kind));
                let cause = resource.cause.as_ref().map(|cause| format!(" ({})", quote(cause)));
                let what = format!(
                    "in the test {}, {name} of type {kind} {fate}{}",
                    quote(test),
                    cause.unwrap_or_default()
                );
                say(Bump::Major, what);
            }
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest;

    fn artifact(text: &str) -> Artifact {
        let files = [("stack.json".to_owned(), text.to_owned())].into();
        Artifact { files, digest: Some(digest::sha256(text.as_bytes())) }
    }

    #[test]
    fn other_text_is_a_patch_and_what_is_lost_is_major() {
        let (a, b) = (artifact("a"), artifact("b"));
        let place = Place::file("tests/plain.yaml");
        let one = |test: &'static str, before, now| {
            let (component, provider) = ("queue", "cloudformation");
            Rendered { test, place: &place, component, provider, before, now }
        };
        let value = serde_json::json!({"resources": [
            {"name": "Queue", "kind": "AWS::SQS::Queue", "action": "replace", "cause": "FifoQueue"},
            {"name": "Alarm", "kind": "AWS::CloudWatch::Alarm", "action": "update"},
        ]});
        let preview: Preview = serde_json::from_value(value).unwrap();
        let all = [
            one("plain", Some(&a), Some(&b)),
            one("other", Some(&a), Some(&b)),
            one("new", None, Some(&b)),
            one("same", Some(&a), Some(&a)),
        ];
        let bumps = |foretell: Foretell<'_>| -> Vec<Bump> {
            compare(&all, foretell).iter().map(|reason| reason.bump).collect()
        };
        assert_eq!(bumps(&|_, _, _| None), [Bump::Patch]);
        assert_eq!(bumps(&|_, _, _| Some(preview.clone())), [Bump::Patch, Bump::Major]);
    }
}
