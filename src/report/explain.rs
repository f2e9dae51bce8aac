//! Why a request is where it is: the chain from its file to the world, and what it waits for.

use jiff::Timestamp;

use super::hold;
use super::pass::Paint;
use crate::model::{Desired, Event, Hold, RequestId, Retry, Status, TargetKey, Wanted, visible};

/// What an explanation is made from.
pub struct Facts<'a> {
    /// Whose.
    pub id: &'a RequestId,
    /// Its status, when it was seen by a pass.
    pub status: Option<&'a Status>,
    /// What its file comes to.
    pub desired: Option<&'a Desired>,
    /// What is held, and since when.
    pub holds: &'a [(Hold, Timestamp)],
    /// Failed targets and when they are tried again.
    pub retries: &'a [(TargetKey, Retry)],
    /// What is under way.
    pub under_way: &'a [(TargetKey, String, Timestamp)],
    /// The last lines of its history.
    pub events: &'a [Event],
}

/// For people.
pub fn terminal(facts: &Facts<'_>, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    let phase =
        facts.status.map_or_else(|| "not seen by a pass yet".into(), |s| format!("{:?}", s.phase));
    out.push_str(&format!("{}  {phase}\n", paint.bold(facts.id.as_str())));
    if let Some(sentence) = facts.status.and_then(|s| s.waiting_for.as_ref()) {
        out.push_str(&format!("  {sentence}\n"));
    }
    out.push('\n');
    file(facts, &paint, &mut out);
    template(facts, &paint, &mut out);
    components(facts, &paint, &mut out);
    waits(facts, &paint, &mut out);
    history(facts, &paint, &mut out);
    out
}

fn row(paint: &Paint, name: &str, text: &str, out: &mut String) {
    out.push_str(&format!("{} {text}\n", paint.dim(&format!("{name:<11}"))));
}

fn file(facts: &Facts<'_>, paint: &Paint, out: &mut String) {
    match (facts.desired, facts.status) {
        (Some(desired), _) => {
            row(
                paint,
                "file",
                &format!("{} in `{}`", desired.origin.path, desired.origin.source),
                out,
            );
            if let Wanted::Invalid(problems) = &desired.wanted {
                for p in problems {
                    let text = format!(
                        "{} {}:{}:{}: {}",
                        p.code, p.place.file, p.place.line, p.place.column, p.message
                    );
                    row(paint, "", &text, out);
                    if !p.help.is_empty() {
                        row(paint, "", &format!("  {}", p.help), out);
                    }
                }
            }
        }
        (None, Some(status)) => row(
            paint,
            "file",
            &format!("{} in `{}`, as last applied", status.source.path, status.source.repository),
            out,
        ),
        (None, None) => row(paint, "file", "gone", out),
    }
    if let Some(commit) = facts.status.and_then(|s| s.observed.commit.as_ref()) {
        row(paint, "commit", commit.as_str(), out);
    }
}

fn template(facts: &Facts<'_>, paint: &Paint, out: &mut String) {
    let Some(template) = facts.status.and_then(|s| s.template.as_ref()) else { return };
    let upgrade =
        template.upgrade.as_ref().map(|v| format!(" ({v} is available)")).unwrap_or_default();
    row(paint, "template", &format!("{}@{}{upgrade}", template.name, template.version), out);
    let Some(status) = facts.status else { return };
    for (name, value) in &status.parameters {
        row(paint, "", &format!("{name} = {}", crate::model::escape(&value.to_string(), 200)), out);
    }
    for (name, reference) in &status.references {
        row(
            paint,
            "reference",
            &format!("{name} from output `{}` of {}", reference.output, reference.request),
            out,
        );
    }
}

fn components(facts: &Facts<'_>, paint: &Paint, out: &mut String) {
    let Some(status) = facts.status else { return };
    for component in &status.components {
        let text = format!(
            "{} by `{}` as {} is {}",
            component.name, component.provider, component.target, component.state
        );
        row(paint, "component", &text, out);
        row(paint, "", &format!("rendered to {}", component.digest.short()), out);
    }
    for (name, value) in &status.outputs {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        row(paint, "output", &format!("{name} = {}", crate::model::escape(&text, 400)), out);
    }
    for condition in status.conditions.iter().filter(|c| c.kind != "Ready") {
        row(paint, "missing", &crate::model::escape(&condition.message, 600), out);
    }
    for (component, items) in status.drift.iter().flat_map(|d| &d.items) {
        for item in items {
            row(paint, "drift", &format!("{component}: {} {}", item.what, item.how), out);
        }
    }
    if let Some(last) = &status.last_apply {
        let ended = last.ended_at.map(|t| t.to_string()).unwrap_or_default();
        let by = match last.approved_by.as_slice() {
            [] => String::new(),
            by => format!(", approved by {}", crate::model::escape(&by.join(", "), 200)),
        };
        row(paint, "applied", &format!("{ended} by plan {}{by}", last.plan.short()), out);
    }
}

fn waits(facts: &Facts<'_>, paint: &Paint, out: &mut String) {
    for (hold, since) in facts.holds {
        row(
            paint,
            "held",
            &format!("{} since {since}: {}", hold.reason.name(), hold::sentence(hold)),
            out,
        );
    }
    for (key, retry) in facts.retries {
        let text = format!(
            "{} failed {} times and is tried again at {}: {}",
            key.component, retry.attempts, retry.until, retry.error
        );
        row(paint, "retry", &text, out);
    }
    for (key, action, since) in facts.under_way {
        row(paint, "under way", &format!("{action} {} since {since}", key.component), out);
    }
}

fn history(facts: &Facts<'_>, paint: &Paint, out: &mut String) {
    for event in facts.events {
        row(
            paint,
            "history",
            &format!("{} {}: {}", event.at, event.kind, visible(&event.message, 2_000)),
            out,
        );
    }
}
