//! A pull request's comment as its people see it, story by story: each is a page under
//! `tests/it/pull/screens`. `VEND_BLESS=1` writes them anew; they are then to be read.

#[cfg(test)]
mod checks;
pub mod reader;
pub mod stories;

use std::path::Path;

use vend::report::plan::Options;
use vend::report::pull;

use stories::Story;

pub const MARKER: &str = "<!-- vend:pull:orders:12:3f9c -->";

/// The comment that a story comes to.
pub fn written(story: &stories::Story) -> String {
    let Story { brief, .. } = story;
    pull::comment(brief, MARKER, &story.artifacts(), &Options::default())
        .expect("it says something")
        .body
}

#[test]
fn every_story_reads_as_its_page_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/pull/screens");
    let bless = std::env::var_os("VEND_BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, story) in stories::all() {
        let text = written(&story);
        let path = folder.join(format!("{name}.md"));
        if bless {
            std::fs::write(&path, &text).unwrap();
        }
        if std::fs::read_to_string(&path).ok().as_deref() != Some(text.as_str()) {
            wrong.push(name);
        }
        assert!(text.len() <= 60_000, "{name}");
        assert_eq!(text.matches(MARKER).count(), 1, "{name}");
    }
    assert!(wrong.is_empty(), "VEND_BLESS=1, then read: {wrong:?}");
}

/// What `docs/github.md` shows of a screen is what that screen says, in its order; `…` stands for what is
/// left out.
#[test]
fn the_page_shows_screens_as_they_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/github.md")).unwrap();
    let link = "[the whole of it](../";
    let mut shown = 0;
    for (at, _) in page.match_indices(link) {
        let rest = &page[at + link.len()..];
        let (path, rest) = rest.split_once(')').unwrap();
        let screen = std::fs::read_to_string(root.join(path)).unwrap();
        let quoted = rest.lines().skip_while(|line| !line.starts_with('>'));
        let mut left = screen.as_str();
        for line in quoted.take_while(|line| line.starts_with('>')) {
            let line = line.trim_start_matches('>').trim();
            if line.is_empty() || line == "…" {
                continue;
            }
            let found = left.find(line);
            let found = found.unwrap_or_else(|| panic!("{path} does not say `{line}` there"));
            left = &left[found + line.len()..];
            shown += 1;
        }
    }
    assert!(shown > 5, "{shown}");
}
