//! What Git asks for.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ComponentName, Diagnostic, Lifetime, Map, RequestId, SourceName, TemplateId};
use crate::digest::{self, Digest};

/// Where a request's file lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin {
    /// The configured source.
    pub source: SourceName,
    /// The file's path in that repository.
    pub path: Arc<str>,
}

/// A parameter filled from another request's output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Reference {
    /// The other request.
    pub request: RequestId,
    /// Its output.
    pub output: String,
}

/// A value that only an apply will tell: `<request>#<component>.<output>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Symbol {
    /// Whose output.
    pub request: RequestId,
    /// Which component of it; `None` for an output of the request's contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentName>,
    /// The output's name.
    pub output: String,
}

impl std::fmt::Display for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.component {
            Some(component) => write!(f, "{}#{component}.{}", self.request, self.output),
            None => write!(f, "{}#{}", self.request, self.output),
        }
    }
}

/// The rendered files of a component: path to text, as they are written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Artifact {
    /// Relative paths with `/`, each part safe (see `catalog::path`).
    pub files: BTreeMap<String, String>,
    /// SHA-256 over the sorted (path, canonical digest) lines; not over the text as written, so
    /// that another writer's layout is no change.
    pub digest: Option<Digest>,
}

/// How a request that is well-formed asks for its component.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DesiredComponent {
    /// The component.
    pub name: ComponentName,
    /// Its name in the version before, when it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<ComponentName>,
    /// The provider's kind, such as `files`.
    pub provider: String,
    /// The environment's settings for that provider, refined by the component's `with`.
    pub settings: Map,
    /// Components that come before.
    pub needs: Vec<ComponentName>,
    /// Digest of the rendered artifact; symbols stand in for what is not yet known.
    pub digest: Digest,
    /// What it waits to learn. Not empty: it can be planned, and not applied yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Symbol>,
}

/// An output that the template promises.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutputSpec {
    /// The component that gives it.
    pub component: ComponentName,
    /// The provider's name for it.
    pub output: String,
    /// Shown as a reference only.
    #[serde(default)]
    pub sensitive: bool,
}

/// A request that is well-formed: resolved, validated and rendered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// Name and exact version of the template.
    pub template: TemplateId,
    /// Digest of that version's folder.
    pub template_digest: Digest,
    /// A newer version that the request could take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<semver::Version>,
    /// After defaults, locks and references; what is not yet known stands as its symbol's text.
    pub parameters: Map,
    /// Parameters whose values are never shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitive: Vec<String>,
    /// Parameters filled from other requests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub references: BTreeMap<String, Reference>,
    /// Passed on as tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Deleting it needs a tombstone; true if the request or its environment says so.
    #[serde(default)]
    pub protect: bool,
    /// It may take over what stands there under its name and carries nobody's mark.
    #[serde(default)]
    pub adopt: bool,
    /// How long a change of it may take, where the template says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<SignedDuration>,
    /// How long it lives; `None`: until somebody removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// Leave it alone.
    #[serde(default)]
    pub suspend: bool,
    /// Deleting it is permitted: `delete: {confirm: <name>}` stands in the file.
    #[serde(default)]
    pub tombstone: bool,
    /// The former identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<RequestId>,
    /// Shown in history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is done about drift.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// One or more, in the template's order.
    pub components: Vec<DesiredComponent>,
    /// The contract with the requester.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, OutputSpec>,
    /// How parameters may change, by parameter, from the schema's `x-change`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub change_rules: BTreeMap<String, ChangeRule>,
}

/// What is done about drift.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// Say so.
    #[default]
    Report,
    /// Restore what was applied.
    Revert,
}

/// A parameter's `x-change`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeRule {
    /// In place.
    Update,
    /// The resource is replaced.
    Replace,
    /// Never.
    Immutable,
    /// Numbers may only grow, lists and maps only gain.
    GrowOnly,
}

impl Spec {
    /// All of it that an apply depends on: equal to the record's `settled` means nothing to do.
    pub fn fingerprint(&self) -> Digest {
        // Destructured whole: a new field does not compile until somebody decides about it.
        let Self {
            template,
            template_digest: _,
            upgrade: _,
            parameters,
            sensitive: _,
            references,
            labels,
            protect,
            adopt,
            timeout: _,
            lifetime,
            suspend,
            tombstone,
            moved_from,
            reason: _,
            on_drift,
            components,
            outputs,
            change_rules: _,
        } = self;
        let all = (
            (template, parameters, references, labels),
            (protect, suspend, tombstone, adopt),
            (moved_from, on_drift, components, outputs),
        );
        match lifetime {
            // As it was before anything had an end: nothing that has none is looked at anew.
            None => digest::of(&all),
            Some(lifetime) => digest::of(&(all, lifetime)),
        }
    }

    /// The component of that name.
    pub fn component(&self, name: &ComponentName) -> Option<&DesiredComponent> {
        self.components.iter().find(|c| c.name == *name)
    }
}

/// What a request's file comes to.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wanted {
    /// It can be planned.
    Valid(Box<Spec>),
    /// It cannot be read, or is not well-formed: what was applied stays as it is.
    Invalid(Vec<Diagnostic>),
    /// It is well-formed so far as one can see, and waits for something that is not there yet.
    Waiting(super::HoldReason),
}

/// A request as Git has it at the pinned commits.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Desired {
    /// Its identity.
    pub id: RequestId,
    /// Where its file lies.
    pub origin: Origin,
    /// Digest of the file's bytes.
    pub content: Digest,
    /// What it comes to.
    pub wanted: Wanted,
    /// Warnings and notes; errors are in `Wanted::Invalid`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Diagnostic>,
}

impl Desired {
    /// The spec, when it is well-formed.
    pub fn spec(&self) -> Option<&Spec> {
        match &self.wanted {
            Wanted::Valid(spec) => Some(spec),
            Wanted::Invalid(_) | Wanted::Waiting(_) => None,
        }
    }

    /// The version that it uses, or that it had and the catalog has no more.
    pub fn template(&self) -> Option<&TemplateId> {
        match &self.wanted {
            Wanted::Valid(spec) => Some(&spec.template),
            Wanted::Waiting(super::HoldReason::TemplateMissing { version }) => Some(version),
            Wanted::Invalid(_) | Wanted::Waiting(_) => None,
        }
    }

    /// Digest of everything that planning depends on.
    pub fn fingerprint(&self) -> Digest {
        match &self.wanted {
            Wanted::Valid(spec) => spec.fingerprint(),
            Wanted::Invalid(problems) => digest::of(&("invalid", problems)),
            Wanted::Waiting(reason) => digest::of(&("waiting", reason)),
        }
    }
}

/// The text that stands for a value in what is shown, when it must not be.
pub const HIDDEN: &str = "(sensitive)";

/// Whether a value is the text of an unknown one.
pub fn symbol_text(symbol: &Symbol) -> Value {
    Value::String(format!("<known after apply: {symbol}>"))
}
