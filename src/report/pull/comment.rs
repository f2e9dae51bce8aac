//! The one living comment.

use crate::digest::{self, Digest};
use crate::model::{
    Apart, Blind, Brief, Changed, Diagnostic, Hold, HoldReason, Reply, Since, Stage,
    nothing_reviewed, nothing_seen, nothing_shown, visible,
};
use crate::report::hold::asked_for;
use crate::report::markdown::{Page, code, fence, listed, prose, short_code, words};
use crate::report::plan::{Artifacts, Options, ends};

use super::{after, approval, changes, danger, link, made, problem, title, warning};

/// Room for what is said of what did not fit.
const FRAME: usize = 300;

/// Answers that are shown, the newest, and lines of one.
const REPLIES: usize = 5;
const REPLY_LINES: usize = 40;

/// Lines of what a push did to the plan, of what only ends otherwise, and of two plans side by side.
const SINCE: usize = 20;
const ENDS: usize = 15;
const BOTH: usize = 60;

/// Lines to paste, and requests that each is for.
const PARTS: usize = 10;
const NAMES: usize = 5;

/// Said where what differs in rendered files does not fit.
const IN_CHECK: &str = "What differs in the rendered files is in the check.\n\n";

/// What the comment says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comment {
    /// Its Markdown.
    pub body: String,
    /// Digest of what is news in it: all but the commits that it was made of besides its own. What moves
    /// those and nothing else is no reason to write it anew.
    pub news: Digest,
}

/// The comment, within `options.limit` bytes, beginning with `marker`, which stands in it
/// once, whatever else it says. `None`: there is nothing to say, and nobody was told otherwise.
pub fn comment(
    brief: &Brief,
    marker: &str,
    artifacts: &Artifacts,
    options: &Options,
) -> Option<Comment> {
    if brief.stage == Stage::Nothing && brief.since.is_none() && brief.replies.is_empty() {
        return None;
    }
    let (replies, bottom) = (replies(brief), footer(brief, true));
    let foot = format!("{replies}{bottom}");
    let room = options.limit.saturating_sub(marker.len() + foot.len() + FRAME);
    let mut page = Page::new(room);
    page.put(&[format!("### {}\n\n", heading(brief))]);
    if let (Some(number), Stage::Planned | Stage::Merged { .. }) = (brief.reverts, &brief.stage) {
        let number = link::pull(brief, number);
        page.put(&[format!("It takes back {number} and restores the former state.\n\n")]);
    }
    let troubles = problem::troubles(brief);
    let told = troubles.is_empty() || page.put(&[troubles]);
    let whole = told
        & match &brief.stage {
            Stage::Planned => planned(&mut page, brief, artifacts, options),
            Stage::Conflict { paths } => page.put(&[conflict(paths)]),
            Stage::Unknown { error } => page.put(&[format!(
                "It could not be looked at, and is tried again by itself.\n\n{}\n",
                words(error, 20)
            )]),
            Stage::Nothing => true,
            Stage::Merged { commit: _, changed } => {
                changed.as_ref().is_none_or(|changed| {
                    let rewrites = changes::rewrites(changed);
                    let meant = meant(brief, changed);
                    page.put(&[both(changed, &meant, &rewrites), both(changed, &meant, IN_CHECK)])
                }) & after::put(&mut page, brief, changed.as_ref())
            }
            Stage::Dropped { commit: _ } => page.put(&[format!(
                "{} was rewritten since, without it: what the branch asks for now is what counts. If it is \
                 still wanted, propose it again.\n\n",
                short_code(&brief.pull.base, 200)
            )]),
            Stage::Closed => page.put(&["What stood before stays as it is.\n\n"]),
            Stage::Elsewhere { base } => page.put(&[format!(
                "It is aimed at {} now, which vend does not read.\n\n",
                short_code(base, 200)
            )]),
        };
    let rest = "Not all of it fits here; the whole plan is in the check and in `vend plan`.\n\n";
    let text = format!("{}{}", page.into_text(), if whole { "" } else { rest });
    let news = digest::of(&(marker, &text, &replies, footer(brief, false)));
    let body = format!("{marker}\n{}", unmarked(&format!("{text}{foot}"), marker));
    Some(Comment { body, news })
}

/// No HTML comment of others, ours least of all.
fn unmarked(body: &str, marker: &str) -> String {
    let body = body.replace("<!--", "<\u{200B}!--");
    let Some(first) = marker.chars().next() else { return body };
    body.replace(marker, &format!("{first}\u{200B}{}", &marker[first.len_utf8()..]))
}

fn heading(brief: &Brief) -> String {
    let title = title(brief);
    if !super::is_planned(brief) || brief.needs.is_empty() {
        return title;
    }
    match approval::missing(brief) {
        0 => format!("{title}; approved"),
        1 => format!("{title}; 1 approval is missing"),
        n => format!("{title}; {n} approvals are missing"),
    }
}

fn planned(page: &mut Page, brief: &Brief, artifacts: &Artifacts, options: &Options) -> bool {
    let (errors, others) = problem::in_comment(brief);
    // Whose problems stand above is not named again, whosever file they are in.
    let is_said = |hold: &&Hold| {
        let HoldReason::Invalid { problems } = &hold.reason else { return false };
        let file = format!("/{}.yaml", hold.request);
        let is_own = |d: &Diagnostic| d.place.file.to_string().ends_with(&file);
        brief.diagnostics.iter().any(is_own)
            || !problems.is_empty() && problems.iter().all(|p| brief.diagnostics.contains(p))
    };
    let holds: Vec<&Hold> = brief.plan.holds.iter().filter(|hold| !is_said(hold)).collect();
    let sections = [
        blind(brief),
        errors,
        danger::alert(brief),
        radius(brief),
        made::list(brief),
        approval::list(brief),
        changes::held(brief, &holds),
        ends(&brief.plan, ENDS),
        warning::list(brief, &others),
        since(brief),
    ];
    // What does not fit keeps out nothing that comes after it.
    let mut whole = true;
    for text in sections.iter().filter(|text| !text.is_empty()) {
        whole &= page.put(&[text]);
    }
    changes::put(page, brief, artifacts, options);
    whole & waves(brief, artifacts, options).iter().all(|fold| page.put(&[fold]))
}

fn blind(brief: &Brief) -> String {
    match brief.blind {
        None => String::new(),
        Some(Blind::Catalog) => {
            "Templates and environments are rendered here and never executed: no account was asked.\n\n"
                .to_owned()
        }
        Some(Blind::Fork) => format!(
            "It comes from a fork: its files were read, and no account was asked. A maintainer who has \
             read this commit asks for it with\n\n{}\n",
            fence("text", &format!("/vend plan {}", visible(brief.pull.head.as_str(), 64)))
        ),
    }
}

/// Who a change of the catalog reaches.
pub(super) fn radius(brief: &Brief) -> String {
    let told = brief.blast.as_ref().and_then(crate::report::blast::markdown);
    told.map(|[whole, _]| whole).unwrap_or_default()
}

/// What the waves of versions bring that it brings.
pub(super) fn waves(brief: &Brief, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let blast = brief.blast.iter();
    blast.flat_map(|blast| crate::report::blast::details(blast, artifacts, options)).collect()
}

fn conflict(paths: &[String]) -> String {
    let paths: String =
        paths.iter().take(20).map(|path| format!("- {}\n", short_code(path, 200))).collect();
    format!("Nothing is planned until the conflict is resolved.\n\n{paths}\n")
}

/// What a push did to the plan.
fn since(brief: &Brief) -> String {
    let Some(since) = &brief.since else { return String::new() };
    let Since { head, added, gone, differs } = since;
    // The same commit was planned again: there was no push to speak of.
    let at = link::commit(brief, head);
    if since.is_same() {
        let same = *head == brief.pull.head;
        return if same { String::new() } else { format!("The plan is as it was at {at}.\n\n") };
    }
    // In words: a sign before `delete` would be read as part of the plan.
    let said = |word: &str, lines: &[String]| -> Vec<String> {
        lines.iter().map(|line| format!("{word} {}", visible(line, 300))).collect()
    };
    let mut lines = said("no longer:", gone);
    lines.extend(said("now:      ", added));
    lines.extend(said("altered:  ", differs));
    format!("What the push since {at} changes in the plan:\n\n{}\n", cut("text", lines, SINCE))
}

/// The lines to paste where more than was reviewed is meant, each with whose yes it takes where rules say so, or where
/// it takes several. What was approved by now is asked for no more.
fn meant(brief: &Brief, changed: &Changed) -> String {
    let asked = |digest: Digest| {
        brief.holds.iter().find_map(|hold| match &hold.reason {
            HoldReason::PlanChanged { now, needs, .. } if *now == digest => Some(needs.as_slice()),
            _ => None,
        })
    };
    let paste = |now: Digest| fence("text", &format!("/vend approve {now}"));
    if changed.apart.is_empty() {
        let who = asked(changed.now).filter(|needs| !needs.is_empty());
        let who = who.map(|needs| format!(", {}", prose(&asked_for(needs)))).unwrap_or_default();
        return format!("If that is meant{who}:\n\n{}", paste(changed.now));
    }
    let open = changed.apart.iter().filter(|apart| !apart.given);
    let mut lines: Vec<String> = open
        .map(|Apart { now, requests, given: _ }| {
            let whose = listed(requests.iter().map(|id| code(id.as_str())).collect(), NAMES);
            let who = match asked(*now) {
                None => String::new(),
                Some([]) => ", somebody who may write here must approve it".to_owned(),
                Some(needs) => format!(", {}", prose(&asked_for(needs))),
            };
            format!("If that is meant for {whose}{who}:\n\n{}", paste(*now))
        })
        .collect();
    let more = lines.len().saturating_sub(PARTS);
    lines.truncate(PARTS);
    lines.extend((more > 0).then(|| format!("`vend status` has {more} more lines like that.\n")));
    lines.join("\n")
}

/// The plan that was reviewed and the one that would be carried out, in one, with what to do where it is `meant`.
fn both(changed: &Changed, meant: &str, rewrites: &str) -> String {
    let Changed { reviewed, now: _, before, after, differs, rendered: _, apart } = changed;
    // A part that was approved goes on by itself.
    let it = if apart.is_empty() { "it" } else { "what is still open" };
    let mut lines = Vec::new();
    for line in before {
        lines.push(match (after.contains(line), differs.contains(line)) {
            (false, _) => format!("- {}", visible(line, 300)),
            (true, true) => differing(line),
            (true, false) => format!("  {}", visible(line, 300)),
        });
    }
    let added = after.iter().filter(|line| !before.contains(line));
    lines.extend(added.map(|line| format!("+ {}", visible(line, 300))));
    // What differs is what is asked about.
    lines.sort_by_key(|line| line.starts_with(' '));
    let why = match *reviewed {
        then if then == nothing_reviewed() => {
            format!(
                "It was merged before anybody was shown what it would do, and it takes something away, so \
                 nothing of {it} is done.\n\nWhat would be done:"
            )
        }
        then if then == nothing_shown() => {
            format!(
                "It was merged before anybody could be shown what it would do: neither check nor comment \
                 could be written. Nothing of {it} is done before somebody reviews it.\n\nWhat would be done:"
            )
        }
        then if then == nothing_seen() => {
            format!(
                "It was merged before anybody was shown what it would do. Nothing of {it} is done before somebody \
                 reviews it.\n\nWhat would be done:"
            )
        }
        _ => format!(
            "What would be done now is not what was reviewed, so nothing of {it} is done.\n\n\
             `-` was reviewed and does not come; `+` comes and was not reviewed; `~` comes to something \
             else:"
        ),
    };
    format!(
        "> [!WARNING]\n> {why}\n\n{}\n{rewrites}{meant}\nElse revert this pull request; nothing of {it} is done meanwhile.\n\n",
        cut("diff", lines, BOTH),
    )
}

/// A step of both plans that is not what it was.
fn differing(line: &str) -> String {
    format!("~ {} (its content differs)", visible(line, 300))
}

fn cut(kind: &str, mut lines: Vec<String>, most: usize) -> String {
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    lines.extend((more > 0).then(|| format!("… {more} more lines")));
    fence(kind, &lines.join("\n"))
}

fn replies(brief: &Brief) -> String {
    if brief.replies.is_empty() {
        return String::new();
    }
    let skipped = brief.replies.len().saturating_sub(REPLIES);
    let shown: String = brief.replies.iter().skip(skipped).map(reply).collect();
    format!("#### Asked\n\n{shown}\n")
}

fn reply(reply: &Reply) -> String {
    let Reply { comment: _, by, command, text, at: _ } = reply;
    let head = format!("{} {}", short_code(by, 60), short_code(command, 200));
    match text.trim() {
        "" => format!("- {head}\n"),
        one if !one.contains('\n') => format!("- {head}: {}\n", prose(&visible(one, 2_000))),
        many => {
            let block = words(many, REPLY_LINES);
            let block: String = block.lines().map(|l| format!("  {l}\n")).collect();
            format!("- {head}:\n{block}")
        }
    }
}

/// Which commits it is about, and how to ask; with those besides its own that it was made of, or without.
fn footer(brief: &Brief, others: bool) -> String {
    let Brief { pull, stage, base, catalog, .. } = brief;
    let (base, catalog) = (base.as_ref().filter(|_| others), catalog.as_ref().filter(|_| others));
    let mut said = match stage {
        Stage::Nothing | Stage::Closed | Stage::Elsewhere { .. } => return String::new(),
        Stage::Merged { commit, .. } | Stage::Dropped { commit } => {
            vec![format!("Merged as {}", link::commit(brief, commit))]
        }
        Stage::Planned | Stage::Conflict { .. } | Stage::Unknown { .. } => {
            let onto = base.into_iter().map(|b| format!(" on {}", link::commit(brief, b)));
            let head = link::commit(brief, &pull.head);
            vec![format!("Commit {head}{}", onto.collect::<String>())]
        }
    };
    said.extend(catalog.into_iter().map(|c| format!("catalog {}", code(c.short()))));
    said.push("`/vend help` says what can be asked".to_owned());
    format!("<sub>{}</sub>\n", said.join(" &middot; "))
}
