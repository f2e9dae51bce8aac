//! The JSON Schemas of the files people write: the single truth about their shape.

use std::sync::{Arc, LazyLock};

use jsonschema::{Draft, PatternOptions, Validator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ambiguous;
use super::explain::{self, Part, Subject};
use crate::model::{Diagnostic, Place};
use crate::yaml::{self, Data, Node};

/// A schema, compiled.
#[derive(Debug)]
pub struct Schema {
    /// As written.
    pub raw: Value,
    pub(super) validator: Validator,
}

/// A schema that cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[error("not a usable JSON Schema at `{pointer}`: {message}")]
pub struct SchemaError {
    /// Where in the schema, as a JSON pointer.
    pub pointer: String,
    /// Why.
    pub message: String,
}

impl Schema {
    /// Compiles a schema of draft 2020-12. Nothing is fetched, patterns run in linear time.
    ///
    /// # Errors
    /// The first place at which the schema is not valid.
    pub fn compile(raw: Value) -> Result<Self, SchemaError> {
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex())
            .build(&raw)
            .map_err(|error| SchemaError {
                pointer: error.instance_path().as_str().to_owned(),
                message: error.to_string(),
            })?;
        Ok(Self { raw, validator })
    }

    /// The schema that everything satisfies.
    pub(super) fn any() -> Self {
        Self::compile(Value::Bool(true)).expect("this schema compiles")
    }

    fn embedded(text: &str) -> Self {
        // Our own files, held by a test.
        let raw = serde_json::from_str(text).expect("an embedded schema is JSON");
        Self::compile(raw).expect("an embedded schema compiles")
    }
}

/// The kinds of files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// `catalog.yaml`.
    Catalog,
    /// `templates/<name>/<version>/template.yaml`.
    Template,
    /// `templates/<name>/<version>/tests/*.yaml`.
    TemplateTest,
    /// `environments/<name>.yaml`.
    Environment,
    /// A request.
    Request,
    /// A status file.
    Status,
    /// `vend.yaml`.
    Config,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Catalog,
        Self::Template,
        Self::TemplateTest,
        Self::Environment,
        Self::Request,
        Self::Status,
        Self::Config,
    ];

    /// As it stands after `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalog => "Catalog",
            Self::Template => "Template",
            Self::TemplateTest => "TemplateTest",
            Self::Environment => "Environment",
            Self::Request => "Request",
            Self::Status => "Status",
            Self::Config => "Config",
        }
    }

    /// The schema's text, as published.
    pub fn text(self) -> &'static str {
        match self {
            Self::Catalog => include_str!("../../catalog-schema/catalog.schema.json"),
            Self::Template => include_str!("../../catalog-schema/template.schema.json"),
            Self::TemplateTest => include_str!("../../catalog-schema/template-test.schema.json"),
            Self::Environment => include_str!("../../catalog-schema/environment.schema.json"),
            Self::Request => include_str!("../../catalog-schema/request.schema.json"),
            Self::Status => include_str!("../../catalog-schema/status.schema.json"),
            Self::Config => include_str!("../../catalog-schema/vend.schema.json"),
        }
    }

    /// The schema, compiled once.
    pub fn schema(self) -> &'static Schema {
        static COMPILED: [LazyLock<Schema>; 7] = [
            LazyLock::new(|| Schema::embedded(Kind::Catalog.text())),
            LazyLock::new(|| Schema::embedded(Kind::Template.text())),
            LazyLock::new(|| Schema::embedded(Kind::TemplateTest.text())),
            LazyLock::new(|| Schema::embedded(Kind::Environment.text())),
            LazyLock::new(|| Schema::embedded(Kind::Request.text())),
            LazyLock::new(|| Schema::embedded(Kind::Status.text())),
            LazyLock::new(|| Schema::embedded(Kind::Config.text())),
        ];
        &COMPILED[self as usize]
    }

    /// Parts whose ambiguous scalars another schema judges later.
    fn deferred(self) -> &'static [&'static str] {
        match self {
            Self::Request => &["/spec/parameters"],
            Self::TemplateTest => &["/spec/request/parameters", "/spec/before/parameters"],
            Self::Catalog | Self::Template | Self::Environment | Self::Status | Self::Config => &[],
        }
    }
}

/// The text of a provider's settings schema, when vend knows the provider's kind, built or not.
pub fn provider_text(provider: &str) -> Option<&'static str> {
    match provider {
        "files" => Some(include_str!("../../catalog-schema/provider.files.schema.json")),
        "cloudformation" => {
            Some(include_str!("../../catalog-schema/provider.cloudformation.schema.json"))
        }
        _ => None,
    }
}

/// The schema of a provider's settings, compiled once.
pub fn provider(provider: &str) -> Option<&'static Schema> {
    static FILES: LazyLock<Schema> =
        LazyLock::new(|| Schema::embedded(provider_text("files").unwrap_or_default()));
    static CLOUDFORMATION: LazyLock<Schema> =
        LazyLock::new(|| Schema::embedded(provider_text("cloudformation").unwrap_or_default()));
    match provider {
        "files" => Some(&FILES),
        "cloudformation" => Some(&CLOUDFORMATION),
        _ => None,
    }
}

/// How a pointer of Git LFS begins.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Reads a file of one document that is a mapping.
///
/// # Errors
/// All problems of its YAML, or `REQ001`.
pub fn read(kind: Kind, file: &Arc<str>, bytes: &[u8]) -> Result<Node, Vec<Diagnostic>> {
    if bytes.starts_with(LFS) {
        let message = "this is a pointer of Git LFS, and what it points to is not fetched";
        let problem = Diagnostic::error("PATH003", Place::file(Arc::clone(file)), message);
        return Err(vec![problem.help("commit the file itself")]);
    }
    let node = yaml::read(file, bytes, &yaml::Options::request())?.into_iter().next();
    match node {
        Some(node) if matches!(node.data, Data::Map(_)) => Ok(node),
        other => Err(vec![not_a_mapping(kind, file, other.as_ref())]),
    }
}

fn not_a_mapping(kind: Kind, file: &Arc<str>, node: Option<&Node>) -> Diagnostic {
    let found = match node.map(|node| &node.data) {
        None | Some(Data::Null) => "nothing",
        Some(Data::List(_)) => "a list",
        Some(_) => "a single value",
    };
    let place = node.map_or_else(|| Place::file(Arc::clone(file)), |node| node.place(file));
    let keys = match kind {
        Kind::Config => "`catalog` and `requests`",
        _ => "`apiVersion`, `kind` and `spec`",
    };
    Diagnostic::error("REQ001", place, format!("expected a mapping with {keys}, found {found}"))
}

/// Holds a document against its kind's schema and gives it as JSON.
///
/// # Errors
/// All problems, in the order of their places.
pub fn envelope(kind: Kind, node: &Node, file: &Arc<str>) -> Result<Value, Vec<Diagnostic>> {
    if !matches!(node.data, Data::Map(_)) {
        return Err(vec![not_a_mapping(kind, file, Some(node))]);
    }
    let value = node.to_json();
    let schema = kind.schema();
    let place = |pointer: &str, part: Part| place_in(node, file, pointer, part);
    let subject =
        Subject { place: &place, hidden: &|_| false, scalar: &|p| node.at(p), noun: "field" };
    let unclear = ambiguous::find(node, kind.deferred());
    let mut problems = explain::check(schema, &value, &subject, &unclear);
    if kind == Kind::Config {
        problems.extend(not_supported(kind, node, file).into_iter().map(|(_, problem)| problem));
    }
    if problems.is_empty() { Ok(value) } else { Err(sorted(problems)) }
}

/// Reads a file into its type.
///
/// # Errors
/// All problems, in the order of their places.
pub fn decode<T: DeserializeOwned>(
    kind: Kind,
    file: &Arc<str>,
    bytes: &[u8],
) -> Result<(T, Node), Vec<Diagnostic>> {
    let node = read(kind, file, bytes)?;
    let value = envelope(kind, &node, file)?;
    match serde_path_to_error::deserialize(value) {
        Ok(typed) => Ok((typed, node)),
        Err(error) => {
            // What the schema lets through and the type does not, such as a number beyond its range.
            let pointer: String = error.path().iter().map(|part| format!("/{part}")).collect();
            let place = place_in(&node, file, &pointer, Part::Value);
            let message = format!("this value cannot be used: {}", error.inner());
            Err(vec![Diagnostic::error("SCH009", place, message)])
        }
    }
}

/// A document that its schema has something against, without what its type does not take.
pub(super) fn decode_anyway<T: DeserializeOwned>(
    kind: Kind,
    file: &Arc<str>,
    bytes: &[u8],
) -> Option<(T, Node)> {
    const MOST: usize = 32;
    let node = read(kind, file, bytes).ok()?;
    let mut value = node.to_json();
    for _ in 0..MOST {
        let error = match serde_path_to_error::deserialize(value.clone()) {
            Ok(typed) => return Some((typed, node)),
            Err(error) => error,
        };
        // An entry of a map can go; without an item of a list the places of those behind it would be others.
        let pointer: String = error.path().iter().map(|part| format!("/{part}")).collect();
        let (above, name) = pointer.rsplit_once('/')?;
        value.pointer_mut(above)?.as_object_mut()?.remove(name)?;
    }
    None
}

/// Fields of a document whose behaviour is not built: those that its schema marks
/// `x-not-supported`, unless their value says nothing.
pub(super) fn not_supported(kind: Kind, node: &Node, file: &Arc<str>) -> Vec<(String, Diagnostic)> {
    let mut found = Vec::new();
    marked(&kind.schema().raw, node, file, &mut found);
    found
}

fn marked(schema: &Value, node: &Node, file: &Arc<str>, found: &mut Vec<(String, Diagnostic)>) {
    let (Some(properties), Data::Map(entries)) = (schema.get("properties"), &node.data) else {
        return;
    };
    for (key, value) in entries {
        let Some(schema) = properties.get(&key.name) else { continue };
        if schema.get("x-not-supported").is_none() {
            marked(schema, value, file, found);
        } else if !says_nothing(&value.data) {
            let message = format!("`{}` is not supported yet", key.name);
            let problem = Diagnostic::error("SUP001", key.place(file), message)
                .help("take it out: it would not be obeyed");
            found.push((key.name.clone(), problem));
        }
    }
}

fn says_nothing(data: &Data) -> bool {
    match data {
        Data::Null | Data::Bool(false) => true,
        Data::List(items) => items.is_empty(),
        Data::Map(entries) => entries.is_empty(),
        Data::Bool(true) | Data::Number(_) | Data::String(_) => false,
    }
}

/// The place of what a JSON pointer names, or of the nearest that is there.
pub(super) fn place_in(node: &Node, file: &Arc<str>, pointer: &str, part: Part) -> Place {
    let mut pointer = pointer;
    let mut part = part;
    loop {
        let key = (part == Part::Key).then(|| node.key_at(pointer)).flatten();
        if let Some(key) = key {
            return key.place(file);
        }
        if let Some(found) = node.at(pointer) {
            if matches!(found.data, Data::Map(_) | Data::List(_)) && part == Part::Key {
                // A whole block is too much to point at; its beginning is where one looks.
                let start = found.span.start;
                return Place {
                    file: Arc::clone(file),
                    line: start.line,
                    column: start.column,
                    end_line: start.line,
                    end_column: start.column,
                };
            }
            return found.place(file);
        }
        part = Part::Key;
        match pointer.rsplit_once('/') {
            Some((parent, _)) => pointer = parent,
            None => return Place::file(Arc::clone(file)),
        }
    }
}

pub(super) fn sorted(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort_by(|a, b| a.place.cmp(&b.place).then_with(|| a.code.cmp(&b.code)));
    problems.dedup();
    problems
}
