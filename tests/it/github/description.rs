//! GitHub's published description of its API: what is asked and answered is held against it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

/// An operation as it was published.
pub struct Operation {
    name: String,
    document: Value,
    /// By where their schema is in the document; made when first asked for.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The operation of that method and path, such as `GET /repos/{owner}/{repo}`, or a webhook, such as
/// `HOOK push`.
pub fn operation(name: &str) -> Arc<Operation> {
    static ALL: OnceLock<Mutex<HashMap<String, Arc<Operation>>>> = OnceLock::new();
    let mut all = ALL.get_or_init(Mutex::default).lock().unwrap();
    all.entry(name.to_owned()).or_insert_with(|| Arc::new(Operation::load(name))).clone()
}

/// Examples of webhook payloads as GitHub publishes them, each with its event.
pub fn examples() -> Vec<(String, Value)> {
    let all: Vec<Value> = read("webhooks.json");
    let of = |event: &Value| {
        let name = event["name"].as_str().unwrap_or_default().to_owned();
        let examples = event["examples"].as_array().cloned().unwrap_or_default();
        examples.into_iter().map(move |example| (name.clone(), example))
    };
    all.iter().flat_map(of).collect()
}

fn read<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/github").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| {
        let path = path.display();
        panic!(
            "these tests need GitHub's description of its API, at tests/tools/github-operations.txt: \
             run scripts/github-description (`make test` does): {path}: {e}"
        )
    });
    serde_json::from_slice(&bytes).unwrap()
}

impl Operation {
    fn load(name: &str) -> Self {
        let file = name.replace('/', "_").replace(' ', "");
        let document = read(&format!("operations/{file}.json"));
        Self { name: name.to_owned(), document, validators: Mutex::default() }
    }

    /// What is wrong with a request.
    pub fn check_request(
        &self,
        path: &HashMap<String, String>,
        query: &[(String, String)],
        body: Option<&Value>,
    ) -> Vec<String> {
        let parameters = self.document["parameters"].as_array().unwrap();
        let mut wrong = Vec::new();
        for (name, text) in path.iter().chain(query.iter().map(|(name, text)| (name, text))) {
            let Some(at) = parameters.iter().position(|it| it["name"] == **name) else {
                wrong.push(format!("unknown parameter `{name}`"));
                continue;
            };
            let value = of_text(&parameters[at]["schema"], text);
            let pointer = format!("/parameters/{at}/schema");
            wrong.extend(self.check(&pointer, &value).map(|why| format!("`{name}`: {why}")));
        }
        match (body, &self.document["body"]) {
            (None, _) if self.document["body_required"] == true => wrong.push("no body".into()),
            (None, _) => {}
            (Some(_), Value::Null) => wrong.push("a body where none belongs".into()),
            (Some(body), _) => wrong.extend(self.check("/body", body)),
        }
        wrong.iter().map(|why| format!("request of {}: {why}", self.name)).collect()
    }

    /// What is wrong with an answer.
    pub fn check_answer(&self, status: u16, body: Option<&Value>) -> Vec<String> {
        let known = self.document["responses"].get(status.to_string());
        let pointer = match known {
            Some(_) => format!("/responses/{status}"),
            None if status >= 400 => "/responses/error".into(),
            None => return vec![format!("answer of {}: unknown status {status}", self.name)],
        };
        let is_empty = known.is_some_and(Value::is_null);
        let wrong = match body {
            // Errors always say something.
            Some(body) if is_empty && status >= 400 => self.check("/responses/error", body),
            None if is_empty => None,
            Some(_) if is_empty => Some("a body where none belongs".into()),
            None => Some("no body".into()),
            Some(body) => self.check(&pointer, body),
        };
        let wrong = wrong.into_iter();
        wrong.map(|why| format!("answer {status} of {}: {why}", self.name)).collect()
    }

    /// What is wrong with the payload of a webhook.
    pub fn check_payload(&self, payload: &Value) -> Vec<String> {
        let wrong = self.check("/body", payload).into_iter();
        wrong.map(|why| format!("payload of {}: {why}", self.name)).collect()
    }

    fn check(&self, pointer: &str, value: &Value) -> Option<String> {
        let validator = self.validator(pointer);
        let errors = validator.iter_errors(value);
        let told = errors.map(|error| format!("{}: {error:.400}", error.instance_path()));
        let told: Vec<_> = told.take(5).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn validator(&self, pointer: &str) -> Arc<Validator> {
        let mut all = self.validators.lock().unwrap();
        let make = || {
            let mut schema = json!({"allOf": [self.document.pointer(pointer).unwrap()]});
            schema["definitions"] = self.document["definitions"].clone();
            // What OpenAPI 3.0 has of JSON Schema is nearest to this draft.
            let options = jsonschema::options().with_draft(Draft::Draft4);
            Arc::new(options.should_validate_formats(true).build(&schema).unwrap())
        };
        all.entry(pointer.to_owned()).or_insert_with(make).clone()
    }
}

/// The value that text in a path or a query stands for.
fn of_text(schema: &Value, text: &str) -> Value {
    let number = || text.parse::<i64>().ok().map(Value::from);
    match schema["type"].as_str() {
        Some("integer" | "number") => number().unwrap_or_else(|| text.into()),
        Some("boolean") => text.parse::<bool>().map_or_else(|_| text.into(), Value::from),
        Some("array") => text.split(',').collect(),
        _ => text.into(),
    }
}
