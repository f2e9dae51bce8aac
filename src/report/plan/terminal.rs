//! A plan on a terminal.

use super::diff::{self, Kind, Line};
use super::{
    Artifacts, Options, is_dangerous, new_ends, notes, resources, sign, sorted, summary, verb,
};
use crate::model::{Action, Hold, Plan, Step};
use crate::report::{expiry, hold};

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const BOLD: &str = "1";
const DIM: &str = "2";

/// Every step with its difference, every hold with its sentence, and the summary as the last line.
pub fn terminal(plan: &Plan, artifacts: &Artifacts, options: &Options) -> String {
    let mut out = String::new();
    let mut room = options.diff_total;
    let (sure, may, more) = sorted(plan);
    for step in sure.into_iter().chain(may) {
        head(step, options, &mut out);
        room = difference(step, artifacts, options, room, &mut out);
    }
    if more > 0 {
        out.push_str(&format!("  ? {more} more may change: known after apply\n"));
    }
    let ends = new_ends(plan);
    for (id, end) in &ends {
        let line = paint(options, CYAN, &format!("  ~ {id} {}", expiry::new_end(end)));
        out.push_str(&format!("{line}\n"));
    }
    if !plan.steps.is_empty() || !ends.is_empty() {
        out.push('\n');
    }
    for (sentence, group) in hold::grouped(plan.holds.iter()) {
        held(&sentence, &group, options, &mut out);
    }
    if !plan.holds.is_empty() {
        out.push('\n');
    }
    out.push_str(&paint(options, BOLD, &summary(plan)));
    out.push('\n');
    out
}

fn head(step: &Step, options: &Options, out: &mut String) {
    let colour = match step.action {
        Action::Create => GREEN,
        Action::Update | Action::Restore => YELLOW,
        Action::Replace | Action::Delete => RED,
        Action::Forget | Action::Move => CYAN,
    };
    let colour = if is_dangerous(step) { RED } else { colour };
    let target = &step.target;
    let (sign, verb) = match step.may_change() {
        true => ("?", "may change"),
        false => (sign(step.action), verb(step.action)),
    };
    let line = format!("{sign:>3} {verb} {}", target.key);
    let place = format!("{} {}", target.provider, target.called());
    out.push_str(&format!("{}  {}\n", paint(options, colour, &line), paint(options, DIM, &place)));
    for note in notes(step).into_iter().chain(resources(step)) {
        out.push_str(&format!("      {note}\n"));
    }
}

/// Shows the difference as far as there is room, and gives the room that is left.
fn difference(
    step: &Step,
    artifacts: &Artifacts,
    options: &Options,
    room: usize,
    out: &mut String,
) -> usize {
    // What is re-keyed or forgotten has no other text; and what goes is not read once more.
    let is_shown = match step.action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => true,
        Action::Delete | Action::Forget | Action::Move => false,
    };
    if !is_shown || room == 0 {
        return room;
    }
    let (old, new) = artifacts(step);
    let most = options.diff_lines.min(room);
    let lines = diff::lines(old.as_deref(), new.as_deref(), &options.secrets, most);
    for line in &lines {
        let text = shown(line, options.width.saturating_sub(6), options.colour);
        out.push_str(&format!("      {text}\n"));
    }
    room.saturating_sub(lines.len())
}

/// A line of a difference, within a width.
pub(in crate::report) fn shown(line: &Line, width: usize, colour: bool) -> String {
    let code = match line.kind {
        Kind::Head => BOLD,
        Kind::Note => DIM,
        Kind::Same => "",
        Kind::Added => GREEN,
        Kind::Removed => RED,
    };
    painted(&cut(line, width), code, colour)
}

fn cut(line: &Line, most: usize) -> String {
    let text = line.signed();
    let most = most.max(20);
    if text.chars().count() <= most {
        return text;
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

fn held(sentence: &str, group: &[&Hold], options: &Options, out: &mut String) {
    let Some(Hold { request, component, action, reason }) = group.first() else { return };
    let component = component.iter().map(|c| format!("#{c}")).collect::<String>();
    let (who, names) = match group.len() {
        1 => (format!("{request}{component}"), String::new()),
        _ => (
            format!("{} requests", hold::requests(group).len()),
            format!("      {}\n", hold::names(group)),
        ),
    };
    let would = action.map(|action| format!(" ({})", verb(action))).unwrap_or_default();
    let line = paint(options, YELLOW, &format!("  ! held {who}{would}"));
    out.push_str(&format!("{line}\n      {}: {sentence}\n{names}", reason.name()));
}

fn paint(options: &Options, code: &str, text: &str) -> String {
    painted(text, code, options.colour)
}

fn painted(text: &str, code: &str, colour: bool) -> String {
    if colour && !code.is_empty() {
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
