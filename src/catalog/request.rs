//! A request file, read as far as one can without the catalog.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use semver::{Version, VersionReq};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::explain::Part;
use super::file::{RequestDocument, Secret};
use super::schema::{self, Kind, place_in, sorted};
use crate::digest::{self, Digest};
use crate::model::{Diagnostic, Length, Map, Place, Reference, RequestId, Term, is_name, quote};
use crate::yaml::Node;

/// Which version of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requirement {
    /// This one.
    Exact(Version),
    /// Any of these.
    Range(VersionReq),
}

impl Requirement {
    /// An exact version, or a range, which begins with `^`, `~`, `<`, `>` or `=`.
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with(['^', '~', '<', '>', '=']) {
            return VersionReq::parse(text).ok().map(Self::Range);
        }
        let exact = Version::parse(text).ok();
        exact.filter(|version| version.build.is_empty()).map(Self::Exact)
    }

    /// Whether a version will do. A pre-release does only where it is named.
    pub fn matches(&self, version: &Version) -> bool {
        match self {
            Self::Exact(exact) => exact == version,
            Self::Range(range) => range.matches(version),
        }
    }
}

impl std::fmt::Display for Requirement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(version) => version.fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

/// `name@version` or `name@range`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateReq {
    /// The template's name.
    pub name: String,
    /// Which versions of it.
    pub requirement: Requirement,
}

impl std::fmt::Display for TemplateReq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.requirement)
    }
}

impl TemplateReq {
    /// Reads `name@version` or `name@range`; a range begins with `^`, `~`, `<`, `>` or `=`.
    ///
    /// # Errors
    /// What to write instead, as a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((name, version)) = text.split_once('@').filter(|(name, _)| is_name(name)) else {
            return Err(format!(
                "{} is not the name of a template and its version, such as `sqs-queue@1.2.0`",
                quote(text)
            ));
        };
        match Requirement::parse(version) {
            Some(requirement) => Ok(Self { name: name.to_owned(), requirement }),
            None => Err(format!(
                "{} is neither an exact version such as `1.2.0` nor a range such as `^1.2` or `~1.2`",
                quote(version)
            )),
        }
    }
}

/// What a request file says.
///
/// One that has [`problems`](Self::problems) is read as far as it goes, so that all of its problems
/// are found at once; what could move or delete something is then left out.
#[derive(Clone, PartialEq, Debug)]
pub struct RequestFile {
    /// Its identity, by its path.
    pub id: RequestId,
    /// Its path in its repository.
    pub path: Arc<str>,
    /// Digest of its bytes, line ends as LF and without a byte order mark.
    pub digest: Digest,
    /// What is asked for.
    pub template: TemplateReq,
    /// Values, as written.
    pub parameters: Map,
    /// Values from other requests.
    pub references: BTreeMap<String, Reference>,
    /// Values from secret stores.
    pub secrets: BTreeMap<String, Secret>,
    /// Passed on as tags.
    pub labels: BTreeMap<String, String>,
    /// Take over what stands there and carries nobody's mark.
    pub adopt: bool,
    /// Leave it alone.
    pub suspend: bool,
    /// Deleting needs a tombstone; `None` when the file says nothing.
    pub protect: Option<bool>,
    /// Until when it asks to live; `None` when the file says nothing.
    pub term: Option<Term>,
    /// `delete: {confirm: <name>}` stands in it.
    pub tombstone: bool,
    /// The former identity.
    pub moved_from: Option<RequestId>,
    /// Shown in history.
    pub reason: Option<String>,
    /// Fields whose behaviour is not built, with what is said of each.
    pub not_supported: Vec<(String, Diagnostic)>,
    /// The file, for places.
    pub node: Node,
    problems: Vec<Diagnostic>,
}

impl RequestFile {
    /// What is wrong with the file, whatever the catalog says; a request with any is never valid.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// The place of the value that a JSON pointer names, or of the nearest that is there.
    pub fn place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.path, pointer, Part::Value)
    }

    /// The place of the key that a JSON pointer names, or of the nearest that is there.
    pub fn key_place(&self, pointer: &str) -> Place {
        place_in(&self.node, &self.path, pointer, Part::Key)
    }
}

/// Reads a request file. `id` is what its path says.
///
/// # Errors
/// All problems, when the file cannot be read or does not say which template it asks for. Problems
/// of a file that says so are in [`RequestFile::problems`], and `check` adds those that only the
/// catalog shows.
pub fn request(
    path: &Arc<str>,
    id: &RequestId,
    bytes: &[u8],
) -> Result<RequestFile, Vec<Diagnostic>> {
    let node = schema::read(Kind::Request, path, bytes)?;
    of_node(path, id, node, digest::sha256(&normal(bytes)))
}

/// As [`request`], of what was read already.
pub(super) fn of_node(
    path: &Arc<str>,
    id: &RequestId,
    node: Node,
    digest: Digest,
) -> Result<RequestFile, Vec<Diagnostic>> {
    let (document, mut problems) = match schema::envelope(Kind::Request, &node, path) {
        Ok(value) => match serde_json::from_value::<RequestDocument>(value) {
            Ok(document) => (document, Vec::new()),
            Err(error) => {
                let message = format!("this request cannot be used: {error}");
                let place = place_in(&node, path, "", Part::Key);
                (lenient(&node), vec![Diagnostic::error("SCH009", place, message)])
            }
        },
        Err(problems) => (lenient(&node), problems),
    };
    let template = match TemplateReq::parse(&document.spec.template) {
        Ok(template) => Some(template),
        Err(message) => {
            let place = place_in(&node, path, "/spec/template", Part::Value);
            // The schema may have said it already, of the same place.
            if !problems.iter().any(|known| known.place == place)
                && node.at("/spec/template").is_some()
            {
                problems.push(Diagnostic::error("REF001", place, message));
            }
            None
        }
    };
    own_rules(&document, id, path, &node, &mut problems);
    let term = term(&document, path, &node, &mut problems);
    let problems = sorted(problems);
    let Some(template) = template else { return Err(problems) };
    let not_supported = schema::not_supported(Kind::Request, &node, path);
    let sound = problems.is_empty();
    let spec = document.spec;
    Ok(RequestFile {
        id: id.clone(),
        path: Arc::clone(path),
        digest,
        template,
        parameters: spec.parameters,
        references: spec.references,
        secrets: spec.secrets,
        labels: document.metadata.labels,
        adopt: spec.adopt,
        suspend: spec.suspend,
        protect: spec.protect,
        term,
        tombstone: sound && spec.delete.is_some(),
        moved_from: spec.moved_from.filter(|_| sound),
        reason: spec.reason,
        not_supported,
        node,
        problems,
    })
}

/// A checkout with CRLF, or an editor's byte order mark, is no change of a request.
fn normal(bytes: &[u8]) -> Cow<'_, [u8]> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    if !bytes.contains(&b'\r') {
        return Cow::Borrowed(bytes);
    }
    let mut out = Vec::with_capacity(bytes.len());
    for (n, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(n + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    Cow::Owned(out)
}

/// As much of a request as can be read, its problems being known already.
fn lenient(node: &Node) -> RequestDocument {
    fn part<T: DeserializeOwned + Default>(node: &Node, pointer: &str) -> T {
        let value = node.at(pointer).map(Node::to_json);
        value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
    }
    let mut document: RequestDocument = RequestDocument {
        api_version: String::new(),
        kind: String::new(),
        metadata: Default::default(),
        spec: Default::default(),
    };
    document.metadata.name = part(node, "/metadata/name");
    document.spec.template = part(node, "/spec/template");
    document.spec.parameters = part(node, "/spec/parameters");
    let references: BTreeMap<String, Value> = part(node, "/spec/references");
    document.spec.references = references
        .into_iter()
        .filter_map(|(name, value)| Some((name, serde_json::from_value(value).ok()?)))
        .collect();
    document.spec.secrets = part(node, "/spec/secrets");
    document.spec.moved_from = part(node, "/spec/movedFrom");
    document.spec.delete = part(node, "/spec/delete");
    document.spec.ttl = part(node, "/spec/ttl");
    document.spec.expires_at = part(node, "/spec/expiresAt");
    document
}

/// No request lives longer: whoever names a later moment means no end.
const LATEST: jiff::civil::Date = jiff::civil::date(2200, 1, 1);

/// Until when a request asks to live.
fn term(
    document: &RequestDocument,
    path: &Arc<str>,
    node: &Node,
    out: &mut Vec<Diagnostic>,
) -> Option<Term> {
    let at = |pointer: &str| place_in(node, path, pointer, Part::Value);
    // The schema may have said of the same place that it is none at all.
    let is_said = |out: &[Diagnostic], pointer| out.iter().any(|known| known.place == at(pointer));
    let spec = &document.spec;
    let ttl = spec.ttl.as_deref().and_then(|text| {
        let length = Length::parse(text);
        if length.is_none() && !is_said(out, "/spec/ttl") {
            let message = format!("{} is longer than {}", quote(text), Length::MOST);
            let problem = Diagnostic::error("REQ011", at("/spec/ttl"), message);
            out.push(problem.help("take the line out, if it is to have no end"));
        }
        length
    });
    let until = spec.expires_at.as_deref().and_then(|text| {
        let latest = LATEST.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp()).ok();
        let moment = text.parse::<Timestamp>().ok().filter(|moment| Some(*moment) < latest);
        if moment.is_none() && !is_said(out, "/spec/expiresAt") {
            let message = format!("{} is no moment before {LATEST}", quote(text));
            let problem = Diagnostic::error("REQ011", at("/spec/expiresAt"), message);
            out.push(problem.help("write a time such as `2027-01-31T00:00:00Z`, in quotes"));
        }
        moment
    });
    if spec.ttl.is_some() && spec.expires_at.is_some() {
        let key = |pointer: &str| place_in(node, path, pointer, Part::Key);
        let message = "`ttl` and `expiresAt` both say when it ends";
        out.push(
            Diagnostic::error("REQ009", key("/spec/expiresAt"), message)
                .help("keep one of them")
                .related(key("/spec/ttl"), "the other"),
        );
    }
    ttl.map(Term::For).or(until.map(Term::Until))
}

/// What a schema cannot say.
fn own_rules(
    document: &RequestDocument,
    id: &RequestId,
    path: &Arc<str>,
    node: &Node,
    out: &mut Vec<Diagnostic>,
) {
    let at = |pointer: &str| place_in(node, path, pointer, Part::Value);
    let mut say = |problem: Diagnostic| out.push(problem);
    if let Some(name) = document.metadata.name.as_deref().filter(|name| *name != id.name()) {
        let place = at("/metadata/name");
        let message =
            format!("expected `{}`, the name of the file, found {}", id.name(), quote(name));
        say(Diagnostic::error("NAME002", place.clone(), message)
            .help("the path of a request is its identity: leave `name` out, or rename the file")
            .fix(place, id.name()));
    }
    if let Some(delete) = document.spec.delete.as_ref().filter(|d| d.confirm != id.name()) {
        let place = at("/spec/delete/confirm");
        let message = format!("expected `{}`, found {}", id.name(), quote(&delete.confirm));
        say(Diagnostic::error("REQ007", place, message)
            .help("the name of the request confirms that it may be deleted"));
    }
    if let Some(from) = &document.spec.moved_from {
        let place = at("/spec/movedFrom");
        if from == id {
            say(Diagnostic::error("REQ004", place, "a request cannot be moved from itself")
                .help("name its former identity, or take the line out"));
        } else if from.environment() != id.environment() {
            let message = format!(
                "a request cannot move from `{}` to `{}`: environments are apart",
                from.environment(),
                id.environment()
            );
            say(Diagnostic::error("REQ005", place, message)
                .help("make a new request here, and remove the one there"));
        }
    }
    for parameter in document.spec.secrets.keys() {
        let escaped = super::explain::escape(parameter);
        let place = place_in(node, path, &format!("/spec/secrets/{escaped}"), Part::Key);
        for (there, other, what) in [
            (document.spec.parameters.contains_key(parameter), "parameters", "the value"),
            (document.spec.references.contains_key(parameter), "references", "the reference"),
        ] {
            if there {
                let other = place_in(node, path, &format!("/spec/{other}/{escaped}"), Part::Key);
                let message = format!("{} has both a secret and another value", quote(parameter));
                say(Diagnostic::error("REQ006", place.clone(), message)
                    .help("keep one of them")
                    .related(other, what));
            }
        }
    }
    for (parameter, reference) in &document.spec.references {
        let pointer = format!("/spec/references/{}", super::explain::escape(parameter));
        let place = place_in(node, path, &pointer, Part::Key);
        if document.spec.parameters.contains_key(parameter) {
            let other = format!("/spec/parameters/{}", super::explain::escape(parameter));
            let message = format!("{} has both a value and a reference", quote(parameter));
            say(Diagnostic::error("REQ006", place.clone(), message)
                .help("keep one of them")
                .related(place_in(node, path, &other, Part::Key), "the value"));
        }
        if reference.request == *id {
            let place = at(&format!("{pointer}/request"));
            say(Diagnostic::error("DEP001", place, "a request cannot refer to itself"));
        }
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
pub(crate) mod tests;
