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
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::error::Trouble;
use super::session::Session;
use super::stack::Stack;
use super::status::Standing;
use crate::model::{DriftItem, Live, Observation, Owner};
use crate::provider::ProviderError;

/// Detections that go on at once in one account's region: each costs CloudFormation a look at every
/// resource of the stack.
const AT_ONCE: usize = 4;

/// A detection that takes longer is given up, and begun anew by a later look.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// How a detection stands.
enum Detection {
    Pending,
    Found(Result<Vec<DriftItem>, Trouble>),
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
    live: Live,
) -> Result<Observation, ProviderError> {
    let whole = stack.standing() == Standing::Whole && live.owner == Owner::Ours;
    if !whole {
        return Ok(Observation::Present(live));
    }
    let detections = &session.limits.detections;
    let before = detections.put(&stack.id, Some(Detection::Pending));
    let before = match before {
        None => {
            let (theirs, looked_at) = (session.clone(), stack.clone());
            let look = tokio::spawn(async move {
                let found = tokio::time::timeout(DEADLINE, theirs.drift(&looked_at)).await;
                let found = found.unwrap_or_else(|_| {
                    Err(Trouble::Unsent("looking for drift took over half an hour".into()))
                });
                let detections = &theirs.limits.detections;
                detections.put(&looked_at.id, Some(Detection::Found(found)));
            });
            // The look itself goes on when nobody waits for it any more.
            let _ = tokio::time::timeout(GRACE, look).await;
            detections.take_found(&stack.id)
        }
        before => before,
    };
    match before {
        Some(Detection::Found(found)) => {
            detections.put(&stack.id, None);
            let drift = found.map_err(Trouble::of_a_look)?;
            Ok(Observation::Present(Live { drift, ..live }))
        }
        Some(Detection::Pending) | None => Ok(Observation::Present(Live { pending: true, ..live })),
    }
}

impl Session {
    /// What differs in a stack from what was applied, as lately found or found now.
    async fn drift(&self, stack: &Stack) -> Result<Vec<DriftItem>, Trouble> {
        let first = self.limits.detections.is_first(&stack.id);
        if !(first && is_fresh(stack)) {
            self.detect(stack).await?;
        }
        let mut drift: Vec<DriftItem> = self.by_another(stack).await?.into_iter().collect();
        drift.extend(self.differences(stack).await?);
        Ok(drift)
    }

    /// Has CloudFormation look, and waits until it has.
    async fn detect(&self, stack: &Stack) -> Result<(), Trouble> {
        let room = self.limits.detections.room.acquire().await;
        let _room = room.map_err(|_| Trouble::Unsent("looking for drift was given up".into()))?;
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.detect_stack_drift().stack_name(&stack.id).send()
        };
        let began = self.look(call).await?;
        let id = began.stack_drift_detection_id.unwrap_or_default();
        let mut wait = Duration::from_millis(200);
        let end = Instant::now() + DEADLINE;
        while Instant::now() < end {
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_stack_drift_detection_status().stack_drift_detection_id(&id).send()
            };
            let said = self.look(call).await?;
            match said.detection_status {
                // A resource that cannot be looked at does not hide what differs in the others.
                Some(
                    StackDriftDetectionStatus::DetectionComplete
                    | StackDriftDetectionStatus::DetectionFailed,
                ) => break,
                _ => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(10));
        }
        Ok(())
    }

    async fn differences(&self, stack: &Stack) -> Result<Vec<DriftItem>, Trouble> {
        let (mut items, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client
                    .describe_stack_resource_drifts()
                    .stack_name(&stack.id)
                    .stack_resource_drift_status_filters(StackResourceDriftStatus::Modified)
                    .stack_resource_drift_status_filters(StackResourceDriftStatus::Deleted)
                    .set_next_token(page)
                    .send()
            };
            let said = self.look(call).await?;
            items.extend(
                said.stack_resource_drifts.unwrap_or_default().iter().flat_map(of_resource),
            );
            next = said.next_token;
            if next.is_none() {
                return Ok(items);
            }
        }
    }

    /// An update that somebody else made leaves the tags as they were; the stack's last event names
    /// whose it was.
    async fn by_another(&self, stack: &Stack) -> Result<Option<DriftItem>, Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.describe_stack_events().stack_name(&stack.id).send()
        };
        let said = self.look(call).await?;
        let events = said.stack_events.unwrap_or_default();
        let last = events.iter().find(|e| e.physical_resource_id == e.stack_id);
        let token = last.and_then(|e| e.client_request_token.as_deref());
        let ours = last.is_none() || token.is_some_and(|t| t.starts_with(OUR_TOKENS));
        Ok((!ours).then(|| DriftItem {
            what: "stack (updated by somebody else)".into(),
            how: "changed".into(),
        }))
    }
}

/// How the tokens of vend's changes begin.
const OUR_TOKENS: &str = "vend-";

/// Whether CloudFormation's last look is lately enough, and newer than the last change.
fn is_fresh(stack: &Stack) -> bool {
    let now = jiff::Timestamp::now();
    stack.drift_checked.is_some_and(|at| {
        let age = now.duration_since(at);
        !age.is_negative()
            && age.unsigned_abs() < FRESH
            && stack.changed.is_none_or(|changed| changed < at)
    })
}

fn of_resource(drift: &StackResourceDrift) -> Vec<DriftItem> {
    let name = drift.logical_resource_id.clone().unwrap_or_default();
    if drift.stack_resource_drift_status == Some(StackResourceDriftStatus::Deleted) {
        return vec![DriftItem { what: name, how: "removed".into() }];
    }
    let differences = drift.property_differences.iter().flatten();
    let items: Vec<DriftItem> = differences
        .map(|difference| {
            let path = difference.property_path.as_deref().unwrap_or_default();
            let how = match difference.difference_type {
                Some(DifferenceType::Add) => "added",
                Some(DifferenceType::Remove) => "removed",
                _ => "changed",
            };
            let path = path.trim_start_matches('/').replace('/', ".");
            DriftItem { what: format!("{name}.{path}"), how: how.into() }
        })
        .collect();
    if items.is_empty() { vec![DriftItem { what: name, how: "changed".into() }] } else { items }
}
