//! A pull request's comment as its people see it, story by story: each is a page under
//! `tests/it/pull/screens`. `VEND_BLESS=1` writes them anew; they are then to be read.

mod checks;
mod reader;
mod stories;

use std::path::Path;

use vend::report::plan::Options;
use vend::report::pull;

use stories::Story;

const MARKER: &str = "<!-- vend:pull:orders:12:3f9c -->";

/// The comment that a story comes to.
fn written(story: &stories::Story) -> String {
    let Story { brief, .. } = story;
    pull::comment(brief, MARKER, &story.artifacts(), &Options::default())
        .expect("it says something")
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
