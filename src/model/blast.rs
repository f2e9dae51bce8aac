//! What a change of the catalog comes to for those who use it.

use std::collections::{BTreeMap, BTreeSet};

use semver::Version;
use serde::{Deserialize, Serialize};

use super::{
    Action, Diagnostic, HoldReason, RequestId, ResourceAction, ResourceChange, Step, TemplateId,
    Wave,
};

/// What would happen to a request: the worst of it, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Something of it is replaced.
    Replaces,
    /// Something of it is deleted.
    Deletes,
    /// Something of it may be replaced.
    MayReplace,
    /// It is valid no more: what it made stays as it is.
    BecomesInvalid,
    /// A version comes to it that it cannot take: it stays as it is.
    CannotTake,
    /// It would be held.
    Waits,
    /// It changes in place, or something comes to it.
    Updates,
    /// It was not valid, and is.
    BecomesValid,
    /// Nothing is applied: only what is recorded of it changes, such as the version's digest.
    Recorded,
}

/// One request that a change of the catalog reaches.
#[derive(Clone, PartialEq, Debug)]
pub struct Hit {
    /// Which.
    pub request: RequestId,
    /// The version that it would use; `None`: it would use none.
    pub template: Option<TemplateId>,
    /// The worst that happens to it.
    pub effect: Effect,
    /// What would be done, component by component.
    pub steps: Vec<Step>,
    /// Settings of its components that would be others, by name.
    pub settings: Vec<String>,
    /// Why it is valid no more, or cannot take the version.
    pub problems: Vec<Diagnostic>,
    /// Why it would be held.
    pub held: Option<HoldReason>,
    /// The wave that it comes with; `None`: it comes with the change itself.
    pub arrival: Option<Arrival>,
}

/// When a rollout brings a version to a request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Arrival {
    /// The version.
    pub version: TemplateId,
    /// Which wave, from 1.
    pub wave: usize,
    /// How many there are.
    pub of: usize,
    /// The wave's environment.
    pub environment: String,
    /// How many of a hundred of its requests the version has reached then.
    pub share: u8,
    /// How many of the wave may fail before the rollout stops.
    pub stop_after: u32,
    /// Nothing is waited for: it begins as soon as the version is there.
    pub at_once: bool,
}

/// Who may take a version that is new in the catalog.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reach {
    /// The new version.
    pub version: TemplateId,
    /// Requests by the range that they ask for, of those that it is in and that use an older one.
    pub ranges: BTreeMap<String, u64>,
    /// Requests by the exact version that they ask for.
    pub pinned: BTreeMap<Version, u64>,
    /// Requests by the older version that they use, where it was not read what they ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub uses: BTreeMap<Version, u64>,
    /// How it gives requests of the version before another end, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<String>,
    /// The requests that the catalog's rollout brings it to, wave by wave; each in its first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveReach>,
}

/// Who is in a wave.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WaveReach {
    /// The environment.
    pub environment: String,
    /// How many of a hundred of its requests the version has reached then.
    pub share: u8,
    /// Those that take the version.
    pub requests: Vec<RequestId>,
}

/// All that a change of the catalog comes to.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Blast {
    /// Requests in all.
    pub requests: u64,
    /// Those of them that were rendered: users of what differs.
    pub rendered: u64,
    /// Those that would be desired otherwise, with the change or with a wave of what it brings: the worst
    /// first, then by identity.
    pub hits: Vec<Hit>,
    /// Who may take what is new.
    pub reaches: Vec<Reach>,
    /// Requests that use outputs of those that change: what becomes of them is known afterwards.
    pub follows: Vec<RequestId>,
    /// Versions that were there before and differ, which a published one never may.
    pub edited: Vec<TemplateId>,
    /// Versions on their way while the waves are edited, and the waves that are left to each.
    pub rerouted: Vec<(TemplateId, Vec<Wave>)>,
    /// The catalog says in which waves a new version reaches those whose range admits it.
    pub waves: bool,
}

/// How much is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Losses {
    /// Resources, or whole targets of which no resources are known, that are replaced.
    pub replaced: u64,
    /// Those that are deleted.
    pub deleted: u64,
    /// Those that may be replaced.
    pub may_be_replaced: u64,
}

impl Hit {
    /// Whether it waits for a wave that others come before.
    pub fn is_later(&self) -> bool {
        self.arrival.as_ref().is_some_and(|arrival| !arrival.at_once)
    }
}

impl Effect {
    /// Of steps and what is known of their resources; `None` without steps.
    pub fn of(steps: &[Step]) -> Option<Self> {
        steps.iter().map(Self::of_step).min()
    }

    fn of_step(step: &Step) -> Self {
        let resources = step.preview.iter().flat_map(|preview| &preview.resources);
        let fate = |resource: &ResourceChange| match resource.action {
            ResourceAction::Replace => Self::Replaces,
            ResourceAction::Delete => Self::Deletes,
            ResourceAction::MayReplace => Self::MayReplace,
            ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => {
                Self::Updates
            }
        };
        let whole = match step.action {
            Action::Replace => Self::Replaces,
            Action::Delete => Self::Deletes,
            Action::Create | Action::Update | Action::Restore => Self::Updates,
            Action::Forget | Action::Move => Self::Recorded,
        };
        resources.map(fate).min().map_or(whole, |worst| worst.min(whole))
    }
}

impl Losses {
    /// Of steps: of one whose resources are known those, any other as one.
    pub fn of<'a>(steps: impl IntoIterator<Item = &'a Step>) -> Self {
        let mut losses = Self::default();
        for step in steps {
            let before = losses;
            let resources = step.preview.iter().flat_map(|preview| &preview.resources);
            for resource in resources {
                match resource.action {
                    ResourceAction::Replace => losses.replaced += 1,
                    ResourceAction::Delete => losses.deleted += 1,
                    ResourceAction::MayReplace => losses.may_be_replaced += 1,
                    ResourceAction::Create | ResourceAction::Update | ResourceAction::Retain => {}
                }
            }
            let untold = step.preview.is_none() && losses == before;
            match step.action {
                Action::Replace if untold => losses.replaced += 1,
                Action::Delete if untold => losses.deleted += 1,
                _ => {}
            }
        }
        losses
    }
}

impl Blast {
    /// Requests that change, of those that `which` says: who cannot take a version stays as it is.
    pub fn changed(&self, which: impl Fn(&Hit) -> bool) -> usize {
        let change = |hit: &&Hit| hit.effect != Effect::CannotTake && which(hit);
        let ids = self.hits.iter().filter(change).map(|hit| &hit.request);
        ids.collect::<BTreeSet<_>>().len()
    }

    /// Whether there is nothing to say of it.
    pub fn is_silent(&self) -> bool {
        self.hits.is_empty() && self.reaches.is_empty() && self.rerouted.is_empty()
    }

    /// Whether nobody is reached.
    pub fn is_empty(&self) -> bool {
        self.hits.is_empty()
    }

    /// What is lost, of those that `which` says.
    pub fn losses(&self, which: impl Fn(&Hit) -> bool) -> Losses {
        Losses::of(self.hits.iter().filter(|hit| which(hit)).flat_map(|hit| &hit.steps))
    }

    /// The worst first.
    pub fn sort(&mut self) {
        self.hits.sort_by(|a, b| (a.effect, &a.request).cmp(&(b.effect, &b.request)));
        self.reaches.sort_by(|a, b| a.version.cmp(&b.version));
        self.follows.sort();
        self.edited.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, InstanceId, Map, Preview, Target, TargetKey, TargetName};

    fn step(action: Action, resources: Option<&[ResourceAction]>) -> Step {
        let request = RequestId::parse("orders/dev/a").unwrap();
        let key = TargetKey { request, component: ComponentName::new("c") };
        let instance = InstanceId::new("i");
        let resource = |action: &ResourceAction| ResourceChange {
            name: "R".into(),
            kind: "T".into(),
            action: *action,
            cause: None,
            properties: Vec::new(),
            left: None,
        };
        let preview = resources.map(|resources| Preview {
            resources: resources.iter().map(resource).collect(),
            ..Preview::default()
        });
        let name = TargetName::compute(&instance, &key);
        let target =
            Target { name, key, instance, provider: "p".into(), settings: Map::new(), id: None };
        Step {
            target,
            action,
            artifact: None,
            from: None,
            mark: None,
            moved_from: None,
            after: Vec::new(),
            unknown: Vec::new(),
            remarks: Vec::new(),
            preview,
            released: Vec::new(),
            needs: Vec::new(),
            locked: false,
        }
    }

    #[test]
    fn the_worst_counts_and_what_is_not_told_counts_as_one() {
        use ResourceAction as R;
        let update = |r: &[R]| step(Action::Update, Some(r));
        assert_eq!(Effect::of(&[]), None);
        assert_eq!(Effect::of(&[step(Action::Create, None)]), Some(Effect::Updates));
        assert_eq!(Effect::of(&[update(&[R::Update, R::MayReplace])]), Some(Effect::MayReplace));
        let all = [update(&[R::MayReplace, R::Replace, R::Delete]), step(Action::Delete, None)];
        assert_eq!(Effect::of(&all), Some(Effect::Replaces));
        let losses = Losses { replaced: 1, deleted: 2, may_be_replaced: 1 };
        assert_eq!(Losses::of(&all), losses);
        // What stays although its stack goes is not lost.
        assert_eq!(Losses::of(&[step(Action::Delete, Some(&[R::Retain]))]), Losses::default());
    }
}
