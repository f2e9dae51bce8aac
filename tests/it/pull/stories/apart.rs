//! What some people are asked for of one merge, and others for the rest.

use vend::model::{Apart, Requirement};

use super::*;

pub fn apart() -> Story {
    let (ledger, events) = ("orders/prod/ledger", "orders/prod/events");
    let mut story = changed();
    let Stage::Merged { changed: Some(changed), .. } = &mut story.brief.stage else { panic!() };
    changed.after.push(format!("update {events}#queue"));
    let need = Requirement {
        rule: "plan.replaces > 0".into(),
        place: Place { line: 12, column: 7, ..Place::file("environments/prod.yaml") },
        teams: vec!["dba".into()],
        count: 1,
        reason: Some("a replacement loses what is in it".into()),
        had: Vec::new(),
        undecided: None,
    };
    let parts = [(events, "events", Vec::new()), (ledger, "ledger", vec![need])];
    changed.apart = parts.iter().map(|(request, of, _)| part(request, of)).collect();
    let cache = "orders/prod/cache";
    changed.apart.push(Apart { given: true, ..part(cache, "cache") });
    story.brief.standing.push(status(events, RequestPhase::Held, &json!({})));
    let held = parts.into_iter().map(|(request, of, needs)| Hold {
        request: id(request),
        component: None,
        action: Some(Action::Update),
        reason: HoldReason::PlanChanged {
            reviewed: sha256(b"then"),
            now: sha256(of.as_bytes()),
            needs,
        },
    });
    story.brief.holds = held.collect();
    story
}

fn part(request: &str, of: &str) -> Apart {
    Apart { now: sha256(of.as_bytes()), requests: vec![id(request)], given: false }
}
