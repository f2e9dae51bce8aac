//! Fields of parameters that hold objects, against what their schemas let be there.

use serde_json::Value;

use crate::catalog::TemplateVersion;
use crate::model::{Diagnostic, Place, nearest, quote};

/// What stands for any item of a list in a path.
const ITEM: &str = "*";

/// A path into a parameter that leads to a field which no value of it can have.
pub(super) fn unknown(version: &TemplateVersion, path: &str, place: &Place) -> Option<Diagnostic> {
    let mut parts = path.strip_prefix("parameters.")?.split('.');
    let mut above = parts.next()?.to_owned();
    let mut schema = version.parameters.property(&above)?;
    for part in parts {
        if part == ITEM {
            schema = version.parameters.inside(schema.get("items")?);
            above.push_str("[]");
            continue;
        }
        let fields = closed(&schema)?;
        let Some(field) = fields.get(part) else {
            // A name with a dot in it is cut into several parts here.
            if fields.keys().any(|name| name.contains('.')) {
                return None;
            }
            let message = format!("{} has no field {}", quote(&above), quote(part));
            let problem = Diagnostic::error("TPL014", place.clone(), message);
            return Some(match nearest(part, fields.keys().map(String::as_str)) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")),
                None => problem.help("its schema lets no others be: declare it there"),
            });
        };
        let field = field.clone();
        schema = version.parameters.inside(&field);
        above.push('.');
        above.push_str(part);
    }
    None
}

/// The fields of an object that may have no others; `None`: it may, or that is more than can be seen here.
fn closed(schema: &Value) -> Option<&serde_json::Map<String, Value>> {
    const MORE: [&str; 5] = ["patternProperties", "allOf", "anyOf", "oneOf", "if"];
    let is_closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let may_have_more = MORE.iter().any(|keyword| schema.get(keyword).is_some());
    schema.get("properties").and_then(Value::as_object).filter(|_| is_closed && !may_have_more)
}
