//! For programs. Holds no rendered text: what may be sensitive is not told apart here.

use serde_json::{Value, json};

use super::{by_effect, by_place, remarks};
use crate::model::{Blast, Effect, Hit};
use crate::report::hold;
use crate::report::plan::{Artifacts, json_step};

/// The counts, and each effect with its requests, their steps and the files that differ.
pub fn json(blast: &Blast, artifacts: &Artifacts) -> Value {
    let Blast { requests, rendered, hits, reaches, follows, edited, waves: _ } = blast;
    let group = |(effect, hits): (Effect, Vec<&Hit>)| {
        let places: Vec<Value> = by_place(hits.iter().map(|hit| &hit.request))
            .into_iter()
            .flat_map(|(team, places)| places.into_iter().map(move |place| (team, place)))
            .map(|(team, (name, n))| json!({"team": team, "environment": name, "requests": n}))
            .collect();
        json!({
            "effect": effect,
            "count": hits.len(),
            "places": places,
            "requests": hits.iter().map(|hit| one(hit, artifacts)).collect::<Vec<_>>(),
        })
    };
    json!({
        "requests": requests,
        "rendered": rendered,
        "changed": hits.len(),
        "losses": blast.losses(),
        "groups": by_effect(blast).into_iter().map(group).collect::<Vec<_>>(),
        "reaches": reaches,
        "follows": follows,
        "edited": edited.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "remarks": remarks(blast),
    })
}

fn one(hit: &Hit, artifacts: &Artifacts) -> Value {
    let Hit { request, template, effect: _, steps, settings, problems, held } = hit;
    json!({
        "id": request,
        "template": template.as_ref().map(ToString::to_string),
        "steps": steps.iter().map(|step| json_step(step, artifacts)).collect::<Vec<_>>(),
        "settings": settings,
        "diagnostics": crate::report::diagnostic::json(problems)["diagnostics"].take(),
        "held": held.as_ref().map(hold::reason),
    })
}
