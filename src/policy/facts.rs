//! What rules look at.

use std::collections::BTreeMap;

use super::value::Value;
use crate::model::{Action, Remark, ResourceAction, ResourceChange, Slot, Step, Symbol};

/// What is known of a request before there is a plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// `request`.
    pub request: Value,
    /// `parameters`.
    pub parameters: Value,
    /// `environment`.
    pub environment: Value,
    /// `template`.
    pub template: Value,
    /// What the parameters wait to learn.
    pub waits: Vec<Symbol>,
}

impl Facts {
    /// Parameters as values; what an apply will tell is unknown.
    pub fn parameters<'a>(
        slots: impl IntoIterator<Item = (&'a String, &'a Slot)>,
    ) -> (Value, Vec<Symbol>) {
        let mut waits = Vec::new();
        let values: BTreeMap<String, Value> = slots
            .into_iter()
            .map(|(name, slot)| {
                let value = match slot {
                    Slot::Known(value) => Value::json(value),
                    Slot::Unknown(symbol) => {
                        waits.push(symbol.clone());
                        Value::Unknown(symbol.to_string().into())
                    }
                };
                (name.clone(), value)
            })
            .collect();
        (Value::map(values), waits)
    }

    /// The symbol that an unknown value says it waits for.
    pub fn waits_for(&self, what: &str) -> Option<&Symbol> {
        self.waits.iter().find(|symbol| symbol.to_string() == what)
    }
}

/// What is known of a plan: `plan`.
#[derive(Clone, PartialEq, Debug)]
pub struct PlanFacts(pub(super) Value);

impl PlanFacts {
    /// One of its counts, such as `replaces`; `None` where it cannot be told.
    pub fn count(&self, name: &str) -> Option<u64> {
        let Value::Map(facts) = &self.0 else { return None };
        let Value::Int(count) = facts.get(name)? else { return None };
        u64::try_from(*count).ok()
    }
}

/// What a step does to which resources, where its preview does not say: none for one that has no such
/// parts, `None` where it cannot be told.
pub type Told<'a> = &'a dyn Fn(&Step) -> Option<Vec<ResourceChange>>;

/// The steps of one request as rules see them.
///
/// A step whose resources are known counts as those, any other as one. What *may* be replaced counts
/// as replaced.
pub fn plan<'a>(steps: impl IntoIterator<Item = &'a Step>, told: Told<'_>) -> PlanFacts {
    let mut tally = Tally::default();
    for step in steps.into_iter().filter(|step| step.action.touches_the_world()) {
        tally.step(step, told);
    }
    tally.facts()
}

#[derive(Default)]
struct Tally {
    creates: u64,
    updates: u64,
    replaces: u64,
    deletes: u64,
    adopts: u64,
    iam: bool,
    resources: Vec<Value>,
    /// Of which change it cannot be told what it does.
    hidden: Option<String>,
    /// Of which it cannot even be told how much.
    uncounted: Option<String>,
}

impl Tally {
    fn step(&mut self, step: &Step, told: Told<'_>) {
        self.adopts += u64::from(step.remarks.contains(&Remark::Adopts));
        let resources = step.preview.as_ref().map(|p| p.resources.clone()).or_else(|| told(step));
        let what = || format!("what changing `{}` would do", step.target.key);
        if let Some(resources) = resources {
            let (replaces, deletes) = (self.replaces, self.deletes);
            for resource in &resources {
                self.resource(step, resource);
            }
            match step.action {
                Action::Replace if self.replaces == replaces => self.replaces += 1,
                Action::Delete if self.deletes == deletes => self.deletes += 1,
                _ if resources.is_empty() => self.count(step.action),
                _ => {}
            }
            return;
        }
        self.hidden.get_or_insert_with(what);
        match step.action {
            Action::Create | Action::Delete => self.count(step.action),
            _ => {
                self.uncounted.get_or_insert_with(what);
            }
        }
    }

    fn count(&mut self, action: Action) {
        match action {
            Action::Create => self.creates += 1,
            Action::Update | Action::Restore => self.updates += 1,
            Action::Replace => self.replaces += 1,
            Action::Delete => self.deletes += 1,
            Action::Forget | Action::Move => {}
        }
    }

    fn resource(&mut self, step: &Step, resource: &ResourceChange) {
        let ResourceChange { name, kind, action, .. } = resource;
        let (counter, word) = match action {
            ResourceAction::Create => (Some(&mut self.creates), "create"),
            ResourceAction::Update => (Some(&mut self.updates), "update"),
            ResourceAction::Replace | ResourceAction::MayReplace => {
                (Some(&mut self.replaces), "replace")
            }
            ResourceAction::Delete => (Some(&mut self.deletes), "delete"),
            ResourceAction::Retain => (None, "retain"),
        };
        if let Some(counter) = counter {
            *counter += 1;
        }
        self.iam |= kind.starts_with("AWS::IAM::");
        self.resources.push(Value::map([
            ("component", Value::text(step.target.key.component.to_string())),
            ("logicalId", Value::text(name)),
            ("type", Value::text(kind)),
            ("action", Value::text(word)),
            ("replacement", (word == "replace").into()),
        ]));
    }

    fn facts(self) -> PlanFacts {
        let Self { creates, updates, replaces, deletes, adopts, iam, resources, hidden, uncounted } =
            self;
        let unknown = |what: &Option<String>| what.as_deref().map(|w| Value::Unknown(w.into()));
        let count = |count: u64| unknown(&uncounted).unwrap_or(count.into());
        let iam = match unknown(&hidden) {
            Some(unknown) if !iam => unknown,
            _ => iam.into(),
        };
        PlanFacts(Value::map([
            ("creates", count(creates)),
            ("updates", count(updates)),
            ("replaces", count(replaces)),
            ("deletes", count(deletes)),
            ("adopts", adopts.into()),
            ("iam", iam),
            ("resources", unknown(&hidden).unwrap_or_else(|| Value::List(resources.into()))),
        ]))
    }
}
