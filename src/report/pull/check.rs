//! Checks and commit statuses: what branch protection can demand.

use crate::forge::{Annotation, Check, CheckState, Level};
use crate::model::{
    Action, Blind, Brief, Diagnostic, Hold, HoldReason, Place, Revision, Severity, Stage, Step,
    visible,
};
use crate::report::markdown::{Page, words};
use crate::report::plan::{Artifacts, Options, markdown, new_ends};

use super::{after, approval as needs, danger, has_errors, is_planned, made, problem, title};

/// GitHub's limit of a summary or text, in bytes.
const TEXT_MAX: usize = 65_535;
/// Of a title GitHub says nothing; its page shows about so much.
const TITLE_MAX: usize = 200;
/// Of an annotation's message, 64 KB; nobody reads that much.
const MESSAGE_MAX: usize = 4_000;

/// Lines of difference of one target, in the check's page.
const DIFF_LINES: usize = 400;

/// Problems that are named in the summary; each is an annotation besides.
const PROBLEMS: usize = 100;

/// The check `vend`: whether the files are sound, what would be done, and the whole plan. `head` is the
/// commit it is for: the pull request's, or a merge queue's.
pub fn check(
    brief: &Brief,
    head: &Revision,
    external_id: &str,
    artifacts: &Artifacts,
    options: &Options,
) -> Check {
    let state = match &brief.stage {
        Stage::Planned
            if has_errors(brief) || breaks(brief) || brief.is_refused() || brief.is_over() =>
        {
            CheckState::Failure
        }
        // Who cannot be asked may be asked later: the same.
        Stage::Planned if brief.is_unseen() => CheckState::Running,
        Stage::Planned | Stage::Nothing => CheckState::Success,
        Stage::Conflict { .. } => CheckState::Failure,
        // It is tried again: neither yes nor no, and nothing may be merged meanwhile.
        Stage::Unknown { .. } => CheckState::Running,
        Stage::Merged { .. } => is_good(brief),
        Stage::Dropped { .. } | Stage::Closed | Stage::Elsewhere { .. } => CheckState::Neutral,
    };
    let options =
        Options { limit: TEXT_MAX, diff_lines: DIFF_LINES, unchanged: false, ..options.clone() };
    let mut text = match &brief.stage {
        Stage::Planned
            if !brief.plan.is_empty()
                || !brief.plan.holds.is_empty()
                || !new_ends(&brief.plan).is_empty() =>
        {
            markdown(&brief.plan, artifacts, &options)
        }
        Stage::Merged { changed: Some(changed), .. } => {
            let mut page = Page::new(TEXT_MAX);
            page.put(&[super::changes::rewrites(changed)]);
            page.into_text()
        }
        Stage::Planned
        | Stage::Conflict { .. }
        | Stage::Unknown { .. }
        | Stage::Nothing
        | Stage::Merged { .. }
        | Stage::Dropped { .. }
        | Stage::Closed
        | Stage::Elsewhere { .. } => String::new(),
    };
    if brief.stage == Stage::Planned {
        let mut page = Page::new(TEXT_MAX.saturating_sub(text.len()));
        for fold in super::comment::waves(brief, artifacts, &options) {
            page.put(&[fold]);
        }
        text.push_str(&page.into_text());
    }
    Check {
        name: "vend".to_owned(),
        head: head.clone(),
        external_id: external_id.to_owned(),
        state,
        title: visible(&title(brief), TITLE_MAX),
        summary: summary(brief),
        text,
        annotations: brief.diagnostics.iter().map(annotation).collect(),
    }
}

/// Whether requests would be valid no more whose files lie elsewhere: of a catalog.
fn breaks(brief: &Brief) -> bool {
    let invalid = |hold: &Hold| matches!(hold.reason, HoldReason::Invalid { .. });
    brief.plan.holds.iter().any(invalid)
}

fn is_good(brief: &Brief) -> CheckState {
    match after::is_good(brief) {
        None => CheckState::Running,
        Some(true) => CheckState::Success,
        Some(false) => CheckState::Failure,
    }
}

fn summary(brief: &Brief) -> String {
    let mut page = Page::new(TEXT_MAX - 200);
    let errors = problem::errors(brief, PROBLEMS);
    let others = problem::others(brief, PROBLEMS);
    let unknown = match &brief.stage {
        Stage::Unknown { error } => words(error, 20),
        _ => String::new(),
    };
    let radius = super::comment::radius(brief);
    let made = match &brief.stage {
        Stage::Planned => made::list(brief),
        _ => String::new(),
    };
    let troubles = problem::troubles(brief);
    let danger = danger::alert(brief);
    let sections = [troubles, unknown, errors, danger, radius, made, needs::list(brief), others];
    // What does not fit keeps out nothing that comes after it.
    let mut whole = true;
    for section in &sections {
        whole &= page.put(&[section]);
    }
    let mut text = page.into_text();
    if !whole {
        text.push_str("\nNot all of it fits here; every problem stands on its line.\n");
    }
    if text.is_empty() {
        text = format!("{}.\n", title(brief));
    }
    text
}

/// The check `vend/approval`: whether those who must have said yes.
pub fn approval(brief: &Brief, head: &Revision, external_id: &str) -> Check {
    let open = match &brief.stage {
        Stage::Planned => !is_planned(brief),
        Stage::Conflict { .. } | Stage::Unknown { .. } => true,
        Stage::Nothing
        | Stage::Merged { .. }
        | Stage::Dropped { .. }
        | Stage::Closed
        | Stage::Elsewhere { .. } => false,
    };
    let is_elsewhere = matches!(brief.stage, Stage::Elsewhere { .. });
    let (state, title) = match needs::missing(brief) {
        // What will be asked is known only when it can be planned.
        _ if open => (CheckState::Queued, "Waits for a plan".to_owned()),
        // What it may lose, which takes a yes, only its provider can tell.
        0 if is_blind(brief) => {
            (CheckState::Queued, "Waits until a maintainer asks for this commit".to_owned())
        }
        // Where it is required, what is neutral passes, and the same commit may be merged here after all.
        _ if is_elsewhere => (CheckState::ActionRequired, super::title(brief)),
        0 => (CheckState::Success, needs::title(brief)),
        _ => (CheckState::ActionRequired, needs::title(brief)),
    };
    let list = if is_elsewhere { String::new() } else { needs::list(brief) };
    let summary = if list.is_empty() { format!("{title}.\n") } else { list };
    let mut page = Page::new(TEXT_MAX);
    page.put(&[summary, format!("{}.\n", visible(&title, TITLE_MAX))]);
    Check {
        name: "vend/approval".to_owned(),
        head: head.clone(),
        external_id: external_id.to_owned(),
        state,
        title: visible(&title, TITLE_MAX),
        summary: page.into_text(),
        text: String::new(),
        annotations: Vec::new(),
    }
}

/// Whether it changes what is there, and comes from a fork, for which nobody looked at that.
fn is_blind(brief: &Brief) -> bool {
    let changes =
        |step: &Step| matches!(step.action, Action::Update | Action::Replace | Action::Restore);
    let is_strange = brief.blind == Some(Blind::Fork) && brief.stage == Stage::Planned;
    is_strange && brief.plan.steps.iter().any(changes)
}

/// A check of a repository of which several branches are read: what one commit comes to on each of
/// them may differ.
pub fn of_branch(check: Check, branch: &str) -> Check {
    let name = format!("{} ({})", check.name, visible(branch, TITLE_MAX));
    Check { name, ..check }
}

fn annotation(found: &Diagnostic) -> Annotation {
    let Diagnostic { code, severity, place, message, help, related, fix: _ } = found;
    let Place { file, line, column, end_line, end_column } = place;
    let (line, end_line) = (*line.max(&1), (*end_line).max(*line).max(1));
    // GitHub refuses columns of a stretch over several lines; none means the whole line.
    let columns =
        (end_line == line && end_column > column && *column > 0).then(|| (*column, end_column - 1));
    let level = match severity {
        Severity::Error => Level::Failure,
        Severity::Warning => Level::Warning,
        Severity::Note => Level::Notice,
    };
    let mut lines = vec![visible(message, MESSAGE_MAX)];
    if !help.is_empty() {
        lines.push(format!("To mend it: {}", visible(help, MESSAGE_MAX)));
    }
    for (place, label) in related.iter().take(10) {
        let at = visible(&place.file, 300);
        lines.push(format!("See {at}:{}: {}", place.line, visible(label, 300)));
    }
    Annotation {
        path: file.to_string(),
        line,
        end_line,
        column: columns.map(|(first, _)| first),
        end_column: columns.map(|(_, last)| last),
        level,
        title: visible(&format!("{code}: {message}"), TITLE_MAX),
        message: lines.join("\n"),
    }
}
