//! Template tests: what each asks for, as the request that it stands for, and what is wrong with the
//! tests themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;
use serde_json::Value;

use super::explain::Part;
use super::file::TestRequest;
use super::load::Catalog;
use super::path;
use super::request::{self, RequestFile};
use super::schema::place_in;
use super::template::{TemplateVersion, TestCase};
use crate::digest;
use crate::model::{Diagnostic, Place, Reference, RequestId, is_name, nearest, quote};
use crate::yaml::{Data, Key, Node, Span};

/// The team of a test's request, unless the test says otherwise.
const TEAM: &str = "example";

/// Whose outputs stand-ins are. It cannot be a team's request: a test has one request only.
const STAND_IN: &str = "stand-in";

/// Which of a test's requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// The one that is tested.
    Now,
    /// The one that it was applied with.
    Before,
}

/// A value that a test has in the place of another request's output.
#[derive(Clone, PartialEq, Debug)]
pub struct StandIn {
    /// What the request refers to.
    pub reference: Reference,
    /// The template that the other request is of, where the schema says which may be.
    pub template: Option<String>,
    /// The value.
    pub value: Value,
}

impl TestCase {
    /// The place of the value that a JSON pointer names, or of the nearest that is there.
    pub fn place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.file, pointer, Part::Value)
    }

    /// The place of the key that a JSON pointer names, or of the nearest that is there.
    pub fn key_place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.file, pointer, Part::Key)
    }

    /// The folder with the expected files, in `tests/` and without a `/` at the end.
    pub fn golden(&self) -> Option<&str> {
        self.document.spec.expect.rendered.as_deref().map(|folder| folder.trim_end_matches('/'))
    }

    fn pointer(&self, asked: Asked) -> &'static str {
        match (asked, &self.document.spec.before) {
            (Asked::Before, Some(_)) => "/spec/before",
            (Asked::Before, None) | (Asked::Now, _) => "/spec/request",
        }
    }

    /// The request's identity: of the request that is tested, also for the one before.
    pub fn request_id(&self) -> Option<RequestId> {
        let TestRequest { team, name, .. } = &self.document.spec.request;
        let team = team.as_deref().unwrap_or(TEAM);
        let name = name.as_deref().unwrap_or(&self.name);
        RequestId::new(team, &self.document.spec.environment, name)
    }

    /// The request for `version` as a file would have it. It is made of the test's own nodes, so that
    /// what is said of it has its place in the test.
    ///
    /// # Errors
    /// What is wrong with it, whatever the catalog says.
    pub fn request(
        &self,
        version: &TemplateVersion,
        asked: Asked,
    ) -> Result<(RequestFile, Vec<StandIn>), Vec<Diagnostic>> {
        let Some(id) = self.request_id() else { return Err(vec![not_a_name(self)]) };
        let pointer = self.pointer(asked);
        let written = self.node.at(pointer);
        let span = self.node.key_at(pointer).or_else(|| self.node.key_at("/spec"));
        let span = span.map_or(self.node.span, |key| key.span);
        let (references, stand_ins) = self.stand_ins(version, pointer, id.environment());
        let field = |name: &str| {
            let Data::Map(entries) = &written?.data else { return None };
            entries.iter().find(|(key, _)| key.name == name).cloned()
        };
        let mut spec = vec![entry("template", span, text(version.id.to_string(), span))];
        let own = ["parameters", "secrets", "protect", "reason", "adopt"];
        spec.extend(own.into_iter().filter_map(field));
        spec.extend(references);
        let metadata = map(span, field("labels").into_iter().collect());
        let node = map(
            self.node.span,
            vec![
                entry("apiVersion", span, text("vend.dev/v1".into(), span)),
                entry("kind", span, text("Request".into(), span)),
                entry("metadata", span, metadata),
                (Key { name: "spec".into(), span }, map(written.map_or(span, |n| n.span), spec)),
            ],
        );
        let digest = digest::of(&node.to_json());
        Ok((request::of_node(&self.file, &id, node, digest)?, stand_ins))
    }

    fn stand_ins(
        &self,
        version: &TemplateVersion,
        pointer: &str,
        environment: &str,
    ) -> (Option<(Key, Node)>, Vec<StandIn>) {
        let at = format!("{pointer}/references");
        let (Some(key), Some(node)) = (self.node.key_at(&at), self.node.at(&at)) else {
            return (None, Vec::new());
        };
        let Data::Map(entries) = &node.data else { return (None, Vec::new()) };
        let mut references = Vec::new();
        let mut stand_ins = Vec::new();
        for (n, (key, value)) in entries.iter().enumerate() {
            let id = RequestId::new(STAND_IN, environment, &format!("reference-{}", n + 1));
            let Some(request) = id else { continue };
            let (id, output) = (request.to_string(), "value".to_owned());
            let span = value.span;
            let fields = vec![
                entry("request", span, text(id, span)),
                entry("output", span, text(output.clone(), span)),
            ];
            references.push((key.clone(), map(span, fields)));
            stand_ins.push(StandIn {
                reference: Reference { request, output },
                template: version.parameters.filled_by.get(&key.name).cloned(),
                value: value.to_json(),
            });
        }
        (Some((key.clone(), map(node.span, references))), stand_ins)
    }

    /// Whether a place lies where the test gives a parameter.
    pub fn is_of_parameter(&self, place: &Place, name: &str) -> bool {
        let name = super::explain::escape(name);
        let fields = ["parameters", "references", "secrets"];
        let at = |field| format!("/spec/request/{field}/{name}");
        place.file == self.file
            && fields.into_iter().map(at).any(|pointer| {
                let (Some(key), Some(node)) = (self.node.key_at(&pointer), self.node.at(&pointer))
                else {
                    return false;
                };
                let (from, to) = (key.span.start, node.span.end);
                let start = (place.line, place.column);
                (from.line, from.column) <= start && start <= (to.line, to.column)
            })
    }
}

fn text(text: String, span: Span) -> Node {
    Node::new(span, Data::String(text))
}

fn map(span: Span, entries: Vec<(Key, Node)>) -> Node {
    Node::new(span, Data::Map(entries))
}

fn entry(name: &str, span: Span, node: Node) -> (Key, Node) {
    (Key { name: name.into(), span }, node)
}

/// What is wrong with the tests of a version, as they stand in their files.
pub(super) fn problems(catalog: &Catalog, version: &TemplateVersion) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut names: BTreeMap<&str, &TestCase> = BTreeMap::new();
    for test in &version.tests {
        found.extend(environment(catalog, test));
        found.extend(golden(version, test));
        found.extend(older(catalog, version, test));
        found.extend(counted(test));
        if test.request_id().is_none() {
            found.push(not_a_name(test));
        }
        match names.get(test.name.as_str()) {
            Some(first) => {
                let place = test.place("/metadata/name");
                let message =
                    format!("two tests of `{}` are called {}", version.id, quote(&test.name));
                let first = first.place("/metadata/name");
                let problem = Diagnostic::error("TST001", place, message);
                found.push(problem.help("give each a name of its own").related(first, "the first"));
            }
            None => {
                names.insert(&test.name, test);
            }
        }
    }
    found
}

fn not_a_name(test: &TestCase) -> Diagnostic {
    let message = format!("{} cannot be the name of the request", quote(&test.name));
    let help = "rename the file, or say `metadata.name`: a-z, 0-9 and `-`, beginning with a letter, at most 63 characters";
    Diagnostic::error("NAME001", test.place("/metadata/name"), message).help(help)
}

fn environment(catalog: &Catalog, test: &TestCase) -> Option<Diagnostic> {
    let name = &test.document.spec.environment;
    if catalog.environments.contains_key(name) || !is_name(name) {
        return None;
    }
    let message = format!("the catalog has no environment {}", quote(name));
    let problem = Diagnostic::error("ENV001", test.place("/spec/environment"), message);
    Some(match nearest(name, catalog.environments.keys().map(String::as_str)) {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    })
}

/// A golden folder is one's own: below `tests/`, and in nobody else's.
fn golden(version: &TemplateVersion, test: &TestCase) -> Option<Diagnostic> {
    let folder = test.golden()?;
    let place = || test.place("/spec/expect/rendered");
    if let Some(why) = path::problem(folder) {
        let problem = Diagnostic::error("TST002", place(), why);
        return Some(problem.help("name a folder in `tests/`, such as `golden/basic/`"));
    }
    let inside = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    let clash = |other: &&TestCase| other.golden().is_some_and(|outer| inside(folder, outer));
    let other = version.tests.iter().find(clash)?;
    let message = format!("this folder lies in that of the test {}", quote(&other.name));
    let problem = Diagnostic::error("TST002", place(), message);
    let theirs = other.place("/spec/expect/rendered");
    Some(problem.help("put it beside that one").related(theirs, "the folder around it"))
}

fn older(catalog: &Catalog, version: &TemplateVersion, test: &TestCase) -> Option<Diagnostic> {
    let text = test.document.spec.upgrade_from.as_deref()?;
    let (name, own) = (&version.id.name, &version.id.version);
    let problem =
        |message: String| Diagnostic::error("TST003", test.place("/spec/upgradeFrom"), message);
    let Ok(from) = Version::parse(text) else {
        return Some(problem(format!("{} is not a version such as `1.1.0`", quote(text))));
    };
    let versions: BTreeSet<&Version> =
        catalog.templates.get(name).into_iter().flatten().map(|(version, _)| version).collect();
    if !versions.contains(&from) {
        let known: Vec<_> =
            versions.iter().filter(|v| **v < own).map(|v| format!("`{v}`")).collect();
        let problem = problem(format!("template `{name}` has no version {}", quote(text)));
        return Some(match known.as_slice() {
            [] => problem.help("there is none older"),
            known => problem.help(format!("older are {}", known.join(", "))),
        });
    }
    (from >= *own).then(|| {
        problem(format!("{} is not older than `{own}`", quote(text)))
            .help("take it out; `before` says what was asked for in the same version")
    })
}

/// What is new replaces and deletes nothing.
fn counted(test: &TestCase) -> Option<Diagnostic> {
    let spec = &test.document.spec;
    let named = [("replaces", spec.expect.replaces), ("deletes", spec.expect.deletes)];
    let (name, _) = named.into_iter().find(|(_, count)| count.is_some())?;
    (!spec.is_upgrade()).then(|| {
        let place = test.key_place(&format!("/spec/expect/{name}"));
        let message = format!("`{name}` says nothing of a request that is new");
        Diagnostic::error("TST004", place, message)
            .help("say with `upgradeFrom` or `before` what was applied, or take it out")
    })
}

/// The version that a test is an upgrade from; its own where it is not one of versions.
pub fn applied_version<'a>(
    catalog: &'a Catalog,
    version: &'a Arc<TemplateVersion>,
    test: &TestCase,
) -> Option<&'a Arc<TemplateVersion>> {
    match &test.document.spec.upgrade_from {
        Some(text) => catalog.templates.get(&version.id.name)?.get(&Version::parse(text).ok()?),
        None => Some(version),
    }
}
