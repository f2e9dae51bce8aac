//! What differs in the world from what was applied, in words.

use std::collections::BTreeMap;

use crate::model::{ComponentName, DriftItem, escape};

/// The most characters of a value.
const VALUE_MAX: usize = 120;

/// One difference, such as `Queue.DelaySeconds changed (5 expected, 9 found)`.
pub fn phrase(item: &DriftItem) -> String {
    let DriftItem { what, how, expected, found } = item;
    let value = |value: &Option<String>, word: &str| {
        value.as_ref().map(|value| format!("{} {word}", escape(value, VALUE_MAX)))
    };
    let values: Vec<_> =
        value(expected, "expected").into_iter().chain(value(found, "found")).collect();
    let values = match values.is_empty() {
        true => String::new(),
        false => format!(" ({})", values.join(", ")),
    };
    format!("{} {}{values}", escape(what, 200), escape(how, 40))
}

/// That not all could be looked at, and why.
pub fn unknown(why: &str) -> String {
    format!(
        "not all of it could be looked at for drift, so that what was known before stands: {}",
        escape(why, 400)
    )
}

/// Several in one phrase: the first, and how many more there are; `None`: there is none.
pub fn summary(items: &BTreeMap<ComponentName, Vec<DriftItem>>) -> Option<String> {
    let mut all = items.values().flatten();
    let first = phrase(all.next()?);
    Some(match all.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_said_where_they_are_known() {
        let item = |how: &str, expected: Option<&str>, found: Option<&str>| {
            phrase(&DriftItem {
                what: "Queue.Delay\u{1b}".into(),
                how: how.into(),
                expected: expected.map(str::to_owned),
                found: found.map(str::to_owned),
            })
        };
        let shown = [
            item("changed", Some("5"), Some("9\n")),
            item("added", None, Some(&"x".repeat(500))),
            item("removed", None, None),
        ];
        let long = format!("({}… found)", "x".repeat(120));
        assert_eq!(shown[0], "Queue.Delay\\u{1B} changed (5 expected, 9\\n found)");
        assert!(shown[1].ends_with(&long), "{}", shown[1]);
        assert_eq!(shown[2], "Queue.Delay\\u{1B} removed");
    }
}
