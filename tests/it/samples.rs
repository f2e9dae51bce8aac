//! The sample catalog and the sample requests are right: people copy them.

mod check;
mod lint;
mod program;
mod render;
mod stack;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use vend::catalog::schema::{self, Kind, Schema};
use vend::catalog::{self, Catalog, PathIs, Pattern, RequestFile};
use vend::model::{Diagnostic, Files, RequestId};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder of the package, as (path from that folder, with `/`, bytes), sorted.
pub fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, out) } else { out.push(path) }
        }
    }
    let base = root().join(folder);
    let mut paths = Vec::new();
    walk(&base, &mut paths);
    paths.sort();
    let inner = |path: &Path| path.strip_prefix(&base).unwrap().to_str().unwrap().to_owned();
    paths.iter().map(|path| (inner(path), std::fs::read(path).unwrap())).collect()
}

/// The sample catalog, loaded.
fn sample_catalog() -> Catalog {
    let files: Files = files("sample-catalog").into_iter().collect();
    let (catalog, problems) = catalog::load(&files, None);
    assert!(problems.is_empty(), "\n{}", shown(&problems));
    catalog
}

/// The sample requests, read.
fn sample_requests() -> BTreeMap<RequestId, RequestFile> {
    let pattern = Pattern::parse("requests/{team}/{environment}/{name}.yaml").unwrap();
    let read = |(path, bytes): (String, Vec<u8>)| match pattern.id(&path) {
        PathIs::Request(id) => {
            let path: Arc<str> = path.into();
            let request = catalog::request(&path, &id, &bytes)
                .unwrap_or_else(|problems| panic!("\n{}", shown(&problems)));
            Some((id, request))
        }
        _ => None,
    };
    files("sample-requests").into_iter().filter_map(read).collect()
}

/// The sample requests whose template has a component of this provider.
pub fn needing(provider: &str) -> BTreeSet<String> {
    let (catalog, requests) = (sample_catalog(), sample_requests());
    let needs = |request: &RequestFile| {
        let mut versions = catalog.templates[&request.template.name].values();
        versions.any(|version| version.components.iter().any(|c| c.provider == provider))
    };
    requests.iter().filter(|(_, r)| needs(r)).map(|(id, _)| id.to_string()).collect()
}

/// Which kind a file of a catalog is, by its path.
fn kind(path: &str) -> Option<Kind> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["catalog.yaml"] => Some(Kind::Catalog),
        ["environments", _] => Some(Kind::Environment),
        ["templates", _, _, "template.yaml"] => Some(Kind::Template),
        ["templates", _, _, "tests", file] if file.ends_with(".yaml") => Some(Kind::TemplateTest),
        _ => None,
    }
}

fn shown(problems: &[Diagnostic]) -> String {
    let line =
        |p: &Diagnostic| format!("{}:{}: {} {}\n", p.place.file, p.place.line, p.code, p.message);
    problems.iter().map(line).collect()
}

fn read(kind: Kind, path: &str, bytes: &[u8]) -> Value {
    let file: Arc<str> = path.into();
    schema::read(kind, &file, bytes)
        .and_then(|node| schema::envelope(kind, &node, &file))
        .unwrap_or_else(|problems| panic!("\n{}", shown(&problems)))
}

#[test]
fn every_file_of_the_sample_catalog_fits_its_schema() {
    let mut templates = BTreeSet::new();
    for (path, bytes) in files("sample-catalog") {
        if path.ends_with("schema.json") {
            Schema::compile(serde_json::from_slice(&bytes).unwrap())
                .unwrap_or_else(|error| panic!("{path}: {}", vend::error::chain(&error)));
        }
        let Some(kind) = kind(&path) else { continue };
        let value = read(kind, &path, &bytes);
        match kind {
            Kind::Environment => {
                let name = value["metadata"]["name"].as_str().unwrap();
                assert_eq!(path, format!("environments/{name}.yaml"));
                for (provider, settings) in value["spec"]["providers"].as_object().unwrap() {
                    fits(schema::provider_text(provider).unwrap(), settings, &path);
                }
            }
            Kind::Template => {
                let metadata = &value["metadata"];
                let (name, version) = (metadata["name"].as_str(), metadata["version"].as_str());
                let (name, version) = (name.unwrap(), version.unwrap());
                assert_eq!(path, format!("templates/{name}/{version}/template.yaml"));
                templates.insert(name.to_owned());
                for component in value["spec"]["components"].as_array().unwrap() {
                    let folder = root().join("sample-catalog").join(&path);
                    let source = component["source"].as_str().unwrap();
                    assert!(folder.with_file_name(source).exists(), "{path}: no {source}");
                }
            }
            _ => {}
        }
    }
    assert!(templates.len() >= 8, "{templates:?}");
}

fn fits(schema: &str, value: &Value, path: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator.iter_errors(value).map(|e| e.to_string()).collect();
    assert!(problems.is_empty(), "{path}: {problems:?}");
}

#[test]
fn every_sample_request_reads() {
    let mut teams = BTreeSet::new();
    let mut references = 0;
    for (id, request) in sample_requests() {
        assert!(request.problems().is_empty(), "\n{}", shown(request.problems()));
        assert!(request.not_supported.is_empty(), "{id}");
        teams.insert(id.team().to_owned());
        references += request.references.len();
    }
    assert_eq!(Vec::from_iter(teams), ["orders", "payments", "platform"]);
    assert!(references > 0);
    let config = std::fs::read(root().join("sample-requests/vend.yaml")).unwrap();
    read(Kind::Config, "vend.yaml", &config);
}
