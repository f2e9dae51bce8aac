//! Why a request is where it is: the chain from its file to the world, and what it waits for.

use jiff::Timestamp;

use super::drift;
use super::expiry;
use super::hold;
use super::pass::Paint;
use crate::model::{
    Condition, Desired, Event, Hold, RequestId, Retry, Status, TargetKey, Wanted, visible,
};

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
            let problems = match &desired.wanted {
                Wanted::Invalid(problems) => problems.as_slice(),
                Wanted::Valid(_) | Wanted::Waiting(_) => &[],
            };
            for p in problems.iter().chain(&desired.notes) {
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
            component.name,
            component.provider,
            crate::model::called(&component.settings).unwrap_or(component.target.as_str()),
            component.state
        );
        row(paint, "component", &text, out);
        row(paint, "", &format!("rendered to {}", component.digest.short()), out);
        if let Some(link) = &component.link {
            row(paint, "", &format!("see {}", crate::model::escape(link, 600)), out);
        }
    }
    for (name, value) in &status.outputs {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        row(paint, "output", &format!("{name} = {}", crate::model::escape(&text, 400)), out);
    }
    if let Some(end) = expiry::said(status) {
        row(paint, "ends", &end.message, out);
    }
    let others = |c: &&Condition| c.kind != "Ready" && c.kind != expiry::CONDITION;
    for condition in status.conditions.iter().filter(others) {
        row(paint, "missing", &crate::model::escape(&condition.message, 600), out);
    }
    for (component, items) in status.drift.iter().flat_map(|d| &d.items) {
        for item in items {
            row(paint, "drift", &format!("{component}: {}", drift::phrase(item)), out);
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
        let tried = match retry.attempts {
            0 => "was not begun and is tried".to_owned(),
            n => format!("failed {} and is tried again", hold::times(n)),
        };
        let text = format!("{} {tried} at {}: {}", key.component, retry.until, retry.error);
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest::sha256;
    use crate::model::{Action, ComponentName, Diagnostic, HoldReason, Origin, Place, SourceName};

    fn id() -> RequestId {
        RequestId::parse("orders/prod/events").unwrap()
    }

    fn at() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    fn key() -> TargetKey {
        TargetKey { request: id(), component: ComponentName::new("queue") }
    }

    fn status(phase: &str, sentence: Option<&str>) -> Status {
        let digest = sha256(b"").to_string();
        serde_json::from_value(json!({
            "apiVersion": "vend.dev/v1",
            "kind": "Status",
            "metadata": {"id": "orders/prod/events"},
            "phase": phase,
            "waitingFor": sentence,
            "source": {"repository": "requests", "path": "requests/orders/prod/events.yaml"},
            "observed": {"commit": "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"},
            "template": {"name": "queue", "version": "1.2.0", "digest": digest, "upgrade": "1.3.0"},
            "conditions": [],
            "components": [{
                "name": "queue", "provider": "files", "target": "vend-orders-prod-events-queue",
                "digest": digest, "state": "Written", "settings": {}, "token": "t",
            }],
            "outputs": {"path": "prod/orders/events/queue"},
            "parameters": {"fifo": false},
            "lastApply": {
                "plan": digest, "startedAt": "2027-01-15T08:00:00Z",
                "endedAt": "2027-01-15T08:00:01Z", "approvedBy": ["ada"],
            },
        }))
        .unwrap()
    }

    fn desired(problems: Vec<Diagnostic>) -> Desired {
        let path = "requests/orders/prod/events.yaml".into();
        Desired {
            id: id(),
            origin: Origin { source: SourceName::new("requests"), path },
            content: sha256(b""),
            wanted: Wanted::Invalid(problems),
            notes: Vec::new(),
        }
    }

    fn facts<'a>(id: &'a RequestId, status: &'a Status) -> Facts<'a> {
        Facts {
            id,
            status: Some(status),
            desired: None,
            holds: &[],
            retries: &[],
            under_way: &[],
            events: &[],
        }
    }

    fn hold(reason: HoldReason) -> (Hold, Timestamp) {
        (Hold { request: id(), component: None, action: Some(Action::Update), reason }, at())
    }

    /// The lines that are about where it stands: the first two, and those from the last apply on.
    fn standing(facts: &Facts<'_>) -> String {
        let text = terminal(facts, false);
        let from = text.find("applied ").unwrap();
        let head: Vec<&str> = text.lines().take(2).collect();
        format!("{}\n{}", head.join("\n").trim_end(), &text[from..])
    }

    #[test]
    fn one_that_is_ready() {
        insta::assert_snapshot!(terminal(&facts(&id(), &status("Ready", None)), false), @"
        orders/prod/events  Ready

        file        requests/orders/prod/events.yaml in `requests`, as last applied
        commit      c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00
        template    queue@1.2.0 (1.3.0 is available)
                    fifo = false
        component   queue by `files` as vend-orders-prod-events-queue is Written
                    rendered to sha256:e3b0c44298fc
        output      path = prod/orders/events/queue
        applied     2027-01-15T08:00:01Z by plan sha256:e3b0c44298fc, approved by ada
        ");
    }

    #[test]
    fn one_that_is_held() {
        let status = status("Held", Some("it is suspended; remove `suspend: true`"));
        let holds = [hold(HoldReason::Suspended)];
        insta::assert_snapshot!(standing(&Facts { holds: &holds, ..facts(&id(), &status) }), @"
        orders/prod/events  Held
          it is suspended; remove `suspend: true`
        applied     2027-01-15T08:00:01Z by plan sha256:e3b0c44298fc, approved by ada
        held        Suspended since 2027-01-15T08:00:00Z: it is suspended; remove `suspend: true`
        ");
    }

    #[test]
    fn one_that_waits_and_one_under_way() {
        let (id, status) =
            (id(), status("Waiting", Some("it waits for `platform/prod/network#vpc`")));
        let under_way = [(key(), "update".to_owned(), at())];
        let facts = Facts { under_way: &under_way, ..facts(&id, &status) };
        insta::assert_snapshot!(standing(&facts), @"
        orders/prod/events  Waiting
          it waits for `platform/prod/network#vpc`
        applied     2027-01-15T08:00:01Z by plan sha256:e3b0c44298fc, approved by ada
        under way   update queue since 2027-01-15T08:00:00Z
        ");
    }

    #[test]
    fn one_that_failed() {
        let (id, status) = (id(), status("Failed", Some("it failed (no room), twice")));
        let error = "no room".to_owned();
        let retry = Retry {
            fingerprint: None,
            attempts: 2,
            until: at(),
            error,
            refused: false,
            ended: true,
            left: None,
        };
        let retries = [(key(), retry)];
        let events = [Event {
            at: at(),
            request: Some(id.clone()),
            kind: "Failed".into(),
            message: "queue: no room".into(),
            data: serde_json::Value::Null,
        }];
        let facts = Facts { retries: &retries, events: &events, ..facts(&id, &status) };
        insta::assert_snapshot!(standing(&facts), @"
        orders/prod/events  Failed
          it failed (no room), twice
        applied     2027-01-15T08:00:01Z by plan sha256:e3b0c44298fc, approved by ada
        retry       queue failed 2 times and is tried again at 2027-01-15T08:00:00Z: no room
        history     2027-01-15T08:00:00Z Failed: queue: no room
        ");
    }

    #[test]
    fn one_that_is_invalid() {
        let (id, status) = (id(), status("Held", Some("its file is not valid")));
        let place = Place { line: 7, column: 5, ..Place::file("requests/orders/prod/events.yaml") };
        let problem = Diagnostic::error("SCH001", place, "unknown parameter `fif`");
        let desired = desired(vec![problem.help("did you mean `fifo`?")]);
        let facts = Facts { desired: Some(&desired), ..facts(&id, &status) };
        let text = terminal(&facts, false);
        let lines: Vec<&str> = text.lines().take(7).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        orders/prod/events  Held
          its file is not valid

        file        requests/orders/prod/events.yaml in `requests`
                    SCH001 requests/orders/prod/events.yaml:7:5: unknown parameter `fif`
                      did you mean `fifo`?
        commit      c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00
        ");
    }
}
