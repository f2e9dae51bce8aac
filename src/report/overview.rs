//! Where requests stand, as a table.

use super::pass::Paint;
use crate::model::{RequestPhase, SourceName, SourceProblem, Status, Unattended};

/// The branches whose pull requests nobody looks after, a line each.
pub fn unattended(all: &[Unattended], colour: bool) -> String {
    let word = Paint(colour).yellow("forge");
    all.iter().map(|one| format!("{word} {}\n", super::source::unattended(one))).collect()
}

/// The table, sources that need somebody first.
pub fn terminal(
    requests: &[Status],
    problems: &[(SourceName, SourceProblem)],
    colour: bool,
) -> String {
    let paint = Paint(colour);
    let mut out = String::new();
    for (name, problem) in problems {
        out.push_str(&format!(
            "{} {}\n",
            paint.yellow("source"),
            super::source::sentence(name, problem)
        ));
    }
    if requests.is_empty() {
        out.push_str("No requests.\n");
        return out;
    }
    let width = requests.iter().map(|s| s.metadata.id.as_str().len()).max().unwrap_or_default();
    let template = |s: &Status| {
        s.template.as_ref().map(|t| format!("{}@{}", t.name, t.version)).unwrap_or_default()
    };
    let templates = requests.iter().map(|s| template(s).len()).max().unwrap_or_default();
    for status in requests {
        let word = format!("{:<9}", format!("{:?}", status.phase));
        let word = match status.phase {
            RequestPhase::Ready => paint.green(&word),
            RequestPhase::Failed | RequestPhase::Unknown => paint.red(&word),
            RequestPhase::Suspended => paint.dim(&word),
            RequestPhase::Pending
            | RequestPhase::Waiting
            | RequestPhase::Applying
            | RequestPhase::Held
            | RequestPhase::Deleting => paint.yellow(&word),
        };
        let id = status.metadata.id.as_str();
        let line =
            format!("{id:<width$}  {word}  {:<templates$}  {}", template(status), note(status));
        out.push_str(line.trim_end());
        out.push('\n');
        for link in troubled(status) {
            out.push_str(&format!("{:width$}  see {}\n", "", crate::model::escape(link, 600)));
        }
    }
    out
}

/// Where somebody who must do something sees what it is about.
fn troubled(status: &Status) -> impl Iterator<Item = &str> {
    let asks = match status.phase {
        RequestPhase::Failed | RequestPhase::Unknown | RequestPhase::Held => true,
        RequestPhase::Pending
        | RequestPhase::Waiting
        | RequestPhase::Applying
        | RequestPhase::Ready
        | RequestPhase::Suspended
        | RequestPhase::Deleting => false,
    };
    status.components.iter().filter(move |_| asks).filter_map(|c| c.link.as_deref())
}

/// One request in one line, without colour.
pub fn line(status: &Status) -> String {
    format!("{}  {:?}  {}", status.metadata.id, status.phase, note(status)).trim_end().to_owned()
}

fn note(status: &Status) -> String {
    if let Some(waiting) = &status.waiting_for {
        return waiting.clone();
    }
    let drift = status.drift.as_ref().and_then(|d| super::drift::summary(&d.items));
    let drift = drift.map(|what| format!("drifted: {what}"));
    let upgrade = status
        .template
        .as_ref()
        .and_then(|t| t.upgrade.as_ref())
        .map(|v| format!("{v} is available"));
    let end = super::expiry::warning(status).map(|end| end.message.clone());
    end.into_iter().chain(drift).chain(upgrade).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(phase: &str, link: &str) -> Status {
        let digest = crate::digest::sha256(b"x");
        serde_json::from_value(json!({
            "apiVersion": "vend.dev/v1",
            "kind": "Status",
            "metadata": {"id": "orders/dev/events"},
            "phase": phase,
            "waitingFor": null,
            "source": {"repository": "main", "path": "requests/orders/dev/events.yaml"},
            "observed": {"commit": null, "catalogCommit": null, "requestDigest": null},
            "components": [{
                "name": "queue", "provider": "cloudformation", "target": "vend-a",
                "digest": digest, "state": "UPDATE_ROLLBACK_FAILED", "link": link,
                "settings": {}, "token": "t",
            }],
            "conditions": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_needs_somebody_says_where_to_look() {
        let show = |phase, link| terminal(&[status(phase, link)], &[], false);
        insta::assert_snapshot!(show("Held", "https://a.example/x"), @"
        orders/dev/events  Held
                           see https://a.example/x
        ");
        assert_eq!(show("Ready", "https://a.example/x"), "orders/dev/events  Ready\n");
        assert!(!show("Failed", "https://a.example/\u{1b}[31m").contains('\u{1b}'));
    }
}
