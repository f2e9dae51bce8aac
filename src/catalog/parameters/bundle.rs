//! Makes one schema, with references into itself only, of a schema and the files it refers to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::walk::{Step, children, rewrite, visit};
use crate::catalog::explain::{Part, escape};
use crate::catalog::path;
use crate::catalog::schema::place_in;
use crate::model::{Diagnostic, Place, nearest, quote};
use crate::yaml::Node;

/// A schema as it stands in a file.
#[derive(Clone, Debug)]
pub(in crate::catalog) struct Text {
    /// The file, by its path in the catalog.
    pub file: Arc<str>,
    /// Its path in the version's folder; what other files call it.
    pub path: String,
    /// Where in the file the schema begins.
    pub base: &'static str,
    pub node: Node,
    pub raw: Value,
}

impl Text {
    pub(in crate::catalog) fn place(&self, pointer: &str, part: Part) -> Place {
        place_in(&self.node, &self.file, &format!("{}{pointer}", self.base), part)
    }
}

/// Reads a file of the version's folder; `None` when there is no such file.
pub(in crate::catalog) type Open<'a> = &'a dyn Fn(&str) -> Option<Opened>;

/// What came of reading it.
pub(in crate::catalog) type Opened = Result<Text, Vec<Diagnostic>>;

/// The schema in one piece, and where each piece stands.
#[derive(Debug)]
pub(super) struct Bundle {
    pub raw: Value,
    /// The main one, then those it refers to.
    pub texts: Vec<Text>,
    /// Key in `$defs` by path.
    keys: BTreeMap<String, String>,
}

impl Bundle {
    /// The place of a pointer into [`Bundle::raw`].
    pub(super) fn place(&self, pointer: &str, part: Part) -> Place {
        for text in &self.texts[1..] {
            let Some(key) = self.keys.get(&text.path) else { continue };
            let prefix = format!("/$defs/{}", escape(key));
            if let Some(rest) = pointer.strip_prefix(&prefix)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                return text.place(rest, part);
            }
        }
        self.texts[0].place(pointer, part)
    }
}

enum Target {
    /// A pointer into the same file.
    Here(String),
    /// A file of the version's folder and a pointer into it.
    File(String, String),
}

fn target(reference: &str, from: &str) -> Result<Target, &'static str> {
    let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
    if !fragment.is_empty() && !fragment.starts_with('/') {
        return Err("a reference names a place by a JSON pointer, such as `#/$defs/size`");
    }
    if fragment.contains('%') {
        return Err("a reference with `%` is not supported");
    }
    if file.is_empty() {
        return Ok(Target::Here(fragment.to_owned()));
    }
    if file.contains(':') || file.starts_with('/') || file.starts_with('\\') {
        return Err("remote references are refused: copy the schema into this folder");
    }
    let folder = from.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let path = format!("{folder}{file}");
    if path::problem(&path).is_some() {
        return Err("a reference names a file of the version's own folder");
    }
    Ok(Target::File(path, fragment.to_owned()))
}

/// Follows references from `main`. `open` reads a file of the version's folder.
pub(super) fn bundle(
    main: Text,
    open: Open<'_>,
    known: &[&str],
    problems: &mut Vec<Diagnostic>,
) -> Bundle {
    let main_path = main.path.clone();
    let mut texts = vec![main];
    let mut next = 0;
    while next < texts.len() {
        let mut wanted = Vec::new();
        references(&texts[next], problems, &mut wanted);
        for (path, place) in wanted {
            if texts.iter().any(|text| text.path == path && text.base.is_empty()) {
                continue;
            }
            match open(&path) {
                Some(Ok(text)) => texts.push(text),
                Some(Err(found)) => {
                    problems.extend(
                        found.into_iter().filter(|p| !problems.contains(p)).collect::<Vec<_>>(),
                    );
                }
                None => {
                    let message = format!("there is no file {} in this folder", quote(&path));
                    let problem = Diagnostic::error("CAT002", place, message);
                    problems.push(match nearest(&path, known.iter().copied()) {
                        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                        None => problem,
                    });
                }
            }
        }
        next += 1;
    }
    let keys: BTreeMap<String, String> =
        texts[1..].iter().map(|text| (text.path.clone(), format!("file:{}", text.path))).collect();
    let prefix = |path: &str| {
        let of_main = path == main_path && texts[0].base.is_empty();
        let key = (!of_main).then(|| keys.get(path)).flatten();
        key.map_or(String::new(), |key| format!("/$defs/{}", escape(key)))
    };
    let moved = |text: &Text, is_main: bool| {
        let mut raw = text.raw.clone();
        rewrite(&mut raw, &|reference| match target(reference, &text.path).ok()? {
            Target::Here(pointer) if is_main => Some(format!("#{pointer}")),
            Target::Here(pointer) => Some(format!("#{}{pointer}", prefix(&text.path))),
            Target::File(path, pointer) => Some(format!("#{}{pointer}", prefix(&path))),
        });
        if let Some(entries) = raw.as_object_mut() {
            // Identities would change what `#` means; collisions are looked for elsewhere.
            entries.remove("$id");
            entries.remove("$schema");
        }
        raw
    };
    let mut raw = moved(&texts[0], true);
    for text in &texts[1..] {
        let piece = moved(text, false);
        if let (Some(entries), Some(key)) = (raw.as_object_mut(), keys.get(&text.path)) {
            let defs = entries.entry("$defs").or_insert_with(|| Value::Object(Default::default()));
            if let Some(defs) = defs.as_object_mut() {
                defs.insert(key.clone(), piece);
            }
        }
    }
    Bundle { raw, texts, keys }
}

/// The files that a schema refers to; what is no local reference is a problem.
fn references(text: &Text, problems: &mut Vec<Diagnostic>, wanted: &mut Vec<(String, Place)>) {
    visit(&text.raw, "", &mut |at, schema| {
        for keyword in ["$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef"] {
            if schema.get(keyword).is_some() {
                let place = text.place(&format!("{at}/{keyword}"), Part::Key);
                let message = format!("`{keyword}` is not supported");
                problems.push(
                    Diagnostic::error("CAT001", place, message)
                        .help("use `$defs` and `$ref: \"#/$defs/<name>\"`"),
                );
            }
        }
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return };
        let place = || text.place(&format!("{at}/$ref"), Part::Value);
        match target(reference, &text.path) {
            Ok(Target::Here(_)) => {}
            Ok(Target::File(path, _)) => wanted.push((path, place())),
            Err(why) => {
                let message = format!("{} cannot be referred to", quote(reference));
                problems.push(Diagnostic::error("CAT001", place(), message).help(why));
            }
        }
    });
}

/// Most steps that judging one value may take, before its parts are looked at. `allOf` of two
/// references, thirty deep, would take a thousand million.
const WORK_MOST: u64 = 20_000;

/// A chain of references is followed by recursion, here and in the validator.
const REFERENCES_MOST: usize = 500;

/// References that lead nowhere, into something that is no schema, or back to themselves; and
/// schemas that would take too long.
pub(super) fn check_graph(bundle: &Bundle, problems: &mut Vec<Diagnostic>) {
    let mut schemas = BTreeMap::new();
    visit(&bundle.raw, "", &mut |at, schema| {
        schemas.insert(at.to_owned(), schema);
    });
    let references = schemas.values().filter(|schema| schema.get("$ref").is_some()).count();
    if references > REFERENCES_MOST {
        let message = format!("{references} references, and at most {REFERENCES_MOST} are allowed");
        problems.push(Diagnostic::error("CAT005", bundle.place("", Part::Key), message));
        return;
    }
    let before = problems.len();
    for (at, schema) in &schemas {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { continue };
        let Some(pointer) = reference.strip_prefix('#') else { continue };
        if !schemas.contains_key(pointer) {
            let place = bundle.place(&format!("{at}/$ref"), Part::Value);
            let shown = quote(&reference.replace("/$defs/file:", "").replace("~1", "/"));
            problems.push(Diagnostic::error(
                "CAT002",
                place,
                format!("{shown} leads to no schema"),
            ));
        }
    }
    if problems.len() > before {
        return;
    }
    let mut work = BTreeMap::new();
    for at in schemas.keys() {
        if let Err(circle) = cost(at, &schemas, &mut work, &mut BTreeSet::new()) {
            let place = bundle.place(&circle, Part::Key);
            problems.push(Diagnostic::error(
                "CAT002",
                place,
                "this reference leads back to itself without looking at a part of the value",
            ));
            return;
        }
    }
    if let Some((at, _)) = work.iter().find(|(_, steps)| **steps > WORK_MOST) {
        let message = format!("judging a value would take more than {WORK_MOST} steps");
        problems.push(Diagnostic::error("CAT005", bundle.place(at, Part::Key), message));
    }
}

fn cost(
    at: &str,
    schemas: &BTreeMap<String, &Value>,
    known: &mut BTreeMap<String, u64>,
    on_the_way: &mut BTreeSet<String>,
) -> Result<u64, String> {
    if let Some(cost) = known.get(at) {
        return Ok(*cost);
    }
    let Some(schema) = schemas.get(at) else { return Ok(0) };
    if !on_the_way.insert(at.to_owned()) {
        return Err(at.to_owned());
    }
    let mut sum = 1_u64;
    let own = children(schema);
    let same = own.iter().filter(|(_, step, _)| *step == Step::Same);
    for (step, _, _) in same {
        sum = sum.saturating_add(cost(&format!("{at}{step}"), schemas, known, on_the_way)?);
    }
    let reference = schema.get("$ref").and_then(Value::as_str);
    if let Some(pointer) = reference.and_then(|reference| reference.strip_prefix('#')) {
        sum = sum.saturating_add(cost(pointer, schemas, known, on_the_way)?);
    }
    on_the_way.remove(at);
    known.insert(at.to_owned(), sum);
    Ok(sum)
}
