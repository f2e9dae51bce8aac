//! The texts of a version that is released from the one before it.

use std::fmt::Write as _;
use std::sync::Arc;

use semver::Version;

use super::Reason;
use crate::yaml;

/// `template.yaml` with another version, all else as it is; `None` where it says none.
pub fn with_version(file: &str, text: &str, version: &Version) -> Option<String> {
    let file: Arc<str> = file.into();
    let node = yaml::read(&file, text.as_bytes(), &yaml::Options::request()).ok()?.pop()?;
    let span = node.at("/metadata/version")?.span;
    let (start, end) = (span.start.byte as usize, span.end.byte as usize);
    let written = text.get(start..end)?;
    // In quotes it stays in quotes.
    let quote = written.chars().next().filter(|c| matches!(c, '"' | '\''));
    let quote = quote.map(String::from).unwrap_or_default();
    Some(format!("{}{quote}{version}{quote}{}", &text[..start], &text[end..]))
}

/// What an author replaces with words.
pub const PLACEHOLDER: &str =
    "<!-- Say in words what this version changes for those who use it. -->";

/// `CHANGELOG.md` with a part about a version on top of what it says of those before.
pub fn changelog(former: Option<&str>, version: &Version, reasons: &[Reason]) -> String {
    let mut part = format!("## {version}\n\n{PLACEHOLDER}\n");
    if !reasons.is_empty() {
        part.push('\n');
    }
    for Reason { bump, what, place: _ } in reasons {
        let _ = writeln!(part, "- {bump}: {what}");
    }
    let former = former.unwrap_or("# Changelog\n");
    // Below the title, above the last version.
    let at = former.match_indices("## ").map(|(at, _)| at);
    let at = at.into_iter().find(|at| *at == 0 || former[..*at].ends_with('\n'));
    match at {
        Some(at) => format!("{}{part}\n{}", &former[..at], &former[at..]),
        None => format!("{}\n\n{part}", former.trim_end()),
    }
}

/// The same part under another number, with the reasons as they are now.
pub fn renumbered(text: &str, from: &Version, to: &Version) -> String {
    let heading = |version: &Version| format!("## {version}\n");
    text.replacen(&heading(from), &heading(to), 1)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::catalog::compat::Bump;
    use crate::model::Place;

    #[test]
    fn only_the_version_of_a_template_is_another() {
        let text = "# Ours.\nkind: Template\nmetadata: {name: a, version: \"1.2.0\"} # here\nspec:\n  version: 1.2.0\n";
        let to = Version::new(1, 3, 0);
        let changed = with_version("template.yaml", text, &to).unwrap();
        assert_eq!(changed, text.replace("\"1.2.0\"", "\"1.3.0\""));
        assert_eq!(with_version("template.yaml", "kind: Template\n", &to), None);
    }

    #[test]
    fn a_changelog_gains_a_part_on_top() {
        let what = "`size` may not be `large` any more".to_owned();
        let reason = Reason { bump: Bump::Major, what, place: Place::file("schema.json") };
        let (first, second) = (Version::new(1, 0, 0), Version::new(2, 0, 0));
        let text = changelog(None, &first, &[]);
        assert_snapshot!(changelog(Some(&text), &second, &[reason]), @"
    # Changelog

    ## 2.0.0

    <!-- Say in words what this version changes for those who use it. -->

    - major: `size` may not be `large` any more

    ## 1.0.0

    <!-- Say in words what this version changes for those who use it. -->
    ");
        assert!(renumbered(&text, &first, &second).contains("## 2.0.0\n"));
    }
}
