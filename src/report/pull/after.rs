//! After the merge: how far each request is, what it gives, what failed and what helps.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use crate::model::{
    Action, Applying, Brief, Changed, Condition, Hold, HoldReason, RequestId, RequestPhase, Stage,
    Status, is_hidden_output,
};
use crate::report::live::elapsed;
use crate::report::markdown::{Page, capital, code, fence, html, plural, prose, short_code, words};
use crate::report::{expiry, hold, markdown};

use super::changes::{self, sentence};

/// Requests whose outputs stand unfolded; with more of them each is folded.
const UNFOLDED: usize = 5;

/// Lines of a provider's words, outputs of one request, and parts that are named.
const WORDS: usize = 20;
const OUTPUTS: usize = 30;
const PARTS: usize = 8;

/// Characters of an output.
const VALUE: usize = 500;

/// Where a request stands, the most urgent first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Failed,
    Unknown,
    Held,
    Applying,
    Deleting,
    Waiting,
    Pending,
    /// Nothing was begun: no pass has seen it yet, or none was told how it came.
    Arriving,
    Ready,
    Suspended,
    Deleted,
}

/// All that is known of one request.
struct Facts<'a> {
    id: &'a RequestId,
    state: State,
    status: Option<&'a Status>,
    holds: Vec<&'a Hold>,
    applying: Vec<&'a Applying>,
}

/// One line of plain text.
pub(super) fn title(brief: &Brief) -> String {
    let all = facts(brief);
    let count = |states: &[State]| all.iter().filter(|f| states.contains(&f.state)).count();
    let over = count(&[State::Ready, State::Suspended, State::Deleted]);
    let of = plural(all.len(), "request");
    let failed = count(&[State::Failed, State::Unknown]);
    let held = count(&[State::Held]);
    let arriving = count(&[State::Arriving]);
    if arriving == all.len() && (brief.awaited || arriving > 0) {
        return match brief.troubles.is_empty() {
            true => "Merged: waits for a pass".to_owned(),
            false => "Merged: waits until its branch can be used".to_owned(),
        };
    }
    match (all.len(), failed, held) {
        (0, ..) => "Merged: nothing to do".to_owned(),
        (_, 1.., _) => format!("Failed: {failed} of {of}; {over} done"),
        (_, 0, 1..) => format!("Held: {held} of {of}; {over} done"),
        (n, 0, 0) if over == n => match all.iter().filter(|f| f.warning().is_some()).count() {
            0 => format!("Done: {of}"),
            soon => format!("Done: {of}; {soon} will end soon"),
        },
        _ => format!("Applying: {over} of {of} done"),
    }
}

/// Whether all is over, and how it ended: `None` while something goes on.
pub(super) fn is_good(brief: &Brief) -> Option<bool> {
    if matches!(&brief.stage, Stage::Merged { changed: Some(_), .. }) {
        return Some(false);
    }
    if brief.awaited {
        return None;
    }
    let all = facts(brief);
    let is = |states: &[State]| all.iter().any(|f| states.contains(&f.state));
    match (is(&[State::Failed, State::Unknown, State::Held]), all.iter().all(Facts::is_over)) {
        (true, _) => Some(false),
        (false, true) => Some(true),
        (false, false) => None,
    }
}

impl Facts<'_> {
    fn is_over(&self) -> bool {
        matches!(self.state, State::Ready | State::Suspended | State::Deleted)
    }

    /// What is said of its end, once that is near.
    fn warning(&self) -> Option<&Condition> {
        self.status.filter(|_| self.is_over()).and_then(expiry::warning)
    }
}

/// Each request: what needs somebody first, then what goes on, then what is done. Whether all fits.
pub(super) fn put(page: &mut Page, brief: &Brief, changed: Option<&Changed>) -> bool {
    let all = facts(brief);
    let mut whole = true;
    let mut held: Vec<&Hold> = all
        .iter()
        .filter(|f| f.state == State::Held)
        .flat_map(|f| f.holds.iter().copied())
        .collect();
    // Both plans are shown already, with the line that lets them go on; what else has moved stands by itself.
    let shown: BTreeSet<_> = changed.into_iter().flat_map(Changed::plans).collect();
    held.retain(|held| held.changed_plan().is_none_or(|plan| !shown.contains(&plan)));
    for facts in all.iter().filter(|f| matches!(f.state, State::Failed | State::Unknown)) {
        whole &= page.put(&[failed(facts), format!("{}\n", line(facts, "failed"))]);
    }
    let held = changes::held(brief, &held);
    whole &= held.is_empty() || page.put(&[held]);
    let going: String = all.iter().filter_map(under_way).collect();
    let going = going + &arriving(&all);
    whole &= going.is_empty() || page.put(&[going.as_str()]);
    if !going.is_empty() && all.iter().all(|f| !f.is_over()) {
        page.put(&["\n"]);
    }
    let done: Vec<&Facts> = all.iter().filter(|f| f.is_over()).collect();
    let folded = done.len() > UNFOLDED;
    if folded && !going.is_empty() {
        page.put(&["\n"]);
    }
    for facts in &done {
        let form = if folded { fold(facts) } else { over(facts) };
        whole &= page.put(&[form, line(facts, word(facts.state))]);
    }
    if !done.is_empty() {
        page.put(&["\n"]);
    }
    whole
}

fn facts(brief: &Brief) -> Vec<Facts<'_>> {
    let Brief { plan, standing, holds, applying, .. } = brief;
    let statuses: BTreeMap<&RequestId, &Status> =
        standing.iter().map(|status| (&status.metadata.id, status)).collect();
    let planned = plan.steps.iter().filter(|step| !step.may_change());
    let mut ids: BTreeSet<&RequestId> = planned.map(|step| &step.target.key.request).collect();
    ids.extend(statuses.keys());
    ids.extend(holds.iter().map(|held| &held.request));
    ids.extend(applying.iter().map(|one| &one.key.request));
    let mut gone: BTreeMap<&RequestId, bool> = BTreeMap::new();
    for step in &plan.steps {
        let goes = matches!(step.action, Action::Delete | Action::Forget);
        *gone.entry(&step.target.key.request).or_insert(true) &= goes;
    }
    let mut all: Vec<Facts<'_>> = ids
        .into_iter()
        .map(|id| {
            let status = statuses.get(id).copied();
            let holds: Vec<&Hold> = holds.iter().filter(|held| held.request == *id).collect();
            let applying: Vec<_> = applying.iter().filter(|one| one.key.request == *id).collect();
            let gone = gone.get(id).copied().unwrap_or_default();
            let state = match brief.awaited {
                true if applying.is_empty() => State::Arriving,
                true => State::Applying,
                false => state(status, &holds, &applying, gone),
            };
            Facts { id, state, status, holds, applying }
        })
        .collect();
    all.sort_by_key(|facts| (facts.state, facts.id));
    all
}

fn state(status: Option<&Status>, holds: &[&Hold], applying: &[&Applying], gone: bool) -> State {
    let is_asked =
        |held: &&Hold| matches!(held.reason, HoldReason::NeedsPullRequest { direct: false, .. });
    // The forge is asked how it came: nobody has to do anything.
    let is_arriving = !holds.is_empty() && holds.iter().all(is_asked);
    match status.map(|status| status.phase) {
        Some(RequestPhase::Held) | None if is_arriving => State::Arriving,
        Some(RequestPhase::Failed) => State::Failed,
        Some(RequestPhase::Unknown) => State::Unknown,
        Some(RequestPhase::Held) => State::Held,
        Some(RequestPhase::Applying) => State::Applying,
        Some(RequestPhase::Deleting) => State::Deleting,
        Some(RequestPhase::Waiting) => State::Waiting,
        Some(RequestPhase::Pending) => State::Pending,
        Some(RequestPhase::Ready) => State::Ready,
        Some(RequestPhase::Suspended) => State::Suspended,
        None if !applying.is_empty() => State::Applying,
        None if !holds.is_empty() => State::Held,
        None if gone => State::Deleted,
        None => State::Pending,
    }
}

fn word(state: State) -> &'static str {
    match state {
        State::Failed => "failed",
        State::Unknown => "outcome not known",
        State::Held => "held",
        State::Applying => "applying",
        State::Deleting => "deleting",
        State::Waiting => "waiting",
        State::Pending => "pending",
        State::Arriving => "waiting",
        State::Ready => "ready",
        State::Suspended => "suspended",
        State::Deleted => "deleted",
    }
}

fn line(facts: &Facts, word: &str) -> String {
    format!("- **{word}** {}\n", code(facts.id.as_str()))
}

/// The provider's words, then what helps, then the line to paste.
fn failed(facts: &Facts) -> String {
    let id = code(facts.id.as_str());
    let mut out = format!("**{}** {id}{}\n\n", capital(word(facts.state)), consoles(facts));
    let parts: Vec<String> = facts.applying.iter().flat_map(|one| failures(one)).collect();
    let error = facts.holds.iter().find_map(|held| error(&held.reason));
    let said = if parts.is_empty() { error.map(ToOwned::to_owned) } else { Some(parts.join("\n")) };
    if let Some(said) = &said {
        out.push_str(&format!("{}\n", words(said, WORDS)));
    }
    let Some(held) = facts.holds.first() else {
        if let Some(waits) = facts.status.and_then(|s| s.waiting_for.as_deref()) {
            out.push_str(&format!("Next: {}.\n\n", sentence(waits, None)));
        }
        return out + &retry(facts);
    };
    let asks = hold::digest(&held.reason).map(|d| d.to_string());
    out.push_str(&format!("{}\n\n", next(held, asks.as_deref())));
    match asks {
        Some(digest) => out + &fence("text", &format!("/vend approve {digest}")) + "\n",
        None => out + &retry(facts),
    }
}

fn retry(facts: &Facts) -> String {
    fence("text", &format!("/vend retry {}", facts.id)) + "\n"
}

fn error(reason: &HoldReason) -> Option<&str> {
    match reason {
        HoldReason::Backoff { error, .. }
        | HoldReason::Refused { error, .. }
        | HoldReason::Unknown { error, .. }
        | HoldReason::Stuck { error: Some(error), .. } => Some(error),
        _ => None,
    }
}

/// What helps, without the words that stand above it already.
fn next(held: &Hold, asks: Option<&str>) -> String {
    match &held.reason {
        HoldReason::Backoff { until, attempts: 0, .. } => format!(
            "It was not begun, since its provider takes nothing there now; it is tried at {}. Once that is over it can be \
             tried sooner with",
            time(*until)
        ),
        HoldReason::Backoff { until, attempts, .. } => format!(
            "Tried {}; it is tried again at {}, or at once with",
            hold::times(*attempts),
            time(*until)
        ),
        HoldReason::Refused { until, .. } => format!(
            "The provider refused it: change the request or the provider's rules, and let it be tried \
             again. Else that is at {}.",
            time(*until)
        ),
        HoldReason::Unknown { since, .. } => format!(
            "It was sent at {} and its answer was lost: vend looks, and does not guess.",
            time(*since)
        ),
        HoldReason::Stuck { state, advice, digest: None, .. } => {
            format!("It stands as {}: {}. Then", short_code(state, 100), prose(advice))
        }
        HoldReason::Stuck { state, advice, error, digest: Some(_) } => {
            let (first, then) = match error {
                Some(_) => (
                    "Mend what is said above first (another name, say, or remove what is in the way): made \
                     again as it is, it fails again.\n\n",
                    "Then, to",
                ),
                None => ("", "To"),
            };
            format!(
                "{first}It stands as {}: {}. {then} have what is left deleted, with what may still be in it, \
                 and made again:",
                short_code(state, 100),
                prose(advice)
            )
        }
        _ => format!("{}.", capital(&sentence(&hold::sentence(held), asks))),
    }
}

/// What goes on, in one line each, with what failed in it so far.
fn under_way(facts: &Facts) -> Option<String> {
    match facts.state {
        State::Applying | State::Deleting | State::Waiting | State::Pending => {}
        State::Failed
        | State::Unknown
        | State::Held
        | State::Arriving
        | State::Ready
        | State::Suspended
        | State::Deleted => return None,
    }
    let mut out = format!("- **{}** {}", word(facts.state), code(facts.id.as_str()));
    let waits = facts.status.and_then(|s| s.waiting_for.as_deref());
    if let (State::Waiting, Some(waits)) = (facts.state, waits) {
        out.push_str(&format!(": {}", sentence(waits, None)));
    }
    out.push_str(&format!("{}\n", consoles(facts)));
    for one in &facts.applying {
        out.push_str(&format!("  - {}\n", progress(one)));
        for failure in failures(one) {
            out.push_str(&format!("    - failed: {}\n", short_code(&failure, 600)));
        }
    }
    Some(out)
}

/// Those of which nothing was begun, together.
fn arriving(all: &[Facts]) -> String {
    let waits = all.iter().filter(|f| f.state == State::Arriving);
    let ids: Vec<String> = waits.map(|f| code(f.id.as_str())).collect();
    match ids.is_empty() {
        true => String::new(),
        false => {
            format!("- **{}** {}\n", word(State::Arriving), markdown::listed(ids, UNFOLDED))
        }
    }
}

/// How far one component is. No moment but its beginning: a comment that ticks is noise.
fn progress(one: &Applying) -> String {
    let Applying { key, action: _, since, error, resources } = one;
    let over = resources.iter().filter(|r| !r.is_busy()).count();
    let far = match resources.len() {
        0 => String::new(),
        all => format!(": {over} of {}", plural(all, "resource")),
    };
    let busy = resources.iter().filter(|r| r.is_busy()).map(|r| short_code(&r.what, 100));
    let busy: Vec<String> = busy.collect();
    let busy = if busy.is_empty() {
        String::new()
    } else {
        format!(", at {}", markdown::listed(busy, PARTS))
    };
    let lost = error.as_ref().map(|e| format!("; its answer was lost: {}", short_code(e, 300)));
    let component = code(key.component.as_str());
    format!("{component} since {}{far}{busy}{}", time(*since), lost.unwrap_or_default())
}

/// What failed, the cause first: what was cancelled for it came later.
fn failures(one: &Applying) -> Vec<String> {
    let mut failed: Vec<_> =
        one.resources.iter().filter_map(|r| r.failure.as_ref().map(|f| (r, f))).collect();
    failed.sort_by_key(|(_, failure)| failure.at);
    let said = failed.into_iter().take(PARTS).map(|(resource, failure)| {
        let kind = resource.kind.as_deref().map(|k| format!(" ({k})")).unwrap_or_default();
        let why = failure.message.as_deref().unwrap_or(&failure.state);
        format!("{}{kind}: {why}", resource.what)
    });
    said.collect()
}

fn over(facts: &Facts) -> String {
    let took = took(facts).map(|t| format!(" in {t}")).unwrap_or_default();
    let out = format!(
        "- **{}** {}{took}{}\n",
        word(facts.state),
        code(facts.id.as_str()),
        consoles(facts)
    );
    out + &end(facts, "  ") + &outputs(facts, "  ")
}

/// When it ends, and how it lives longer.
fn end(facts: &Facts, indent: &str) -> String {
    let Some(said) = facts.status.filter(|_| facts.is_over()).and_then(expiry::said) else {
        return String::new();
    };
    let message = prose(&said.message);
    match facts.warning() {
        None => format!("{indent}- {message}\n"),
        Some(_) => {
            let asks = code(&format!("/vend extend {} 7d", facts.id));
            format!("{indent}- **Ends soon**: {message}. {asks} says how.\n")
        }
    }
}

fn fold(facts: &Facts) -> String {
    let took = took(facts).map(|t| format!(" in {t}")).unwrap_or_default();
    let title =
        format!("<b>{}</b> <code>{}</code>{took}", word(facts.state), html(facts.id.as_str()));
    let (outputs, consoles) = (end(facts, "") + &outputs(facts, ""), consoles(facts));
    if outputs.is_empty() && consoles.is_empty() {
        return line(facts, word(facts.state));
    }
    let consoles = consoles.trim_start_matches(", ");
    format!("<details><summary>{title}</summary>\n\n{outputs}\n{consoles}\n\n</details>\n\n")
}

fn outputs(facts: &Facts, indent: &str) -> String {
    let Some(status) = facts.status.filter(|_| facts.state == State::Ready) else {
        return String::new();
    };
    let shown = status.outputs.iter().take(OUTPUTS);
    let mut out: String =
        shown.map(|(name, value)| format!("{indent}- {}\n", output(name, value))).collect();
    let more = status.outputs.len().saturating_sub(OUTPUTS);
    if more > 0 {
        out.push_str(&format!("{indent}- {more} more outputs are in its status file\n"));
    }
    out
}

fn output(name: &str, value: &Value) -> String {
    let name = short_code(name, 100);
    if is_hidden_output(value) {
        let at = value.get("sensitive").and_then(Value::as_str).unwrap_or_default();
        return format!("{name} is sensitive; it is kept at {}", short_code(at, VALUE));
    }
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    format!("{name} = {}", short_code(&text, VALUE))
}

/// How long the last apply took.
fn took(facts: &Facts) -> Option<String> {
    let apply = facts.status?.last_apply.as_ref()?;
    Some(elapsed(apply.ended_at?.duration_since(apply.started_at)))
}

/// Links to what was made, in the provider's console, as the provider gave them.
fn consoles(facts: &Facts<'_>) -> String {
    let components = facts.status.map(|s| s.components.as_slice()).unwrap_or_default();
    let links = components.iter().filter_map(|c| Some((c, c.link.as_deref()?)));
    let links = links.filter(|(_, url)| is_sound(url));
    links.map(|(c, url)| format!(", [console of {}]({url})", code(c.name.as_str()))).collect()
}

/// Where consoles are: a link leads nowhere else, whoever wrote it down.
const CONSOLES: &[&str] =
    &[".console.aws.amazon.com", ".console.amazonaws.cn", ".console.amazonaws-us-gov.com"];

/// Nothing that could end the link, or lead elsewhere than to a page.
fn is_sound(url: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~:/?#=&%".contains(&b);
    let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
    let known = host.is_some_and(|host| CONSOLES.iter().any(|console| host.ends_with(console)));
    known && url.len() < 2_000 && url.bytes().all(plain)
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}
