//! An environment, from its file.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::explain::Part;
use super::file::EnvironmentDocument;
use super::rule;
use super::schema::{self, Kind, place_in};
use crate::digest::{self, Digest};
use crate::model::{Diagnostic, Map, OnDrift, Place, RequestId, matches, quote};
use crate::policy::{Allowed, Rules, Scope};
use crate::yaml::{Data, Node};

/// Where requests go, and what holds there.
#[derive(Debug)]
pub struct Environment {
    /// By its file.
    pub name: String,
    /// Digest of its file's bytes.
    pub digest: Digest,
    /// Path of its file in the catalog.
    pub file: Arc<str>,
    /// For people.
    pub description: Option<String>,
    /// Settings by provider.
    pub providers: BTreeMap<String, Map>,
    /// What templates see.
    pub variables: Map,
    /// Parameters by template, below the request's own.
    pub defaults: BTreeMap<String, Map>,
    /// Parameters by template that a request may not set otherwise.
    pub locked: BTreeMap<String, Map>,
    /// Which templates may be requested, with `*`.
    pub templates: Vec<String>,
    /// Deleting needs a tombstone.
    pub protect: bool,
    /// Which secrets may be referred to: patterns with the request's names and `*`.
    pub secrets: Vec<String>,
    /// Wins over the template's.
    pub on_drift: Option<OnDrift>,
    /// What may not be here, and who has to say yes.
    pub rules: Rules,
    /// Which types of resources may be made here; `None`: all.
    pub allow: Option<Allowed>,
    /// Fields that say something and whose behaviour is not built.
    pub not_supported: Vec<(String, Place)>,
    /// What is wrong with it; with an error nothing can be requested there.
    pub problems: Vec<Diagnostic>,
    node: Node,
    /// Settings that were held against their schema, by provider and by what a component adds: the
    /// same for every request.
    settled: RwLock<Vec<(String, Map, Map)>>,
}

impl Environment {
    /// Whether requests of it cannot be served.
    pub fn is_broken(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Whether a template may be requested here.
    pub fn allows(&self, template: &str) -> bool {
        self.templates.iter().any(|glob| matches(glob, template))
    }

    /// Whether a request may refer to a secret. What a pattern takes from the request's identity is
    /// fixed text: no name can hold a `*`.
    pub fn allows_secret(&self, id: &RequestId, arn: &str) -> bool {
        self.secrets.iter().any(|pattern| {
            let pattern = pattern
                .replace("{team}", id.team())
                .replace("{environment}", id.environment())
                .replace("{name}", id.name());
            matches(&pattern, arn)
        })
    }

    /// What [`Environment::settle`] was given for the same provider and the same additions.
    pub(super) fn settled(&self, provider: &str, with: &Map) -> Option<Map> {
        let settled = self.settled.read().unwrap_or_else(PoisonError::into_inner);
        let mut known = settled.iter().filter(|(p, w, _)| p == provider && w == with);
        known.next().map(|(.., settings)| settings.clone())
    }

    /// Keeps settings that need not be looked at again.
    pub(super) fn settle(&self, provider: &str, with: &Map, settings: &Map) {
        let mut settled = self.settled.write().unwrap_or_else(PoisonError::into_inner);
        settled.push((provider.to_owned(), with.clone(), settings.clone()));
    }

    /// The place of what a JSON pointer into its file names, or of the nearest that is there.
    pub fn place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.file, pointer, Part::Value)
    }

    /// The place of the key that a JSON pointer names, or of the nearest that is there.
    pub fn key_place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.file, pointer, Part::Key)
    }
}

/// Settings that only a component may have, by provider: what a template may do is its version's to declare,
/// for reviewers of the catalog to see.
const OF_COMPONENTS: [(&str, &str); 1] = [("cloudformation", "capabilities")];

/// Reads an environment. Always gives one: what is wrong with it is in its `problems`.
pub(super) fn environment(name: &str, file: &Arc<str>, bytes: &[u8]) -> Environment {
    let digest = digest::sha256(bytes);
    let (document, node, mut problems) =
        match schema::decode::<EnvironmentDocument>(Kind::Environment, file, bytes) {
            Ok((document, node)) => (Some(document), node, Vec::new()),
            Err(problems) => (None, Node::new(Default::default(), Data::Null), problems),
        };
    let found = document.as_ref().map(|document| document.metadata.name.as_str());
    if let Some(found) = found.filter(|found| *found != name) {
        let place = place_in(&node, file, "/metadata/name", Part::Value);
        let message = format!("expected `{name}`, as the file is called, found {}", quote(found));
        problems.push(Diagnostic::error("NAME002", place.clone(), message).fix(place, name));
    }
    for (provider, setting) in OF_COMPONENTS {
        let pointer = format!("/spec/providers/{provider}/{setting}");
        let settings = document.as_ref().and_then(|d| d.spec.providers.get(provider));
        if settings.is_some_and(|settings| settings.contains_key(setting)) {
            let place = place_in(&node, file, &pointer, Part::Key);
            let message = format!(
                "`{setting}` may not stand in an environment: it would be given to every template"
            );
            problems.push(Diagnostic::error("SCH007", place, message).help("take it out; a template's version declares it, in `with` of the component that needs it"));
        }
    }
    let fields = schema::not_supported(Kind::Environment, &node, file);
    let (metadata, spec) = document.map(|d| (d.metadata, d.spec)).unwrap_or_default();
    let mut written = rule::Reader {
        node: &node,
        file,
        // A rule here meets requests of every template.
        scope: Scope { parameters: None },
        problems: &mut problems,
    };
    let rules = written.rules(spec.policy, spec.approvals);
    let allow = written.allow(spec.allow);
    Environment {
        name: name.to_owned(),
        digest,
        file: Arc::clone(file),
        description: metadata.description,
        providers: spec.providers,
        variables: spec.variables,
        defaults: spec.defaults,
        locked: spec.locked,
        templates: spec.templates.unwrap_or_else(|| vec!["*".to_owned()]),
        protect: spec.protect,
        secrets: spec.secrets.allow,
        on_drift: spec.on_drift,
        rules,
        allow,
        not_supported: fields.into_iter().map(|(name, problem)| (name, problem.place)).collect(),
        problems,
        node,
        settled: RwLock::default(),
    }
}
