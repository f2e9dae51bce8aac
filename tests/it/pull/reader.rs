//! What a reader of Markdown makes of a comment: what is alive in it.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::stories::{EVIL, planted, planted_after};
use super::{MARKER, written};

/// What GitHub would make of it, as far as a parser can tell.
#[derive(Default, Debug)]
struct Live {
    links: Vec<String>,
    images: Vec<String>,
    html: Vec<String>,
    /// What is neither in a code span nor in a fenced block.
    text: String,
    /// Rows of tables, quotes and tasks.
    others: usize,
}

fn read(text: &str) -> Live {
    let mut live = Live::default();
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_GFM
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_MATH;
    let mut code = false;
    for event in Parser::new_ext(text, options) {
        match event {
            Event::Start(Tag::Link { dest_url, .. }) => live.links.push(dest_url.to_string()),
            Event::Start(Tag::Image { dest_url, .. }) => live.images.push(dest_url.to_string()),
            Event::Start(Tag::CodeBlock(_)) => code = true,
            Event::End(TagEnd::CodeBlock) => code = false,
            Event::Html(tag) | Event::InlineHtml(tag) => live.html.push(tag.trim().to_owned()),
            Event::Text(text) if !code => live.text.push_str(&text),
            Event::Start(Tag::FootnoteDefinition(_))
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_) => live.others += 1,
            _ => {}
        }
        if !code {
            live.text.push(' ');
        }
    }
    live
}

/// Nothing is alive but what the frame itself has.
pub fn assert_frame_only(text: &str) {
    assert_live_only(text, &|link| {
        link.starts_with("https://github.com/acme/requests/")
            || link.starts_with("https://eu-west-1.console.aws.amazon.com/")
    });
}

/// As [`assert_frame_only`], of a text with links of its own.
pub fn assert_live_only(text: &str, is_ours: &dyn Fn(&str) -> bool) {
    let live = read(text);
    for link in &live.links {
        assert!(is_ours(link), "{link} in\n{text}");
    }
    assert!(live.images.is_empty() && live.others == 0, "{live:?}");
    for html in &live.html {
        let frame = html == MARKER
            || ["</details>", "<sub>", "</sub>", "<br>"].contains(&html.as_str())
            || is_fold(html);
        assert!(frame, "{html} in\n{text}");
    }
    // What GitHub looks for in text: with a break behind it, it is none.
    let text = live.text.to_lowercase();
    for (at, _) in text.match_indices('@').chain(text.match_indices("://")) {
        let after = text[at..].trim_start_matches(['@', ':', '/']);
        assert!(!after.starts_with(|c: char| c.is_ascii_alphanumeric()), "{}", &text[at..]);
    }
    for live in ["#7", "gh-7", "www.evil", ":tada", "6789abcdef"] {
        assert!(!text.contains(live), "{live} in\n{text}");
    }
}

/// A fold's head: its tags are the frame's, its text is escaped.
fn is_fold(html: &str) -> bool {
    let Some(rest) = html.strip_prefix("<details><summary>") else { return false };
    let Some(text) = rest.strip_suffix("</summary>") else { return false };
    let text = ["<b>", "</b>", "<code>", "</code>"]
        .iter()
        .fold(text.to_owned(), |t, tag| t.replace(tag, ""));
    !text.contains('<')
}

#[test]
fn b69_b73_what_others_wrote_is_never_alive() {
    for story in [planted(EVIL), planted_after(EVIL), planted_after("https://evil.example")] {
        let text = written(&story);
        assert_frame_only(&text);
        assert_eq!(text.matches(MARKER).count(), 1);
        assert_eq!(text.matches("<!--").count(), 1);
        assert!(!text.contains(['\u{202e}', '\u{1b}']));
    }
}

/// The front page of a status branch on which somebody's words stand in each place that has words.
#[cfg(test)]
fn front(words: &str) -> String {
    use std::collections::BTreeMap;

    use vend::model::{Diagnostic, Hold, HoldReason, Place, RequestId, SourceName, SourceProblem};

    let id = RequestId::parse("orders/dev/a").unwrap();
    let reason = HoldReason::NotObserved { error: words.to_owned() };
    let hold = Hold { request: id.clone(), component: None, action: None, reason };
    let since = jiff::Timestamp::UNIX_EPOCH;
    let source = SourceProblem::Stale { error: words.to_owned(), since };
    let place = Place::file(words);
    vend::report::front::page(&vend::report::front::Facts {
        counts: &BTreeMap::new(),
        holds: &[(&id, &hold)],
        problems: &[(SourceName::new("main"), source)],
        diagnostics: &[Diagnostic::error("REQ001", place, words.to_owned())],
    })
}

#[cfg(test)]
fn assert_front_only(words: &str) {
    let page = front(words);
    assert_live_only(&page, &|link| link == "status/orders/dev/a.yaml");
    assert!(!page.contains(['\u{202e}', '\u{1b}']), "{page:?}");
    // One line for each.
    assert_eq!(page.lines().count(), front("x").lines().count(), "{page}");
    let row = page.lines().last().unwrap().replace("\\|", "");
    assert_eq!(row.matches('|').count(), 3, "{row}");
}

#[test]
fn b69_b73_nor_is_it_on_the_front_page_of_the_status_branch() {
    for words in [EVIL, "``a` <b> ``", "www.evil.example `|`", "https://evil.example"] {
        assert_front_only(words);
    }
}

#[cfg(test)]
proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    #[test]
    fn b69_whatever_it_is_made_of(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "`", "``", "```", "~~~", "\n", "\n\n", "- ", "1. ", "> ", "# ", "    ", "|", "<", ">", "</details>",
                "<!--", "-->", "<b>", "[x]", "(http://evil.example)", "![", "](", "@acme", "#7", "gh-7", "\\", "*", "_",
                "www.evil.example", "https://evil.example", "$", "$`", "`$", ":tada:", "&lt;", "&#64;", "a", " ", "\u{202e}",
                "[^1]", "[^1]: x", "[a]: http://evil.example", "---", "===", "<https://evil.example>", MARKER,
            ]),
            0..24,
        ),
    ) {
        let text = pieces.concat();
        for story in [planted(&text), planted_after(&text)] {
            let text = written(&story);
            assert_frame_only(&text);
            assert_eq!(text.matches(MARKER).count(), 1);
        }
        assert_front_only(&text);
    }

    #[test]
    fn f51_it_fits_whatever_the_limit_with_folds_and_fences_closed(
        limit in 3_000..30_000usize,
        text in "[`~<>@#a-f0-9\\n -]{0,300}",
    ) {
        for story in [planted(&text), planted_after(&text)] {
            let options = super::Options { limit, ..super::Options::default() };
            let text = vend::report::pull::comment(&story.brief, MARKER, &story.artifacts(), &options);
            let text = text.unwrap().body;
            assert!(text.len() <= limit, "{} of {limit}", text.len());
            assert_frame_only(&text);
            let live = read(&text);
            let count = |tag: &str| live.html.iter().filter(|html| html.starts_with(tag)).count();
            assert_eq!(count("<details>"), count("</details>"));
        }
    }
}
