//! Turns what the validator found into problems that people understand, at their places.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::ambiguous::{self, Unclear};
use super::schema::Schema;
use crate::model::{Diagnostic, Place, nearest, quote};
use crate::yaml::{Ambiguity, Node};

/// Which part of an entry a place is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    Key,
    Value,
}

/// What is validated, as far as wording and places need it.
pub(super) struct Subject<'a> {
    /// The place of what a JSON pointer names.
    pub place: &'a dyn Fn(&str, Part) -> Place,
    /// The node there, when it stands in a file that a fix could change.
    pub scalar: &'a dyn Fn(&str) -> Option<&'a Node>,
    /// Whether the value there must not be repeated.
    pub hidden: &'a dyn Fn(&str) -> bool,
    /// What people call an entry, such as `field`.
    pub noun: &'static str,
}

/// All problems of a value, those of ambiguous scalars included.
pub(super) fn check(
    schema: &Schema,
    value: &Value,
    subject: &Subject<'_>,
    unclear: &[Unclear<'_>],
) -> Vec<Diagnostic> {
    check_some(schema, value, subject, unclear, &|_| true)
}

/// As [`check`], of the errors that `counts` lets through.
pub(super) fn check_some(
    schema: &Schema,
    value: &Value,
    subject: &Subject<'_>,
    unclear: &[Unclear<'_>],
    counts: &dyn Fn(&ValidationError<'_>) -> bool,
) -> Vec<Diagnostic> {
    if unclear.is_empty() && schema.validator.is_valid(value) {
        return Vec::new();
    }
    let errors: Vec<_> = schema.validator.iter_errors(value).filter(counts).collect();
    let mut problems = Vec::new();
    let mut settled = Vec::new();
    for one in unclear {
        if ambiguous::wants_quotes(schema, value, &errors, one) {
            problems.push(ambiguous::problem(one, subject));
            settled.push(one.pointer.as_str());
        }
    }
    for error in &errors {
        if !settled.contains(&error.instance_path().as_str()) {
            explain(error, &schema.raw, subject, &mut problems);
        }
    }
    problems
}

/// All problems of errors that have been found already; `raw` is the schema that found them.
pub(super) fn problems(
    errors: &[ValidationError<'_>],
    raw: &Value,
    subject: &Subject<'_>,
    out: &mut Vec<Diagnostic>,
) {
    errors.iter().for_each(|error| explain(error, raw, subject, out));
}

fn explain(
    error: &ValidationError<'_>,
    raw: &Value,
    subject: &Subject<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let pointer = error.instance_path().as_str();
    let schema = parent_schema(raw, error.schema_path().as_str());
    let hidden = (subject.hidden)(pointer);
    let on = |part| (subject.place)(pointer, part);
    let of = named(pointer);
    let found =
        || if hidden { "a value that is not shown".into() } else { found(error.instance()) };
    let value = |code, message: String| Diagnostic::error(code, on(Part::Value), message);
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            out.extend(unexpected.iter().map(|key| unknown_field(key, error, schema, subject)));
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            if is_misspelt(name, error.instance(), schema) {
                return;
            }
            let place = on(Part::Key);
            let what = if of.is_empty() { String::new() } else { format!(" in {}", last(pointer)) };
            let message = format!("the {} `{name}` is missing{what}", noun(subject, pointer));
            out.push(Diagnostic::error("SCH002", place, message).help(about(schema, name)));
        }
        Kind::Type { kind } => out.push(wrong_type(kind, error, &of, (schema, subject), &found())),
        Kind::Enum { options } => {
            let options = options.as_array().map(Vec::as_slice).unwrap_or_default();
            out.push(not_an_option(options, error, &of, subject, &found()));
        }
        Kind::Constant { expected_value } => {
            let options = std::slice::from_ref(expected_value.as_ref());
            out.push(not_an_option(options, error, &of, subject, &found()));
        }
        Kind::Pattern { pattern } => {
            let expected =
                expected(schema).unwrap_or_else(|| format!("text that matches {}", quote(pattern)));
            out.push(
                value(
                    code(schema, "SCH005"),
                    format!("expected {expected}{of}, found {}", found()),
                )
                .help(description(schema)),
            );
        }
        Kind::Format { format } => {
            let expected = expected(schema).unwrap_or_else(|| format!("the format `{format}`"));
            let message = format!("expected {expected}{of}, found {}", found());
            out.push(value(code(schema, "SCH005"), message).help(description(schema)));
        }
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default();
            let at = format!("{pointer}/{}", escape(name));
            let schema = parent_schema(raw, error.schema_path().as_str());
            let expected = expected(schema).unwrap_or_else(|| "another name".into());
            let message = format!("expected {expected}, found {}", quote(name));
            let place = (subject.place)(&at, Part::Key);
            out.push(Diagnostic::error(code(schema, "SCH005"), place, message));
        }
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => {
            closest(context, error, raw, subject, out);
        }
        Kind::OneOfMultipleValid { .. } => {
            let message = format!("this fits several of the allowed forms{of}, and must fit one");
            out.push(value("SCH007", message));
        }
        Kind::FalseSchema => {
            let message = format!("{} cannot be set here", last(pointer));
            out.push(Diagnostic::error("SCH007", on(Part::Key), message));
        }
        Kind::Not { .. } => {
            let message = format!("this value is not allowed{of}: {}", found());
            out.push(value("SCH007", message).help(description(schema)));
        }
        kind => {
            let words = bound(kind, &of, hidden, error.instance());
            let words = words.unwrap_or_else(|| format!("{}{of}", error.masked_with("the value")));
            out.push(value("SCH006", words).help(description(schema)));
        }
    }
}

/// What a limit says, and what was found.
fn bound(kind: &Kind, of: &str, hidden: bool, instance: &Value) -> Option<String> {
    let seen = |text: String| {
        if hidden { of.to_owned() } else { format!("{of}, found {text}") }
    };
    let number = || seen(instance.to_string());
    let length = || seen(instance.as_str().map_or(0, |text| text.chars().count()).to_string());
    let items = || seen(instance.as_array().map_or(0, Vec::len).to_string());
    let fields = || seen(instance.as_object().map_or(0, serde_json::Map::len).to_string());
    Some(match kind {
        Kind::Minimum { limit } => format!("expected at least {limit}{}", number()),
        Kind::Maximum { limit } => format!("expected at most {limit}{}", number()),
        Kind::ExclusiveMinimum { limit } => format!("expected more than {limit}{}", number()),
        Kind::ExclusiveMaximum { limit } => format!("expected less than {limit}{}", number()),
        Kind::MultipleOf { multiple_of } => {
            format!("expected a multiple of {multiple_of}{}", number())
        }
        Kind::MinLength { limit: 1 } => format!("expected text{of}, found none"),
        Kind::MinLength { limit } => format!("expected {limit} characters or more{}", length()),
        Kind::MaxLength { limit } => format!("expected at most {limit} characters{}", length()),
        Kind::MinItems { limit } => format!("expected {limit} items or more{}", items()),
        Kind::MaxItems { limit } => format!("expected at most {limit} items{}", items()),
        Kind::MinProperties { limit } => format!("expected {limit} entries or more{}", fields()),
        Kind::MaxProperties { limit } => format!("expected at most {limit} entries{}", fields()),
        Kind::UniqueItems => format!("the items must differ{of}"),
        _ => return None,
    })
}

/// What an entry is called: inside of parameters and settings there are fields.
fn noun(subject: &Subject<'_>, pointer: &str) -> &'static str {
    if pointer.is_empty() { subject.noun } else { "field" }
}

fn unknown_field(
    key: &str,
    error: &ValidationError<'_>,
    schema: Option<&Value>,
    subject: &Subject<'_>,
) -> Diagnostic {
    let at = format!("{}/{}", error.instance_path().as_str(), escape(key));
    let place = (subject.place)(&at, Part::Key);
    let noun = noun(subject, error.instance_path().as_str());
    let problem =
        Diagnostic::error("SCH001", place.clone(), format!("unknown {noun} {}", quote(key)));
    let known: Vec<&str> = schema
        .and_then(|schema| schema.get("properties")?.as_object())
        .map(|known| known.keys().map(String::as_str).collect())
        .unwrap_or_default();
    let Some(meant) = nearest(key, known.iter().copied()) else {
        return if known.is_empty() || known.len() > 12 {
            problem
        } else {
            problem.help(format!("known are {}", list(&known)))
        };
    };
    let problem = problem.help(format!("did you mean `{meant}`?"));
    // Sure only when the other one is not there too and one slip of the finger explains it.
    let meant_at = format!("{}/{}", error.instance_path().as_str(), escape(meant));
    let free = (subject.scalar)(&meant_at).is_none();
    let slip = strsim::damerau_levenshtein(&key.to_lowercase(), &meant.to_lowercase()) <= 1;
    if free && slip && (subject.scalar)(&at).is_some() {
        problem.fix(place, meant)
    } else {
        problem
    }
}

/// Whether an unknown key is surely this missing one, which is then said of that key.
fn is_misspelt(name: &str, instance: &Value, schema: Option<&Value>) -> bool {
    let known = schema.and_then(|schema| schema.get("properties")?.as_object());
    let (Some(known), Some(entries)) = (known, instance.as_object()) else { return false };
    let names = || known.keys().map(String::as_str);
    entries.keys().any(|key| !known.contains_key(key) && nearest(key, names()) == Some(name))
}

fn wrong_type(
    kind: &TypeKind,
    error: &ValidationError<'_>,
    of: &str,
    (schema, subject): (Option<&Value>, &Subject<'_>),
    found: &str,
) -> Diagnostic {
    let wanted: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![one.as_str()],
        TypeKind::Multiple(some) => some.iter().map(|one| one.as_str()).collect(),
    };
    let words: Vec<&str> = wanted.iter().map(|name| type_word(name)).collect();
    let pointer = error.instance_path().as_str();
    let place = (subject.place)(pointer, Part::Value);
    let message = format!("expected {}{of}, found {found}", words.join(" or "));
    let problem = Diagnostic::error("SCH003", place.clone(), message);
    let Some(node) = (subject.scalar)(pointer) else { return problem };
    let offer = |text: String| {
        let problem = problem.clone();
        let help =
            if (subject.hidden)(pointer) { "write it".into() } else { format!("write `{text}`") };
        problem.help(help).fix(place.clone(), text)
    };
    let wants = |name| wanted.contains(&name);
    match error.instance().as_ref() {
        // Quoted it would be refused as well: what is expected is said instead.
        Value::Number(number) if wants("string") && !fits(schema, &number.to_string()) => {
            match expected(schema) {
                Some(expected) => problem.help(format!("write {expected}")),
                None => problem,
            }
        }
        Value::Number(number) if wants("string") => offer(format!("\"{number}\"")),
        Value::Bool(truth) if wants("string") => offer(format!("\"{truth}\"")),
        Value::String(text) if wants("boolean") => match meant_bool(node, text) {
            Some(truth) => offer(truth.to_string()),
            None => problem,
        },
        Value::String(text) if wants("integer") && text.parse::<i32>().is_ok() => {
            offer(text.trim_start_matches('+').to_owned())
        }
        Value::String(text) if wants("number") && is_plain_number(text) => offer(text.clone()),
        Value::Null => problem.help("give it a value, or take the line out"),
        _ => problem,
    }
}

/// Whether a text is what a schema's `pattern` takes.
fn fits(schema: Option<&Value>, text: &str) -> bool {
    let Some(pattern) = schema.and_then(|schema| schema.get("pattern")) else { return true };
    let compiled = Schema::compile(serde_json::json!({"pattern": pattern}));
    compiled.is_ok_and(|schema| schema.validator.is_valid(&Value::String(text.to_owned())))
}

fn meant_bool(node: &Node, text: &str) -> Option<bool> {
    if node.ambiguous == Some(Ambiguity::Yaml11Bool) {
        return Some(matches!(text.to_lowercase().as_str(), "y" | "yes" | "on"));
    }
    text.to_lowercase().parse().ok()
}

fn is_plain_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok_and(|number| number.to_string() == text)
}

fn not_an_option(
    options: &[Value],
    error: &ValidationError<'_>,
    of: &str,
    subject: &Subject<'_>,
    found: &str,
) -> Diagnostic {
    let pointer = error.instance_path().as_str();
    let place = (subject.place)(pointer, Part::Value);
    let texts: Vec<String> = options.iter().map(literal).collect();
    let expected = match texts.as_slice() {
        [one] => format!("`{one}`"),
        many if many.len() <= 12 => {
            format!("one of {}", list(&many.iter().map(String::as_str).collect::<Vec<_>>()))
        }
        many => format!("one of {} values, such as `{}`", many.len(), many[0]),
    };
    let message = format!("expected {expected}{of}, found {found}");
    let problem = Diagnostic::error("SCH004", place.clone(), message);
    if (subject.hidden)(pointer) {
        return problem;
    }
    let meant = error
        .instance()
        .as_str()
        .and_then(|word| nearest(word, options.iter().filter_map(Value::as_str)));
    match meant {
        Some(meant) if (subject.scalar)(pointer).is_some() => {
            problem.help(format!("did you mean `{meant}`?")).fix(place, meant)
        }
        Some(meant) => problem.help(format!("did you mean `{meant}`?")),
        None => problem,
    }
}

/// Of several allowed forms, the problems of the one that is nearest to what was written.
fn closest(
    context: &[Vec<ValidationError<'static>>],
    error: &ValidationError<'_>,
    raw: &Value,
    subject: &Subject<'_>,
    out: &mut Vec<Diagnostic>,
) {
    let pointer = error.instance_path().as_str();
    let depth = |errors: &Vec<ValidationError<'static>>| {
        errors.iter().map(|e| e.instance_path().as_str().matches('/').count()).max().unwrap_or(0)
    };
    let at_fault = |errors: &Vec<ValidationError<'static>>| {
        errors
            .iter()
            .any(|e| e.instance_path().as_str() == pointer && matches!(e.kind(), Kind::Type { .. }))
    };
    let titles = forms(raw, error.schema_path().as_str());
    let best = context
        .iter()
        .enumerate()
        .min_by_key(|(_, errors)| (at_fault(errors), usize::MAX - depth(errors), errors.len()));
    let allowed = (!titles.is_empty()).then(|| format!("allowed are: {}", titles.join("; ")));
    match best {
        Some((_, errors)) if !at_fault(errors) && !errors.is_empty() => {
            let from = out.len();
            errors.iter().for_each(|error| explain(error, raw, subject, out));
            for problem in &mut out[from..] {
                if let (true, Some(allowed)) = (problem.help.is_empty(), &allowed) {
                    problem.help.clone_from(allowed);
                }
            }
        }
        _ => {
            let found = if (subject.hidden)(pointer) {
                "a value that is not shown".into()
            } else {
                found(error.instance())
            };
            let types = context.iter().flatten().filter_map(|e| match e.kind() {
                Kind::Type { kind: TypeKind::Single(one) } => Some(type_word(one.as_str())),
                _ => None,
            });
            let mut types: Vec<_> = types.collect();
            types.dedup();
            let expected = if types.is_empty() {
                "one of the allowed forms".to_owned()
            } else {
                types.join(" or ")
            };
            let message = format!("expected {expected}{}, found {found}", named(pointer));
            let place = (subject.place)(pointer, Part::Value);
            out.push(Diagnostic::error("SCH007", place, message).help(allowed.unwrap_or_default()));
        }
    }
}

/// The titles of the branches of a `oneOf` or `anyOf`.
fn forms(raw: &Value, schema_path: &str) -> Vec<String> {
    raw.pointer(schema_path)
        .and_then(Value::as_array)
        .map(|branches| {
            branches.iter().filter_map(|b| Some(b.get("title")?.as_str()?.to_owned())).collect()
        })
        .unwrap_or_default()
}

/// The schema that holds the keyword which a schema path ends in.
fn parent_schema<'a>(raw: &'a Value, schema_path: &str) -> Option<&'a Value> {
    raw.pointer(schema_path.rsplit_once('/')?.0)
}

fn expected(schema: Option<&Value>) -> Option<String> {
    Some(schema?.get("x-expected")?.as_str()?.to_owned())
}

/// The codes that our own schemas name; a template's schema cannot invent others.
fn code(schema: Option<&Value>, otherwise: &'static str) -> &'static str {
    match schema.and_then(|schema| schema.get("x-code")?.as_str()) {
        Some("NAME001") => "NAME001",
        Some("REF001") => "REF001",
        Some("REF003") => "REF003",
        Some("SRC001") => "SRC001",
        _ => otherwise,
    }
}

fn description(schema: Option<&Value>) -> String {
    schema
        .and_then(|schema| schema.get("description")?.as_str())
        .map(|text| {
            // Code stays code as long as its ticks come in pairs.
            let parts = text.split('`').map(|part| crate::model::escape(part, 200));
            let paired = text.matches('`').count() % 2 == 0 && text.chars().count() <= 200;
            if paired {
                parts.collect::<Vec<_>>().join("`")
            } else {
                crate::model::escape(text, 200)
            }
        })
        .unwrap_or_default()
}

fn about(schema: Option<&Value>, property: &str) -> String {
    description(schema.and_then(|schema| schema.get("properties")?.get(property)))
}

fn type_word(name: &str) -> &'static str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "a mapping",
        _ => "nothing",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Number(number) => format!("the number `{number}`"),
        Value::String(text) if text.is_empty() => "empty text".into(),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => crate::model::escape(text, 80),
        other => crate::model::escape(&other.to_string(), 80),
    }
}

fn list(words: &[&str]) -> String {
    words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(", ")
}

/// ` for `a.b[0]``, or nothing for the whole.
fn named(pointer: &str) -> String {
    if pointer.is_empty() { String::new() } else { format!(" for {}", last(pointer)) }
}

/// What a pointer names, in backticks, the envelope left out.
fn last(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.bytes().all(|b| b.is_ascii_digit()) && !path.is_empty() {
            path.push_str(&format!("[{part}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&part);
        }
    }
    quote(&path)
}

pub(super) fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}
