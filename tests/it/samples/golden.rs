//! Every template test of the sample catalog renders to its golden files, byte for byte.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it golden` writes them anew; read the difference before you
//! commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use vend::catalog::schema::Kind;
use vend::model::RequestId;
use vend::render::{Context, Flavour, Limits, Slot, Source, compile};

use super::{files, read, root, shown};

#[test]
fn template_tests_of_the_samples_render_to_their_golden_files() {
    let catalog: BTreeMap<String, Vec<u8>> = files("sample-catalog").into_iter().collect();
    let mut rendered = BTreeMap::new();
    for (path, bytes) in &catalog {
        let Some((version, test)) = path.split_once("/tests/") else { continue };
        if test.contains('/') {
            continue;
        }
        let document = read(Kind::TemplateTest, path, bytes);
        let Some(golden) = document["spec"]["expect"]["rendered"].as_str() else { continue };
        for (file, text) in render(&catalog, version, test, &document) {
            let golden = golden.trim_end_matches('/');
            rendered.insert(format!("{version}/tests/{golden}/{file}"), text);
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return write(&catalog, &rendered);
    }
    let expected: BTreeSet<&String> = catalog.keys().filter(|path| is_golden(path)).collect();
    assert_eq!(Vec::from_iter(rendered.keys()), Vec::from_iter(expected));
    for (path, text) in &rendered {
        assert_eq!(text.as_bytes(), catalog[path], "{path}:\n{text}");
    }
    assert!(rendered.len() > 20);
}

fn is_golden(path: &str) -> bool {
    path.contains("/tests/golden/")
}

/// The files of all components of a template test, as (`<component>/<file>`, text).
fn render(
    catalog: &BTreeMap<String, Vec<u8>>,
    version: &str,
    test: &str,
    document: &Value,
) -> Vec<(String, String)> {
    let template_path = format!("{version}/template.yaml");
    let template = read(Kind::Template, &template_path, &catalog[&template_path]);
    let context = context(catalog, version, &template, test, &document["spec"]);
    let mut out = Vec::new();
    for component in template["spec"]["components"].as_array().unwrap() {
        let text = |field: &str| component[field].as_str().unwrap();
        let flavour = match text("provider") {
            "cloudformation" => Flavour::CloudFormation,
            _ => Flavour::Plain,
        };
        let sources = sources(catalog, version, text("source"));
        let compiled = compile(&sources, text("source"), &BTreeMap::new(), version, flavour)
            .unwrap_or_else(|problems| panic!("\n{}", shown(&problems)));
        let rendered = compiled
            .render(&context, &Limits::default())
            .unwrap_or_else(|problems| panic!("{version} {test}\n{}", shown(&problems)));
        assert!(rendered.unknown.is_empty());
        let files = rendered.artifact.files.into_iter();
        out.extend(
            files.map(|(file, text)| {
                (format!("{}/{file}", component["name"].as_str().unwrap()), text)
            }),
        );
    }
    out
}

fn sources(
    catalog: &BTreeMap<String, Vec<u8>>,
    version: &str,
    source: &str,
) -> BTreeMap<String, Source> {
    let inside = |path: &str| path == source || path.starts_with(&format!("{source}/"));
    catalog
        .iter()
        .filter_map(|(path, bytes)| Some((path.strip_prefix(version)?.strip_prefix('/')?, bytes)))
        .filter(|(path, _)| inside(path))
        .map(|(path, bytes)| {
            let text: Arc<str> = std::str::from_utf8(bytes).unwrap().into();
            let source =
                if path.ends_with(".hbs") { Source::Template(text) } else { Source::Plain(text) };
            (path.to_owned(), source)
        })
        .collect()
}

fn context(
    catalog: &BTreeMap<String, Vec<u8>>,
    version: &str,
    template: &Value,
    test: &str,
    spec: &Value,
) -> Context {
    let environment_name = spec["environment"].as_str().unwrap();
    let environment_path = format!("environments/{environment_name}.yaml");
    let environment = read(Kind::Environment, &environment_path, &catalog[&environment_path]);
    let metadata = &template["metadata"];
    let schema: Value =
        serde_json::from_slice(&catalog[&format!("{version}/schema.json")]).unwrap();
    let none = Map::new();
    let map = |value: &Value| value.as_object().cloned().unwrap_or_default();

    let of_template = metadata["name"].as_str().unwrap();
    let mut values: Map<String, Value> = schema["properties"]
        .as_object()
        .unwrap_or(&none)
        .iter()
        .map(|(name, schema)| (name.clone(), schema.get("default").cloned().unwrap_or_default()))
        .collect();
    for layer in [
        &environment["spec"]["defaults"][of_template],
        &spec["request"]["parameters"],
        &spec["request"]["references"],
        &environment["spec"]["locked"][of_template],
    ] {
        values.extend(map(layer));
    }

    let team = spec["request"]["team"].as_str().unwrap_or("example");
    let name = spec["request"]["name"].as_str().unwrap_or(test.trim_end_matches(".yaml"));
    let id = RequestId::new(team, environment_name, name).unwrap();
    Context {
        request: json!({
            "id": id.as_str(),
            "team": team,
            "environment": environment_name,
            "name": name,
            "labels": map(&spec["request"]["labels"]),
        }),
        parameters: values.into_iter().map(|(name, value)| (name, Slot::Known(value))).collect(),
        environment: json!({
            "name": environment_name,
            "variables": environment["spec"]["variables"],
        }),
        template: json!({"name": of_template, "version": metadata["version"]}),
        components: BTreeMap::new(),
        pending: BTreeSet::new(),
        request_id: id,
    }
}

fn write(catalog: &BTreeMap<String, Vec<u8>>, rendered: &BTreeMap<String, String>) {
    let base = root().join("sample-catalog");
    for path in catalog.keys().filter(|path| is_golden(path) && !rendered.contains_key(*path)) {
        std::fs::remove_file(base.join(path)).unwrap();
    }
    for (path, text) in rendered {
        let path: &Path = &base.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
