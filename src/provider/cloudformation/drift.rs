//! Drift, as CloudFormation itself finds it.
//!
//! Finding it takes CloudFormation from seconds to many minutes, so it goes on beside the passes: the
//! first look begins it, and says that it is pending; a look after its end has the answer.

use std::collections::BTreeMap;
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
    room: Semaphore,
}

impl Default for Detections {
    fn default() -> Self {
        Self { by_stack: Mutex::default(), room: Semaphore::new(AT_ONCE) }
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
}

/// `live` with its drift, or with the word that it is being looked for.
pub(super) fn inspect(
    session: &Arc<Session>,
    stack: &Arc<Stack>,
    live: Live,
) -> Result<Observation, ProviderError> {
    let whole = stack.standing() == Standing::Whole && live.owner == Owner::Ours;
    if !whole {
        return Ok(Observation::Present(live));
    }
    let detections = &session.limits.detections;
    let pending = |live| Ok(Observation::Present(Live { pending: true, ..live }));
    match detections.put(&stack.id, Some(Detection::Pending)) {
        Some(Detection::Found(Ok(drift))) => {
            detections.put(&stack.id, None);
            Ok(Observation::Present(Live { drift, ..live }))
        }
        Some(Detection::Found(Err(trouble))) => {
            detections.put(&stack.id, None);
            Err(trouble.of_a_look())
        }
        Some(Detection::Pending) => pending(live),
        None => {
            let (session, stack) = (session.clone(), stack.clone());
            tokio::spawn(async move {
                let detections = &session.limits.detections;
                let found = tokio::time::timeout(DEADLINE, session.detect(&stack)).await;
                let found = found.unwrap_or_else(|_| {
                    Err(Trouble::Unsent("looking for drift took over half an hour".into()))
                });
                detections.put(&stack.id, Some(Detection::Found(found)));
            });
            pending(live)
        }
    }
}

impl Session {
    /// What differs in a stack from what was applied.
    async fn detect(&self, stack: &Stack) -> Result<Vec<DriftItem>, Trouble> {
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
        let mut drift: Vec<DriftItem> = self.by_another(stack).await?.into_iter().collect();
        drift.extend(self.differences(stack).await?);
        Ok(drift)
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
