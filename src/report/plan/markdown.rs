//! A plan as a comment on GitHub: text from files stays text, and it always fits.

use super::diff;
use super::{
    Artifacts, Options, changes, is_dangerous, new_ends, notes, parts, sorted, summary, verb,
};
use crate::model::{Action, Hold, NewEnd, Plan, RequestId, Step};
use crate::report::markdown::{Page, code, fence, html, line, prose, short_code};
use crate::report::{expiry, hold};

/// Room for the summary and the line on what did not fit.
const FRAME: usize = 600;

/// Requests that only get another end, of which each is named.
const ENDS: usize = 200;

/// The summary, then what is dangerous, unfolded; then what is held; then the rest, folded. What does
/// not fit within `options.limit` bytes loses its difference first, and is then counted.
pub fn markdown(plan: &Plan, artifacts: &Artifacts, options: &Options) -> String {
    let mut page = Page::new(options.limit.saturating_sub(FRAME));
    let mut hidden = 0;
    let mut put = |forms: &[String]| hidden += usize::from(!page.put(forms));
    let head = if options.unchanged { summary(plan) } else { changes(plan) };
    put(&[format!("### {head}\n\n")]);
    let (sure, may, more) = sorted(plan);
    let (dangerous, rest): (Vec<_>, Vec<_>) = sure.into_iter().partition(|s| is_dangerous(s));
    for step in dangerous {
        let head = format!("**{}** {}\n", verb(step.action), code(&step.target.key.to_string()));
        let head = format!("{head}{}", bullets(step));
        let fence = difference(step, artifacts, options);
        put(&[format!("{head}\n{fence}\n"), format!("{head}\n")]);
    }
    for hold in &plan.holds {
        put(&[held(hold)]);
    }
    if !plan.holds.is_empty() {
        put(&["\n".to_owned()]);
    }
    for step in rest.into_iter().chain(may) {
        let verb = if step.may_change() { "may change" } else { verb(step.action) };
        let title = format!("{verb} <code>{}</code>", html(&step.target.key.to_string()));
        let body = format!("{}\n{}", bullets(step), difference(step, artifacts, options));
        let folded =
            format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n", body.trim());
        let flat = format!("{verb} {}\n\n", code(&step.target.key.to_string()));
        put(&[folded, flat]);
    }
    if more > 0 {
        put(&[format!("{more} more may change: known after apply\n\n")]);
    }
    put(&[ends(plan, ENDS)]);
    let mut out = page.into_text();
    if hidden > 0 {
        out.push_str(&format!(
            "\n{hidden} more did not fit here; the whole plan is `vend plan`'s.\n"
        ));
    }
    out
}

/// All about a step that is not its difference, as a list.
pub fn bullets(step: &Step) -> String {
    let mut out: String = notes(step).iter().map(|note| format!("- {}\n", line(note))).collect();
    let parts = parts(step, &|text, most| short_code(text, most));
    out.extend(parts.into_iter().map(|(depth, line)| format!("{}- {line}\n", "  ".repeat(depth))));
    out
}

/// What becomes of a step's rendered text, as a block; empty where nothing does.
pub fn difference(step: &Step, artifacts: &Artifacts, options: &Options) -> String {
    match step.action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => {}
        Action::Delete | Action::Forget | Action::Move => return String::new(),
    }
    let (old, new) = artifacts(step);
    let lines = diff::lines(old.as_deref(), new.as_deref(), &options.secrets, options.diff_lines);
    let text: Vec<_> = lines.iter().map(diff::Line::signed).collect();
    if text.is_empty() { String::new() } else { fence("diff", &text.join("\n")) }
}

/// Requests that only get another end, a line each of the first `most`.
pub(in crate::report) fn ends(plan: &Plan, most: usize) -> String {
    let all = new_ends(plan);
    let line = |(id, end): &(&RequestId, &NewEnd)| {
        format!("- {} {}\n", code(id.as_str()), expiry::new_end(end))
    };
    let mut lines: String = all.iter().take(most).map(line).collect();
    let more = all.len().saturating_sub(most);
    if more > 0 {
        lines.push_str(&format!("- {more} more get another end\n"));
    }
    if lines.is_empty() { lines } else { format!("{lines}\n") }
}

fn held(held: &Hold) -> String {
    let Hold { request, component, action, reason } = held;
    let component = component.iter().map(|c| format!("#{c}")).collect::<String>();
    let would = action.map(|action| format!(" ({})", verb(action))).unwrap_or_default();
    let name = code(&format!("{request}{component}"));
    let paste =
        hold::digest(reason).map(|d| format!("\n  `/vend approve {d}`")).unwrap_or_default();
    let sentence = prose(&hold::sentence(held));
    format!("- **held** {name}{would} {}: {sentence}{paste}\n", reason.name())
}
