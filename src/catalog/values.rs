//! A request's parameters: where each value comes from, and whether the template takes them.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::ValidationError;
use serde_json::Value;

use super::ambiguous;
use super::check::Filled;
use super::environment::Environment;
use super::explain::{self, Part, Subject, escape};
use super::file::Secret;
use super::parameters::{Parameters, holds_secret};
use super::request::RequestFile;
use super::template::TemplateVersion;
use crate::model::{Dependency, Diagnostic, Map, Place, Reference, Slot, Symbol, nearest, quote};
use crate::yaml::Node;

/// What fills a reference; the second argument is the template whose requests may.
pub(super) type Fill<'a> = &'a dyn Fn(&Reference, Option<&str>) -> Filled;

/// What to do about a secret in a file. Whether it was committed, who reads the file does not know.
const NOT_HERE: &str =
    "put a reference, not a value; if it was ever committed, change the secret: Git keeps it";

/// What came of it.
pub(super) struct Values {
    /// Every declared parameter, and others where the schema lets them be.
    pub slots: BTreeMap<String, Slot>,
    /// The texts among them that stand for secrets.
    pub secrets: BTreeSet<String>,
    /// What is not there yet, with the place that asks for it.
    pub missing: Vec<(Dependency, Diagnostic)>,
}

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Request,
    Reference,
    Secret,
    Defaults,
    Locked,
    Schema,
}

struct Collector<'a> {
    request: &'a RequestFile,
    template: &'a TemplateVersion,
    environment: &'a Environment,
    known: serde_json::Map<String, Value>,
    from: BTreeMap<&'a str, From>,
    unknown: BTreeMap<&'a str, Option<Symbol>>,
    secrets: BTreeMap<&'a str, String>,
    missing: Vec<(Dependency, Diagnostic)>,
    /// Said already: the schema has nothing to add.
    silent: BTreeSet<&'a str>,
    problems: Vec<Diagnostic>,
}

/// Gathers the values of all sources and holds them against the template's schema.
pub(super) fn values<'a>(
    request: &'a RequestFile,
    template: &'a TemplateVersion,
    environment: &'a Environment,
    fill: Fill<'_>,
    problems: &mut Vec<Diagnostic>,
) -> Values {
    let mut collector = Collector {
        request,
        template,
        environment,
        known: serde_json::Map::new(),
        from: BTreeMap::new(),
        unknown: BTreeMap::new(),
        secrets: BTreeMap::new(),
        missing: Vec::new(),
        silent: BTreeSet::new(),
        problems: Vec::new(),
    };
    collector.gather(fill);
    template.parameters.fill_nested(&mut collector.known);
    collector.validate();
    problems.append(&mut collector.problems);
    let mut slots: BTreeMap<String, Slot> =
        collector.known.into_iter().map(|(name, value)| (name, Slot::Known(value))).collect();
    for (name, symbol) in collector.unknown {
        if let Some(symbol) = symbol {
            slots.insert(name.to_owned(), Slot::Unknown(symbol));
        }
    }
    let secrets = collector.secrets.values().cloned().collect();
    for (name, text) in collector.secrets {
        slots.insert(name.to_owned(), Slot::Known(Value::String(text)));
    }
    for name in &template.parameters.names {
        if !slots.contains_key(name) {
            slots.insert(name.clone(), Slot::Known(Value::Null));
        }
    }
    Values { slots, secrets, missing: collector.missing }
}

impl<'a> Collector<'a> {
    fn gather(&mut self, fill: Fill<'_>) {
        let parameters: &'a Parameters = &self.template.parameters;
        let name = self.template.id.name.as_str();
        let locked = self.environment.locked.get(name);
        let defaults = self.environment.defaults.get(name);
        let (request, environment) = (self.request, self.environment);
        self.take(
            locked.into_iter().flatten().filter(|(n, _)| parameters.names.contains(*n)),
            From::Locked,
        );
        for (name, value) in &request.parameters {
            if self.from.get(name.as_str()) == Some(&From::Locked) {
                self.hold_to_lock(name, value);
            } else if parameters.sensitive.contains(name) {
                self.refuse_literal(name, request.place(&self.pointer(name, From::Request)));
            } else if holds_secret(value) {
                self.refuse_secret(name, request.place(&self.pointer(name, From::Request)));
            } else {
                self.take(std::iter::once((name, value)), From::Request);
            }
        }
        for (name, reference) in &request.references {
            if self.from.get(name.as_str()) == Some(&From::Locked) {
                let message = format!("{} is locked in `{}`", quote(name), environment.name);
                self.locked(name, request.key_place(&self.pointer(name, From::Reference)), message);
            } else if self.is_declared(name, From::Reference) {
                self.fill(name, reference, fill);
            }
        }
        for (name, secret) in &request.secrets {
            if self.from.get(name.as_str()) == Some(&From::Locked) {
                let message = format!("{} is locked in `{}`", quote(name), environment.name);
                self.locked(name, request.key_place(&self.pointer(name, From::Secret)), message);
            } else if self.is_declared(name, From::Secret) {
                self.refer(name, secret);
            }
        }
        let declared = |(name, _): &(&String, &Value)| parameters.names.contains(*name);
        for (name, value) in defaults.into_iter().flatten().filter(declared) {
            if parameters.sensitive.contains(name) {
                self.refuse_literal(name, environment.place(&self.pointer(name, From::Defaults)));
            }
            self.take(std::iter::once((name, value)), From::Defaults);
        }
        self.take(parameters.defaults.iter(), From::Schema);
    }

    /// Values of one source, where no earlier one has any.
    fn take(&mut self, values: impl Iterator<Item = (&'a String, &'a Value)>, from: From) {
        for (name, value) in values {
            let taken =
                self.from.contains_key(name.as_str()) || self.silent.contains(name.as_str());
            if !taken && !self.unknown.contains_key(name.as_str()) {
                self.known.insert(name.clone(), value.clone());
                self.from.insert(name, from);
            }
        }
    }

    fn hold_to_lock(&mut self, name: &'a str, value: &Value) {
        if self.known.get(name) == Some(value) {
            return;
        }
        let place = self.request.place(&self.pointer(name, From::Request));
        let held = &self.known[name];
        let message = if self.template.parameters.sensitive.contains(name) {
            format!("{} is locked in `{}`", quote(name), self.environment.name)
        } else {
            let held = crate::model::escape(&held.to_string(), 80);
            format!("{} is locked to `{held}` in `{}`", quote(name), self.environment.name)
        };
        self.locked(name, place, message);
    }

    fn locked(&mut self, name: &str, place: Place, message: String) {
        let lock = self.environment.key_place(&self.pointer(name, From::Locked));
        self.problems.push(
            Diagnostic::error("ENV008", place, message)
                .help("take the line out: the environment sets the value")
                .related(lock, "the lock"),
        );
    }

    fn refuse_literal(&mut self, name: &'a str, place: Place) {
        self.silent.insert(name);
        let message =
            format!("{} is sensitive, and a value stands here for all to read", quote(name));
        self.problems.push(Diagnostic::error("SEC001", place, message).help(NOT_HERE));
    }

    fn refuse_secret(&mut self, name: &'a str, place: Place) {
        self.silent.insert(name);
        let message = format!("the value of {} looks like a secret", quote(name));
        self.problems.push(Diagnostic::error("SEC001", place, message).help(NOT_HERE));
    }

    /// Whether the schema declares it, or takes what it does not declare.
    fn is_declared(&mut self, name: &str, from: From) -> bool {
        let parameters = &self.template.parameters;
        if parameters.names.contains(name) {
            return true;
        }
        let closed = parameters.schema.raw.get("additionalProperties") == Some(&Value::Bool(false));
        if !closed {
            return true;
        }
        let place = self.request.key_place(&self.pointer(name, from));
        let message = format!("unknown parameter {}", quote(name));
        let problem = Diagnostic::error("SCH001", place.clone(), message);
        self.problems.push(match nearest(name, parameters.names.iter().map(String::as_str)) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(place, meant),
            None => problem,
        });
        false
    }

    /// Lets a parameter stand for a secret, where the environment allows that one.
    fn refer(&mut self, name: &'a str, secret: &Secret) {
        // The schema cannot judge a value that nobody here ever sees.
        self.unknown.insert(name, None);
        let arn = &secret.aws_secrets_manager;
        if self.environment.allows_secret(&self.request.id, arn) {
            self.secrets.insert(name, dynamic_reference(secret));
            return;
        }
        let pointer = format!("{}/awsSecretsManager", self.pointer(name, From::Secret));
        let message = format!(
            "the secret of {} may not be referred to in `{}`",
            quote(name),
            self.environment.name
        );
        self.problems.push(
            Diagnostic::error("SEC002", self.request.place(&pointer), message)
                .help(
                    "name a secret that `secrets.allow` of the environment has, or have one added",
                )
                .related(self.environment.place("/spec/secrets"), "what may be referred to"),
        );
    }

    fn fill(&mut self, name: &'a str, reference: &Reference, fill: Fill<'_>) {
        let template = self.template.parameters.filled_by.get(name).map(String::as_str);
        let pointer = self.pointer(name, From::Reference);
        match fill(reference, template) {
            Filled::Known(value) => {
                self.known.insert(name.to_owned(), value);
                self.from.insert(name, From::Reference);
            }
            Filled::Unknown(symbol) => {
                self.unknown.insert(name, Some(symbol));
            }
            Filled::Missing(dependency) => {
                let (code, message) = missing(reference, &dependency);
                let place = self.request.place(&format!("{pointer}/request"));
                self.unknown.insert(name, None);
                self.missing.push((dependency, Diagnostic::warning(code, place, message)));
            }
            Filled::Refused(why) => {
                self.unknown.insert(name, None);
                let place = self.request.place(&format!("{pointer}/output"));
                self.problems.push(Diagnostic::error("REF004", place, why));
            }
        }
    }

    /// Where a parameter's value stands in the file it comes from.
    fn pointer(&self, name: &str, from: From) -> String {
        let template = &self.template.id.name;
        let name = escape(name);
        match from {
            From::Request | From::Schema => format!("/spec/parameters/{name}"),
            From::Reference => format!("/spec/references/{name}"),
            From::Secret => format!("/spec/secrets/{name}"),
            From::Defaults => format!("/spec/defaults/{template}/{name}"),
            From::Locked => format!("/spec/locked/{template}/{name}"),
        }
    }

    fn source(&self, pointer: &str) -> Option<From> {
        let name = pointer.split('/').nth(1)?.replace("~1", "/").replace("~0", "~");
        self.from.get(name.as_str()).copied()
    }

    fn place(&self, pointer: &str, part: Part) -> Place {
        let in_file = |field: String| match part {
            Part::Key => self.request.key_place(&field),
            Part::Value => self.request.place(&field),
        };
        let template = &self.template.id.name;
        let in_environment = |field: &str| {
            let field = format!("/spec/{field}/{template}{pointer}");
            match part {
                Part::Key => self.environment.key_place(&field),
                Part::Value => self.environment.place(&field),
            }
        };
        match self.source(pointer) {
            Some(From::Defaults) => in_environment("defaults"),
            Some(From::Locked) => in_environment("locked"),
            Some(From::Reference) => {
                let name = pointer.split('/').nth(1).unwrap_or_default();
                self.request.key_place(&format!("/spec/references/{name}"))
            }
            Some(From::Secret) => {
                let name = pointer.split('/').nth(1).unwrap_or_default();
                self.request.key_place(&format!("/spec/secrets/{name}"))
            }
            Some(From::Request) => in_file(format!("/spec/parameters{pointer}")),
            Some(From::Schema) | None if self.request.node.at("/spec/parameters").is_some() => {
                in_file(format!("/spec/parameters{pointer}"))
            }
            Some(From::Schema) | None => self.request.place("/spec/template"),
        }
    }

    fn node(&self, pointer: &str) -> Option<&'a Node> {
        let from = self.source(pointer);
        let unknown = from.is_none() && !pointer.is_empty();
        (from == Some(From::Request) || unknown)
            .then(|| self.request.node.at(&format!("/spec/parameters{pointer}")))
            .flatten()
    }

    fn validate(&mut self) {
        let schema = &self.template.parameters.schema;
        let value = Value::Object(std::mem::take(&mut self.known));
        let mut unclear = Vec::new();
        for (name, from) in &self.from {
            let pointer = format!("/{}", escape(name));
            let node = (*from == From::Request)
                .then(|| self.request.node.at("/spec/parameters"))
                .flatten();
            if let Some(node) = node.and_then(|node| node.get(name)) {
                ambiguous::find_at(node, &pointer, &mut unclear);
            }
        }
        let hidden = |pointer: &str| {
            let name = pointer.split('/').nth(1).unwrap_or_default();
            !name.is_empty()
                && self
                    .template
                    .parameters
                    .sensitive
                    .contains(&name.replace("~1", "/").replace("~0", "~"))
        };
        let subject = Subject {
            place: &|pointer, part| self.place(pointer, part),
            scalar: &|pointer| self.node(pointer),
            hidden: &hidden,
            noun: "parameter",
        };
        let counts = |error: &ValidationError<'_>| self.counts(error);
        let found = explain::check_some(schema, &value, &subject, &unclear, &counts);
        drop(unclear);
        self.problems.extend(found);
        if let Value::Object(entries) = value {
            self.known = entries;
        }
    }

    /// Values that are not known yet are judged when they are: until then an error that their
    /// absence may have caused is none.
    fn counts(&self, error: &ValidationError<'_>) -> bool {
        use jsonschema::error::ValidationErrorKind as Kind;
        if self.unknown.is_empty() && self.silent.is_empty() {
            return true;
        }
        if let Kind::Required { property } = error.kind()
            && error.instance_path().is_empty()
        {
            let name = property.as_str().unwrap_or_default();
            if self.unknown.contains_key(name) || self.silent.contains(name) {
                return false;
            }
        }
        !depends(error)
    }
}

/// Whether an error may be due to what other parameters are, or to their absence.
pub(super) fn depends(error: &ValidationError<'_>) -> bool {
    const DEPENDS: [&str; 9] = [
        "then",
        "else",
        "if",
        "oneOf",
        "anyOf",
        "not",
        "dependentSchemas",
        "dependentRequired",
        "minProperties",
    ];
    let path = error.schema_path().as_str();
    let top = path.split("/properties/").next().unwrap_or(path);
    top.split('/').any(|part| DEPENDS.contains(&part))
}

/// CloudFormation's own way to name a secret: it fetches the value when it makes the resource.
fn dynamic_reference(secret: &Secret) -> String {
    let Secret { aws_secrets_manager, key } = secret;
    match key {
        Some(key) => {
            format!("{{{{resolve:secretsmanager:{aws_secrets_manager}:SecretString:{key}}}}}")
        }
        None => format!("{{{{resolve:secretsmanager:{aws_secrets_manager}}}}}"),
    }
}

fn missing(reference: &Reference, dependency: &Dependency) -> (&'static str, String) {
    match dependency {
        Dependency::Output(_) => (
            "DEP003",
            format!("`{}` has no output {}", reference.request, quote(&reference.output)),
        ),
        _ => (
            "DEP003",
            format!("waiting for `{}`, which is not there or not ready", reference.request),
        ),
    }
}

/// The environment's settings refined by the component's: maps entry by entry, all else replaced.
pub fn refined(settings: &Map, with: &Map) -> Map {
    let mut all = settings.clone();
    for (name, value) in with {
        match (all.get_mut(name), value) {
            (Some(Value::Object(below)), Value::Object(over)) => {
                below.extend(over.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            _ => {
                all.insert(name.clone(), value.clone());
            }
        }
    }
    all
}
