//! Patterns with `*`.

/// Whether `*` for any characters makes the pattern equal to the text.
pub fn matches(glob: &str, text: &str) -> bool {
    let mut parts = glob.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (glob, text) in [
            ("*", "a"),
            ("web-*", "web-x"),
            ("*-queue", "sqs-queue"),
            ("a*b*c", "aXbYc"),
            ("a", "a"),
        ] {
            assert!(matches(glob, text), "{glob} {text}");
        }
        for (glob, text) in
            [("web-*", "we"), ("a", "ab"), ("a*b*c", "aXc"), ("ab*b", "ab"), ("", "a")]
        {
            assert!(!matches(glob, text), "{glob} {text}");
        }
    }
}
