//! What previews left behind when the process that made them ended before it cleared away: change
//! sets that nobody will execute, and stacks that hold nothing but one.
//!
//! # Guarantees
//! - Nothing of this instance's that a preview made and lost gets a day old, as long as something is asked for
//!   in the same account and region: looks for drift come by, and the upkeep of the store does where they do
//!   not.
//! - Only what bears vend's names is dropped: change sets of stacks that are ours by their tags, and
//!   empty stacks whose change set, or they themselves, bear this instance's tag.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_cloudformation::primitives::DateTime;
use aws_sdk_cloudformation::types::{ChangeSetSummary, ExecutionStatus, StackStatus, Tag};
use jiff::Timestamp;
use tokio::time::Instant;

use super::error::Trouble;
use super::session::{Purpose, Session};
use super::settings::Place;
use super::stack::{INSTANCE, moment};
use super::{CloudFormation, stack_name};
use crate::fault::point;
use crate::model::{InstanceId, Owner, Target};

/// What is older is lost: no preview waits so long to be executed.
const LOST: jiff::SignedDuration = jiff::SignedDuration::from_hours(12);

/// How often each stack is asked.
const EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// How often the change sets of a stack are listed of which one goes while they are read.
const TRIES: u32 = 3;

/// How the names of change sets begin that vend makes.
const OUR_NAMES: &str = "vend-";

/// When what was asked last; the empty name stands for the account's empty stacks.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<BTreeMap<String, Instant>>);

impl Sweeps {
    /// Whether it is time; if so, it is noted that it is done.
    fn is_due(&self, name: &str, now: Instant) -> bool {
        let mut asked = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if asked.get(name).is_some_and(|at| now.duration_since(*at) < EVERY) {
            return false;
        }
        asked.insert(name.to_owned(), now);
        true
    }
}

impl CloudFormation {
    /// Best effort: what fails is tried again at the next time.
    pub(super) async fn clear_away(&self, targets: &[Target]) {
        for target in targets {
            let Ok(place) = Place::read(&target.settings) else { continue };
            let name = stack_name(&place, target);
            let session = self.0.get(&place, Purpose::Change, &target.key).await;
            if let Err(trouble) = session.check_account(&place, target.id.as_deref()).await {
                note(&name, Err(trouble));
                continue;
            }
            let now = Instant::now();
            if session.limits.sweeps.is_due(&name, now) {
                let swept = session.sweep(&name, target).await;
                note(&name, swept);
            }
            if session.limits.sweeps.is_due("", now) {
                let swept = session.sweep_empty(&target.instance).await;
                note("empty stacks", swept);
            }
        }
    }
}

fn note(what: &str, swept: Result<(), Trouble>) {
    if let Err(trouble) = swept {
        tracing::warn!(what, ?trouble, "what previews left was not cleared away");
    }
}

impl Session {
    /// Drops the lost change sets of a stack that is ours.
    async fn sweep(&self, stack: &str, target: &Target) -> Result<(), Trouble> {
        let now = Timestamp::now();
        let mut lost = match self.change_sets_of(stack).await {
            Err(trouble) if trouble.says_absent() => return Ok(()),
            made => made?,
        };
        lost.retain(|made| {
            let name = made.change_set_name.as_deref().unwrap_or_default();
            let executed = made.execution_status == Some(ExecutionStatus::ExecuteInProgress);
            name.starts_with(OUR_NAMES) && !executed && is_lost(made.creation_time, now)
        });
        if lost.is_empty() {
            return Ok(());
        }
        let there = self.recent(stack).await?;
        if there.is_some_and(|stack| stack.owner(target) == Owner::Ours) {
            for made in lost {
                self.drop_change_set(made.change_set_id.as_deref().unwrap_or_default()).await;
            }
        }
        Ok(())
    }

    /// Deletes the empty stacks that were made for lost previews.
    async fn sweep_empty(&self, instance: &InstanceId) -> Result<(), Trouble> {
        let (now, mut next) = (Timestamp::now(), None::<String>);
        loop {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                let list = client.list_stacks().set_next_token(page);
                list.stack_status_filter(StackStatus::ReviewInProgress).send()
            };
            let said = self.look(call).await?;
            for stack in said.stack_summaries.unwrap_or_default() {
                let Some(id) = stack.stack_id.filter(|_| is_lost(stack.creation_time, now)) else {
                    continue;
                };
                let name = stack.stack_name.unwrap_or_default();
                if self.is_lost_preview(&name, instance).await? {
                    self.delete_empty(&id).await?;
                }
            }
            next = said.next_token;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether an empty stack holds nothing but previews of this instance's, if anything; or is gone by now.
    pub(super) async fn is_lost_preview(
        &self,
        name: &str,
        instance: &InstanceId,
    ) -> Result<bool, Trouble> {
        let ours = |name: &Option<String>| {
            name.as_deref().is_some_and(|name| name.starts_with("vend-preview-"))
        };
        // Whoever previews with it drops its change set, and then the stack.
        for _ in 0..TRIES {
            let made = match self.change_sets_of(name).await {
                Ok(made) => made,
                Err(trouble) if trouble.says_absent() => return Ok(true),
                Err(trouble) => return Err(trouble),
            };
            if !made.iter().all(|m| ours(&m.change_set_name)) {
                return Ok(false);
            }
            if made.is_empty() {
                let stack = self.stack(name).await?;
                return Ok(stack.is_none_or(|s| s.instance() == Some(instance.as_str())));
            }
            match self.are_tagged(made, instance).await {
                Err(trouble) if trouble.says_absent() => {}
                told => return told,
            }
        }
        Ok(false)
    }

    /// Whether change sets bear this instance's mark.
    async fn are_tagged(
        &self,
        made: Vec<ChangeSetSummary>,
        instance: &InstanceId,
    ) -> Result<bool, Trouble> {
        let is_it = |tag: &Tag| {
            tag.key.as_deref() == Some(INSTANCE) && tag.value.as_deref() == Some(instance.as_str())
        };
        for set in made {
            let id = set.change_set_id.unwrap_or_default();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_change_set().change_set_name(&id).send()
            };
            let said = self.look_among(&self.limits.change_sets, call).await?;
            if !said.tags.unwrap_or_default().iter().any(is_it) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes a stack that holds nothing, and its change sets with it.
    pub(super) async fn delete_empty(&self, id: &str) -> Result<(), Trouble> {
        let call =
            |client: &aws_sdk_cloudformation::Client| client.delete_stack().stack_name(id).send();
        point!("aws.empty.before").map_err(Trouble::unsent)?;
        self.change(call).await?;
        point!("aws.empty.after").map_err(Trouble::lost)
    }

    async fn change_sets_of(&self, stack: &str) -> Result<Vec<ChangeSetSummary>, Trouble> {
        let (mut made, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.list_change_sets().stack_name(stack).set_next_token(page).send()
            };
            let said = self.look(call).await?;
            made.extend(said.summaries.unwrap_or_default());
            next = said.next_token;
            if next.is_none() {
                return Ok(made);
            }
        }
    }
}

fn is_lost(made: Option<DateTime>, now: Timestamp) -> bool {
    made.and_then(moment).is_some_and(|at| now.duration_since(at) > LOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_asked_once_in_a_while() {
        let (sweeps, now) = (Sweeps::default(), Instant::now());
        assert!(sweeps.is_due("one", now) && sweeps.is_due("", now));
        assert!(!sweeps.is_due("one", now + EVERY / 2));
        assert!(sweeps.is_due("two", now + EVERY / 2));
        assert!(sweeps.is_due("one", now + EVERY));
    }

    #[test]
    fn what_is_young_or_without_a_date_is_not_lost() {
        let now: Timestamp = "2026-11-20T20:00:00Z".parse().unwrap();
        let at = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            is_lost(Some(DateTime::from_secs(at.as_second())), now)
        };
        assert!(at("2026-11-20T07:59:59Z"));
        assert!(!at("2026-11-20T08:00:01Z"));
        assert!(!at("2026-11-21T08:00:00Z"), "the clocks differ");
        assert!(!is_lost(None, now));
    }
}
