//! One version of a template, from the files of its folder.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::Value;

use super::compat::Bump;
use super::explain::{Part, escape};
use super::file::{ComponentDocument, Lifecycle, TemplateDocument, TestDocument, TtlDocument};
use super::migration::{self, Migration};
use super::parameters::{Opened, Parameters, Text};
use super::path;
use super::request::TemplateReq;
use super::rule;
use super::schema::{self, Kind, place_in, sorted};
use crate::digest::{self, Digest};
use crate::model::{
    ComponentName, Diagnostic, File, Files, Length, Lifetime, Map, OnDrift, OutputSpec, Place,
    Source, TemplateId, Term, nearest, quote,
};
use crate::policy::{Allowed, Rules, Scope};
use crate::yaml::{self, Node};

/// An immutable version of a template.
#[derive(Debug)]
pub struct TemplateVersion {
    /// Name and version, by its folder.
    pub id: TemplateId,
    /// Digest of its folder, as it was published where that is known.
    pub digest: Digest,
    /// Digest of its folder as it was read.
    pub read: Digest,
    /// Its folder in the catalog, without a `/` at the end.
    pub folder: String,
    /// A short title.
    pub title: Option<String>,
    /// One or a few sentences.
    pub description: Option<String>,
    /// The team that answers for it.
    pub owner: Option<String>,
    /// How far it has come.
    pub lifecycle: Lifecycle,
    /// What to use instead.
    pub replaced_by: Option<TemplateReq>,
    /// What it takes; nothing where its schema cannot be read, which `has_schema` tells from one that says so.
    pub parameters: Parameters,
    /// Whether what it takes is known.
    pub has_schema: bool,
    /// What it makes, in the order of the file; `needs` has no cycles.
    pub components: Vec<ComponentSpec>,
    /// Texts of `partials/<name>.hbs`, by name.
    pub partials: BTreeMap<String, Arc<str>>,
    /// What it gives.
    pub outputs: BTreeMap<String, OutputSpec>,
    /// Where each output is promised.
    pub output_places: BTreeMap<String, Place>,
    /// What each output is for.
    pub output_help: BTreeMap<String, String>,
    /// What is done about drift, unless the environment says otherwise.
    pub on_drift: Option<OnDrift>,
    /// How long a change of what it makes may take.
    pub timeout: Option<SignedDuration>,
    /// How long what it makes lives.
    pub ttl: Option<Ttl>,
    /// What may not be, and who has to say yes.
    pub rules: Rules,
    /// Which types of resources it may make; `None`: all.
    pub allow: Option<Allowed>,
    /// What its author says that it changes, against what is computed; and where.
    pub bump: Option<(Bump, Place)>,
    /// How parameters of older versions become those of this one.
    pub migrations: Vec<Migration>,
    /// Fields that say something and whose behaviour is not built.
    pub not_supported: Vec<(String, Place)>,
    /// Its tests.
    pub tests: Vec<TestCase>,
    /// Other files below `tests/`, by their paths in it.
    pub test_files: BTreeMap<String, Arc<[u8]>>,
    /// What is wrong with it, warnings included; with an error it cannot be requested.
    pub problems: Vec<Diagnostic>,
    /// What is wrong with its tests, which does not stop requests.
    pub test_problems: Vec<Diagnostic>,
    /// A schema lies in the folder of its tests.
    pub schema_among_tests: bool,
    /// The schema's own `$id`.
    pub(super) schema_id: Option<(String, Place)>,
    pub(super) owner_place: Place,
    pub(super) version_place: Place,
    pub(super) components_place: Place,
    pub(super) outputs_place: Place,
    pub(super) ttl_place: Place,
}

impl TemplateVersion {
    /// Whether requests of it cannot be served.
    pub fn is_broken(&self) -> bool {
        self.problems.iter().any(Diagnostic::is_error)
    }

    /// Whether new requests of a range take it.
    pub fn is_stable(&self) -> bool {
        self.lifecycle == Lifecycle::Stable && self.id.version.pre.is_empty()
    }

    /// Whether a rollout can bring it to anybody.
    pub fn is_sound(&self) -> bool {
        self.is_stable() && !self.is_broken()
    }

    /// The path of its `template.yaml` in the catalog.
    pub fn file(&self) -> String {
        format!("{}/template.yaml", self.folder)
    }
}

/// How long what a template makes lives.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ttl {
    /// Where the request says nothing.
    pub default: Option<Length>,
    /// At most.
    pub max: Option<Length>,
    /// Where it applies; everywhere when empty.
    pub environments: Vec<String>,
}

impl Ttl {
    /// Whether it applies in an environment.
    pub fn applies(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }

    /// How long a request lives that asks for this in an environment; `ttl`: of the template.
    pub fn lifetime(
        ttl: Option<&Self>,
        environment: &str,
        asked: Option<Term>,
    ) -> Option<Lifetime> {
        let ttl = ttl.filter(|ttl| ttl.applies(environment));
        let max = ttl.and_then(|ttl| ttl.max);
        // Without a default the most is what is left, or there would be none.
        let own = ttl.and_then(|ttl| ttl.default.or(ttl.max)).map(Term::For);
        let imposed = asked.is_none();
        asked.or(own).map(|term| Lifetime { term, max, imposed })
    }
}

/// One of a template's components.
#[derive(Clone, PartialEq, Debug)]
pub struct ComponentSpec {
    /// Unique in the template.
    pub name: ComponentName,
    /// Its name in the version before.
    pub moved_from: Option<ComponentName>,
    /// The provider's kind.
    pub provider: String,
    /// Its files, by their paths in the version's folder.
    pub sources: BTreeMap<String, Source>,
    /// The file or folder that it names.
    pub root: String,
    /// Settings over those of the environment.
    pub with: Map,
    /// Components that come first.
    pub needs: Vec<ComponentName>,
    /// Where its name is written.
    pub place: Place,
}

/// A test of a version.
#[derive(Clone, PartialEq, Debug)]
pub struct TestCase {
    /// By its metadata, else its file's name.
    pub name: String,
    /// Its path in the catalog.
    pub file: Arc<str>,
    /// What it says.
    pub document: TestDocument,
    /// The file, for places.
    pub node: Node,
}

/// The files of a version's folder, by their paths in it.
pub(super) struct Folder<'a> {
    pub path: String,
    pub files: BTreeMap<&'a str, &'a File>,
}

impl<'a> Folder<'a> {
    pub(super) fn of(all: &'a Files, prefix: &'a str) -> Self {
        let files = all.under(prefix).map(|(path, file)| (&path[prefix.len()..], file)).collect();
        Self { path: prefix.trim_end_matches('/').to_owned(), files }
    }

    /// SHA-256 over all its files; what is no file counts as what it is.
    pub(super) fn digest(&self) -> Digest {
        digest::of_files(self.files.iter().map(|(path, file)| {
            let digest = match file {
                File::Bytes(bytes) => digest::sha256(bytes),
                File::Link => digest::of(&"link"),
                File::Submodule => digest::of(&"submodule"),
                File::TooLarge(size) => digest::of(&("large", size)),
                File::Unsafe(why) => digest::of(&("unsafe", why)),
            };
            (*path, digest)
        }))
    }

    fn name(&self, path: &str) -> Arc<str> {
        format!("{}/{path}", self.path).into()
    }

    fn text(&self, path: &str) -> Option<Result<Arc<str>, Diagnostic>> {
        let bytes = self.files.get(path)?.bytes()?;
        Some(match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(error) => {
                let message = format!("not UTF-8 text, at byte {}", error.valid_up_to());
                Err(Diagnostic::error("TPL013", Place::file(self.name(path)), message))
            }
        })
    }
}

/// Reads a version. Always gives one: what is wrong with it is in its `problems`.
pub(super) fn template(id: TemplateId, folder: &Folder<'_>, digest: Digest) -> TemplateVersion {
    let mut problems = Vec::new();
    unusable(folder, &mut problems);
    let file = folder.name("template.yaml");
    let mut version = TemplateVersion {
        digest,
        read: digest,
        folder: folder.path.clone(),
        title: None,
        description: None,
        owner: None,
        lifecycle: Lifecycle::Stable,
        replaced_by: None,
        parameters: Parameters::default(),
        has_schema: false,
        components: Vec::new(),
        partials: BTreeMap::new(),
        outputs: BTreeMap::new(),
        output_places: BTreeMap::new(),
        output_help: BTreeMap::new(),
        on_drift: None,
        timeout: None,
        ttl: None,
        rules: Rules::default(),
        allow: None,
        bump: None,
        migrations: Vec::new(),
        not_supported: Vec::new(),
        tests: Vec::new(),
        test_files: BTreeMap::new(),
        problems: Vec::new(),
        test_problems: Vec::new(),
        schema_among_tests: false,
        schema_id: None,
        owner_place: Place::file(Arc::clone(&file)),
        version_place: Place::file(Arc::clone(&file)),
        components_place: Place::file(Arc::clone(&file)),
        outputs_place: Place::file(Arc::clone(&file)),
        ttl_place: Place::file(Arc::clone(&file)),
        id,
    };
    tests(folder, &mut version);
    let decoded = match folder.files.get("template.yaml").map(|file| file.bytes()) {
        Some(Some(bytes)) => schema::decode::<TemplateDocument>(Kind::Template, &file, bytes),
        Some(None) => Err(Vec::new()),
        None => {
            let message = "this version has no `template.yaml`";
            Err(vec![Diagnostic::error("CAT013", Place::file(Arc::clone(&file)), message)])
        }
    };
    match decoded {
        Ok((document, node)) => {
            let reader = Reader { folder, file, node, among_tests: Cell::new(false) };
            reader.read(document, &mut version, &mut problems);
        }
        Err(found) => {
            // It is not used as it stands. What else is wrong with it is told all the same, but for what has been
            // told of the same place.
            let mut more = Vec::new();
            let bytes = folder.files.get("template.yaml").and_then(|file| file.bytes());
            if let Some((document, node)) =
                bytes.and_then(|b| schema::decode_anyway(Kind::Template, &file, b))
            {
                let reader = Reader { folder, file, node, among_tests: Cell::new(false) };
                reader.read(document, &mut version, &mut more);
            }
            more.retain(|problem| !found.iter().any(|known| known.place == problem.place));
            problems.extend(found);
            problems.extend(more);
        }
    }
    version.problems = sorted(problems);
    version.test_problems = sorted(std::mem::take(&mut version.test_problems));
    version
}

/// What cannot be a file of a catalog.
fn unusable(folder: &Folder<'_>, problems: &mut Vec<Diagnostic>) {
    problems.extend(
        folder.files.iter().filter_map(|(path, file)| not_a_file(&folder.name(path), file)),
    );
}

/// What is wrong with an entry that is no plain file.
pub(super) fn not_a_file(path: &str, file: &File) -> Option<Diagnostic> {
    let shown: Arc<str> = crate::model::escape(path, path::PATH_MAX).into();
    let error = |code, message: &str| {
        Some(Diagnostic::error(code, Place::file(Arc::clone(&shown)), message))
    };
    match file {
        File::Bytes(_) => {
            let why = path::problem(path)?;
            error("PATH005", &why)
        }
        File::Link => error("PATH001", "symbolic links are not read"),
        File::Submodule => error("PATH002", "submodules are not read"),
        File::TooLarge(size) => {
            error("LIM001", &format!("{size} bytes are more than the limit for a file"))
        }
        File::Unsafe(why) => error("PATH004", why),
    }
}

/// Where a version has its tests. No source lies there.
pub(super) const TESTS: &str = "tests/";

fn tests(folder: &Folder<'_>, version: &mut TemplateVersion) {
    for (path, file) in &folder.files {
        let (Some(path), Some(bytes)) = (path.strip_prefix(TESTS), file.bytes()) else {
            continue;
        };
        let Some(stem) = path.strip_suffix(".yaml").filter(|stem| !stem.contains('/')) else {
            version.test_files.insert(path.to_owned(), Arc::clone(bytes));
            continue;
        };
        let file = folder.name(&format!("tests/{path}"));
        match schema::decode::<TestDocument>(Kind::TemplateTest, &file, bytes) {
            Ok((document, node)) => {
                let unsupported = schema::not_supported(Kind::TemplateTest, &node, &file);
                version.test_problems.extend(unsupported.into_iter().map(|(_, problem)| problem));
                let name = document.metadata.name.clone();
                let name = if name.is_empty() { stem.to_owned() } else { name };
                version.tests.push(TestCase { name, file, document, node });
            }
            Err(found) => version.test_problems.extend(found),
        }
    }
}

/// A length of time as the schema has it: a whole number and `s`, `m`, `h` or `d`.
pub(super) fn length_of_time(text: &str) -> Option<SignedDuration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    Some(SignedDuration::from_secs(number.parse::<i64>().ok()?.checked_mul(seconds)?))
}

struct Reader<'a> {
    folder: &'a Folder<'a>,
    file: Arc<str>,
    node: Node,
    /// A schema was read from the folder of the tests.
    among_tests: Cell<bool>,
}

impl Reader<'_> {
    fn place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.file, pointer, Part::Value)
    }

    fn error(&self, code: &'static str, pointer: &str, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, self.place(pointer), message)
    }

    fn read(
        self,
        document: TemplateDocument,
        version: &mut TemplateVersion,
        out: &mut Vec<Diagnostic>,
    ) {
        let metadata = document.metadata;
        let spec = document.spec;
        self.same_name(&metadata.name, &metadata.version, &version.id, out);
        version.title = metadata.title;
        version.description = metadata.description;
        version.owner = metadata.owner;
        version.owner_place = self.place("/metadata/owner");
        version.version_place = self.place("/metadata/version");
        let key = |pointer| place_in(&self.node, &self.file, pointer, Part::Key);
        version.components_place = key("/spec/components");
        version.outputs_place = key("/spec/outputs");
        version.lifecycle = metadata.lifecycle;
        if let Some(text) = metadata.replaced_by {
            match TemplateReq::parse(&text) {
                Ok(template) => version.replaced_by = Some(template),
                Err(message) => out.push(self.error("REF001", "/metadata/replacedBy", message)),
            }
        }
        version.has_schema = spec.parameters.is_none();
        if let Some(parameters) = self.parameters(spec.parameters, version, out) {
            version.parameters = parameters;
            version.has_schema = true;
        }
        version.schema_among_tests = self.among_tests.get();
        for (n, component) in spec.components.iter().enumerate() {
            let component = self.component(n, component, &spec.components, out);
            version.components.push(component);
        }
        self.cycle(&version.components, out);
        for (name, output) in spec.outputs {
            let (component, given) = output.from.split_once('.').unwrap_or((&output.from, ""));
            let pointer = format!("/spec/outputs/{}/from", escape(&name));
            self.known(component, &spec.components, &pointer, out);
            let component = ComponentName::new(component);
            let given = given.to_owned();
            if let Some(help) = output.description {
                version.output_help.insert(name.clone(), help);
            }
            let sensitive = output.sensitive;
            version.output_places.insert(name.clone(), self.place(&pointer));
            version.outputs.insert(name, OutputSpec { component, output: given, sensitive });
        }
        version.bump = spec.version_bump.map(|bump| (bump, self.place("/spec/versionBump")));
        version.on_drift = spec.on_drift;
        version.timeout = spec.timeout.as_deref().and_then(length_of_time);
        version.ttl_place = self.place("/spec/ttl/max");
        version.ttl = spec.ttl.map(|ttl| self.ttl(ttl, out));
        let names = version.parameters.names.iter().cloned().collect();
        let mut written = rule::Reader {
            node: &self.node,
            file: &self.file,
            scope: Scope { parameters: Some(Arc::new(names)) },
            problems: out,
        };
        version.rules = written.rules(spec.policy, spec.approvals);
        version.allow = written.allow(spec.allow);
        let mut migrations = migration::Reader {
            node: &self.node,
            file: &self.file,
            parameters: &version.parameters,
            problems: out,
        };
        version.migrations = migrations.migrations(spec.migrations);
        let fields = schema::not_supported(Kind::Template, &self.node, &self.file);
        version.not_supported =
            fields.into_iter().map(|(name, problem)| (name, problem.place)).collect();
        for path in self.folder.files.keys() {
            let name = path.strip_prefix("partials/").and_then(|rest| rest.strip_suffix(".hbs"));
            match name.and_then(|name| Some((name, self.folder.text(path)?))) {
                Some((name, Ok(text))) => {
                    version.partials.insert(name.to_owned(), text);
                }
                Some((_, Err(problem))) => out.push(problem),
                None => {}
            }
        }
    }

    /// How long what it makes lives; what is wrong with it is left out.
    fn ttl(&self, document: TtlDocument, out: &mut Vec<Diagnostic>) -> Ttl {
        let mut length = |text: Option<String>, pointer: &str| {
            let text = text?;
            let length = Length::parse(&text);
            if length.is_none() {
                let message = format!("{} is longer than {}", quote(&text), Length::MOST);
                let problem = self.error("CAT020", pointer, message);
                out.push(problem.help("leave it out: nothing needs an end that far away"));
            }
            length
        };
        let default = length(document.default, "/spec/ttl/default");
        let max = length(document.max, "/spec/ttl/max");
        if let (Some(default), Some(max)) = (default, max)
            && default > max
        {
            let message = format!("{default} by default is longer than {max}, the most");
            let place = self.place("/spec/ttl/default");
            out.push(
                Diagnostic::error("CAT020", place.clone(), message)
                    .related(self.place("/spec/ttl/max"), "the most")
                    .fix(place, max.to_string()),
            );
        }
        Ttl { default, max, environments: document.environments }
    }

    fn same_name(&self, name: &str, version: &str, id: &TemplateId, out: &mut Vec<Diagnostic>) {
        let wanted = [
            ("/metadata/name", name, id.name.clone()),
            ("/metadata/version", version, id.version.to_string()),
        ];
        for (pointer, found, folder) in wanted {
            if found != folder {
                let message =
                    format!("expected `{folder}`, as the folder is called, found {}", quote(found));
                let place = self.place(pointer);
                out.push(self.error("NAME002", pointer, message).fix(place, folder));
            }
        }
    }

    fn parameters(
        &self,
        given: Option<Value>,
        version: &mut TemplateVersion,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Parameters> {
        let main = match given? {
            Value::String(path) => {
                if let Some(why) = path::problem(&path) {
                    out.push(self.error("TPL001", "/spec/parameters", why));
                    return None;
                }
                match self.open(&path) {
                    Some(Ok(text)) => text,
                    Some(Err(found)) => {
                        out.extend(found);
                        return None;
                    }
                    None => {
                        out.push(self.no_file(&path, "/spec/parameters"));
                        return None;
                    }
                }
            }
            raw => Text {
                file: Arc::clone(&self.file),
                path: "template.yaml".to_owned(),
                base: "/spec/parameters",
                node: self.node.clone(),
                raw,
            },
        };
        if let Some(id) = main.raw.get("$id").and_then(Value::as_str) {
            version.schema_id = Some((id.to_owned(), main.place("/$id", Part::Value)));
        }
        let known: Vec<&str> = self.folder.files.keys().copied().collect();
        Parameters::parse(main, &|path| self.open(path), &known, out)
    }

    /// A schema in a file of its own.
    fn open(&self, path: &str) -> Option<Opened> {
        let bytes = self.folder.files.get(path)?.bytes()?;
        self.among_tests.set(self.among_tests.get() || path.starts_with(TESTS));
        let file = self.folder.name(path);
        let mut read = match yaml::read(&file, bytes, &yaml::Options::request()) {
            Ok(read) => read,
            Err(found) => {
                let too_large = |problem: Diagnostic| match problem.code.as_ref() {
                    "LIM001" => Diagnostic { code: "CAT005".into(), ..problem },
                    _ => problem,
                };
                return Some(Err(found.into_iter().map(too_large).collect()));
            }
        };
        let node = read.pop()?;
        // In JSON a number is a number, however it is written.
        if !path.ends_with(".json") {
            let unclear = super::ambiguous::find(&node, &[]);
            if !unclear.is_empty() {
                let place = |pointer: &str, part| place_in(&node, &file, pointer, part);
                let subject = super::explain::Subject {
                    place: &place,
                    hidden: &|_| false,
                    scalar: &|pointer| node.at(pointer),
                    noun: "keyword",
                };
                let found = unclear.iter().map(|one| super::ambiguous::problem(one, &subject));
                return Some(Err(found.collect()));
            }
        }
        let raw = node.to_json();
        Some(Ok(Text { file, path: path.to_owned(), base: "", node, raw }))
    }

    fn no_file(&self, path: &str, pointer: &str) -> Diagnostic {
        let message = format!("there is no {} in this folder", quote(path));
        let problem = self.error("CAT014", pointer, message);
        let folders = self.folder.files.keys().filter_map(|path| Some(path.split_once('/')?.0));
        let known: BTreeSet<&str> = self.folder.files.keys().copied().chain(folders).collect();
        match nearest(path, known) {
            Some(meant) => {
                let place = self.place(pointer);
                problem.help(format!("did you mean `{meant}`?")).fix(place, meant)
            }
            None => problem,
        }
    }

    fn component(
        &self,
        n: usize,
        document: &ComponentDocument,
        all: &[ComponentDocument],
        out: &mut Vec<Diagnostic>,
    ) -> ComponentSpec {
        let at = format!("/spec/components/{n}");
        if let Some(first) = all[..n].iter().position(|other| other.name == document.name) {
            let message = format!("two components are called `{}`", document.name);
            let related = self.place(&format!("/spec/components/{first}/name"));
            out.push(
                self.error("CAT015", &format!("{at}/name"), message)
                    .related(related, "the first one"),
            );
        }
        for (i, need) in document.needs.iter().enumerate() {
            self.known(need, all, &format!("{at}/needs/{i}"), out);
        }
        if let Some(from) =
            document.moved_from.as_ref().filter(|from| all.iter().any(|c| c.name == **from))
        {
            let message = format!("`{from}` is a component of this version: nothing was renamed");
            out.push(self.error("CAT015", &format!("{at}/movedFrom"), message));
        }
        ComponentSpec {
            name: ComponentName::new(document.name.as_str()),
            moved_from: document.moved_from.as_deref().map(ComponentName::new),
            provider: document.provider.clone(),
            sources: self.sources(&document.source, &format!("{at}/source"), out),
            root: document.source.trim_end_matches('/').to_owned(),
            with: document.with.clone(),
            needs: document.needs.iter().map(|need| ComponentName::new(need.as_str())).collect(),
            place: self.place(&format!("{at}/name")),
        }
    }

    fn sources(
        &self,
        source: &str,
        pointer: &str,
        out: &mut Vec<Diagnostic>,
    ) -> BTreeMap<String, Source> {
        let root = source.trim_end_matches('/');
        let mut sources = BTreeMap::new();
        if let Some(why) = path::problem(root) {
            out.push(self.error("TPL001", pointer, why));
            return sources;
        }
        let first = root.split('/').next().unwrap_or_default();
        if ["tests", "partials"].contains(&first) || root == "template.yaml" {
            let message =
                format!("{} has a meaning of its own and cannot be a source", quote(first));
            out.push(self.error("TPL001", pointer, message));
            return sources;
        }
        let inside = format!("{root}/");
        let paths =
            self.folder.files.keys().filter(|path| **path == root || path.starts_with(&inside));
        for path in paths {
            match self.folder.text(path) {
                Some(Ok(text)) => {
                    let source = if path.ends_with(".hbs") {
                        Source::Template(text)
                    } else {
                        Source::Plain(text)
                    };
                    sources.insert((*path).to_owned(), source);
                }
                Some(Err(problem)) => out.push(problem),
                // No plain file; said of the whole folder.
                None => {}
            }
        }
        if !self.folder.files.keys().any(|path| *path == root || path.starts_with(&inside)) {
            out.push(self.no_file(root, pointer));
        }
        sources
    }

    fn known(
        &self,
        name: &str,
        all: &[ComponentDocument],
        pointer: &str,
        out: &mut Vec<Diagnostic>,
    ) {
        if all.iter().any(|component| component.name == name) {
            return;
        }
        let message = format!("no component of this template is called {}", quote(name));
        let problem = self.error("CAT016", pointer, message);
        out.push(match nearest(name, all.iter().map(|component| component.name.as_str())) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem,
        });
    }

    /// Components that wait for one another.
    fn cycle(&self, components: &[ComponentSpec], out: &mut Vec<Diagnostic>) {
        let mut done: BTreeSet<&ComponentName> = BTreeSet::new();
        loop {
            let ready = components.iter().filter(|c| {
                !done.contains(&c.name)
                    && c.needs.iter().all(|need| {
                        done.contains(need) || !components.iter().any(|other| other.name == *need)
                    })
            });
            let ready: Vec<_> = ready.map(|c| &c.name).collect();
            if ready.is_empty() {
                break;
            }
            done.extend(ready);
        }
        if let Some(n) = components.iter().position(|c| !done.contains(&c.name)) {
            let left = components.iter().filter(|c| !done.contains(&c.name));
            let names: Vec<_> = left.map(|c| format!("`{}`", c.name)).collect();
            let message = format!("components wait for one another: {}", names.join(", "));
            out.push(self.error("DEP001", &format!("/spec/components/{n}/needs"), message));
        }
    }
}
