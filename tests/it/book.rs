//! The documentation as a book: no page is left out, no link leads nowhere, and every command in it is one that
//! the program has. `make docs` builds the site; this needs no tool.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page below `docs/`, by its path from the root, and those that stand beside it.
fn pages() -> BTreeMap<PathBuf, String> {
    let tops = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"];
    let mut found: Vec<PathBuf> = tops.map(PathBuf::from).into();
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root().join(&folder)).unwrap() {
            let path = folder.join(entry.unwrap().file_name());
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let text = |path: &PathBuf| std::fs::read_to_string(root().join(path)).unwrap();
    found.into_iter().map(|path| (path.clone(), text(&path))).collect()
}

fn events(text: &str) -> impl Iterator<Item = Event<'_>> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
}

/// Where the links of a page lead.
fn links(text: &str) -> Vec<String> {
    let link = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
            Some(dest_url.into_string())
        }
        _ => None,
    };
    events(text).filter_map(link).collect()
}

/// The anchors of a page's headings, as GitHub and mdBook give them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in events(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                let heading = heading.take().unwrap().to_lowercase();
                let kept = heading.chars().filter_map(|c| match c {
                    ' ' => Some('-'),
                    c if c.is_alphanumeric() || matches!(c, '-' | '_') => Some(c),
                    _ => None,
                });
                let anchor: String = kept.collect();
                let mut given = anchor.clone();
                let mut count = 0;
                while !found.insert(given.clone()) {
                    count += 1;
                    given = format!("{anchor}-{count}");
                }
            }
            _ => {}
        }
    }
    found
}

/// A path without `..`, or none where it leads out.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => out.pop().then_some(())?,
            Component::Normal(part) => out.push(part),
            _ => {}
        }
    }
    Some(out)
}

/// What is wrong with a link of a page.
fn wrong(pages: &BTreeMap<PathBuf, String>, page: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(f, a)| (f, Some(a)));
    let folder = page.parent().unwrap_or(Path::new(""));
    let to = if file.is_empty() { Some(page.to_owned()) } else { plain(&folder.join(file)) };
    let Some(to) = to.filter(|to| root().join(to).exists()) else {
        return Some(format!("{}: `{link}` is not there", page.display()));
    };
    let text = anchor.and_then(|anchor| Some((anchor, pages.get(&to)?)));
    let (anchor, text) = text?;
    let missing = !anchors(text).contains(anchor);
    missing.then(|| format!("{}: `{link}`: that page has no such heading", page.display()))
}

#[test]
fn no_link_of_any_page_leads_nowhere() {
    let pages = pages();
    assert!(pages.len() > 40, "{}", pages.len());
    let all = pages.iter().flat_map(|(page, text)| links(text).into_iter().map(move |l| (page, l)));
    let (mut count, mut dead) = (0, Vec::new());
    for (page, link) in all {
        count += 1;
        dead.extend(wrong(&pages, page, &link));
    }
    assert!(count > 150, "{count}");
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    // It can find something.
    let page = Path::new("docs/operate.md");
    for link in ["nowhere.md", "#nothing", "files.md#nothing", "../../up.md"] {
        assert!(wrong(&pages, page, link).is_some(), "{link}");
    }
    assert_eq!(wrong(&pages, page, "holds.md#invalid"), None);
}

/// `<text>` is a tag to Markdown, and is not seen: it belongs into backticks.
#[test]
fn no_page_has_tags_of_html() {
    let known = |tag: &str| tag.starts_with("<!--") || ["<sub>", "</sub>"].contains(&tag);
    let tags = |text: &str| -> Vec<String> {
        let tag = |event| match event {
            // A comment, and what GitHub's own page of a pull request has.
            Event::Html(tag) | Event::InlineHtml(tag) if !known(&tag) => Some(tag),
            _ => None,
        };
        events(text).filter_map(tag).map(pulldown_cmark::CowStr::into_string).collect()
    };
    for (page, text) in pages() {
        assert_eq!(tags(&text), Vec::<String>::new(), "{}", page.display());
    }
    assert_eq!(tags("| a | expected <text> |\n"), ["<text>"]);
}

#[test]
fn every_page_is_in_the_summary_once() {
    let pages = pages();
    let summary = Path::new("docs/SUMMARY.md");
    let listed: Vec<PathBuf> = links(&pages[summary])
        .iter()
        .map(|link| plain(&Path::new("docs").join(link)).unwrap())
        .collect();
    let once: BTreeSet<PathBuf> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a page is listed twice");
    let there: BTreeSet<PathBuf> =
        pages.keys().filter(|p| p.starts_with("docs") && *p != summary).cloned().collect();
    assert_eq!(once, there);
}

/// The commands that there are, with what `--help` says of each.
fn commands(of: Vec<String>, found: &mut BTreeMap<Vec<String>, String>) {
    let output = Command::new(env!("CARGO_BIN_EXE_vend")).args(&of).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let names = listed
        .take_while(|l| !l.is_empty())
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| *name != "help");
    for name in names {
        commands([of.clone(), vec![name.to_owned()]].concat(), found);
    }
    found.insert(of, help);
}

/// What is wrong with a line that begins with `vend`.
fn refused(known: &BTreeMap<Vec<String>, String>, line: &str) -> Option<String> {
    let line = line.split([';', '#', '>']).next().unwrap_or_default();
    let words: Vec<&str> = line.split_whitespace().skip(1).collect();
    let mut command: Vec<String> = Vec::new();
    for word in &words {
        let alternatives = word.split('|').map(|w| w.split("\\").next().unwrap_or(w));
        let next = alternatives
            .map(|w| [command.clone(), vec![w.to_owned()]].concat())
            .find(|next| known.contains_key(next));
        match next {
            Some(next) => command = next,
            None => break,
        }
    }
    let first = words.first().copied().unwrap_or_default();
    // `vend (BRANCH)` is the name of a check.
    let is_other = first.is_empty() || first.starts_with(['…', '(']) || first == "COMMAND";
    if command.is_empty() && !first.starts_with('-') && !is_other {
        return Some(format!("`vend {first}` is no command"));
    }
    let help = &known[&command];
    let flags = words.iter().map(|w| w.trim_start_matches('[')).filter(|w| w.starts_with("--"));
    let names = flags.map(|flag| flag.split(['=', ']', '|']).next().unwrap_or(flag));
    let unknown = |flag: &&str| {
        let ends = |c: char| !(c.is_alphanumeric() || c == '-');
        flag.len() > 2 && !help.split(ends).any(|word| word == *flag)
    };
    let name = ["vend".to_owned()].into_iter().chain(command.clone()).collect::<Vec<_>>();
    names.into_iter().find(unknown).map(|flag| format!("`{}` has no `{flag}`", name.join(" ")))
}

#[test]
fn every_command_in_the_pages_is_one_that_there_is() {
    let mut known = BTreeMap::new();
    commands(Vec::new(), &mut known);
    let (mut count, mut wrong) = (0, Vec::new());
    // What is decided once is not rewritten when a flag is.
    for (page, text) in pages().iter().filter(|(p, _)| !p.starts_with("docs/decisions")) {
        let mut in_block = false;
        for event in events(text) {
            let lines: Vec<String> = match event {
                Event::Start(Tag::CodeBlock(_)) => {
                    in_block = true;
                    continue;
                }
                Event::End(TagEnd::CodeBlock) => {
                    in_block = false;
                    continue;
                }
                Event::Code(code) => vec![code.into_string()],
                // A line may go on after a backslash.
                Event::Text(code) if in_block => {
                    code.replace("\\\n", " ").lines().map(str::to_owned).collect()
                }
                _ => continue,
            };
            for line in lines {
                let line = line.rsplit_once("$ ").map_or(line.as_str(), |(_, line)| line);
                if line.trim_start().starts_with("vend ") {
                    count += 1;
                    let refused = refused(&known, line.trim_start());
                    wrong.extend(refused.map(|why| format!("{}: {why}: {line}", page.display())));
                }
            }
        }
    }
    assert!(count > 100, "{count}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // It can find something.
    assert!(refused(&known, "vend aply").is_some());
    assert!(refused(&known, "vend plan --previews").is_some());
    assert!(refused(&known, "vend catalog rollout stop NAME --format json").is_none());
}
