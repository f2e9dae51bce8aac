//! The values of a request, asked for by the schema of its template.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::failure::Failure;
use super::super::laptop::Bench;
use super::ask::Asker;
use super::choose::Chosen;
use crate::catalog::file::Secret;
use crate::catalog::form::{Field, Kinds, Shape, below, free};
use crate::catalog::{Environment, request, takeable};
use crate::model::{Map, Reference, RequestId, quote};

/// What is known of a request's values.
#[derive(Clone, Default, Debug)]
pub(super) struct Answers {
    pub parameters: Map,
    pub references: BTreeMap<String, Reference>,
    pub secrets: BTreeMap<String, Secret>,
}

impl Answers {
    pub fn has(&self, name: &str) -> bool {
        self.parameters.contains_key(name)
            || self.references.contains_key(name)
            || self.secrets.contains_key(name)
    }
}

/// Who is asked, about what.
pub(super) struct Form<'a> {
    pub bench: &'a Bench,
    pub asker: &'a Asker,
    pub chosen: &'a Chosen,
    pub environment: &'a Environment,
    pub id: &'a RequestId,
}

/// What is takeable of another request: an output of it.
struct Offer {
    reference: Reference,
    shown: String,
}

impl Form<'_> {
    /// Asks for everything that the schema demands and nothing else gives, then for whichever of
    /// the rest is wanted.
    pub fn fill(&self, answers: &mut Answers) -> Result<(), Failure> {
        let template = &self.chosen.version.id.name;
        let set = |values: &BTreeMap<String, Map>, name: &str| {
            values.get(template).and_then(|values| values.get(name)).cloned()
        };
        let (mut needed, mut others) = (Vec::new(), Vec::new());
        for mut field in self.chosen.version.parameters.form() {
            let locked = set(&self.environment.locked, &field.name).is_some();
            if answers.has(&field.name) || locked {
                continue;
            }
            field.default = set(&self.environment.defaults, &field.name).or(field.default);
            if field.required && field.default.is_none() {
                needed.push(field);
            } else {
                others.push(field);
            }
        }
        for field in &needed {
            self.parameter(field, answers)?;
        }
        if others.is_empty() {
            return Ok(());
        }
        let width = others.iter().map(|field| field.name.len()).max().unwrap_or(0);
        let lines: Vec<String> = others
            .iter()
            .map(|field| {
                let default = match &field.default {
                    Some(default) => format!("({}) ", shown(default)),
                    None => String::new(),
                };
                let about = field.description.as_deref().unwrap_or_default();
                format!("{:width$}  {default}{about}", field.name)
            })
            .collect();
        for n in self.asker.some("Set any of these, too?", &lines)? {
            self.parameter(&others[n], answers)?;
        }
        Ok(())
    }

    fn parameter(&self, field: &Field, answers: &mut Answers) -> Result<(), Failure> {
        self.explain(field);
        if field.sensitive {
            if let Some(secret) = self.secret(field)? {
                answers.secrets.insert(field.name.clone(), secret);
            }
            return Ok(());
        }
        if let Some(template) = &field.filled_by
            && let Some(reference) = self.reference(field, template)?
        {
            answers.references.insert(field.name.clone(), reference);
            return Ok(());
        }
        let pointer = below("", &field.name);
        let value = self.value(&field.name, field, &pointer, &answers.parameters)?;
        answers.parameters.insert(field.name.clone(), value);
        Ok(())
    }

    fn explain(&self, field: &Field) {
        if let Some(about) = &field.description {
            self.asker.say(about);
        }
    }

    /// Asks until the schema has nothing against the answer.
    fn value(
        &self,
        label: &str,
        field: &Field,
        pointer: &str,
        known: &Map,
    ) -> Result<Value, Failure> {
        loop {
            let value = self.shape(label, &field.shape, field, pointer, known)?;
            let objections = self.objections(pointer, &value, known);
            if objections.is_empty() {
                return Ok(value);
            }
            for objection in objections {
                self.asker.say(&objection);
            }
        }
    }

    fn objections(&self, pointer: &str, value: &Value, known: &Map) -> Vec<String> {
        let mut whole = Value::Object(known.clone().into_iter().collect());
        put(&mut whole, pointer, value.clone());
        let Value::Object(entries) = whole else { return Vec::new() };
        let values: Map = entries.into_iter().collect();
        self.chosen.version.parameters.objections(&values, pointer)
    }

    fn shape(
        &self,
        label: &str,
        shape: &Shape,
        field: &Field,
        pointer: &str,
        known: &Map,
    ) -> Result<Value, Failure> {
        let asker = self.asker;
        match shape {
            Shape::Flag => {
                let given = field.default.as_ref().and_then(Value::as_bool);
                asker.yes(label, given).map(Value::Bool)
            }
            Shape::Choice(options) => {
                let given = options.iter().position(|one| Some(one) == field.default.as_ref());
                let lines: Vec<String> = options.iter().map(shown).collect();
                Ok(options[asker.one(label, &lines, given.unwrap_or(0))?].clone())
            }
            Shape::Choices(options) => {
                let lines: Vec<String> = options.iter().map(shown).collect();
                let chosen = asker.some(label, &lines)?;
                Ok(Value::Array(chosen.into_iter().map(|n| options[n].clone()).collect()))
            }
            Shape::Line(kinds) => self.line(label, *kinds, field, pointer, known),
            Shape::Free => {
                let label = format!("{label} (YAML, such as `{}`)", self.example(field));
                let check = |text: &str| {
                    let value = free(text)?;
                    first(self.objections(pointer, &value, known))
                };
                let given = field.default.as_ref().map(Value::to_string);
                let text = asker.text(&label, given.as_deref(), &check)?;
                free(&text).map_err(Failure::usage)
            }
            Shape::List { item, least } => self.list(label, item, *least, pointer, known),
            Shape::Fields { fields, others, least } => {
                self.map(label, fields, others.as_deref(), *least, pointer, known)
            }
        }
    }

    fn example(&self, field: &Field) -> String {
        field.example.as_ref().map_or_else(|| "{key: [1, 2]}".to_owned(), Value::to_string)
    }

    fn line(
        &self,
        label: &str,
        kinds: Kinds,
        field: &Field,
        pointer: &str,
        known: &Map,
    ) -> Result<Value, Failure> {
        let check = |text: &str| {
            let value = kinds.read(text);
            first(self.objections(pointer, &value, known))
        };
        let given = field.default.as_ref().map(shown);
        let label = match (&given, &field.example) {
            (None, Some(example)) => format!("{label} (such as {})", shown(example)),
            _ => label.to_owned(),
        };
        Ok(kinds.read(&self.asker.text(&label, given.as_deref(), &check)?))
    }

    fn list(
        &self,
        label: &str,
        item: &Shape,
        least: usize,
        pointer: &str,
        known: &Map,
    ) -> Result<Value, Failure> {
        let mut items: Vec<Value> = Vec::new();
        loop {
            let n = items.len();
            let each = bare(format!("{label}, number {}", n + 1), item.clone());
            let mut so_far = known.clone();
            so_far = with(&so_far, pointer, Value::Array(items.clone()));
            if n >= least {
                let question = if n == 0 { "Add one to" } else { "Another for" };
                if !self.asker.yes(&format!("{question} {label}?"), Some(false))? {
                    return Ok(Value::Array(items));
                }
            }
            items.push(self.value(&each.name, &each, &format!("{pointer}/{n}"), &so_far)?);
        }
    }

    fn map(
        &self,
        label: &str,
        fields: &[Field],
        others: Option<&Shape>,
        least: usize,
        pointer: &str,
        known: &Map,
    ) -> Result<Value, Failure> {
        let mut entries = serde_json::Map::new();
        let so_far = |entries: &serde_json::Map<String, Value>| {
            with(known, pointer, Value::Object(entries.clone()))
        };
        let (needed, rest): (Vec<_>, Vec<_>) =
            fields.iter().partition(|field| field.required && field.default.is_none());
        let mut wanted = needed;
        if !rest.is_empty() {
            let lines: Vec<String> = rest
                .iter()
                .map(|f| format!("{}  {}", f.name, f.description.as_deref().unwrap_or_default()))
                .collect();
            let chosen = self.asker.some(&format!("Which of {label}?"), &lines)?;
            wanted.extend(chosen.into_iter().map(|n| rest[n]));
        }
        for field in wanted {
            self.explain(field);
            let inner = format!("{label}.{}", field.name);
            let at = below(pointer, &field.name);
            let value = self.value(&inner, field, &at, &so_far(&entries))?;
            entries.insert(field.name.clone(), value);
        }
        let Some(others) = others else { return Ok(Value::Object(entries)) };
        loop {
            let done = entries.len() >= least;
            let question = if done {
                format!("A key of {label} (empty: no more)")
            } else {
                format!("A key of {label}")
            };
            let check = |key: &str| {
                if key.is_empty() {
                    return if done { Ok(()) } else { Err("one is needed".to_owned()) };
                }
                if entries.contains_key(key) {
                    return Err(format!("{} is there already", quote(key)));
                }
                let mut tried = entries.clone();
                tried.insert(key.to_owned(), Value::Null);
                let tried = Value::Object(tried);
                // A name that is refused is an objection against the map, not against its value.
                let against = |value: &Value| self.objections(pointer, value, known);
                let now = Value::Object(entries.clone());
                let (before, inside) = (against(&now), below(pointer, key));
                let own = self.objections_below(&inside, &tried, pointer, known);
                let new =
                    against(&tried).into_iter().filter(|o| !before.contains(o) && !own.contains(o));
                first(new.collect())
            };
            let key = self.asker.text(&question, Some(""), &check)?;
            if key.is_empty() {
                return Ok(Value::Object(entries));
            }
            let each = bare(format!("{label}.{key}"), others.clone());
            let at = below(pointer, &key);
            let value = self.value(&each.name, &each, &at, &so_far(&entries))?;
            entries.insert(key, value);
        }
    }

    fn objections_below(&self, inside: &str, whole: &Value, at: &str, known: &Map) -> Vec<String> {
        let values = with(known, at, whole.clone());
        self.chosen.version.parameters.objections(&values, inside)
    }

    /// Where the secret is kept; nothing, for one that may be left out.
    fn secret(&self, field: &Field) -> Result<Option<Secret>, Failure> {
        let place = &self.environment.name;
        if self.environment.secrets.is_empty() {
            let name = &field.name;
            self.asker.say(&format!(
                "{name} is a secret, and {place} lets no secret be referred to: ask the catalog's owners"
            ));
            return Ok(None);
        }
        let check = |text: &str| {
            if text.is_empty() && !field.required {
                return Ok(());
            }
            let arn = text.split('#').next().unwrap_or_default();
            if !arn.starts_with("arn:") {
                return Err("name the secret by its ARN; its value never goes into a file".into());
            }
            if self.environment.allows_secret(self.id, arn) {
                Ok(())
            } else {
                let allowed = self.environment.secrets.join(", ");
                Err(format!("{place} lets only these be referred to: {allowed}"))
            }
        };
        let question =
            format!("{} (ARN in AWS Secrets Manager, #KEY for one of its keys)", field.name);
        let given = (!field.required).then_some("");
        let text = self.asker.text(&question, given, &check)?;
        Ok((!text.is_empty()).then(|| super::secret(&text)))
    }

    /// An output of another request, or nothing where a value is to be typed.
    fn reference(&self, field: &Field, template: &str) -> Result<Option<Reference>, Failure> {
        let offers = self.offers(template, &field.name);
        if offers.is_empty() {
            let text = format!("There is no request of {template} here that could fill it.");
            self.asker.say(&text);
            return Ok(None);
        }
        let mut lines: Vec<&str> = offers.iter().map(|offer| offer.shown.as_str()).collect();
        lines.push("type a value instead");
        let n = self.asker.one(&field.name, &lines, 0)?;
        Ok(offers.into_iter().nth(n).map(|offer| offer.reference))
    }

    /// Outputs of the requests of a template, those of the same environment first, the output that
    /// is called like the parameter before the others.
    fn offers(&self, template: &str, parameter: &str) -> Vec<Offer> {
        let max = self.bench.config.settings.limits.file_bytes;
        let mark = format!("{template}@");
        let mut offers = Vec::new();
        for found in self.bench.requests.found.values().filter(|found| found.id != *self.id) {
            let path = &found.origin.path;
            let Some(text) = self.bench.requests.text(path, max) else { continue };
            if !text.contains(&mark) {
                continue;
            }
            let Ok(file) = request(path, &found.id, text.as_bytes()) else { continue };
            if file.template.name != template {
                continue;
            }
            let catalog = &self.bench.catalog.catalog;
            let wanted = &file.template.requirement;
            let Some(version) = takeable(catalog, template, Some(wanted)) else { continue };
            for (output, _) in version.outputs.iter().filter(|(_, spec)| !spec.sensitive) {
                let reference = Reference { request: found.id.clone(), output: output.clone() };
                offers.push(Offer { shown: format!("{output} of {}", found.id), reference });
            }
        }
        offers.sort_by_key(|offer| {
            let elsewhere = offer.reference.request.environment() != self.id.environment();
            (elsewhere, offer.reference.output != parameter)
        });
        offers
    }
}

fn bare(name: String, shape: Shape) -> Field {
    Field {
        name,
        description: None,
        required: true,
        default: None,
        example: None,
        sensitive: false,
        filled_by: None,
        shape,
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn first(objections: Vec<String>) -> Result<(), String> {
    objections.into_iter().next().map_or(Ok(()), Err)
}

fn with(known: &Map, pointer: &str, value: Value) -> Map {
    let mut whole = Value::Object(known.clone().into_iter().collect());
    put(&mut whole, pointer, value);
    match whole {
        Value::Object(entries) => entries.into_iter().collect(),
        _ => known.clone(),
    }
}

/// Puts a value where a JSON pointer says, on the way to which all is there.
fn put(whole: &mut Value, pointer: &str, value: Value) {
    let Some((above, key)) = pointer.rsplit_once('/') else { return };
    let key = key.replace("~1", "/").replace("~0", "~");
    match whole.pointer_mut(above) {
        Some(Value::Object(entries)) => {
            entries.insert(key, value);
        }
        Some(Value::Array(items)) => match key.parse::<usize>() {
            Ok(n) if n < items.len() => items[n] = value,
            _ => items.push(value),
        },
        _ => {}
    }
}
