//! Names in the world that are given and not computed: two targets may come to the same one.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::model::{Diagnostic, HoldReason, Map, Place, TargetKey};

use super::Context;
use super::change;
use super::component::works;
use super::draft::{Draft, Lane};

/// The setting that names a target, and those that say where that name is one of its own.
const NAME: &str = "stackName";
const WITHIN: [&str; 3] = ["account", "region", "endpoint"];

/// What is named, where: provider, name, and where the name is.
type Named<'a> = (&'a str, String, [Option<String>; 3]);

/// Holds what would be made under a name that another target has, or that another one, before it in
/// the order of requests, asks for too. One that goes in this very pass has its name until it is gone.
pub(super) fn names(context: &Context, draft: &mut Draft) {
    let holders = holders(context);
    let taken: Vec<_> = draft
        .steps
        .iter()
        .filter(|((_, lane), _)| *lane == Lane::Apply)
        .filter_map(|(node, step)| {
            let named = named(&step.target.provider, &step.target.settings)?;
            let holder = holders.get(&named).filter(|holder| **holder != node.0)?;
            Some((node.clone(), named.1, holder.clone()))
        })
        .collect();
    for (node, name, holder) in taken {
        let Some(step) = draft.steps.remove(&node) else { continue };
        let case = context.cases.get(&node.0.request);
        let origin = case.and_then(|case| case.desired.as_ref()).map(|d| d.origin.path.clone());
        let both = match holder.request == node.0.request {
            true => format!("its components `{}` and `{}`", holder.component, node.0.component),
            false => format!("`{}` and `{}`", holder.request, node.0.request),
        };
        let message = format!("{both} come to the same `{NAME}: {name}`, which the first one has");
        let problem = Diagnostic::error("OWN001", Place::file(origin.unwrap_or_default()), message)
            .help(format!(
                "let `{NAME}` have what tells them apart, such as `{{name}}`, or remove one"
            ));
        draft.block(node.0.clone(), Lane::Apply);
        let reason = HoldReason::Invalid { problems: vec![problem] };
        draft.hold(node.0, Some(step.action), reason);
    }
}

/// Who has each name: those that are applied or under way before those that are only asked for.
fn holders<'a>(context: &'a Context) -> BTreeMap<Named<'a>, TargetKey> {
    let (mut have, mut want) = (Vec::new(), Vec::new());
    for case in context.cases.values().filter(|c| !context.moves.taken.contains_key(&c.id)) {
        let Some(spec) = case.desired.as_ref().and_then(|desired| desired.spec()) else { continue };
        let owner = context.moves.takes.get(&case.id).copied().unwrap_or(case);
        for work in works(&case.id, spec, owner.recorded.as_ref()) {
            let Some(desired) = work.desired else { continue };
            let recorded = work.recorded.map(|(_, recorded)| recorded);
            let settings = change::settings(&case.id, desired, recorded);
            let Some(named) = named(&desired.provider, &settings) else { continue };
            let has = recorded.is_some() || case.in_flight.contains_key(&desired.name);
            if has { have.push((named, work.key)) } else { want.push((named, work.key)) }
        }
    }
    let mut holders = BTreeMap::new();
    for (named, key) in have.into_iter().chain(want) {
        holders.entry(named).or_insert(key);
    }
    holders
}

fn named<'a>(provider: &'a str, settings: &Map) -> Option<Named<'a>> {
    let text = |key: &str| settings.get(key).and_then(Value::as_str).map(str::to_owned);
    // A role's account is in its ARN: `arn:aws:iam::ACCOUNT:role/NAME`.
    let role = text("role");
    let of_role = role.as_deref().and_then(|role| role.split(':').nth(4)).map(str::to_owned);
    let [account, region, endpoint] = WITHIN.map(text);
    Some((provider, text(NAME)?, [account.or(of_role), region, endpoint]))
}
