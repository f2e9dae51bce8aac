//! The samples, held against each other: the catalog has no problem, and every request can be had.

use vend::catalog::{Filled, Verdict, check};
use vend::model::{Reference, Symbol};

use super::{sample_catalog, sample_requests, shown};

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
    for (id, request) in &requests {
        match check(&catalog, request, None, &["files", "cloudformation"], &fill) {
            Verdict::Checked(checked) => {
                assert!(checked.notes.is_empty(), "\n{}", shown(&checked.notes));
                assert_eq!(checked.protect, id.environment() == "prod", "{id}");
            }
            Verdict::Waiting(reason, notes) => panic!("{id}: {reason:?}\n{}", shown(&notes)),
            Verdict::Invalid(problems) => panic!("{id}\n{}", shown(&problems)),
        }
    }
}
