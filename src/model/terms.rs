//! What files say besides what is done by their steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Lifetime, OnDrift, Record, Spec, TemplateId};
use crate::digest::{self, Digest};

/// What a request's file says that need not change anything in the world by itself, and decides what may become of
/// it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// Deleting needs a tombstone.
    #[serde(default)]
    pub protect: bool,
    /// The file permits its deletion.
    #[serde(default)]
    pub tombstone: bool,
    /// May take over what carries nobody's mark.
    #[serde(default)]
    pub adopt: bool,
    /// What is done about drift.
    #[serde(default)]
    pub on_drift: OnDrift,
    /// How long it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<Lifetime>,
    /// All of that is as recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kept: bool,
    /// The version that it takes, where another one is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<TemplateId>,
    /// Labels that are recorded otherwise; `None`: it has them no more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, Option<String>>,
    /// Likewise parameters, by the digest of the value, or of the output that fills them: some are sensitive, and
    /// that an output becomes known is no change.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Option<Digest>>,
}

impl Terms {
    /// As everything is recorded.
    pub fn as_recorded() -> Self {
        Self { kept: true, ..Self::default() }
    }

    /// Those of a request, where they are other ones than are recorded; what is not recorded counts wherever it
    /// is not as usual. Which version a new request takes, with what, is in its steps.
    pub fn new(spec: &Spec, record: Option<&Record>) -> Option<Self> {
        let Spec { protect, tombstone, adopt, on_drift, lifetime, .. } = spec;
        let (protect, tombstone, lifetime) = (*protect, *tombstone, lifetime.clone());
        let said = Self {
            protect,
            tombstone,
            adopt: *adopt,
            on_drift: *on_drift,
            lifetime,
            ..Self::default()
        };
        let recorded = Self {
            protect: record.is_some_and(|r| r.protect),
            tombstone: record.is_some_and(|r| r.tombstone),
            lifetime: record.and_then(|r| Some(r.life.as_ref()?.lifetime.clone())),
            ..Self::default()
        };
        let kept = said == recorded;
        let terms = match record {
            None => Self { kept, ..said },
            Some(record) => Self {
                kept,
                template: (spec.template != record.template).then(|| spec.template.clone()),
                labels: other_labels(spec, record),
                parameters: other_parameters(spec, record),
                ..said
            },
        };
        let is_as_recorded = terms.kept
            && terms.template.is_none()
            && terms.labels.is_empty()
            && terms.parameters.is_empty();
        (!is_as_recorded).then_some(terms)
    }

    /// Whether they say nothing otherwise than it was `seen`. What is as recorded by now needs nobody's eyes.
    pub fn is_within(&self, seen: &Self) -> bool {
        let Self { kept, template, labels, parameters, .. } = self;
        (*kept || !seen.kept && self.words() == seen.words())
            && (template.is_none() || *template == seen.template)
            && labels.iter().all(|(name, label)| seen.labels.get(name) == Some(label))
            && parameters.iter().all(|(name, value)| seen.parameters.get(name) == Some(value))
    }

    fn words(&self) -> (bool, bool, bool, OnDrift, &Option<Lifetime>) {
        let Self { protect, tombstone, adopt, on_drift, lifetime, .. } = self;
        (*protect, *tombstone, *adopt, *on_drift, lifetime)
    }
}

fn other_labels(spec: &Spec, record: &Record) -> BTreeMap<String, Option<String>> {
    let names: BTreeSet<&String> = spec.labels.keys().chain(record.labels.keys()).collect();
    let others = names.into_iter().filter(|n| spec.labels.get(*n) != record.labels.get(*n));
    others.map(|name| (name.clone(), spec.labels.get(name).cloned())).collect()
}

fn other_parameters(spec: &Spec, record: &Record) -> BTreeMap<String, Option<Digest>> {
    let is_same = |name: &String| {
        let (now, was) = (spec.parameters.get(name), record.parameters.get(name));
        match (spec.references.get(name), record.references.get(name)) {
            (None, None) => match (was, record.digests.get(name)) {
                (None, Some(was)) => now.is_some_and(|now| digest::of(now) == *was),
                (was, _) => now == was,
            },
            (now, was) => now == was,
        }
    };
    let said = |name: &String| match spec.references.get(name) {
        Some(reference) => Some(digest::of(&("filled by", reference))),
        None => spec.parameters.get(name).map(digest::of),
    };
    let recorded = record.parameters.keys().chain(record.digests.keys());
    let names: BTreeSet<&String> = spec.parameters.keys().chain(recorded).collect();
    names.into_iter().filter(|n| !is_same(n)).map(|name| (name.clone(), said(name))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Reference, RequestId};

    fn record() -> Record {
        let template = TemplateId { name: "queue".into(), version: semver::Version::new(1, 0, 0) };
        let value = json!({
            "id": "orders/prod/events",
            "origin": {"source": "requests", "path": "orders/prod/events.yaml"},
            "template": template,
            "template_digest": digest::of(&"template"),
            "parameters": {"size": 3},
            "labels": {"owner": "ada"},
            "components": {},
            "observed": {"commit": null, "catalogCommit": null, "requestDigest": null},
        });
        serde_json::from_value(value).expect("a record")
    }

    fn spec(record: &Record) -> Spec {
        let value = json!({
            "template": record.template,
            "template_digest": record.template_digest,
            "parameters": record.parameters,
            "labels": record.labels,
            "protect": record.protect,
            "components": [],
        });
        serde_json::from_value(value).expect("a spec")
    }

    #[test]
    fn only_what_is_not_as_recorded_is_said() {
        let record = record();
        let mut now = spec(&record);
        assert_eq!(Terms::new(&now, Some(&record)), None);
        assert_eq!(Terms::new(&now, None), None, "what a new one takes is in its steps");
        now.labels = [("team".to_owned(), "orders".to_owned())].into();
        now.parameters.insert("secret".into(), json!("hunter2"));
        now.parameters.remove("size");
        let terms = Terms::new(&now, Some(&record)).expect("it says something else");
        assert!(terms.kept && terms.template.is_none());
        let labels = [("owner".into(), None), ("team".into(), Some("orders".into()))];
        assert_eq!(terms.labels, labels.into());
        let secret = Some(digest::of(&json!("hunter2")));
        assert_eq!(terms.parameters, [("secret".into(), secret), ("size".into(), None)].into());
        assert!(!serde_json::to_string(&terms).unwrap().contains("hunter2"));
        let old = r#"{"protect": true, "tombstone": false, "adopt": false, "onDrift": "report"}"#;
        let old: Terms = serde_json::from_str(old).expect("as it was kept before");
        let protected = Terms::new(&Spec { protect: true, ..spec(&record) }, Some(&record));
        assert_eq!(protected, Some(old), "and of the same digest as then");
    }

    #[test]
    fn that_an_output_becomes_known_is_no_other_parameter() {
        let mut record = record();
        let mut now = spec(&record);
        let request = RequestId::parse("platform/dev/network").unwrap();
        let reference = Reference { request, output: "id".into() };
        now.references = [("vpc".to_owned(), reference)].into();
        now.parameters.insert("vpc".into(), json!("<known after apply>"));
        let seen = Terms::new(&now, Some(&record)).expect("it says something else");
        now.parameters.insert("vpc".into(), json!("vpc-1"));
        assert!(Terms::new(&now, Some(&record)).is_some_and(|terms| terms.is_within(&seen)));
        (record.references, record.parameters) = (now.references.clone(), now.parameters.clone());
        now.parameters.insert("vpc".into(), json!("vpc-2"));
        assert_eq!(
            Terms::new(&now, Some(&record)),
            None,
            "another output of the same is no word of the file's"
        );
    }

    #[test]
    fn what_is_as_recorded_by_now_is_within_whatever_was_seen() {
        let record = record();
        let with = |change: &dyn Fn(&mut Spec)| {
            let mut now = spec(&record);
            change(&mut now);
            Terms::new(&now, Some(&record)).unwrap_or_else(Terms::as_recorded)
        };
        let protected = with(&|now| now.protect = true);
        let labelled = with(&|now| drop(now.labels.insert("a".into(), "b".into())));
        let both = with(&|now| {
            now.protect = true;
            now.labels.insert("a".into(), "b".into());
        });
        let none = Terms::as_recorded();
        for seen in [&protected, &labelled, &both, &none] {
            assert!(none.is_within(seen) && seen.is_within(seen));
        }
        assert!(protected.is_within(&both) && labelled.is_within(&both));
        for (more, seen) in [(&both, &protected), (&both, &labelled), (&protected, &labelled)] {
            assert!(!more.is_within(seen));
        }
        // Nothing that was seen says that it is to lose its protection.
        let kept = Record { protect: true, ..record.clone() };
        let open = Terms::new(&spec(&record), Some(&kept)).expect("it says something else");
        assert!(!open.is_within(&none) && !open.is_within(&labelled));
    }
}
