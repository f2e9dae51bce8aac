//! For programs. Holds no rendered text: what may be sensitive is not told apart here.

use serde_json::{Value, json};

use super::{by_place, by_time, remarks};
use crate::model::{Arrival, Blast, Effect, Hit};
use crate::report::hold;
use crate::report::plan::{Artifacts, json_step};

/// The counts, and each effect with its requests, their steps and the files that differ.
pub fn json(blast: &Blast, artifacts: &Artifacts) -> Value {
    let Blast { requests, rendered, hits: _, reaches, follows, edited, rerouted, waves: _ } = blast;
    let group = |arrival: Option<&Arrival>, effect: Effect, hits: Vec<&Hit>| {
        let places: Vec<Value> = by_place(hits.iter().map(|hit| &hit.request))
            .into_iter()
            .flat_map(|(team, places)| places.into_iter().map(move |place| (team, place)))
            .map(|(team, (name, n))| json!({"team": team, "environment": name, "requests": n}))
            .collect();
        json!({
            "effect": effect,
            "wave": arrival,
            "count": hits.len(),
            "places": places,
            "requests": hits.iter().map(|hit| one(hit, artifacts)).collect::<Vec<_>>(),
        })
    };
    let groups = by_time(blast).into_iter().flat_map(|(arrival, groups)| {
        groups.into_iter().map(move |(effect, hits)| (arrival, effect, hits))
    });
    let groups: Vec<Value> =
        groups.map(|(arrival, effect, hits)| group(arrival, effect, hits)).collect();
    let part = |later: bool| {
        let which = |hit: &Hit| hit.is_later() == later;
        json!({"changed": blast.changed(which), "losses": blast.losses(which)})
    };
    json!({
        "requests": requests,
        "rendered": rendered,
        "changed": blast.changed(|_| true),
        "losses": blast.losses(|_| true),
        "atOnce": part(false),
        "later": part(true),
        "groups": groups,
        "reaches": reaches,
        "follows": follows,
        "edited": edited.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "rerouted": rerouted.iter().map(|(version, left)| json!({"version": version, "left": left})).collect::<Vec<_>>(),
        "remarks": remarks(blast),
    })
}

fn one(hit: &Hit, artifacts: &Artifacts) -> Value {
    let Hit { request, template, effect: _, steps, settings, problems, held, arrival: _ } = hit;
    json!({
        "id": request,
        "template": template.as_ref().map(ToString::to_string),
        "steps": steps.iter().map(|step| json_step(step, artifacts)).collect::<Vec<_>>(),
        "settings": settings,
        "diagnostics": crate::report::diagnostic::json(problems)["diagnostics"].take(),
        "held": held.as_ref().map(hold::reason),
    })
}
