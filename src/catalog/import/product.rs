//! A product of AWS Service Catalog: a CloudFormation template whose parameters become a schema.
//!
//! The `Parameters` stay in the source, each with the request's value as its default: references,
//! conditions and rules work as before, and a stack made from the product by hand is the same.

use serde_json::{Map, Number, Value, json};

use super::{
    Bundle, Draft, Imported, Wanted, changed, entries, escape_braces, items, line_of, lost, parse,
    schema_text, stack, text_of, wrong,
};
use crate::catalog::schema::Schema;
use crate::model::{Diagnostic, escape};
use crate::yaml::{Data, Key, Node};

pub(super) fn import(bundle: &Bundle<'_>, wanted: &Wanted) -> Result<Imported, Vec<Diagnostic>> {
    let file = find(bundle)?;
    let text = bundle.text(&file).unwrap_or_default();
    let node = parse(&file, text)?;
    let mut notes = Vec::new();
    for path in bundle.paths().filter(|path| **path != *file) {
        notes.push(lost(path, 1, "this file is not part of the template, and was left out"));
    }
    let labels = labels(&node);
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let mut edits = Vec::new();
    for (key, parameter) in entries(node.get("Parameters")) {
        let title = labels.get(&key.name).and_then(Value::as_str);
        let (schema, is_list) = schema(&file, key, parameter, title, &mut notes);
        if schema.get("default").is_none() {
            required.push(key.name.clone());
        }
        properties.insert(key.name.clone(), schema);
        edits.push(edit(&file, text, key, parameter, is_list)?);
    }
    let source = apply(text, edits);
    let is_json =
        file.to_ascii_lowercase().ends_with(".json") || text.trim_start().starts_with('{');
    let source_name = if is_json { "stack.json.hbs" } else { "stack.yaml.hbs" };
    let description = match node.get("Description").map(|d| &d.data) {
        Some(Data::String(text)) => Some(text.clone()),
        _ => None,
    };
    let draft = Draft {
        wanted,
        title: None,
        description,
        component: "stack",
        provider: "cloudformation",
        source: source_name,
        with: stack::settings(&node, wanted.stack_name.as_deref()),
        outputs: stack::outputs(&file, &node, &mut notes),
    };
    let mut imported = Imported { notes, ..Imported::default() };
    let schema = schema_text(None, &properties, &required, &Map::new());
    for (name, text) in
        [("template.yaml", draft.text()), ("schema.json", schema), (source_name, source)]
    {
        imported.files.insert(name.to_owned(), text.into_bytes().into());
    }
    Ok(imported)
}

/// The one file that is a CloudFormation template.
fn find(bundle: &Bundle<'_>) -> Result<String, Vec<Diagnostic>> {
    const ENDS: [&str; 4] = [".yaml", ".yml", ".json", ".template"];
    let named = bundle.paths().filter(|path| ENDS.iter().any(|end| path.ends_with(end)));
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for path in named {
        match bundle.yaml(path) {
            Ok(node) if node.get("Resources").is_some() => found.push(path.to_owned()),
            Ok(_) => {}
            Err(why) => problems.extend(why),
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] if !problems.is_empty() => Err(problems),
        [] => Err(wrong(".", 1, "no file here is a CloudFormation template with `Resources`")),
        [first, ..] => {
            let message =
                format!("there are {} CloudFormation templates: {}", found.len(), found.join(", "));
            Err(wrong(first, 1, message)
                .into_iter()
                .map(|problem| problem.help("name the one that is meant instead of the folder"))
                .collect())
        }
    }
}

/// What the console calls each parameter.
fn labels(stack: &Node) -> Map<String, Value> {
    let labels = stack.at("/Metadata/AWS::CloudFormation::Interface/ParameterLabels");
    let labels = entries(labels).iter();
    labels
        .filter_map(|(key, label)| Some((key.name.clone(), json!(text_of(label, "default")?))))
        .collect()
}

/// The schema of a parameter, and whether it is a list.
fn schema(
    file: &str,
    key: &Key,
    parameter: &Node,
    title: Option<&str>,
    notes: &mut Vec<Diagnostic>,
) -> (Value, bool) {
    let kind = text_of(parameter, "Type").unwrap_or("String");
    let name = escape(&key.name, 80);
    let line = key.span.start.line;
    let (item, is_list) = match kind {
        "CommaDelimitedList" => ("string", true),
        "List<Number>" => ("number", true),
        "Number" => ("number", false),
        kind => ("string", kind.starts_with("List<")),
    };
    let mut one = json!({"type": item});
    if kind.starts_with("AWS::SSM::Parameter::") {
        let message = format!(
            "`{name}` names a parameter of SSM, whose value CloudFormation fetches: the plan does not see it change"
        );
        notes.push(changed(file, line, message));
    } else if kind.contains("AWS::") {
        let message = format!(
            "`{name}` is of the type `{}`: its value is looked up by CloudFormation only",
            escape(kind, 80)
        );
        notes.push(changed(file, line, message));
    }
    limits(file, parameter, item, &name, &mut one, notes);
    let mut schema = if is_list { json!({"type": "array", "items": one}) } else { one };
    if let Some(title) = title {
        schema["title"] = json!(title);
    }
    let about = text_of(parameter, "Description").map(str::trim).filter(|text| !text.is_empty());
    if let Some(about) = about {
        schema["description"] = json!(about);
    }
    let default = parameter.get("Default").map(|default| value(default, item, is_list));
    let hidden = parameter.get("NoEcho").is_some_and(|flag| {
        flag.data == Data::Bool(true)
            || matches!(&flag.data, Data::String(t) if t.eq_ignore_ascii_case("true"))
    });
    if hidden {
        schema["x-sensitive"] = json!(true);
        if default.is_some() {
            let message = format!("the default of the secret `{name}` was left out");
            notes.push(
                lost(file, line, message)
                    .help("change the secret: it stands in the bundle for all to read"),
            );
        }
    } else if let Some(default) = default {
        // A default that breaks its own rules is one in CloudFormation as well, at the first use.
        let fits = Schema::compile(schema.clone()).is_ok_and(|s| s.validator.is_valid(&default));
        if fits {
            schema["default"] = default;
        } else {
            let message = format!(
                "the default of `{name}` does not keep the parameter's own rules, and was left out"
            );
            notes.push(lost(file, line, message));
        }
    }
    (schema, is_list)
}

fn limits(
    file: &str,
    parameter: &Node,
    item: &str,
    name: &str,
    schema: &mut Value,
    notes: &mut Vec<Diagnostic>,
) {
    let allowed = items(parameter.get("AllowedValues"));
    if !allowed.is_empty() {
        schema["enum"] = allowed.iter().map(|one| value(one, item, false)).collect();
    }
    for (from, to) in [
        ("MinLength", "minLength"),
        ("MaxLength", "maxLength"),
        ("MinValue", "minimum"),
        ("MaxValue", "maximum"),
    ] {
        if let Some(Value::Number(number)) = parameter.get(from).map(|n| value(n, "number", false))
        {
            schema[to] = json!(number);
        }
    }
    let Some(pattern) = text_of(parameter, "AllowedPattern") else { return };
    // There a pattern is of the whole text.
    let whole = format!("^(?:{pattern})$");
    if Schema::compile(json!({"pattern": whole})).is_ok() {
        schema["pattern"] = json!(whole);
        if let Some(expected) = text_of(parameter, "ConstraintDescription") {
            schema["x-expected"] = json!(expected);
        }
    } else {
        let line = parameter.get("AllowedPattern").map_or(1, line_of);
        let message = format!(
            "the pattern of `{name}` looks around or back, which a schema here cannot; CloudFormation still checks it"
        );
        notes.push(lost(file, line, message));
    }
}

/// A value as the parameter means it: CloudFormation writes numbers as text, and lists with commas.
fn value(node: &Node, item: &str, is_list: bool) -> Value {
    let text = match &node.data {
        Data::String(text) => text.clone(),
        _ => node.plain.as_deref().map_or_else(|| node.to_json().to_string(), str::to_owned),
    };
    let one = |text: &str| -> Value {
        let number = (item == "number").then(|| text.trim().parse::<Number>().ok()).flatten();
        number.map_or_else(|| json!(text), Value::Number)
    };
    if !is_list {
        return one(&text);
    }
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    Value::Array(parts.map(one).collect())
}

/// What replaces a stretch of the text.
struct Edit {
    from: usize,
    to: usize,
    with: String,
}

/// Puts the request's value in as the parameter's default.
fn edit(
    file: &str,
    text: &str,
    key: &Key,
    parameter: &Node,
    is_list: bool,
) -> Result<Edit, Vec<Diagnostic>> {
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric()) && !name.is_empty();
    let line = key.span.start.line;
    if !is_name(&key.name) {
        return Err(wrong(
            file,
            line,
            "a parameter of CloudFormation is named by letters and digits",
        ));
    }
    let name = &key.name;
    let tag = if is_list {
        format!("{{{{join parameters.{name} \\\",\\\"}}}}").replace("\\\"", "'")
    } else {
        format!("{{{{parameters.{name}}}}}")
    };
    let map = entries(Some(parameter));
    let Some((first, _)) = map.first() else {
        return Err(wrong(file, line, "this parameter is no mapping with a `Type`"));
    };
    if let Some((key, old)) = map.iter().find(|(key, _)| key.name == "Default") {
        let (from, mut to) = (key.span.start.byte as usize, old.span.end.byte as usize);
        // A block scalar ends with its line.
        while to > from && text[..to].ends_with(['\n', '\r', ' ']) {
            to -= 1;
        }
        return Ok(Edit { from, to, with: format!("\"Default\": \"{tag}\"") });
    }
    let from = first.span.start.byte as usize;
    let is_flow = text[parameter.span.start.byte as usize..].starts_with('{');
    let end = if is_flow {
        ", ".to_owned()
    } else {
        format!("\n{}", " ".repeat(first.span.start.column.saturating_sub(1) as usize))
    };
    Ok(Edit { from, to: from, with: format!("\"Default\": \"{tag}\"{end}") })
}

fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.from);
    let (mut out, mut at) = (String::new(), 0);
    for edit in edits {
        out.push_str(&escape_braces(&text[at..edit.from]));
        out.push_str(&edit.with);
        at = edit.to;
    }
    out.push_str(&escape_braces(&text[at..]));
    out.trim_start_matches('\u{FEFF}').to_owned()
}
