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

/// What a version says of itself alone, and that the next one does not take over: an author's word on
/// its number, and that people should use another.
pub fn without_own(file: &str, text: &str) -> Result<String, yaml::EditError> {
    let file: Arc<str> = file.into();
    let options = yaml::Options::request();
    let Some(node) = yaml::read(&file, text.as_bytes(), &options).ok().and_then(|mut d| d.pop())
    else {
        return Ok(text.to_owned());
    };
    // What is experimental does not become stable by being copied.
    let says = |at: &str| node.at(at).map(yaml::Node::to_json);
    let over = says("/metadata/lifecycle").is_some_and(|word| word != "experimental");
    let own = [
        ("/spec/versionBump", true),
        ("/metadata/lifecycle", over),
        ("/metadata/replacedBy", true),
    ];
    let own = own.into_iter().filter(|(at, goes)| *goes && node.at(at).is_some());
    let edits: Vec<yaml::Edit> = own.map(|(at, _)| yaml::Edit::remove(at)).collect();
    yaml::edit(&file, text, &edits, &options)
}

/// What an author replaces with words.
pub const PLACEHOLDER: &str =
    "<!-- Say in words what this version changes for those who use it. -->";

/// Around what was computed, so that it can be computed again, and words around it stay.
const BEGIN: &str = "<!-- Computed by `vend catalog release`: -->";
const END: &str = "<!-- End of what is computed. -->";

/// `CHANGELOG.md` with a part about a version on top of what it says of those before.
pub fn changelog(former: Option<&str>, version: &Version, reasons: &[Reason]) -> String {
    let mut part = format!("## {version}\n\n{PLACEHOLDER}\n");
    if !reasons.is_empty() {
        let _ = write!(part, "\n{}", computed(reasons));
    }
    let former = former.unwrap_or("# Changelog\n");
    // Below the title, above the last version.
    match heading(former, 0) {
        Some(at) => format!("{}{part}\n{}", &former[..at], &former[at..]),
        None => format!("{}\n\n{part}", former.trim_end()),
    }
}

/// `CHANGELOG.md` with the reasons as they are now in the part about a version, which is added where it
/// lacks. Other words of that part, and other parts, stay as they are.
pub fn with_reasons(text: &str, version: &Version, reasons: &[Reason]) -> String {
    let title = format!("## {version}");
    let is_it =
        |at: &usize| text[*at..].lines().next().is_some_and(|line| line.trim_end() == title);
    let headings = std::iter::successors(heading(text, 0), |at| heading(text, at + 1));
    let Some(begin) = headings.into_iter().find(is_it) else {
        return changelog(Some(text), version, reasons);
    };
    let end = heading(text, begin + 1).unwrap_or(text.len());
    let part = &text[begin..end];
    let found = part.find(BEGIN).and_then(|from| {
        let to = part[from..].find(END)? + from + END.len();
        Some((from, to + usize::from(part[to..].starts_with('\n'))))
    });
    let list = if reasons.is_empty() { String::new() } else { computed(reasons) };
    let part = match found {
        Some((from, to)) => format!("{}{list}{}", &part[..from], &part[to..]),
        None if list.is_empty() => part.to_owned(),
        None => {
            let apart = if end == text.len() { "" } else { "\n" };
            format!("{}\n\n{list}{apart}", part.trim_end())
        }
    };
    format!("{}{part}{}", &text[..begin], &text[end..])
}

fn computed(reasons: &[Reason]) -> String {
    let lines = reasons.iter().map(|Reason { bump, what, place: _ }| format!("- {bump}: {what}\n"));
    format!("{BEGIN}\n\n{}\n{END}\n", lines.collect::<String>())
}

/// The next heading of a version.
fn heading(text: &str, from: usize) -> Option<usize> {
    let found = text.match_indices("## ").map(|(at, _)| at);
    found.into_iter().find(|at| *at >= from && (*at == 0 || text[..*at].ends_with('\n')))
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
    fn what_a_version_says_of_itself_is_not_taken_over() {
        let text = "kind: Template\nmetadata: {name: a, version: 1.2.0, lifecycle: deprecated, replacedBy: b@1.0.0}\nspec:\n  versionBump: patch # nobody used it\n  outputs: {}\n";
        assert_eq!(
            without_own("template.yaml", text).unwrap(),
            "kind: Template\nmetadata: {name: a, version: 1.2.0}\nspec:\n  outputs: {}\n"
        );
        let plain = "metadata:\n  lifecycle: experimental # yet\nspec: {}\n";
        assert_eq!(without_own("template.yaml", plain).unwrap(), plain);
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

    <!-- Computed by `vend catalog release`: -->

    - major: `size` may not be `large` any more

    <!-- End of what is computed. -->

    ## 1.0.0

    <!-- Say in words what this version changes for those who use it. -->
    ");
        assert!(renumbered(&text, &first, &second).contains("## 2.0.0\n"));
    }

    #[test]
    fn reasons_are_computed_again_and_words_stay() {
        let reason = |what: &str| Reason {
            bump: Bump::Minor,
            what: what.to_owned(),
            place: Place::file("schema.json"),
        };
        let version = Version::new(1, 1, 0);
        let text = "# Changelog\n\n## 1.1.0\n\nLarger.\n\n## 1.0.0\n\nThe first.\n";
        let once = with_reasons(text, &version, &[reason("`a` is new"), reason("`b` is new")]);
        assert_snapshot!(once, @"
    # Changelog

    ## 1.1.0

    Larger.

    <!-- Computed by `vend catalog release`: -->

    - minor: `a` is new
    - minor: `b` is new

    <!-- End of what is computed. -->

    ## 1.0.0

    The first.
    ");
        let all = [reason("`a` is new"), reason("`b` is new")];
        assert_eq!(with_reasons(&once, &version, &all), once);
        let words = once.replace("Larger.", "Larger.\n\n- minor: by hand");
        let fewer = with_reasons(&words, &version, &all[..1]);
        assert_eq!(fewer, words.replace("- minor: `b` is new\n", ""));
        assert!(!with_reasons(&words, &version, &[]).contains("Computed"));
        // The last part of all, and a version that has none.
        let last = with_reasons(text, &Version::new(1, 0, 0), &all);
        assert!(last.ends_with("The first.\n\n<!-- Computed by `vend catalog release`: -->\n\n- minor: `a` is new\n- minor: `b` is new\n\n<!-- End of what is computed. -->\n"), "{last}");
        let added = with_reasons(text, &Version::new(1, 2, 0), &all);
        assert!(added.starts_with("# Changelog\n\n## 1.2.0\n\n<!-- Say"), "{added}");
        assert_eq!(with_reasons(text, &version, &[]), text);
    }
}
