//! Variables of environments that templates read and no environment has.

use std::collections::BTreeSet;

use crate::catalog::{Catalog, Environment, TemplateVersion};
use crate::model::{Diagnostic, Place, nearest, quote};

/// Reads of variables that none of the environments has in which the template may be requested: there it
/// renders for nobody.
pub(super) fn problems(
    catalog: &Catalog,
    version: &TemplateVersion,
    paths: &[(String, Place)],
) -> Vec<Diagnostic> {
    let all = || catalog.environments.values();
    // What one that cannot be read would have is not known.
    if all().any(|environment| environment.is_broken()) {
        return Vec::new();
    }
    let mut places: Vec<&Environment> =
        all().map(|e| &**e).filter(|e| e.allows(&version.id.name)).collect();
    if places.is_empty() {
        places = all().map(|e| &**e).collect();
    }
    if places.is_empty() {
        return Vec::new();
    }
    let known: BTreeSet<&str> =
        places.iter().flat_map(|e| e.variables.keys().map(String::as_str)).collect();
    let unknown = paths.iter().filter_map(|(path, place)| {
        let rest = path.strip_prefix("environment.variables.")?;
        let is_known = known.iter().any(|name| {
            rest.strip_prefix(name).is_some_and(|more| more.is_empty() || more.starts_with('.'))
        });
        (!is_known).then(|| (rest.split('.').next().unwrap_or(rest), place))
    });
    let problem = |(name, place): (&str, &Place)| {
        let message = format!("no environment has a variable {}", quote(name));
        let problem = Diagnostic::error("TPL014", place.clone(), message);
        match nearest(name, known.iter().copied()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help("add it to `variables` of the environments"),
        }
    };
    unknown.map(problem).collect()
}
