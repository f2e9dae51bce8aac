//! By whose rights pull requests are previewed: what everybody may propose reaches an account by them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::catalog::Catalog;

/// Warns of each environment, once, whose previews take the role that may change everything there.
pub(super) fn warn(catalog: &Catalog, told: &Mutex<BTreeSet<String>>) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    for environment in catalog.environments.values() {
        let Some(settings) = environment.providers.get("cloudformation") else { continue };
        let is_broad = settings.contains_key("role") && !settings.contains_key("previewRole");
        if is_broad && told.insert(environment.name.clone()) {
            tracing::warn!(
                environment = environment.name,
                file = %environment.file,
                "pull requests are previewed with the role that makes changes: name a `previewRole` beside `role`, \
                 which may look and prepare change sets and nothing else"
            );
        }
    }
}
