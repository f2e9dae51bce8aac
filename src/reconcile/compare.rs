//! What becomes of a request that would be read otherwise: its steps, and the worst of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::desired::Evaluated;
use crate::model::{
    Action, Artifact, ComponentName, DesiredComponent, Effect, Hit, HoldReason, InstanceId, Record,
    RequestId, Spec, Step, Target, TargetKey, TargetName, Wanted, place,
};
use crate::plan;
use crate::provider::Providers;

/// What comparing needs.
pub(super) struct Compare<'a> {
    /// They are asked what changes come to, by what is rendered alone.
    pub providers: &'a Providers,
    /// Whose targets they are.
    pub instance: InstanceId,
}

impl Compare<'_> {
    /// `None`: nothing becomes of it.
    pub fn hit(&self, was: &Evaluated, is: &Evaluated, record: Option<&Record>) -> Option<Hit> {
        let id = &is.row.desired.id;
        let mut hit = Hit {
            request: id.clone(),
            template: is.row.desired.spec().map(|spec| spec.template.clone()),
            effect: Effect::Recorded,
            steps: Vec::new(),
            settings: Vec::new(),
            problems: Vec::new(),
            held: None,
            arrival: None,
        };
        match (&was.row.desired.wanted, &is.row.desired.wanted) {
            (Wanted::Valid(before), Wanted::Valid(after)) => {
                if before.fingerprint() == after.fingerprint()
                    && before.template_digest == after.template_digest
                {
                    return None;
                }
                hit.steps = self.steps((was, before), (is, after), record);
                hit.settings = settings(before, after);
                hit.held = record.and_then(|record| forbidden(record, before, after));
                hit.effect = match &hit.held {
                    Some(_) => Effect::Waits,
                    // Other settings are applied with the next update: only a place is left at once.
                    None if hit.steps.is_empty() && moves(before, after) => Effect::Updates,
                    None => Effect::of(&hit.steps).unwrap_or(Effect::Recorded),
                };
            }
            (Wanted::Valid(_), Wanted::Invalid(problems)) => {
                hit.problems = problems.clone();
                hit.effect = Effect::BecomesInvalid;
            }
            (Wanted::Valid(_), Wanted::Waiting(reason)) => {
                hit.held = Some(reason.clone());
                hit.effect = Effect::Waits;
            }
            (Wanted::Invalid(_) | Wanted::Waiting(_), Wanted::Valid(after)) => {
                hit.steps = self.anew((is, after), record);
                hit.effect = Effect::BecomesValid;
            }
            (Wanted::Waiting(_), Wanted::Invalid(problems)) => {
                hit.problems = problems.clone();
                hit.effect = Effect::BecomesInvalid;
            }
            (Wanted::Invalid(_), Wanted::Invalid(_) | Wanted::Waiting(_))
            | (Wanted::Waiting(_), Wanted::Waiting(_)) => return None,
        }
        Some(hit)
    }

    fn steps(
        &self,
        (was, before): (&Evaluated, &Spec),
        (is, after): (&Evaluated, &Spec),
        record: Option<&Record>,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut met: BTreeSet<&ComponentName> = BTreeSet::new();
        for component in &after.components {
            let former = before
                .component(&component.name)
                .or_else(|| before.component(component.moved_from.as_ref()?));
            met.extend(former.map(|former| &former.name));
            let action = match former {
                None => Action::Create,
                Some(former) if former.provider != component.provider => Action::Replace,
                Some(former) if former.digest != component.digest => Action::Update,
                Some(_) => continue,
            };
            let texts =
                (former.and_then(|f| artifact(was, &f.name)), artifact(is, &component.name));
            let id = &is.row.desired.id;
            steps.push(self.step(id, action, former, Some(component), texts, record));
        }
        for former in before.components.iter().filter(|former| !met.contains(&former.name)) {
            let texts = (artifact(was, &former.name), None);
            let id = &is.row.desired.id;
            steps.push(self.step(id, Action::Delete, Some(former), None, texts, record));
        }
        steps
    }

    /// Of what was not valid before: against what is recorded.
    fn anew(&self, (is, after): (&Evaluated, &Spec), record: Option<&Record>) -> Vec<Step> {
        let mut steps = Vec::new();
        for component in &after.components {
            let applied = record.and_then(|record| record.components.get(&component.name));
            let action = match applied {
                Some(applied) if applied.digest == component.digest => continue,
                Some(_) => Action::Update,
                None => Action::Create,
            };
            let texts = (None, artifact(is, &component.name));
            let id = &is.row.desired.id;
            steps.push(self.step(id, action, None, Some(component), texts, record));
        }
        steps
    }

    fn step(
        &self,
        id: &RequestId,
        action: Action,
        former: Option<&DesiredComponent>,
        component: Option<&DesiredComponent>,
        (applied, desired): (Option<Arc<Artifact>>, Option<Arc<Artifact>>),
        record: Option<&Record>,
    ) -> Step {
        let some = component.or(former);
        let name = former.or(component).map(|c| &c.name);
        let recorded = record.and_then(|record| record.components.get(name?));
        let component_name = some.map(|c| c.name.clone()).expect("a step is of a component");
        let key = TargetKey { request: id.clone(), component: component_name };
        let target = Target {
            name: recorded.map_or_else(
                || TargetName::compute(&self.instance, &key),
                |recorded| recorded.target.clone(),
            ),
            key,
            instance: self.instance.clone(),
            provider: some.map(|c| c.provider.clone()).unwrap_or_default(),
            settings: recorded
                .map(|r| r.settings.clone())
                .or_else(|| some.map(|c| c.settings.clone()))
                .unwrap_or_default(),
            id: recorded.and_then(|r| r.id.clone()),
        };
        let provider = self.providers.get(&target.provider);
        let preview = provider.and_then(|provider| match (action, &applied, &desired) {
            (Action::Create, _, Some(desired)) => provider.outline(action, desired),
            (Action::Delete, Some(applied), _) => provider.outline(action, applied),
            (Action::Update, Some(applied), Some(desired)) => provider.foretell(applied, desired),
            _ => None,
        });
        Step {
            target,
            action,
            artifact: desired.and_then(|a| a.digest),
            from: applied.and_then(|a| a.digest),
            mark: recorded.map(crate::model::ComponentRecord::expected_mark),
            moved_from: None,
            after: Vec::new(),
            unknown: component.map(|c| c.unknown.clone()).unwrap_or_default(),
            remarks: Vec::new(),
            preview,
            released: Vec::new(),
            needs: Vec::new(),
            locked: false,
        }
    }
}

fn artifact(of: &Evaluated, name: &ComponentName) -> Option<Arc<Artifact>> {
    of.artifacts.iter().find(|(component, _)| component == name).map(|(_, a)| a.clone())
}

/// Whether a component is to be somewhere else.
fn moves(before: &Spec, after: &Spec) -> bool {
    after.components.iter().any(|component| {
        let former = before.component(&component.name);
        former.is_some_and(|former| place(&former.settings) != place(&component.settings))
    })
}

/// Settings of components that differ, such as `queue: region`.
fn settings(before: &Spec, after: &Spec) -> Vec<String> {
    let mut differ = Vec::new();
    for component in &after.components {
        let Some(former) = before.component(&component.name) else { continue };
        let names: BTreeSet<&String> =
            former.settings.keys().chain(component.settings.keys()).collect();
        let names =
            names.into_iter().filter(|n| former.settings.get(*n) != component.settings.get(*n));
        differ.extend(names.map(|name| format!("{}: {name}", component.name)));
    }
    differ
}

/// Parameters that the schema does not let change, and that the catalog changes by its defaults.
fn forbidden(record: &Record, before: &Spec, after: &Spec) -> Option<HoldReason> {
    let now = plan::forbidden(record, after);
    let names: Vec<String> = now
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| before.parameters.get(name) != after.parameters.get(name))
        .map(|name| format!("`{name}`"))
        .collect();
    (!names.is_empty()).then(|| HoldReason::ForbiddenChange { what: names.join(", ") })
}
