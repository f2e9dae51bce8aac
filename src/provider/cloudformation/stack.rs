//! A stack as the service describes it, in our words. The SDK's shapes end here.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{Stack as Described, StackStatus, Tag};
use jiff::Timestamp;
use serde_json::Value;

use super::status::{self, Standing};
use crate::digest::Digest;
use crate::model::{Change, Former, Live, Map, Observation, Owner, Stuck, Target};

/// Whose a stack is.
pub(super) const INSTANCE: &str = "vend:instance";
/// Which target of that instance's.
const TARGET: &str = "vend:target";
/// Digest of the artifact it was last applied from.
const DIGEST: &str = "vend:digest";
/// For people.
const REQUEST: &str = "vend:request";
/// For people.
const TEMPLATE: &str = "vend:template";
/// For people.
const COMMIT: &str = "vend:commit";

/// Tags that one resource may have; CloudFormation's limit for a stack's.
const MAX_TAGS: usize = 50;

/// A stack that is there.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: StackStatus,
    pub(super) reason: Option<String>,
    /// The change set that was executed last.
    pub(super) change_set: Option<String>,
    pub(super) protected: bool,
    /// When it was made or updated last.
    pub(super) changed: Option<Timestamp>,
    /// When CloudFormation last looked for drift in it.
    pub(super) drift_checked: Option<Timestamp>,
    pub(super) outputs: Map,
    tags: BTreeMap<String, String>,
}

impl Stack {
    pub(super) fn of(described: Described) -> Option<Self> {
        let text = |pair: (Option<String>, Option<String>)| Some((pair.0?, pair.1?));
        let outputs = described.outputs.unwrap_or_default().into_iter();
        let outputs = outputs.filter_map(|o| text((o.output_key, o.output_value)));
        let tags = described.tags.unwrap_or_default().into_iter();
        Some(Self {
            id: described.stack_id?,
            name: described.stack_name?,
            status: described.stack_status?,
            reason: described.stack_status_reason,
            change_set: described.change_set_id,
            protected: described.enable_termination_protection.unwrap_or(false),
            changed: described.last_updated_time.or(described.creation_time).and_then(moment),
            drift_checked: described
                .drift_information
                .and_then(|d| d.last_check_timestamp)
                .and_then(moment),
            outputs: outputs.map(|(key, value)| (key, Value::String(value))).collect(),
            tags: tags.filter_map(|t| text((t.key, t.value))).collect(),
        })
    }

    fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str)
    }

    /// The tags that somebody else gave it: bills and rights may go by them. What vend gave when it
    /// last changed the stack is not among them, nor what is the service's own.
    fn foreign(&self, former: Option<&Former>) -> impl Iterator<Item = (&String, &String)> {
        let given = former.and_then(|f| f.settings.get("tags")).and_then(Value::as_object);
        let is_ours = move |key: &String| {
            key.starts_with("vend:")
                || former.is_some_and(|f| f.labels.contains(key))
                || given.is_some_and(|tags| tags.contains_key(key))
        };
        self.tags.iter().filter(move |(key, _)| !is_ours(key) && !is_reserved(key))
    }

    /// Whether it still has the tags that its environment gives.
    pub(super) fn has_tags(&self, tags: &BTreeMap<String, String>) -> bool {
        tags.iter().all(|(key, value)| self.tag(key) == Some(value))
    }

    pub(super) fn owner(&self, target: &Target) -> Owner {
        match (self.tag(INSTANCE), self.tag(TARGET)) {
            (None, None) => Owner::Nobody,
            (Some(instance), Some(name))
                if instance == target.instance.as_str() && name == target.name.as_str() =>
            {
                Owner::Ours
            }
            (Some(instance), _) if instance != target.instance.as_str() => {
                Owner::Other(format!("the vend instance `{instance}`"))
            }
            (_, name) => {
                let whose = self.tag(REQUEST).or(name).unwrap_or("another request");
                Owner::Other(format!("`{whose}`"))
            }
        }
    }

    /// Whether it holds nothing but change sets that somebody wants to look at.
    pub(super) fn is_in_review(&self) -> bool {
        self.status == StackStatus::ReviewInProgress
    }

    /// The vend instance that its tags name.
    pub(super) fn instance(&self) -> Option<&str> {
        self.tag(INSTANCE)
    }

    /// Digest of the artifact it was last applied from, by its own mark.
    pub(super) fn digest(&self) -> Option<Digest> {
        self.tag(DIGEST)?.parse().ok()
    }

    pub(super) fn standing(&self) -> Standing {
        status::row(&self.status).standing
    }

    /// The service's word for its status.
    pub(super) fn state(&self) -> String {
        self.status.as_str().to_owned()
    }

    /// What a person does next, where somebody must.
    pub(super) fn advice(&self) -> Option<String> {
        // `arn:aws:cloudformation:REGION:…`
        let region = self.id.split(':').nth(3).unwrap_or_default();
        let advice = status::row(&self.status).advice?;
        Some(advice.replace("{stack}", &self.name).replace("{region}", region))
    }

    /// What a person does next with a stack that is not ours, and cannot be taken over as it is.
    fn strangers(&self) -> String {
        let region = self.id.split(':').nth(3).unwrap_or_default();
        format!(
            "it is not vend's, and in that state none is taken over: whoever it belongs to mends it, or deletes it with `aws cloudformation delete-stack --region {region} --stack-name {}`, and vend makes one of its own",
            self.name
        )
    }

    pub(super) fn observation(&self, target: &Target) -> Observation {
        let standing = self.standing();
        if standing == Standing::Gone {
            return Observation::Absent;
        }
        let owner = self.owner(target);
        let stuck = self.advice().map(|advice| match owner {
            Owner::Ours => Stuck { advice, unmade: standing == Standing::Rubble },
            // Nobody here may say that what is somebody's is deleted.
            Owner::Nobody | Owner::Other(_) => Stuck { advice: self.strangers(), unmade: false },
        });
        // What could not be taken over as it is, is not offered.
        let adoptable = owner == Owner::Nobody && stuck.is_none();
        Observation::Present(Live {
            owner,
            digest: self.digest(),
            token: None,
            state: self.state(),
            busy: standing == Standing::Busy,
            drift: Vec::new(),
            outputs: self.outputs.clone(),
            stuck,
            adoptable,
            pending: false,
            // Its description tells nothing of drift.
            unchecked: Some(Box::default()),
            touched: None,
            guarded: Some(self.protected),
        })
    }
}

/// The account of a stack, by its id: `arn:aws:cloudformation:REGION:ACCOUNT:stack/…`.
pub(super) fn account(id: &str) -> Option<&str> {
    let mut parts = id.split(':');
    let is_arn = parts.next() == Some("arn");
    parts.nth(3).filter(|account| is_arn && !account.is_empty())
}

/// A moment of the SDK's, in ours.
pub(super) fn moment(at: DateTime) -> Option<Timestamp> {
    Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()
}

/// The tags that a request and its environment give: a label never takes the place of what the environment
/// says, which bills and rights may go by.
pub(super) fn given(
    labels: &BTreeMap<String, String>,
    settings: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    labels.iter().chain(settings).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// How many tags are vend's own.
pub(super) const OUR_TAGS: usize = 6;

/// What is wrong with so many tags.
pub(super) fn too_many(count: usize) -> Option<String> {
    (count > MAX_TAGS).then(|| {
        format!(
            "{count} tags with vend's own and those of others, and a stack has at most {MAX_TAGS}: use fewer labels"
        )
    })
}

/// What is wrong with a tag.
pub(super) fn not_a_tag(key: &str, value: &str) -> Option<String> {
    (!is_tag(key, value)).then(|| format!(
        "the tag `{key}: {value}` is not one that AWS takes: keys have 1 to 128 and values 1 to 256 letters, digits, spaces and `_.:/=+-@`, and no key starts with `aws:`"
    ))
}

/// The tags of a stack that is made or changed by `change`, with those of others that it has already:
/// the service takes away what is not said again. The error says which one it would not take.
pub(super) fn tags(
    change: &Change,
    settings: &BTreeMap<String, String>,
    there: Option<&Stack>,
) -> Result<BTreeMap<String, String>, String> {
    let target = &change.target;
    let mut tags = given(&change.labels, settings);
    let mut ours = |name: &str, value: String| tags.insert(name.to_owned(), value);
    ours(INSTANCE, target.instance.to_string());
    ours(TARGET, target.name.to_string());
    ours(REQUEST, target.key.request.to_string());
    if let Some(digest) = change.artifact.as_ref().and_then(|a| a.digest) {
        ours(DIGEST, digest.to_string());
    }
    if let Some(template) = &change.template {
        // `+` of a version's build is allowed in a tag, and `@` too.
        ours(TEMPLATE, template.to_string());
    }
    if let Some(commit) = &change.commit {
        ours(COMMIT, commit.to_string());
    }
    if let Some(why) = tags.iter().find_map(|(key, value)| not_a_tag(key, value)) {
        return Err(why);
    }
    for (key, value) in there.into_iter().flat_map(|stack| stack.foreign(change.former.as_ref())) {
        tags.entry(key.clone()).or_insert_with(|| value.clone());
    }
    too_many(tags.len()).map_or(Ok(tags), Err)
}

/// As the service takes them.
pub(super) fn sent(tags: BTreeMap<String, String>) -> Vec<Tag> {
    let tag = |(key, value): (String, String)| Tag::builder().key(key).value(value).build();
    tags.into_iter().map(tag).collect()
}

/// The beginning of the service's own tags, in whatever letters.
fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Source: the shapes `TagKey` and `TagValue` of CloudFormation's published model.
fn is_tag(key: &str, value: &str) -> bool {
    let safe = |c: char| c.is_alphanumeric() || " _.:/=+-@".contains(c);
    let fits = |text: &str, max: usize| {
        !text.is_empty() && text.chars().count() <= max && text.chars().all(safe)
    };
    !is_reserved(key) && fits(key, 128) && fits(value, 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_would_not_take_as_a_tag_is_none() {
        for (key, value) in [("cost", "a b"), ("vend:x", "1"), ("aws", "x"), ("été", "ü@=")] {
            assert_eq!(not_a_tag(key, value), None, "{key}: {value}");
        }
        let long = "x".repeat(257);
        for (key, value) in [
            ("cost", ""),
            ("", "a"),
            ("aws:cost", "a"),
            ("AwS:cost", "a"),
            ("a", &long),
            ("a", "!"),
        ] {
            assert!(not_a_tag(key, value).is_some(), "{key}: {value}");
        }
    }
}
