//! What was rendered into files and their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::compile::{Body, File, Kind, Program};
use super::eval::{Budget, Halt, Machine, Mode, Output};
use super::fill::Filler;
use super::problem::{byte, place};
use super::shape::{Builder, Flaw, Shape};
use super::{Context, Flavour, Limits, Rendered};
use crate::digest::{self, Digest};
use crate::model::{Artifact, Diagnostic, Place, Symbol};
use crate::yaml::{self, Data, Node};

pub(super) fn render(
    program: &Program,
    context: &Context,
    limits: &Limits,
) -> Result<Rendered, Vec<Diagnostic>> {
    let budget = Budget { steps: limits.steps, bytes: limits.output };
    let mut run =
        Run { program, context, limits, budget, problems: Vec::new(), unknown: BTreeSet::new() };
    let mut files = BTreeMap::new();
    let mut digests = Vec::new();
    for file in &program.files {
        match run.file(file) {
            Ok(Some((text, digest))) => {
                digests.push((file.path.as_str(), digest));
                files.insert(file.path.clone(), text);
            }
            Ok(None) => {}
            Err(Halt) => break,
        }
    }
    if !run.problems.is_empty() {
        return Err(run.problems);
    }
    if files.is_empty() {
        let file = program.library.units.last().map(|unit| Arc::clone(&unit.file));
        let place = Place::file(file.unwrap_or_else(|| "".into()));
        return Err(vec![Diagnostic::error("TPL009", place, "the component renders to no file")]);
    }
    let digest = Some(digest::of_files(digests));
    Ok(Rendered {
        artifact: Artifact { files, digest },
        unknown: run.unknown.into_iter().collect(),
    })
}

/// A file that is not rendered. Its digest is that of its content where it is one document.
pub(super) fn copied(file: &Arc<str>, text: &str, kind: Kind) -> Body {
    let text = text.replace("\r\n", "\n");
    let digest = meaning(file, &text, kind);
    Body::Copied { text, digest }
}

fn meaning(file: &Arc<str>, text: &str, kind: Kind) -> Digest {
    let documents = match kind {
        Kind::Text => None,
        // Copied files may be templates of another tool: what cannot be read is text.
        Kind::Yaml | Kind::Json => {
            yaml::read(file, text.as_bytes(), &yaml::Options::rendered()).ok()
        }
    };
    match documents {
        Some(nodes) => digest::of(&Meaning(&nodes)),
        None => digest::sha256(text.as_bytes()),
    }
}

/// The digest that rendered files have, from their texts: of what they mean, and not of their layout.
pub fn digest_of(files: &BTreeMap<String, String>) -> Digest {
    digest::of_files(
        files.iter().map(|(path, text)| {
            (path.as_str(), meaning(&path.as_str().into(), text, Kind::of(path)))
        }),
    )
}

/// What a digest is of: a tag as a map of itself, several documents as a list.
struct Meaning<'n>(&'n [Node]);

impl Serialize for Meaning<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [node] => Tagged(node).serialize(s),
            nodes => s.collect_seq(nodes.iter().map(Tagged)),
        }
    }
}

struct Tagged<'n>(&'n Node);

impl Serialize for Tagged<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let inside = Inside(&self.0.data);
        match &self.0.tag {
            None => inside.serialize(s),
            Some(tag) => s.collect_map([(tag, inside)]),
        }
    }
}

struct Inside<'n>(&'n Data);

impl Serialize for Inside<'_> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Data::Null => s.serialize_unit(),
            Data::Bool(value) => s.serialize_bool(*value),
            Data::Number(value) => value.serialize(s),
            Data::String(value) => s.serialize_str(value),
            Data::List(items) => s.collect_seq(items.iter().map(Tagged)),
            Data::Map(entries) => {
                s.collect_map(entries.iter().map(|(key, item)| (&key.name, Tagged(item))))
            }
        }
    }
}

/// One render of a component.
struct Run<'a> {
    program: &'a Program,
    context: &'a Context,
    limits: &'a Limits,
    budget: Budget,
    problems: Vec<Diagnostic>,
    unknown: BTreeSet<Symbol>,
}

impl<'a> Run<'a> {
    /// The text and digest of a file; nothing when it renders to nothing or to problems.
    fn file(&mut self, file: &'a File) -> Result<Option<(String, Digest)>, Halt> {
        match &file.body {
            Body::Copied { text, digest } => Ok(Some((text.clone(), *digest))),
            Body::Rendered { unit, kind: Kind::Text, .. } => {
                let output = self.evaluate(*unit, Mode::Text)?;
                let text = output.map(|output| output.text).filter(|text| !text.trim().is_empty());
                Ok(text.map(|text| {
                    let digest = digest::sha256(text.as_bytes());
                    (text, digest)
                }))
            }
            Body::Rendered { unit, kind, .. } => {
                let Some(output) = self.evaluate(*unit, Mode::Markers(self.program.mark))? else {
                    return Ok(None);
                };
                Ok(self.structured(file, *kind, &output))
            }
        }
    }

    fn evaluate(&mut self, unit: usize, mode: Mode) -> Result<Option<Output<'a>>, Halt> {
        let library = &self.program.library;
        let mut machine = Machine::new(library, self.context, self.limits, &mut self.budget, mode);
        let ended = machine.run(unit);
        let Machine { out, problems, unknown, .. } = machine;
        self.unknown.extend(unknown);
        let clean = problems.is_empty();
        self.problems.extend(problems);
        ended.map(|()| clean.then_some(out))
    }

    fn structured(
        &mut self,
        file: &File,
        kind: Kind,
        output: &Output<'a>,
    ) -> Option<(String, Digest)> {
        let shapes = self.shapes(file, kind, output)?;
        let mut filler = Filler {
            library: &self.program.library,
            holes: &output.holes,
            flavour: self.program.flavour,
            secrets: &self.context.secrets,
            problems: Vec::new(),
            unknown: &mut self.unknown,
        };
        let nodes: Vec<Node> = shapes.iter().map(|shape| filler.fill(shape)).collect();
        let problems = filler.problems;
        let clean = problems.is_empty();
        self.problems.extend(problems);
        if !clean || nodes.is_empty() {
            return None;
        }
        let digest = digest::of(&Meaning(&nodes));
        let json = kind == Kind::Json || self.program.flavour == Flavour::CloudFormation;
        let text = if json { pretty(&nodes) } else { yaml::write(&nodes) };
        if text.len() > self.limits.output {
            let message = format!("output: rendering takes more than {} bytes", self.limits.output);
            let (unit, _) = output.origin(0);
            let place = Place::file(Arc::clone(&self.program.library.units[unit].file));
            self.problems.push(Diagnostic::error("RenderLimit", place, message));
            return None;
        }
        Some((text, digest))
    }

    /// The documents of a text with markers; none when it holds nothing.
    fn shapes(&mut self, file: &File, kind: Kind, output: &Output<'a>) -> Option<Arc<Vec<Shape>>> {
        let Body::Rendered { cache, .. } = &file.body else { return None };
        if let Some(shapes) = cache.get(&output.text) {
            return Some(shapes);
        }
        let reader = Reader { program: self.program, limits: self.limits };
        match reader.parse(kind, output) {
            Ok(shapes) => {
                let shapes = Arc::new(shapes);
                cache.put(output.text.clone(), &shapes);
                Some(shapes)
            }
            Err(unread) => {
                self.problems.extend(unread.problems);
                None
            }
        }
    }
}

/// A text that is no document, or one with parts that may be taken for something else.
pub(super) struct Unread {
    pub is_document: bool,
    pub problems: Vec<Diagnostic>,
}

/// Reads rendered texts before values are in them.
pub(super) struct Reader<'p> {
    pub program: &'p Program,
    pub limits: &'p Limits,
}

impl Reader<'_> {
    /// The documents of a text with markers.
    pub fn parse(&self, kind: Kind, output: &Output<'_>) -> Result<Vec<Shape>, Unread> {
        // A tab is white space for JSON; nowhere else in JSON may it stand.
        let text = match kind {
            Kind::Json => output.text.replace('\t', " "),
            Kind::Yaml | Kind::Text => output.text.clone(),
        };
        let options = yaml::Options {
            many: kind == Kind::Yaml && self.program.flavour == Flavour::Plain,
            max_depth: self.limits.nesting,
            max_bytes: self.limits.output.saturating_mul(2),
            max_scalar: self.limits.output,
            ..yaml::Options::rendered()
        };
        let name: Arc<str> = "".into();
        let mut nodes = yaml::read(&name, text.as_bytes(), &options).map_err(|problems| {
            let problems = problems.iter().map(|problem| self.unread(problem, output)).collect();
            Unread { is_document: false, problems }
        })?;
        // An optional document that is left out is none, and so is an optional file.
        nodes.retain(|node| node.data != Data::Null || node.tag.is_some());
        let mut builder = Builder {
            text: &text,
            mark: self.program.mark,
            flavour: self.program.flavour,
            flaws: Vec::new(),
        };
        let shapes: Vec<_> = nodes.into_iter().map(|node| builder.shape(node)).collect();
        let flaws = builder.flaws;
        if flaws.is_empty() {
            return Ok(shapes);
        }
        let problems = flaws.iter().map(|flaw| self.flawed(flaw, output)).collect();
        Err(Unread { is_document: true, problems })
    }

    /// What the reader said of the rendered text, said of the template.
    fn unread(&self, problem: &Diagnostic, output: &Output<'_>) -> Diagnostic {
        let code = match problem.code.as_ref() {
            "YAML003" => "RenderLimit",
            _ => "TPL009",
        };
        // The lines that the reader names are those of a text that nobody sees.
        let message = problem.message.split(": it is on line").next().unwrap_or_default();
        let message = match code {
            "RenderLimit" => format!("nesting: {}", self.unmarked(message)),
            _ => format!("the rendered text cannot be read: {}", self.unmarked(message)),
        };
        let mut said = Diagnostic::error(code, self.place(&problem.place, output), message)
            .help(self.unmarked(&problem.help));
        for (place, label) in &problem.related {
            said = said.related(self.place(place, output), self.unmarked(label));
        }
        said
    }

    fn flawed(&self, flaw: &Flaw, output: &Output<'_>) -> Diagnostic {
        let place = self.source(flaw.span.start.byte as usize, output);
        Diagnostic::error("TPL009", place, self.unmarked(&flaw.message)).help(flaw.help)
    }

    /// The place in the template that wrote a place of the rendered text.
    fn place(&self, place: &Place, output: &Output<'_>) -> Place {
        self.source(byte(&output.text, place.line, place.column), output)
    }

    fn source(&self, byte: usize, output: &Output<'_>) -> Place {
        let (unit, at) = output.origin(byte);
        let unit = &self.program.library.units[unit];
        let at = (0..=at.min(unit.text.len())).rev().find(|n| unit.text.is_char_boundary(*n));
        let at = at.unwrap_or(0);
        let end = at + unit.text[at..].chars().next().map_or(0, char::len_utf8);
        place(&unit.file, &unit.text, &(at..end))
    }

    /// A message with its markers as people know them.
    fn unmarked(&self, text: &str) -> String {
        let parts = text.split(self.program.mark).enumerate();
        parts.map(|(n, part)| if n % 2 == 1 { "{{…}}" } else { part }).collect()
    }
}

/// JSON for people: indented, keys sorted.
fn pretty(nodes: &[Node]) -> String {
    let value = serde_json::to_value(Meaning(nodes)).expect("a document is a JSON value");
    let mut text = serde_json::to_string_pretty(&value).expect("a JSON value can be written");
    text.push('\n');
    text
}
