//! What steps come to, as the artifacts alone tell: shown to people, never decided upon.

use std::sync::Arc;

use crate::model::{Action, Artifact, Plan, Remark, Step};
use crate::provider::Providers;

/// Fills in what no provider was asked about. `find` gives what is applied and what is desired.
pub(super) fn fill(
    plan: &mut Plan,
    providers: &Providers,
    find: impl Fn(&Step) -> (Option<Arc<Artifact>>, Option<Arc<Artifact>>),
) {
    let untold = |step: &&mut Step| {
        // What is left of a failed try holds nothing of what its template names.
        step.preview.is_none() && !step.remarks.contains(&Remark::Rubble)
    };
    for step in plan.steps.iter_mut().filter(untold) {
        let (applied, desired) = find(step);
        let Some(provider) = providers.get(&step.target.provider) else { continue };
        step.preview = match (step.action, applied, desired) {
            (Action::Create, _, Some(desired)) => provider.outline(step.action, &desired),
            (Action::Delete, Some(applied), _) => provider.outline(step.action, &applied),
            (Action::Update, Some(applied), Some(desired)) => provider.foretell(&applied, &desired),
            // It is put back to what was applied, from what only its provider sees.
            (Action::Restore, ..) => None,
            (Action::Replace | Action::Forget | Action::Move, ..) => None,
            (Action::Create | Action::Delete | Action::Update, ..) => None,
        };
    }
}
