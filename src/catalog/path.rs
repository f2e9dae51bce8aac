//! Which paths are safe to use, and which name a request.

use std::sync::Arc;

use crate::model::{Diagnostic, Place, RequestId, escape, is_invisible, is_name, quote};

/// Longest path, in bytes.
pub const PATH_MAX: usize = 512;

/// Why a relative path must not be used, or `None` when it may: each part is of `[A-Za-z0-9._-]`,
/// begins with neither `-` nor `.`, and means no device to any system; at most [`PATH_MAX`] bytes.
pub fn problem(path: &str) -> Option<String> {
    if path.is_empty() {
        return Some("a path cannot be empty".into());
    }
    if path.len() > PATH_MAX {
        return Some(format!("a path has at most {PATH_MAX} bytes"));
    }
    if path.starts_with('/') {
        return Some("a path must be relative".into());
    }
    path.split('/').find_map(part_problem)
}

fn part_problem(part: &str) -> Option<String> {
    let shown = quote(part);
    if part.is_empty() {
        return Some("a path has no empty parts".into());
    }
    if part == "." || part == ".." {
        return Some(format!("{shown} cannot be part of a path"));
    }
    if part.starts_with(['-', '.']) {
        return Some(format!("{shown} begins with `{}`", &part[..1]));
    }
    if let Some(bad) = part.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-".contains(*c)) {
        let code = u32::from(bad);
        return Some(format!(
            "{shown} has the character U+{code:04X}: only A-Z, a-z, 0-9, `.`, `_` and `-` may be used"
        ));
    }
    // Some systems open a device instead of a file, whatever the extension.
    let stem = part.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = |name: &str| {
        stem.strip_prefix(name).is_some_and(|n| n.len() == 1 && n.as_bytes()[0].is_ascii_digit())
    };
    let device = ["CON", "PRN", "AUX", "NUL"].contains(&stem.as_str());
    (device || numbered("COM") || numbered("LPT"))
        .then(|| format!("{shown} is the name of a device on some systems"))
}

/// What a path in a requests repository is.
#[derive(Clone, PartialEq, Debug)]
pub enum PathIs {
    /// A request file.
    Request(RequestId),
    /// None of ours, or one of the files that may lie beside requests.
    Ignored,
    /// Not read, and somebody should know.
    Note(Diagnostic),
    /// It lies where a request would, and cannot be one.
    Bad(Diagnostic),
}

/// How the paths of request files name them, such as `requests/{team}/{environment}/{name}.yaml`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    text: Arc<str>,
    parts: Vec<Part>,
    /// The literal parts at the beginning, each with its `/`.
    prefix: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Literal(String),
    Name { before: String, which: usize, after: String },
}

/// Text that is not a pattern.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotAPattern(String);

const NAMES: [&str; 3] = ["team", "environment", "name"];

impl Default for Pattern {
    fn default() -> Self {
        Self::parse("requests/{team}/{environment}/{name}.yaml").expect("held by a test")
    }
}

impl Pattern {
    /// Reads a pattern: `{team}`, `{environment}` and `{name}` each once, at most one in each part
    /// of the path, and `.yaml` at the end.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn parse(text: &str) -> Result<Self, NotAPattern> {
        let wrong = |message: String| Err(NotAPattern(message));
        if !text.ends_with(".yaml") {
            return wrong(format!("the pattern {} does not end in `.yaml`", quote(text)));
        }
        let parts = text.split('/').map(part).collect::<Result<Vec<_>, _>>()?;
        for (n, name) in NAMES.iter().enumerate() {
            let is_it = |part: &&Part| matches!(part, Part::Name { which, .. } if *which == n);
            match parts.iter().filter(is_it).count() {
                1 => {}
                0 => return wrong(format!("the pattern {} lacks `{{{name}}}`", quote(text))),
                _ => return wrong(format!("the pattern {} has `{{{name}}}` twice", quote(text))),
            }
        }
        let literal = parts.iter().map_while(|part| match part {
            Part::Literal(text) => Some(format!("{text}/")),
            Part::Name { .. } => None,
        });
        let prefix = literal.collect();
        Ok(Self { text: text.into(), parts, prefix })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The folder that all request files lie below, with its last `/`; empty for the root.
    pub fn folder(&self) -> &str {
        &self.prefix
    }

    /// The path of a request's file.
    pub fn path(&self, id: &RequestId) -> String {
        let names = [id.team(), id.environment(), id.name()];
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Name { before, which, after } => format!("{before}{}{after}", names[*which]),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// What a path is.
    pub fn id(&self, path: &str) -> PathIs {
        let Some(below) = path.strip_prefix(self.prefix.as_str()) else { return PathIs::Ignored };
        let shown: Arc<str> = escape(path, PATH_MAX).into();
        let bad = |code, message: String| {
            PathIs::Bad(Diagnostic::error(code, Place::file(Arc::clone(&shown)), message))
        };
        if !path.ends_with(".yaml") {
            return self.beside(below, &shown);
        }
        if path.len() > PATH_MAX {
            return bad("PATH005", format!("a path has at most {PATH_MAX} bytes"));
        }
        let Some(names) = self.names(path) else {
            if let Some(why) = part_of_trouble(below) {
                return bad("PATH005", why);
            }
            let message = "this file is not where requests lie, and is not read".to_owned();
            let note = Diagnostic::warning("PATH006", Place::file(Arc::clone(&shown)), message)
                .help(format!("requests lie at `{}`", self.text));
            return PathIs::Note(note);
        };
        if let Some(id) = RequestId::new(names[0], names[1], names[2]) {
            return PathIs::Request(id);
        }
        if let Some(why) = part_of_trouble(below) {
            return bad("PATH005", why);
        }
        let (which, name) = NAMES.iter().zip(names).find(|(_, name)| !is_name(name)).unzip();
        let message = format!(
            "{} cannot be the {} of a request",
            quote(name.unwrap_or_default()),
            which.copied().unwrap_or("name"),
        );
        match bad("NAME001", message) {
            PathIs::Bad(problem) => {
                PathIs::Bad(problem.help(
                    "use only a-z, 0-9 and `-`, beginning with a letter, at most 63 characters",
                ))
            }
            other => other,
        }
    }

    fn names<'a>(&self, path: &'a str) -> Option<[&'a str; 3]> {
        let mut names = [""; 3];
        let mut rest = path.split('/');
        for part in &self.parts {
            let text = rest.next()?;
            match part {
                Part::Literal(literal) if literal == text => {}
                Part::Literal(_) => return None,
                Part::Name { before, which, after } => {
                    names[*which] =
                        text.strip_prefix(before.as_str())?.strip_suffix(after.as_str())?;
                }
            }
        }
        rest.next().is_none().then_some(names)
    }

    /// A file that does not end in `.yaml`.
    fn beside(&self, below: &str, shown: &Arc<str>) -> PathIs {
        let file = below.rsplit('/').next().unwrap_or_default();
        let lower = file.to_ascii_lowercase();
        let expected = lower.ends_with(".md")
            || lower.ends_with(".txt")
            || file.starts_with('.')
            || ["CODEOWNERS", "OWNERS", "LICENSE", "README"].contains(&file);
        if expected && !below.chars().any(|c| c.is_control() || is_invisible(c)) {
            return PathIs::Ignored;
        }
        let note = Diagnostic::warning(
            "PATH007",
            Place::file(Arc::clone(shown)),
            "this file lies among requests and is not read",
        );
        let stem = lower.strip_suffix(".yml").or_else(|| lower.strip_suffix(".yaml"));
        PathIs::Note(match stem {
            Some(stem) => note.help(format!("rename it to `{}.yaml`", escape(stem, 80))),
            None => note.help("requests end in `.yaml`; notes for people end in `.md` or `.txt`"),
        })
    }
}

/// What makes a path dangerous, as opposed to a name that is only not allowed.
fn part_of_trouble(path: &str) -> Option<String> {
    path.split('/').find_map(|part| {
        let hidden = part.chars().any(|c| c.is_control() || is_invisible(c));
        let plain: String = part.chars().filter(char::is_ascii_alphanumeric).collect();
        // Letters of other scripts, spaces and the like are a matter of names.
        let odd = part.chars().any(|c| !c.is_ascii_alphanumeric() && !"._-".contains(c));
        let why = part_problem(part)?;
        (hidden || !odd || plain.is_empty()).then_some(why)
    })
}

fn part(text: &str) -> Result<Part, NotAPattern> {
    let Some((before, rest)) = text.split_once('{') else {
        return match part_problem(text) {
            Some(why) => Err(NotAPattern(why)),
            None => Ok(Part::Literal(text.to_owned())),
        };
    };
    let wrong = |message: &str| NotAPattern(format!("{} {message}", quote(text)));
    let (name, after) = rest.split_once('}').ok_or_else(|| wrong("lacks a closing `}`"))?;
    let which = NAMES
        .iter()
        .position(|known| *known == name)
        .ok_or_else(|| wrong("may name `{team}`, `{environment}` and `{name}` only"))?;
    if after.contains('{') {
        return Err(wrong("names more than one: put a `/` between them"));
    }
    if let Some(why) = part_problem(&format!("{before}x{after}")) {
        return Err(NotAPattern(why));
    }
    Ok(Part::Name { before: before.to_owned(), which, after: after.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(path: &str) -> String {
        match Pattern::default().id(path) {
            PathIs::Request(id) => id.to_string(),
            PathIs::Ignored => "ignored".into(),
            PathIs::Note(problem) => format!("note {}", problem.code),
            PathIs::Bad(problem) => {
                assert!(!problem.place.file.chars().any(char::is_control));
                format!("bad {}", problem.code)
            }
        }
    }

    #[test]
    fn a_path_names_its_request_and_back() {
        let pattern = Pattern::default();
        assert_eq!(pattern.folder(), "requests/");
        let path = "requests/orders/prod/events.yaml";
        let PathIs::Request(id) = pattern.id(path) else { panic!("not a request") };
        assert_eq!(pattern.path(&id), path);
        let other = Pattern::parse("{environment}/team-{team}/x/{name}.vend.yaml").unwrap();
        let path = "prod/team-orders/x/events.vend.yaml";
        assert_eq!(other.id(path), PathIs::Request(id.clone()));
        assert_eq!(other.path(&id), path);
        assert_eq!(other.folder(), "");
    }

    #[test]
    fn names_are_refused_by_name_b32() {
        assert_eq!(code("requests/о\u{440}ders/prod/events.yaml"), "bad NAME001");
        assert_eq!(code("requests/Orders/prod/events.yaml"), "bad NAME001");
        assert_eq!(code("requests/orders/prod/my events.yaml"), "bad NAME001");
        assert_eq!(code("requests/orders/prod/events.v2.yaml"), "bad NAME001");
    }

    #[test]
    fn dangerous_paths_are_refused_b30_b33() {
        for path in [
            "requests/orders/prod/a\nb.yaml",
            "requests/orders/prod/a\u{1b}[2J.yaml",
            "requests/orders/prod/a\u{202e}b.yaml",
            "requests/orders/prod/a\u{200b}b.yaml",
            "requests/orders/prod/-rf.yaml",
            "requests/orders/prod/--upload-pack=x.yaml",
            "requests/orders/prod/CON.yaml",
            "requests/orders/prod/...yaml",
            "requests/orders/../prod/x.yaml",
        ] {
            let code = code(path);
            assert!(code == "bad PATH005" || path.contains('='), "{path:?}: {code}");
            assert!(code.starts_with("bad"), "{path:?}: {code}");
        }
    }

    #[test]
    fn what_lies_beside_requests_is_ignored_or_noted_b36() {
        for path in ["README.md", "requests/README.md", "requests/orders/CODEOWNERS"] {
            assert_eq!(code(path), "ignored", "{path}");
        }
        for name in ["events.yml", "events.YAML", "events.yaml.bak", "events.json"] {
            assert_eq!(code(&format!("requests/orders/prod/{name}")), "note PATH007", "{name}");
        }
        assert_eq!(code("requests/orders/events.yaml"), "note PATH006");
    }

    #[test]
    fn patterns_that_name_nothing_are_refused() {
        for text in [
            "requests/{team}/{name}.yaml",
            "{team}/{team}/{environment}/{name}.yaml",
            "{team}/{environment}/{name}.yml",
            "{team}-{environment}/{name}.yaml",
            "../{team}/{environment}/{name}.yaml",
            "{team}/{environment}/{nam}.yaml",
            "{team/{environment}/{name}.yaml",
        ] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn safe_paths_b29_b35() {
        assert_eq!(problem("a/b-1/c_d.yaml.hbs"), None);
        for path in [
            "", "/x", "../x", "a/../b", "a//b", ".git", "a/.git/x", "x\0y", "-x", "nul.txt", "a\\b",
        ] {
            assert!(problem(path).is_some(), "{path:?}");
        }
    }
}
