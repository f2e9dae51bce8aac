//! A plan as a comment on GitHub: text from files stays text, and it always fits.

use super::diff;
use super::{Artifacts, Options, is_dangerous, notes, sorted, summary, verb};
use crate::model::{Action, Hold, HoldReason, Plan, Step};
use crate::report::hold;

/// Room for the summary and the line on what did not fit.
const FRAME: usize = 600;

/// The summary, then what is dangerous, unfolded; then what is held; then the rest, folded. What does
/// not fit within `options.limit` characters loses its difference first, and is then counted.
pub fn markdown(plan: &Plan, artifacts: &Artifacts, options: &Options) -> String {
    let mut out = format!("### {}\n\n", summary(plan));
    let room = options.limit.saturating_sub(FRAME);
    let mut page = Page { used: out.chars().count(), room, hidden: 0, text: String::new() };
    let (sure, may, more) = sorted(plan);
    let (dangerous, rest): (Vec<_>, Vec<_>) = sure.into_iter().partition(|s| is_dangerous(s));
    for step in dangerous {
        let head = format!("**{}** {}\n", verb(step.action), code(&step.target.key.to_string()));
        let head = format!("{head}{}", bullets(step));
        let fence = difference(step, artifacts, options);
        page.put(&[format!("{head}\n{fence}\n"), format!("{head}\n")]);
    }
    for hold in &plan.holds {
        page.put(&[held(hold)]);
    }
    if !plan.holds.is_empty() {
        page.put(&["\n".to_owned()]);
    }
    for step in rest.into_iter().chain(may) {
        let verb = if step.may_change() { "may change" } else { verb(step.action) };
        let title = format!("{verb} <code>{}</code>", html(&step.target.key.to_string()));
        let body = format!("{}\n{}", bullets(step), difference(step, artifacts, options));
        let folded =
            format!("<details><summary>{title}</summary>\n\n{}\n\n</details>\n\n", body.trim());
        let flat = format!("{verb} {}\n\n", code(&step.target.key.to_string()));
        page.put(&[folded, flat]);
    }
    if more > 0 {
        page.put(&[format!("{more} more may change: known after apply\n\n")]);
    }
    out.push_str(&page.text);
    if page.hidden > 0 {
        out.push_str(&format!(
            "\n{} more did not fit here; the whole plan is `vend plan`'s.\n",
            page.hidden
        ));
    }
    out
}

struct Page {
    used: usize,
    room: usize,
    hidden: usize,
    text: String,
}

impl Page {
    /// Adds the first form that fits, whole: fences and folds are never cut.
    fn put(&mut self, forms: &[String]) {
        let fits = forms.iter().find(|form| self.used + form.chars().count() <= self.room);
        match fits {
            Some(form) => {
                self.used += form.chars().count();
                self.text.push_str(form);
            }
            None => self.hidden += 1,
        }
    }
}

fn bullets(step: &Step) -> String {
    notes(step).iter().map(|note| format!("- {}\n", plain(note))).collect()
}

fn difference(step: &Step, artifacts: &Artifacts, options: &Options) -> String {
    match step.action {
        Action::Create | Action::Update | Action::Replace | Action::Restore => {}
        Action::Delete | Action::Forget | Action::Move => return String::new(),
    }
    let (old, new) = artifacts(step);
    let lines = diff::lines(old.as_deref(), new.as_deref(), &options.secrets, options.diff_lines);
    let text: Vec<_> = lines.iter().map(diff::Line::signed).collect();
    if text.is_empty() { String::new() } else { fence("diff", &text.join("\n")) }
}

fn held(held: &Hold) -> String {
    let Hold { request, component, action, reason } = held;
    let component = component.iter().map(|c| format!("#{c}")).collect::<String>();
    let would = action.map(|action| format!(" ({})", verb(action))).unwrap_or_default();
    let name = code(&format!("{request}{component}"));
    let digest = match reason {
        HoldReason::NeedsApproval { digest, .. } | HoldReason::TooManyDeletes { digest, .. } => {
            Some(*digest)
        }
        HoldReason::LooksLikeAMove { digest, set, .. } => set.or(*digest),
        HoldReason::Stuck { digest, .. } => *digest,
        HoldReason::PlanChanged { now, .. } => Some(*now),
        HoldReason::NeedsPullRequest { direct: true, digest, .. } => Some(*digest),
        _ => None,
    };
    let paste = digest.map(|d| format!("\n  `/vend approve {d}`")).unwrap_or_default();
    let sentence = plain(&hold::sentence(held));
    format!("- **held** {name}{would} {}: {sentence}{paste}\n", reason.name())
}

/// A fenced block whose fence is longer than any run of backticks inside.
pub(super) fn fence(kind: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{kind}\n{text}\n{fence}\n")
}

/// A code span that nothing inside can end.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match longest_run(&text) {
        0 => format!("`{text}`"),
        run => {
            let ticks = "`".repeat(run + 1);
            format!("{ticks} {text} {ticks}")
        }
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or_default()
}

fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

/// Invisible, and enough that GitHub sees no mention, issue, commit or address.
const BREAK: char = '\u{200B}';

/// Text that stays text: no markup, mention, issue, commit, link or HTML comes of it. Where GitHub
/// would see one, a break that nobody sees is put between.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::new();
    let (mut hex, mut before) = (0, [' ', ' ', ' ']);
    for c in text.chars() {
        // Seven hexadecimal digits in a row can be a commit.
        hex = if c.is_ascii_hexdigit() { hex + 1 } else { 0 };
        if hex == 7 {
            out.push(BREAK);
            hex = 1;
        }
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '+'
            | '#' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
        if is_live(before, c) {
            out.push(BREAK);
        }
        before = [before[1], before[2], c];
    }
    out
}

/// Whether what follows could become a mention or address (`@`), an issue (`#`, `GH-`) or a link
/// (`://`, `www.`).
fn is_live(before: [char; 3], c: char) -> bool {
    let before = before.map(|c| c.to_ascii_lowercase());
    match c {
        '@' | '#' => true,
        '-' => before[1..] == ['g', 'h'],
        '/' => before[2] == ':',
        '.' => before == ['w', 'w', 'w'],
        _ => false,
    }
}
