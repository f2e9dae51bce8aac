//! Drift, as CloudFormation itself finds it.
//!
//! Finding it takes CloudFormation from seconds to many minutes, so it goes on beside the passes: the
//! first look begins it, and says that it is pending; a look after its end has the answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_cloudformation::types::{
    DifferenceType, StackDriftDetectionStatus, StackResourceDrift, StackResourceDriftStatus,
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::echo;
use super::error::Trouble;
use super::session::Session;
use super::settings::Place;
use super::stack::Stack;
use super::status::Standing;
use crate::model::{DriftItem, HIDDEN, Live, Observation, Owner, Unchecked};
use crate::provider::ProviderError;

/// Detections that go on at once in one account's region: each costs CloudFormation a look at every
/// resource of the stack.
const AT_ONCE: usize = 4;

/// A detection that takes longer is given up, and begun anew by a later look.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// For so long a detection that goes on already is waited for, asking so often whether it has ended.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
const AGAIN: Duration = Duration::from_secs(5);

/// What a detection found, and what it could not look at.
#[derive(Default)]
struct Findings {
    items: Vec<DriftItem>,
    unchecked: Option<Unchecked>,
    /// The template as it stands, where somebody else changed it last.
    touched: Option<Value>,
}

const TOO_LONG: &str = "looking for drift took over half an hour";

/// What was found longer ago is not told any more: a stack is asked about again within half a minute
/// while its look goes on, and what nobody asked for tells of a time that is over.
const YOUNG: Duration = Duration::from_secs(2 * 60);

/// How a detection stands.
enum Detection {
    Pending,
    Found(Found),
}

/// What came of a detection.
struct Found {
    findings: Result<Findings, Trouble>,
    /// When the stack that was looked at had been changed last.
    changed: Option<Timestamp>,
    at: Instant,
}

impl Found {
    /// Whether it tells of a stack as it is now.
    fn is_of(&self, stack: &Stack, now: Instant) -> bool {
        self.changed == stack.changed && now.duration_since(self.at) < YOUNG
    }
}

/// The detections of one account's region, by stack.
pub(super) struct Detections {
    by_stack: Mutex<BTreeMap<String, Detection>>,
    /// Stacks that this process has looked at.
    known: Mutex<BTreeSet<String>>,
    room: Semaphore,
}

impl Default for Detections {
    fn default() -> Self {
        Self { by_stack: Mutex::default(), known: Mutex::default(), room: Semaphore::new(AT_ONCE) }
    }
}

impl Detections {
    fn put(&self, stack: &str, detection: Option<Detection>) -> Option<Detection> {
        let mut all = self.by_stack.lock().unwrap_or_else(PoisonError::into_inner);
        match detection {
            Some(detection) => all.insert(stack.to_owned(), detection),
            None => all.remove(stack),
        }
    }

    /// Whether this is this process's first look at a stack.
    fn is_first(&self, stack: &str) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(stack.to_owned())
    }

    /// What was found, if it was.
    fn take_found(&self, stack: &str) -> Option<Detection> {
        let mut all = self.by_stack.lock().unwrap_or_else(PoisonError::into_inner);
        match all.remove(stack)? {
            Detection::Pending => all.insert(stack.to_owned(), Detection::Pending),
            found @ Detection::Found(_) => Some(found),
        }
    }

    /// Notes that a stack is looked at; what was found of it as it is now, or that it is looked at
    /// already.
    fn begin(&self, stack: &Stack, now: Instant) -> Option<Detection> {
        let before = self.put(&stack.id, Some(Detection::Pending));
        before.filter(|before| match before {
            Detection::Pending => true,
            Detection::Found(found) => found.is_of(stack, now),
        })
    }
}

/// How long a look waits for what it began: small stacks have their answer by then, and a process
/// that makes one pass and ends would never see it otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// What CloudFormation found so lately is not looked for again by a process that looks for the first
/// time: one that ended before the answer has left it there.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// `live` with its drift, or with the word that it is being looked for.
pub(super) async fn inspect(
    session: Arc<Session>,
    stack: Arc<Stack>,
    place: &Place,
    live: Live,
) -> Result<Observation, ProviderError> {
    let whole = stack.standing() == Standing::Whole && live.owner == Owner::Ours;
    if !whole {
        return Ok(Observation::Present(Live { unchecked: None, ..live }));
    }
    let detections = &session.limits.detections;
    let before = match detections.begin(&stack, Instant::now()) {
        None => {
            let (theirs, looked_at, place) = (session.clone(), stack.clone(), place.clone());
            let look = async move {
                let found = tokio::time::timeout(DEADLINE, theirs.drift(&looked_at, &place)).await;
                let found = found.unwrap_or_else(|_| Err(Trouble::Unsent(TOO_LONG.into())));
                let (changed, at) = (looked_at.changed, Instant::now());
                let found = Found { findings: found, changed, at };
                theirs.limits.detections.put(&looked_at.id, Some(Detection::Found(found)));
            };
            let look = tokio::spawn(look.in_current_span());
            // The look itself goes on when nobody waits for it any more.
            let _ = tokio::time::timeout(GRACE, look).await;
            detections.take_found(&stack.id)
        }
        before => before,
    };
    match before {
        Some(Detection::Found(found)) => {
            detections.put(&stack.id, None);
            // The stack itself was seen, and stands as it stood: what could not be found out about drift
            // holds nothing back.
            let found = found.findings.unwrap_or_else(|trouble| Findings {
                unchecked: Some(Unchecked { why: Some(trouble.words()), parts: None }),
                ..Findings::default()
            });
            let Findings { items: drift, unchecked, touched } = found;
            let (unchecked, touched) = (unchecked.map(Box::new), touched.map(Box::new));
            Ok(Observation::Present(Live { drift, unchecked, touched, ..live }))
        }
        Some(Detection::Pending) | None => Ok(Observation::Present(Live { pending: true, ..live })),
    }
}

impl Session {
    /// What differs in a stack from what was applied, as lately found or found now.
    async fn drift(&self, stack: &Stack, place: &Place) -> Result<Findings, Trouble> {
        let first = self.limits.detections.is_first(&stack.id);
        let failure = match first && is_fresh(stack) {
            true => None,
            false => match self.detect(stack).await {
                Err(trouble @ Trouble::Rejected { .. }) => Some(trouble.words()),
                detected => detected?,
            },
        };
        let mut found = self.differences(stack).await?;
        if self.by_another(stack).await? {
            let template = self.template(stack).await.ok().flatten();
            // Where nobody can tell what it is now, it is not what was applied.
            found.touched = template.filter(|_| stack.has_tags(&place.tags));
            if found.touched.is_none() {
                found.items.insert(0, DriftItem::by_another());
            }
        }
        if let Some(why) = failure {
            // It says nothing of how far it came: older findings stand among the new ones.
            found.unchecked = Some(Unchecked { why: Some(why), parts: None });
        }
        Ok(found)
    }

    /// Has CloudFormation look, and waits until it has; gives why it failed, if it did.
    async fn detect(&self, stack: &Stack) -> Result<Option<String>, Trouble> {
        let since = Instant::now();
        let (began, _room) = loop {
            let room = self.limits.detections.room.acquire().await;
            let room =
                room.map_err(|_| Trouble::Unsent("looking for drift was given up".into()))?;
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.detect_stack_drift().stack_name(&stack.id).send()
            };
            match self.look(call).await {
                // Somebody else's, or that of a process of ours which has ended: one at a time.
                Err(trouble) if goes_on_already(&trouble) && since.elapsed() < PATIENCE => {
                    drop(room);
                }
                began => break (began?, room),
            }
            tokio::time::sleep(AGAIN).await;
        };
        let id = began.stack_drift_detection_id.unwrap_or_default();
        let mut wait = Duration::from_millis(200);
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_stack_drift_detection_status().stack_drift_detection_id(&id).send()
            };
            let said = self.look(call).await?;
            match said.detection_status {
                Some(StackDriftDetectionStatus::DetectionComplete) => return Ok(None),
                // A resource that cannot be looked at does not hide what differs in the others.
                Some(StackDriftDetectionStatus::DetectionFailed) => {
                    let why = said.detection_status_reason;
                    return Ok(Some(why.unwrap_or_else(|| "DETECTION_FAILED".to_owned())));
                }
                _ => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
        Err(Trouble::Unsent(TOO_LONG.into()))
    }

    async fn differences(&self, stack: &Stack) -> Result<Findings, Trouble> {
        let (mut found, mut next) = (Findings::default(), None::<String>);
        let mut template: Option<Option<Value>> = None;
        loop {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client
                    .describe_stack_resource_drifts()
                    .stack_name(&stack.id)
                    .set_next_token(page)
                    .send()
            };
            let said = self.look(call).await?;
            let drifts = said.stack_resource_drifts.unwrap_or_default();
            // Without the template nobody can tell which values are secrets.
            if template.is_none() && drifts.iter().any(has_values) {
                template = Some(self.template(stack).await.ok().flatten());
            }
            let known = template.as_ref().and_then(Option::as_ref);
            found.items.extend(drifts.iter().flat_map(|drift| of_resource(drift, known)));
            drifts.iter().for_each(|drift| not_looked_at(drift, &mut found.unchecked));
            next = said.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// An update that somebody else made leaves the tags as they were; the stack's last event names
    /// whose it was.
    async fn by_another(&self, stack: &Stack) -> Result<bool, Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.describe_stack_events().stack_name(&stack.id).send()
        };
        let said = self.look(call).await?;
        let events = said.stack_events.unwrap_or_default();
        let last = events.iter().find(|e| e.physical_resource_id == e.stack_id);
        let token = last.and_then(|e| e.client_request_token.as_deref());
        let ours = last.is_none() || token.is_some_and(|t| t.starts_with(OUR_TOKENS));
        Ok(!ours)
    }
}

/// Whether the service refuses to look since it is looking.
fn goes_on_already(trouble: &Trouble) -> bool {
    matches!(trouble, Trouble::Rejected { message, .. } if message.contains("already in progress"))
}

/// How the tokens of vend's changes begin.
const OUR_TOKENS: &str = "vend-";

/// Whether CloudFormation's last look is lately enough, and newer than the last change.
fn is_fresh(stack: &Stack) -> bool {
    let now = Timestamp::now();
    stack.drift_checked.is_some_and(|at| {
        let age = now.duration_since(at);
        !age.is_negative()
            && age.unsigned_abs() < FRESH
            && stack.changed.is_none_or(|changed| changed < at)
    })
}

fn has_values(drift: &StackResourceDrift) -> bool {
    drift.property_differences.iter().flatten().next().is_some()
}

/// Notes a resource at which CloudFormation could not look.
fn not_looked_at(drift: &StackResourceDrift, unchecked: &mut Option<Unchecked>) {
    use StackResourceDriftStatus::{NotChecked, UnknownValue};
    let status = drift.stack_resource_drift_status.as_ref();
    if !matches!(status, Some(NotChecked | UnknownValue)) {
        return;
    }
    let name = drift.logical_resource_id.clone().unwrap_or_default();
    let reason = drift.drift_status_reason.as_deref().unwrap_or("CloudFormation does not say why");
    let all = unchecked.get_or_insert_with(|| Unchecked {
        why: Some(format!("`{name}`: {reason}")),
        parts: Some(BTreeSet::new()),
    });
    all.parts.get_or_insert_default().insert(name);
}

/// What differs in a resource; values only with the `template`, which tells those that are secrets.
fn of_resource(drift: &StackResourceDrift, template: Option<&Value>) -> Vec<DriftItem> {
    let name = drift.logical_resource_id.clone().unwrap_or_default();
    match drift.stack_resource_drift_status {
        Some(StackResourceDriftStatus::Modified) => {}
        Some(StackResourceDriftStatus::Deleted) => return vec![DriftItem::new(name, "removed")],
        Some(_) | None => return Vec::new(),
    }
    let hidden = template.map(echo::values).unwrap_or_default();
    let differences = drift.property_differences.iter().flatten();
    let items: Vec<DriftItem> = differences
        .map(|difference| {
            let path = difference.property_path.as_deref().unwrap_or_default();
            let how = match difference.difference_type {
                Some(DifferenceType::Add) => "added",
                Some(DifferenceType::Remove) => "removed",
                _ => "changed",
            };
            let value = |value: &Option<String>| {
                // That there is none is written as JSON's word for it.
                let value = value.as_deref().filter(|v| !v.is_empty() && *v != "null")?;
                Some(match template {
                    Some(template) if !echo::is_secret(template, &name, path) => {
                        cut(echo::shown(value, &hidden))
                    }
                    _ => HIDDEN.to_owned(),
                })
            };
            let what = format!("{name}.{}", path.trim_start_matches('/').replace('/', "."));
            DriftItem {
                expected: value(&difference.expected_value),
                found: value(&difference.actual_value),
                ..DriftItem::new(what, how)
            }
        })
        .collect();
    if items.is_empty() { vec![DriftItem::new(name, "changed")] } else { items }
}

/// A policy document may be long, and it is the rest of it that the console shows.
const VALUE_MAX: usize = 400;

fn cut(value: String) -> String {
    match value.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::types::PropertyDifference;
    use serde_json::json;

    use super::*;

    fn drift(path: &str, expected: &str, found: &str) -> StackResourceDrift {
        let difference = PropertyDifference::builder()
            .property_path(path)
            .expected_value(expected)
            .actual_value(found)
            .difference_type(DifferenceType::NotEqual);
        StackResourceDrift::builder()
            .logical_resource_id("Db")
            .stack_resource_drift_status(StackResourceDriftStatus::Modified)
            .property_differences(difference.build())
            .build()
    }

    #[test]
    fn what_was_found_before_a_change_or_long_ago_is_not_told() {
        let at = |seconds| {
            let made = aws_sdk_cloudformation::types::Stack::builder()
                .stack_id("arn:aws:cloudformation:eu-west-1:1:stack/one/1")
                .stack_name("one")
                .creation_time(aws_sdk_cloudformation::primitives::DateTime::from_secs(seconds))
                .stack_status(aws_sdk_cloudformation::types::StackStatus::UpdateComplete);
            Stack::of(made.build()).unwrap()
        };
        let (before, after, now) = (at(1), at(2), Instant::now());
        let detections = Detections::default();
        let found = || {
            let findings = Ok(Findings::default());
            Some(Detection::Found(Found { findings, changed: before.changed, at: now }))
        };
        let is_found = |stack: &Stack, now| {
            let told = detections.begin(stack, now);
            let told = told.map(|told| matches!(told, Detection::Found(_)));
            (told, detections.by_stack.lock().unwrap().len())
        };
        detections.put(&before.id, found());
        assert_eq!(is_found(&before, now + YOUNG / 2), (Some(true), 1));
        assert_eq!(is_found(&before, now), (Some(false), 1), "it is looked at again already");
        detections.put(&before.id, found());
        assert_eq!(is_found(&after, now), (None, 1), "it was changed since");
        detections.put(&before.id, found());
        assert_eq!(is_found(&before, now + YOUNG), (None, 1), "that was long ago");
    }

    #[test]
    fn values_are_kept_but_those_of_secrets_and_what_is_too_long() {
        let template = json!({
            "Parameters": {"Word": {"NoEcho": true, "Default": "hush"}},
            "Resources": {"Db": {"Properties": {"Word": {"Ref": "Word"}, "Note": "a", "Size": 5}}},
        });
        let of = |path: &str, expected: &str, found: &str, template: Option<&Value>| {
            let mut items = of_resource(&drift(path, expected, found), template);
            let item = items.pop().unwrap();
            (item.expected.unwrap_or_default(), item.found.unwrap_or_default())
        };
        let own = |expected: &str, found: &str| (expected.to_owned(), found.to_owned());
        assert_eq!(of("/Size", "5", "9", Some(&template)), own("5", "9"));
        assert_eq!(of("/Size", "5", "null", Some(&template)), own("5", ""));
        assert_eq!(of("/Word", "****", "loud", Some(&template)), own(HIDDEN, HIDDEN));
        assert_eq!(of("/Note", "a", "say hush", Some(&template)), own("a", HIDDEN));
        assert_eq!(of("/Size", "5", "9", None), own(HIDDEN, HIDDEN));
        let long = of("/Note", "a", &"ä".repeat(1_000), Some(&template)).1;
        assert_eq!(long.chars().count(), VALUE_MAX + 1);
    }
}
