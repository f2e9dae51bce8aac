//! What creations and deletions come to, as the artifacts alone tell: shown to people, never
//! decided upon.

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
        let told = match step.action {
            Action::Create => desired,
            Action::Delete => applied,
            Action::Update | Action::Replace | Action::Restore | Action::Forget | Action::Move => {
                continue;
            }
        };
        let (Some(artifact), Some(provider)) = (told, providers.get(&step.target.provider)) else {
            continue;
        };
        step.preview = provider.outline(step.action, &artifact);
    }
}
