//! Sources into a program.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::shape::Shape;
use super::{Flavour, Library, Reads, Source, Unfit, ast, check, output, parse};
use crate::digest::Digest;
use crate::model::{Diagnostic, Place, quote};

#[derive(Debug)]
pub(super) struct Program {
    pub library: Library,
    pub files: Vec<File>,
    pub flavour: Flavour,
    /// A character that no source has.
    pub mark: char,
    pub reads: Reads,
}

impl Program {
    /// The units that are rendered by themselves.
    pub fn roots(&self) -> impl Iterator<Item = usize> {
        roots(&self.files)
    }
}

fn roots(files: &[File]) -> impl Iterator<Item = usize> {
    files.iter().filter_map(|file| match file.body {
        Body::Rendered { unit, .. } => Some(unit),
        Body::Copied { .. } => None,
    })
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct File {
    pub path: String,
    pub body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Copied { text: String, digest: Digest },
    Rendered { unit: usize, kind: Kind, cache: Cache },
}

/// How a file is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Yaml,
    Json,
    Text,
}

impl Kind {
    pub fn of(path: &str) -> Self {
        match path.rsplit_once('.').map(|(_, extension)| extension) {
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::Text,
        }
    }
}

/// Parsed documents by the text they were parsed from. Renders of one template differ in their
/// values, which are not in that text; parsing is most of a render's cost.
#[derive(Default, Debug)]
pub(super) struct Cache(Mutex<HashMap<String, Arc<Vec<Shape>>>>);

/// The most texts that are kept for one file, and the most bytes of one.
const KEPT: usize = 32;
const KEPT_BYTES: usize = 64 * 1024;

impl Cache {
    pub fn get(&self, text: &str) -> Option<Arc<Vec<Shape>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(text).cloned()
    }

    pub fn put(&self, text: String, shapes: &Arc<Vec<Shape>>) {
        if text.len() > KEPT_BYTES {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT {
            kept.clear();
        }
        kept.insert(text, Arc::clone(shapes));
    }
}

pub(super) fn program(
    sources: &BTreeMap<String, Source>,
    root: &str,
    partials: &BTreeMap<String, Arc<str>>,
    prefix: &str,
    flavour: Flavour,
) -> Result<Program, Unfit> {
    let mut compiler = Compiler {
        library: Library { units: Vec::new(), partials: BTreeMap::new() },
        problems: Vec::new(),
        files: Vec::new(),
        prefix: prefix.trim_end_matches('/'),
        root: root.trim_end_matches('/'),
        flavour,
    };
    let mark = compiler.mark(sources, partials);
    for (name, text) in partials {
        compiler.partial(name, text);
    }
    for (path, source) in sources {
        compiler.source(path, source);
    }
    compiler.collisions(sources);
    let Compiler { library, mut problems, files, .. } = compiler;
    let (reads, found) = check::check(&library, roots(&files));
    problems.extend(found);
    match mark {
        Some(mark) if problems.is_empty() => Ok(Program { library, files, flavour, mark, reads }),
        _ => Err(Unfit { problems, reads }),
    }
}

struct Compiler<'a> {
    library: Library,
    problems: Vec<Diagnostic>,
    files: Vec<File>,
    prefix: &'a str,
    root: &'a str,
    flavour: Flavour,
}

impl Compiler<'_> {
    /// The first private-use character that no source has. Values are not looked at: they are
    /// never in a text that is cut at markers.
    fn mark(
        &mut self,
        sources: &BTreeMap<String, Source>,
        partials: &BTreeMap<String, Arc<str>>,
    ) -> Option<char> {
        let texts = sources.values().map(|source| match source {
            Source::Template(text) | Source::Plain(text) => text,
        });
        let private = '\u{E000}'..='\u{F8FF}';
        let used: BTreeSet<char> = (texts.chain(partials.values()))
            .flat_map(|text| text.chars())
            .filter(|c| private.contains(c))
            .collect();
        let mark = private.into_iter().find(|c| !used.contains(c));
        if mark.is_none() {
            let message = "the sources use every private-use character";
            self.problems.push(Diagnostic::error("TPL006", Place::file(self.prefix), message));
        }
        mark
    }

    fn file(&self, path: &str) -> Arc<str> {
        match self.prefix {
            "" => path.into(),
            prefix => format!("{prefix}/{path}").into(),
        }
    }

    fn unit(&mut self, file: &Arc<str>, text: &str) -> usize {
        let (unit, problems) = parse::parse(file, text);
        self.problems.extend(problems);
        self.library.units.push(unit);
        self.library.units.len() - 1
    }

    fn partial(&mut self, name: &str, text: &str) {
        let file = self.file(&format!("partials/{name}.hbs"));
        self.safe(name, &file, "partial");
        // A name stays known when its text has problems, so that uses of it are not others.
        let unit = self.unit(&file, text);
        self.library.partials.insert(name.to_owned(), unit);
    }

    fn source(&mut self, path: &str, source: &Source) {
        let file = self.file(path);
        let mut output = self.output_path(path, matches!(source, Source::Template(_)));
        self.safe(&output, &file, "path");
        let kind = Kind::of(&output);
        let cloudformation = self.flavour == Flavour::CloudFormation;
        if cloudformation
            && kind == Kind::Yaml
            && let Some((stem, _)) = output.rsplit_once('.')
        {
            output = format!("{stem}.json");
        }
        let body = match source {
            Source::Template(text) => {
                let unit = self.unit(&file, text);
                Body::Rendered { unit, kind, cache: Cache::default() }
            }
            // CloudFormation's own short tags are understood in copied files too.
            Source::Plain(text) if cloudformation && kind != Kind::Text => {
                let (span, text) = (0..text.len(), text.to_string());
                let nodes = vec![ast::Node::Text(ast::Text { text: text.clone(), span })];
                let unit = ast::Unit { file, text, nodes, depth: 0 };
                self.library.units.push(unit);
                let unit = self.library.units.len() - 1;
                Body::Rendered { unit, kind, cache: Cache::default() }
            }
            Source::Plain(text) => output::copied(&file, text, kind),
        };
        self.files.push(File { path: output, body });
    }

    fn output_path(&self, path: &str, template: bool) -> String {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        let inside = match path.strip_prefix(self.root) {
            Some("") => name,
            Some(rest) if self.root.is_empty() => rest,
            Some(rest) => rest.strip_prefix('/').unwrap_or(path),
            None => path,
        };
        let output = if template { inside.strip_suffix(".hbs").unwrap_or(inside) } else { inside };
        output.to_owned()
    }

    fn safe(&mut self, path: &str, file: &Arc<str>, what: &str) {
        if !is_safe(path) {
            let message = format!("{} is not a safe {what}", quote(path));
            let help =
                "letters, digits, `.`, `_` and `-` between slashes; no part begins with `.` or `-`";
            let problem = Diagnostic::error("TPL001", Place::file(Arc::clone(file)), message);
            self.problems.push(problem.help(help));
        }
    }

    fn collisions(&mut self, sources: &BTreeMap<String, Source>) {
        let mut seen = BTreeSet::new();
        let twice: BTreeSet<_> =
            self.files.iter().map(|f| f.path.clone()).filter(|p| !seen.insert(p.clone())).collect();
        for path in twice {
            let message = format!("two sources become {}", quote(&path));
            self.problems.push(Diagnostic::error("TPL001", Place::file(self.prefix), message));
        }
        if sources.is_empty() {
            let message = "the component has no source";
            self.problems.push(Diagnostic::error("TPL001", Place::file(self.prefix), message));
        }
    }
}

fn is_safe(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path.len() <= 512 && path.split('/').all(part)
}
