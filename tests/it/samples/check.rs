//! The samples, held against each other: the catalog has no problem, every request can be had, and
//! the mistakes that template tests make on purpose are found.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use vend::catalog::{self, Catalog, Filled, PathIs, Pattern, RequestFile, Verdict, check, load};
use vend::model::{Files, HoldReason, Reference, RequestId, Symbol};
use vend::yaml;

use super::{files, shown};

/// What waits for the provider `cloudformation`; the samples' README names them.
pub(super) const NOT_YET: &[&str] =
    &["orders/prod/orders-events", "payments/test/ledger", "platform/test/network"];

fn sample_catalog() -> Catalog {
    let files: Files = files("sample-catalog").into_iter().collect();
    let (catalog, problems) = load(&files, None);
    assert!(problems.is_empty(), "\n{}", shown(&problems));
    catalog
}

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

#[test]
fn every_sample_request_can_be_had() {
    let (catalog, requests) = (sample_catalog(), sample_requests());
    // As before the first apply: the other request is there, its outputs are not.
    let fill = |reference: &Reference, template: Option<&str>| {
        let other = &requests[&reference.request];
        let name = &other.template.name;
        assert!(template.is_none_or(|wanted| wanted == name), "{}", reference.request);
        let promised = catalog.templates[name].values().next_back().unwrap();
        assert!(promised.outputs.contains_key(&reference.output), "{name} {}", reference.output);
        Filled::Unknown(Symbol {
            request: reference.request.clone(),
            component: None,
            output: reference.output.clone(),
        })
    };
    let mut not_yet = Vec::new();
    for (id, request) in &requests {
        match check(&catalog, request, None, &["files"], &fill) {
            Verdict::Checked(checked) => {
                assert!(checked.notes.is_empty(), "\n{}", shown(&checked.notes));
                assert_eq!(checked.protect, id.environment() == "prod", "{id}");
            }
            Verdict::Waiting(HoldReason::NotSupportedYet { .. }, _) => not_yet.push(id.as_str()),
            Verdict::Waiting(reason, notes) => panic!("{id}: {reason:?}\n{}", shown(&notes)),
            Verdict::Invalid(problems) => panic!("{id}\n{}", shown(&problems)),
        }
    }
    assert_eq!(not_yet, NOT_YET);
}

#[test]
fn mistakes_made_on_purpose_are_found() {
    let catalog = sample_catalog();
    let mut seen = 0;
    for version in catalog.versions() {
        for test in &version.tests {
            let Some(expected) = &test.document.spec.expect.diagnostics else { continue };
            let spec = &test.document.spec;
            let mut parameters = spec.request.parameters.clone();
            parameters.extend(spec.request.references.clone());
            let text = yaml::write_json(&json!({
                "apiVersion": "vend.dev/v1",
                "kind": "Request",
                "spec": {"template": version.id.to_string(), "parameters": parameters},
            }));
            let id = RequestId::new("example", &spec.environment, &test.name).unwrap();
            let path: Arc<str> = format!("requests/{id}.yaml").into();
            let request = catalog::request(&path, &id, text.as_bytes()).unwrap();
            let nothing = |_: &Reference, _: Option<&str>| unreachable!("no references here");
            let providers = ["files", "cloudformation"];
            let Verdict::Invalid(problems) = check(&catalog, &request, None, &providers, &nothing)
            else {
                panic!("{}: nothing was found", test.file);
            };
            let mut codes: Vec<&str> =
                problems.iter().filter(|p| p.is_error()).map(|p| p.code.as_ref()).collect();
            codes.sort_unstable();
            assert_eq!(&codes, expected, "{}\n{}", test.file, shown(&problems));
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen}");
}
