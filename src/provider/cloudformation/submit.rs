//! Beginning an operation, or finding that it has begun.
//!
//! # Flow
//! A creation is one call. An update is a change set, named by the token, that is executed once it
//! is there: what was previewed is what happens, and CloudFormation refuses it if the stack was
//! changed meanwhile. Every call carries the token.
//!
//! # Guarantees
//! A call whose answer was lost is never followed by a guess: the same change is submitted again,
//! and what the first call did is found by the token, which stands in the stack's events and in the
//! names of change sets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_cloudformation::types::{Capability, ChangeSetType, DeploymentMode, ExecutionStatus};
use tokio::time::Instant;

use super::error::Trouble;
use super::session::{Purpose, Session};
use super::settings::Place;
use super::stack::{self, Stack};
use super::status::Standing;
use super::template::{self, Sent};
use super::ticket::{Notes, Operation};
use super::{CloudFormation, NESTED, stack_name};
use crate::fault::point;
use crate::model::{Action, Change, Owner, Progress, Token};
use crate::provider::ProviderError;

/// How long a stack that holds nothing may take to go.
const CLEARED: Duration = Duration::from_secs(20);

/// How often a change set is made that is said to be there, and is gone when it is asked for.
const TRIES: u32 = 3;

/// A change with where and by what right it is made.
pub(super) struct Work<'a> {
    pub(super) session: Arc<Session>,
    pub(super) place: Place,
    pub(super) change: &'a Change,
    pub(super) name: String,
}

impl CloudFormation {
    pub(super) async fn begin(&self, change: &Change) -> Result<Progress, ProviderError> {
        let place = Place::read(&change.target.settings).map_err(ProviderError::Refused)?;
        let name = stack_name(&place, &change.target);
        let session = self.0.get(&place, Purpose::Change, &change.target.key).await;
        let checked = session.check_account(&place, change.target.id.as_deref()).await;
        checked.map_err(Trouble::of_a_look)?;
        let work = Work { session, place, change, name };
        match change.action {
            Action::Delete => work.delete().await,
            Action::Create => work.create().await,
            Action::Restore if change.expect.is_none() => work.create().await,
            Action::Update | Action::Replace | Action::Restore => work.update().await,
            Action::Forget | Action::Move => {
                Err(ProviderError::Refused("nothing of that is CloudFormation's to do".into()))
            }
        }
    }
}

impl Work<'_> {
    fn running(&self, notes: &Notes) -> Progress {
        self.session.limits.begun.note(&notes.stack);
        self.session.limits.begun.note(&self.name);
        Progress::Running { ticket: notes.of(self.change), events: Vec::new() }
    }

    async fn see(&self) -> Result<Option<Arc<Stack>>, ProviderError> {
        let mut seen = self.session.stacks(std::slice::from_ref(&self.name)).await;
        seen.pop().unwrap_or(Ok(None)).map_err(Trouble::of_a_look)
    }

    async fn create(&self) -> Result<Progress, ProviderError> {
        let change = self.change;
        let tags = stack::sent(self.tags(None)?);
        let Sent { body, url } = template::send(&self.session, &self.place, change).await?;
        let call = |client: &aws_sdk_cloudformation::Client| {
            client
                .create_stack()
                .stack_name(&self.name)
                .set_template_body(body.clone())
                .set_template_url(url.clone())
                .set_capabilities(Some(self.capabilities()))
                .set_role_arn(self.place.service_role.clone())
                .set_timeout_in_minutes(self.minutes())
                .set_tags(Some(tags.clone()))
                .enable_termination_protection(change.protect)
                .client_request_token(change.token.as_str())
                .send()
        };
        let taken = |t: &Trouble| t.is("AlreadyExists") || t.is("TokenAlreadyExists");
        point!("aws.create.before")?;
        let mut made = self.session.change(call).await;
        if made.as_ref().is_err_and(taken) && self.clear_the_way().await? {
            made = self.session.change(call).await;
        }
        point!("aws.create.after").map_err(ProviderError::unknown)?;
        match made {
            Ok(made) => {
                let stack = made.stack_id.unwrap_or_else(|| self.name.clone());
                Ok(self.running(&Notes::new(Operation::Create, stack)))
            }
            Err(trouble) if taken(&trouble) => self.find_creation().await,
            Err(trouble) => Err(trouble.of_a_change()),
        }
    }

    /// Deletes the empty stack that a preview left under this name; whether there was one.
    async fn clear_the_way(&self) -> Result<bool, ProviderError> {
        let session = &self.session;
        let stack = session.stack(&self.name).await.map_err(Trouble::of_a_look)?;
        let Some(stack) = stack.filter(|s| s.is_in_review()) else { return Ok(false) };
        let left = session.is_lost_preview(&stack.name, &self.change.target.instance).await;
        if !left.map_err(Trouble::of_a_look)? {
            return Ok(false);
        }
        session.delete_empty(&stack.id).await.map_err(Trouble::of_a_look)?;
        let end = Instant::now() + CLEARED;
        loop {
            let stack = session.stack(&stack.id).await.map_err(Trouble::of_a_look)?;
            if stack.is_none_or(|s| s.standing() == Standing::Gone) {
                return Ok(true);
            }
            if Instant::now() >= end {
                return Err(ProviderError::unavailable(
                    "the empty stack of a preview is still going",
                ));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// A stack of that name is there: ours by this very token, or the plan is out of date.
    async fn find_creation(&self) -> Result<Progress, ProviderError> {
        let Some(stack) = self.see().await? else {
            return Err(ProviderError::Stale("a stack of that name has just gone".into()));
        };
        let story = self.session.story(&stack.id, &self.change.token).await;
        if story.map_err(Trouble::of_a_look)?.begun {
            return Ok(self.running(&Notes::new(Operation::Create, &stack.id)));
        }
        Err(ProviderError::Stale(format!(
            "a stack named `{}` is there already ({})",
            self.name,
            stack.state()
        )))
    }

    async fn update(&self) -> Result<Progress, ProviderError> {
        // So much passes between a look and the change set's making in any case. What comes after that
        // is found out when it is executed: it is good for no other stack than it was made for.
        let seen = self.session.recent(&self.name).await.map_err(Trouble::of_a_look)?;
        let Some(stack) = seen else {
            return Err(ProviderError::Stale(format!("there is no stack `{}`", self.name)));
        };
        let notes = Notes::new(Operation::Update, &stack.id);
        if stack.change_set.as_deref().is_some_and(|id| names(id, &self.change.token)) {
            return Ok(self.running(&notes));
        }
        if let Some(made) = self.change.preview.as_ref().and_then(|p| p.as_str()) {
            if stack.change_set.as_deref() == Some(made) {
                // Executed, by this change or by somebody: its events tell.
                return self.executed(&stack, made).await;
            }
            self.must_be_as_planned(&stack)?;
            self.guard(&stack).await?;
            return self.execute(made, notes).await;
        }
        self.must_be_as_planned(&stack)?;
        self.guard(&stack).await?;
        let token = self.change.token.as_str();
        let made = self.change_set(token, Some(token), Some(&stack), self.nests()).await?;
        Ok(self.running(&Notes { change_set: Some(made), reverts: self.reverts(), ..notes }))
    }

    async fn executed(&self, stack: &Stack, made: &str) -> Result<Progress, ProviderError> {
        let story = self.session.story(&stack.id, &self.change.token).await;
        if story.map_err(Trouble::of_a_look)?.begun {
            return Ok(self.running(&Notes::new(Operation::Update, &stack.id)));
        }
        Err(ProviderError::Stale(format!("somebody executed the change set `{made}`")))
    }

    /// Refuses what is not what the plan saw.
    fn must_be_as_planned(&self, stack: &Stack) -> Result<(), ProviderError> {
        let stale = |why: String| Err(ProviderError::Stale(why));
        match stack.owner(&self.change.target) {
            Owner::Ours => {}
            Owner::Nobody if self.change.adopt => {}
            Owner::Nobody => return stale(format!("the stack `{}` is not vend's", stack.name)),
            Owner::Other(who) => return stale(format!("the stack `{}` is {who}'s", stack.name)),
        }
        let deletes = self.change.action == Action::Delete;
        match stack.standing() {
            Standing::Whole => {}
            Standing::Rubble | Standing::Stuck if deletes => {}
            Standing::Busy | Standing::Rubble | Standing::Stuck | Standing::Gone => {
                return Err(in_between(stack));
            }
        }
        if stack.digest() != self.change.expect {
            return stale(format!("the stack `{}` was made from another template", stack.name));
        }
        Ok(())
    }

    /// Makes a change set of that name, or finds the one that was made; gives its id.
    ///
    /// A preview has no `token`: one that outlives its change set would give an answer that names
    /// what is gone. Its name alone makes it one. Without a stack that is `there` it is for a new one.
    pub(super) async fn change_set(
        &self,
        name: &str,
        token: Option<&str>,
        there: Option<&Stack>,
        nested: bool,
    ) -> Result<String, ProviderError> {
        let change = self.change;
        let stack = there.map_or(self.name.as_str(), |stack| stack.name.as_str());
        let tags = stack::sent(self.tags(there)?);
        let Sent { body, url } = template::send(&self.session, &self.place, change).await?;
        let kind = if there.is_none() { ChangeSetType::Create } else { ChangeSetType::Update };
        let call = |client: &aws_sdk_cloudformation::Client| {
            client
                .create_change_set()
                .stack_name(stack)
                .change_set_name(name)
                .change_set_type(kind.clone())
                .set_client_token(token.map(str::to_owned))
                .set_template_body(body.clone())
                .set_template_url(url.clone())
                .set_capabilities(Some(self.capabilities()))
                .set_role_arn(self.place.service_role.clone())
                .set_tags(Some(tags.clone()))
                .set_deployment_mode(self.reverts().then_some(DeploymentMode::RevertDrift))
                .set_include_nested_stacks(nested.then_some(true))
                .send()
        };
        for _ in 0..TRIES {
            point!("aws.changeset.before")?;
            let made = self.session.change(call).await;
            point!("aws.changeset.after").map_err(ProviderError::unknown)?;
            match made {
                Ok(made) => {
                    return made
                        .id
                        .ok_or_else(|| ProviderError::unknown("the answer names no change set"));
                }
                Err(trouble) if trouble.is("AlreadyExists") => {
                    let call = |client: &aws_sdk_cloudformation::Client| {
                        client.describe_change_set().stack_name(stack).change_set_name(name).send()
                    };
                    let among = &self.session.limits.change_sets;
                    match self.session.look_among(among, call).await {
                        Ok(found) => {
                            return found.change_set_id.ok_or_else(|| {
                                ProviderError::unknown("a change set without an id")
                            });
                        }
                        // Whoever previews the same has dropped it in between.
                        Err(trouble) if trouble.says_absent() => {}
                        Err(trouble) => return Err(trouble.of_a_look()),
                    }
                }
                // Where it is not as it was looked at any more, nobody has to mend anything.
                Err(trouble) if trouble.is("ValidationError") => {
                    let now = self.session.stack(stack).await.map_err(Trouble::of_a_look)?;
                    return Err(moved_on(there, now.as_deref(), stack)
                        .unwrap_or_else(|| trouble.of_a_change()));
                }
                Err(trouble) => return Err(trouble.of_a_change()),
            }
        }
        Err(ProviderError::Stale(format!("the change set `{name}` is made and dropped in turns")))
    }

    /// Executes a change set that is there.
    pub(super) async fn execute(
        &self,
        change_set: &str,
        notes: Notes,
    ) -> Result<Progress, ProviderError> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client
                .execute_change_set()
                .change_set_name(change_set)
                .client_request_token(self.change.token.as_str())
                .send()
        };
        let notes = Notes { change_set: None, ..notes };
        point!("aws.execute.before")?;
        let executed = self.session.change(call).await;
        point!("aws.execute.after").map_err(ProviderError::unknown)?;
        match executed {
            Ok(_) => Ok(self.running(&notes)),
            Err(trouble) if trouble.is("TokenAlreadyExists") => Ok(self.running(&notes)),
            Err(trouble) if trouble.is("InvalidChangeSetStatus") || trouble.says_absent() => {
                let story = self.session.story(&notes.stack, &self.change.token).await;
                if story.map_err(Trouble::of_a_look)?.begun {
                    return Ok(self.running(&notes));
                }
                Err(ProviderError::Stale(
                    "its change set cannot be executed any more: the stack was changed meanwhile"
                        .into(),
                ))
            }
            Err(trouble) => Err(trouble.of_a_change()),
        }
    }

    async fn delete(&self) -> Result<Progress, ProviderError> {
        let found = match self.see().await? {
            None => self.gone_by_its_id().await?,
            found => found,
        };
        let Some(stack) = found.filter(|s| s.standing() != Standing::Gone) else {
            return Ok(Progress::Succeeded {
                outputs: Default::default(),
                state: "DELETE_COMPLETE".into(),
                mark: None,
                events: Vec::new(),
            });
        };
        let notes = Notes::new(Operation::Delete, &stack.id);
        if stack.standing() == Standing::Busy {
            let story = self.session.story(&stack.id, &self.change.token).await;
            if story.map_err(Trouble::of_a_look)?.begun {
                return Ok(self.running(&notes));
            }
        }
        self.must_be_as_planned(&stack)?;
        if stack.protected {
            // vend's own guards came first: a tombstone, or a file that does not protect it any more. One that
            // somebody else turned on holds the plan.
            point!("aws.unprotect.before")?;
            self.set_guard(&stack, false).await.map_err(Trouble::of_a_change)?;
            point!("aws.unprotect.after").map_err(ProviderError::unknown)?;
        }
        let call = |client: &aws_sdk_cloudformation::Client| {
            client
                .delete_stack()
                .stack_name(&stack.id)
                .set_role_arn(self.place.service_role.clone())
                .client_request_token(self.change.token.as_str())
                .send()
        };
        point!("aws.delete.before")?;
        let deleted = self.session.change(call).await;
        point!("aws.delete.after").map_err(ProviderError::unknown)?;
        match deleted {
            Ok(_) => Ok(self.running(&notes)),
            Err(trouble) if trouble.is("TokenAlreadyExists") => Ok(self.running(&notes)),
            Err(trouble) => {
                // It stays, and so does what guarded it.
                if stack.protected
                    && matches!(trouble, Trouble::Rejected { .. })
                    && let Err(trouble) = self.set_guard(&stack, true).await
                {
                    tracing::warn!(
                        stack = stack.name,
                        ?trouble,
                        "its termination protection is off"
                    );
                }
                Err(trouble.of_a_change())
            }
        }
    }

    /// Puts CloudFormation's own guard against deletion on, where the request is protected and it is
    /// off. A change never takes it off: that is for deletions which vend's guards let through.
    async fn guard(&self, stack: &Stack) -> Result<(), ProviderError> {
        if !self.change.protect || stack.protected {
            return Ok(());
        }
        self.set_guard(stack, true).await.map_err(Trouble::of_a_change)
    }

    async fn set_guard(&self, stack: &Stack, on: bool) -> Result<(), Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            let set = client.update_termination_protection().stack_name(&stack.id);
            set.enable_termination_protection(on).send()
        };
        self.session.change(call).await.map(drop)
    }

    /// The stack whose name is not found, asked for by the id that was recorded of it: a name alone
    /// is not enough to say that all in it is gone. Where no id was recorded, the name is asked once
    /// more, by a call of its own.
    async fn gone_by_its_id(&self) -> Result<Option<Arc<Stack>>, ProviderError> {
        let (session, target) = (&self.session, &self.change.target);
        let again = match target.id {
            Some(_) => session.meant(None, &self.place, target).await,
            None => session.stack(&self.name).await,
        };
        again.map_err(Trouble::of_a_look)
    }

    pub(super) fn tags(
        &self,
        there: Option<&Stack>,
    ) -> Result<BTreeMap<String, String>, ProviderError> {
        stack::tags(self.change, &self.place.tags, there).map_err(ProviderError::Refused)
    }

    /// Whether the template has stacks within it: only where they are asked for does a change set tell
    /// what changes in those.
    pub(super) fn nests(&self) -> bool {
        let text = self.change.artifact.as_deref().and_then(|a| template::text(a).ok());
        text.is_some_and(|text| text.contains(NESTED))
    }

    fn capabilities(&self) -> Vec<Capability> {
        self.place.capabilities.iter().map(|c| Capability::from(c.as_str())).collect()
    }

    /// Whether what is there is to be brought back to what the template says, whoever changed it.
    pub(super) fn reverts(&self) -> bool {
        self.change.action == Action::Restore && self.change.expect.is_some()
    }

    /// CloudFormation gives up a creation by itself after these.
    fn minutes(&self) -> Option<i32> {
        let minutes = self.change.timeout?.as_secs().div_euclid(60).max(1);
        i32::try_from(minutes).ok()
    }
}

/// Whether a change set's id is of the one that a token names: `arn:…:changeSet/NAME/UUID`.
fn names(id: &str, token: &Token) -> bool {
    id.split('/').nth(1) == Some(token.as_str())
}

/// Whether nothing can be begun in a stack until something else has ended.
pub(super) fn is_in_between(stack: &Stack) -> bool {
    matches!(stack.standing(), Standing::Busy | Standing::Stuck)
}

/// What was planned is not for a stack in that state.
pub(super) fn in_between(stack: &Stack) -> ProviderError {
    ProviderError::Stale(format!("the stack `{}` is in {}", stack.name, stack.state()))
}

/// What has become of a stack since it was looked at, where that alone can be why no change set was made.
fn moved_on(there: Option<&Stack>, now: Option<&Stack>, name: &str) -> Option<ProviderError> {
    let now = now.filter(|now| now.standing() != Standing::Gone);
    match (there, now) {
        (_, Some(now)) if is_in_between(now) => Some(in_between(now)),
        (Some(_), None) => Some(ProviderError::Stale(format!("the stack `{name}` has just gone"))),
        (None, Some(now)) if !now.is_in_review() => {
            Some(ProviderError::Stale(format!("a stack named `{name}` is there by now")))
        }
        (Some(_), Some(_)) | (None, Some(_) | None) => None,
    }
}

/// Whether a change set can be executed now.
pub(super) fn is_available(status: Option<&ExecutionStatus>) -> bool {
    status == Some(&ExecutionStatus::Available)
}
