//! What the tests of two versions of a template render to, under each of the two.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::super::PassError;
use super::run::Bench;
use crate::catalog::compat::Reason;
use crate::catalog::compat::rendered::{Rendered, compare};
use crate::catalog::{Asked, Catalog, TemplateVersion, TestCase};
use crate::model::{Artifact, ComponentName};

/// What a component renders to.
type Texts = Vec<(ComponentName, Arc<Artifact>)>;

/// Renders requests of tests under other versions than those that the tests are of.
pub struct Versions<'a>(Bench<'a>);

impl<'a> Versions<'a> {
    /// Of one catalog.
    ///
    /// # Errors
    /// When a provider cannot be had.
    pub fn of(catalog: &'a Catalog) -> Result<Self, PassError> {
        Ok(Self(Bench::new(catalog)?))
    }

    /// What differs between what requests render to under `before` and under `now`, two versions of
    /// one template: of the requests that the tests of both make, those that both take.
    pub fn differences(
        &self,
        before: &Arc<TemplateVersion>,
        now: &Arc<TemplateVersion>,
    ) -> Vec<Reason> {
        let (mut probes, mut asked) = (Vec::new(), BTreeSet::new());
        for test in now.tests.iter().chain(&before.tests) {
            // The tests of a version are copied from those of the one before: each request once.
            if !asked.insert(request(test)) {
                continue;
            }
            let render = |version| {
                catch_unwind(AssertUnwindSafe(|| texts(&self.0, version, test))).ok().flatten()
            };
            if let (Some(was), Some(is)) = (render(before), render(now)) {
                probes.push((test, test.key_place("/spec/request"), was, is));
            }
        }
        let mut rendered = Vec::new();
        for (test, place, was, is) in &probes {
            for component in &now.components {
                // Under the version before it may have had another name.
                let of = |texts: &Texts| {
                    let called = |wanted| texts.iter().position(|(name, _)| name == wanted);
                    called(&component.name).or_else(|| called(component.moved_from.as_ref()?))
                };
                rendered.push(Rendered {
                    test: &test.name,
                    place,
                    component: component.name.as_str(),
                    provider: &component.provider,
                    before: of(was).map(|n| &*was[n].1),
                    now: of(is).map(|n| &*is[n].1),
                });
            }
        }
        let foretell = |kind: &str, before: &Artifact, now: &Artifact| {
            self.0.providers.get(kind)?.foretell(before, now)
        };
        compare(&rendered, &foretell)
    }
}

/// What a test asks for, whatever it expects.
fn request(test: &TestCase) -> String {
    let asked = test.node.at("/spec/request").map(crate::yaml::Node::to_json);
    let id = test.request_id().map(|id| id.to_string());
    serde_json::json!([id, asked]).to_string()
}

/// `None` where the version does not take the request.
fn texts(bench: &Bench<'_>, version: &TemplateVersion, test: &TestCase) -> Option<Texts> {
    let read = bench.read(version, test, Asked::Now, None).ok()?;
    read.spec()?;
    Some(read.evaluated.artifacts)
}
