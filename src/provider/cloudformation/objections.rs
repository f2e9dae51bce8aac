//! What CloudFormation would refuse, said while files are read: an apply would find it too late.

use std::collections::BTreeMap;

use super::settings::Place;
use super::{stack, template};
use crate::model::{Artifact, Map, TargetKey};
use crate::provider::Objection;

pub(super) fn of(
    settings: &Map,
    key: &TargetKey,
    labels: &BTreeMap<String, String>,
    artifact: &Artifact,
) -> Vec<Objection> {
    let of_all = |message| Objection { label: None, message, tolerable: false };
    // Which endpoint is the operator's is not known wherever files are read.
    let place = Place::read(settings)
        .and_then(|place| Place::settle(settings, key, place.endpoint.as_deref()).map(|_| place));
    let place = match place {
        Ok(place) => place,
        Err(why) => return vec![of_all(why)],
    };
    let mut found: Vec<Objection> =
        template::sendable(artifact, &place).err().map(of_all).into_iter().collect();
    let tags = stack::given(labels, &place.tags);
    found.extend(stack::too_many(tags.len() + stack::OUR_TAGS).map(of_all));
    for (key, value) in &place.tags {
        let why = stack::not_a_tag(key, value);
        found.extend(why.map(|why| of_all(format!("of the environment's settings, {why}"))));
    }
    for (key, value) in labels {
        let label = Some(key.clone());
        match place.tags.get(key) {
            Some(wins) if wins != value => found.push(Objection {
                label,
                message: format!(
                    "the environment tags everything with `{key}: {wins}`, so that the label `{key}` is not passed on"
                ),
                tolerable: true,
            }),
            Some(_) => {}
            None => {
                let why = stack::not_a_tag(key, value);
                found.extend(why.map(|message| Objection { label, message, tolerable: false }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, RequestId};
    use serde_json::json;

    fn said(
        settings: serde_json::Value,
        labels: &[(&str, &str)],
        files: &[(&str, &str)],
    ) -> String {
        let request = RequestId::new("orders", "prod", "events").unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        let text = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let artifact = Artifact { files: text(files), digest: None };
        let settings = serde_json::from_value(settings).unwrap();
        let line = |o: Objection| {
            let sign = if o.tolerable { "warning" } else { "error" };
            format!("{sign} {}: {}\n", o.label.unwrap_or_default(), o.message)
        };
        of(&settings, &key, &text(labels), &artifact).into_iter().map(line).collect()
    }

    #[test]
    fn what_would_be_refused_is_said_with_the_label_that_is_the_matter() {
        let here = json!({"region": "eu-west-1", "tags": {"owner": "platform"}});
        let one = [("stack.json", "{}")];
        assert_eq!(said(here.clone(), &[("owner", "platform"), ("service", "a b")], &one), "");
        let both = said(here.clone(), &[("owner", "me"), ("cost", "5 €?")], &one);
        assert!(both.contains("warning owner: the environment tags everything"), "{both}");
        assert!(both.contains("error cost: the tag `cost: 5 €?` is not one"), "{both}");
        let two = said(here.clone(), &[], &[("a.json", "{}"), ("b.json", "{}")]);
        assert!(two.contains("has the files `a.json`, `b.json`"), "{two}");
        let named = json!({"region": "eu-west-1", "stackName": "9x", "tags": {"a": "?"}});
        assert!(said(named, &[], &one).contains("`stackName` comes to"));
        let wrong = json!({"region": "eu-west-1", "tags": {"a": "?"}});
        assert!(said(wrong, &[], &one).contains("of the environment's settings"));
        let labels: Vec<(String, String)> =
            (0..45).map(|n| (format!("l{n}"), "x".into())).collect();
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert!(said(here.clone(), &labels, &one).contains("at most 50"));
        let large = "x".repeat(51_201);
        assert!(said(here, &[], &[("a", &large)]).contains("`templateBucket`"));
        let bucket = json!({"region": "eu-west-1", "templateBucket": "acme"});
        assert_eq!(said(bucket.clone(), &[], &[("a", &large)]), "");
        let huge = "x".repeat(1_000_001);
        assert!(said(bucket, &[], &[("a", &huge)]).contains("at most 1000000"));
    }
}
