//! What a change would do, resource by resource, by a change set that is not executed.

use std::time::Duration;

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    ChangeAction, ChangeSetStatus, PolicyAction, Replacement, RequiresRecreation,
    ResourceAttribute, ResourceChange as Described, ResourceChangeDetail, ResourceStatus,
};
use serde_json::Value;

use super::echo;
use super::error::Trouble;
use super::outline::{self, Fate};
use super::poll::says_no_changes;
use super::session::{Purpose, Session};
use super::settings::Place;
use super::stack::Stack;
use super::status::Standing;
use super::submit::{Work, is_available};
use super::{CloudFormation, stack_name, template};
use crate::digest;
use crate::fault::point;
use crate::model::{
    Action, Change, Preview, PropertyChange, Recreates, ResourceAction, ResourceChange,
};
use crate::provider::ProviderError;

/// How long CloudFormation may take to work out a change set.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// A change set older than this tells of a world that may have moved.
const OLD: Duration = Duration::from_secs(60 * 60);

impl CloudFormation {
    pub(super) async fn foresee(&self, change: &Change) -> Result<Preview, ProviderError> {
        let place = Place::read(&change.target.settings).map_err(ProviderError::Refused)?;
        let name = stack_name(&place, &change.target);
        let session = self.0.get(&place, Purpose::Preview, &change.target.key).await;
        let checked = session.check_account(&place, change.target.id.as_deref()).await;
        checked.map_err(Trouble::of_a_look)?;
        let stack = session.stack(&name).await.map_err(Trouble::of_a_look)?;
        let stack = stack.filter(|s| s.standing() != Standing::Gone);
        if change.action == Action::Delete {
            return match stack {
                Some(stack) => session.deletions(&stack).await,
                None => Ok(Preview::default()),
            };
        }
        let work = Work { session, place, change, name };
        match stack {
            Some(stack) if stack.standing() != Standing::Rubble => {
                work.foresee_update(&stack).await
            }
            // CloudFormation works out no change set for it before it is deleted.
            Some(stack) if !stack.is_in_review() => Ok(work.outline()),
            Some(_) | None => work.foresee_creation().await,
        }
    }

    /// Drops what a preview left for `submit`, when that will not come.
    pub(super) async fn drop_preview(&self, target: &crate::model::Target, handle: &Value) {
        let Some(id) = handle.as_str() else { return };
        let Ok(place) = Place::read(&target.settings) else { return };
        let session = self.0.get(&place, Purpose::Preview, &target.key).await;
        session.drop_change_set(id).await;
    }
}

impl Work<'_> {
    /// From (instance, target, artifact): the same preview twice is one change set.
    fn preview_name(&self) -> String {
        let target = &self.change.target;
        let artifact = self.change.artifact.as_ref().and_then(|a| a.digest);
        let seed = digest::of(&("preview", &target.instance, &target.name, artifact));
        format!("vend-preview-{}", &seed.hex()[..24])
    }

    async fn foresee_update(&self, stack: &Stack) -> Result<Preview, ProviderError> {
        let name = self.preview_name();
        let mut id = self.change_set(&stack.name, &name, None, false).await?;
        let mut first = self.session.worked_out(&id).await?;
        if !is_fresh(&first) {
            self.session.drop_change_set(&id).await;
            id = self.change_set(&stack.name, &name, None, false).await?;
            first = self.session.worked_out(&id).await?;
        }
        if first.status == Some(ChangeSetStatus::Failed) {
            let reason = first.status_reason.unwrap_or_default();
            self.session.drop_change_set(&id).await;
            if says_no_changes(&reason) {
                return Ok(Preview::default());
            }
            return Err(ProviderError::Refused(reason));
        }
        match self.told(&id, first, Some(stack)).await {
            Ok(resources) => {
                Ok(Preview { resources, handle: Some(Value::String(id)), foretold: false })
            }
            Err(error) => {
                self.session.drop_change_set(&id).await;
                Err(error)
            }
        }
    }

    /// What a change set that is worked out would do.
    async fn told(
        &self,
        id: &str,
        first: DescribeChangeSetOutput,
        before: Option<&Stack>,
    ) -> Result<Vec<ResourceChange>, ProviderError> {
        let hidden = self.hidden(before).await?;
        self.session.changes(id, first, &hidden).await
    }

    /// A change set for a stack that is not there makes a stack that holds nothing, which goes again.
    async fn foresee_creation(&self) -> Result<Preview, ProviderError> {
        let id = self.change_set(&self.name, &self.preview_name(), None, true).await?;
        let first = self.session.worked_out(&id).await;
        let preview = match first {
            Ok(first) if first.status == Some(ChangeSetStatus::Failed) => {
                Err(ProviderError::Refused(first.status_reason.unwrap_or_default()))
            }
            Ok(first) => {
                let resources = self.told(&id, first, None).await;
                resources.map(|resources| Preview { resources, ..Preview::default() })
            }
            Err(error) => Err(error),
        };
        if let Err(trouble) = self.clear_away(&id).await {
            tracing::warn!(stack = self.name, ?trouble, "the empty stack of a preview stays");
        }
        preview
    }

    /// The stack goes, and the change set with it. Where it may not be deleted, both stay: by the
    /// change set's tags the stack is known as one that a preview left, and as nothing more.
    async fn clear_away(&self, change_set: &str) -> Result<(), Trouble> {
        match self.session.stack(&self.name).await?.filter(|s| s.is_in_review()) {
            Some(left) => self.session.delete_empty(&left.id).await,
            None => {
                self.session.drop_change_set(change_set).await;
                Ok(())
            }
        }
    }

    /// As the template alone tells.
    fn outline(&self) -> Preview {
        let artifact = self.change.artifact.as_ref();
        artifact.and_then(|a| outline::outline(Action::Create, a)).unwrap_or_default()
    }

    /// Values that stand in the template for parameters that are not to be shown, and those that
    /// stood in the one before. The service hides them too; that alone is not relied on.
    async fn hidden(&self, before: Option<&Stack>) -> Result<Vec<String>, ProviderError> {
        let text = self.change.artifact.as_ref().and_then(|a| template::text(a).ok());
        let mut hidden = text.and_then(echo::parsed).map(|t| echo::values(&t)).unwrap_or_default();
        if let Some(before) = before.filter(|_| !hidden.is_empty()) {
            let then = self.session.template(before).await?;
            hidden.extend(then.as_ref().map(echo::values).unwrap_or_default());
        }
        Ok(hidden)
    }
}

/// A change set that was found, and not made now, still tells of the stack as it is.
fn is_fresh(made: &DescribeChangeSetOutput) -> bool {
    // One that failed was never good to be executed; why it failed may be over as well.
    let failed = made.status == Some(ChangeSetStatus::Failed);
    let age = made.creation_time.and_then(|at| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?;
        now.checked_sub(Duration::from_secs(u64::try_from(at.secs()).ok()?))
    });
    (failed || is_available(made.execution_status.as_ref())) && age.is_none_or(|age| age < OLD)
}

impl Session {
    /// Waits until a change set is worked out; gives its first page.
    async fn worked_out(&self, id: &str) -> Result<DescribeChangeSetOutput, ProviderError> {
        let mut wait = Duration::from_millis(100);
        let end = tokio::time::Instant::now() + DEADLINE;
        loop {
            let made = self.change_set_page(id, None).await?;
            match made.status {
                Some(ChangeSetStatus::CreateComplete | ChangeSetStatus::Failed) => return Ok(made),
                _ if tokio::time::Instant::now() >= end => {
                    return Err(ProviderError::unavailable(
                        "the change set is not worked out in five minutes",
                    ));
                }
                _ => tokio::time::sleep(wait).await,
            }
            wait = (wait * 2).min(Duration::from_secs(3));
        }
    }

    async fn change_set_page(
        &self,
        id: &str,
        next: Option<String>,
    ) -> Result<DescribeChangeSetOutput, ProviderError> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            let page = client.describe_change_set().change_set_name(id).set_next_token(next);
            page.include_property_values(true).send()
        };
        let answer = self.look_among(&self.limits.change_sets, call).await;
        answer.map_err(Trouble::of_a_look)
    }

    /// All pages of a change set, in our words.
    async fn changes(
        &self,
        id: &str,
        first: DescribeChangeSetOutput,
        hidden: &[String],
    ) -> Result<Vec<ResourceChange>, ProviderError> {
        let (mut changes, mut page) = (Vec::new(), first);
        loop {
            let described = page.changes.unwrap_or_default().into_iter();
            let described = described.filter_map(|c| c.resource_change);
            changes.extend(described.filter_map(|c| resource(c, hidden)));
            match page.next_token {
                Some(next) => page = self.change_set_page(id, Some(next)).await?,
                None => return Ok(changes),
            }
        }
    }

    /// Best effort: what stays is found by its name, or falls to the next execution.
    pub(super) async fn drop_change_set(&self, id: &str) {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.delete_change_set().change_set_name(id).send()
        };
        if point!("aws.discard.before").is_err() {
            return;
        }
        if let Err(trouble) = self.change(call).await
            && !trouble.says_absent()
        {
            tracing::warn!(change_set = id, ?trouble, "a change set could not be deleted");
        }
    }

    /// A stack's template as it stands; `None`: it cannot be read.
    pub(super) async fn template(&self, stack: &Stack) -> Result<Option<Value>, ProviderError> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.get_template().stack_name(&stack.id).send()
        };
        let sent = self.look(call).await.map_err(Trouble::of_a_look)?;
        Ok(echo::parsed(&sent.template_body.unwrap_or_default()))
    }

    /// What deleting a stack takes along, and what stays by its own policy.
    async fn deletions(&self, stack: &Stack) -> Result<Preview, ProviderError> {
        let template = self.template(stack).await?;
        let fates = template.as_ref().map(outline::fates).unwrap_or_default();
        let unknown = || Fate {
            action: ResourceAction::Delete,
            cause: Some("its policy is not known".into()),
        };
        let (mut resources, mut next) = (Vec::new(), None::<String>);
        loop {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.list_stack_resources().stack_name(&stack.id).set_next_token(page).send()
            };
            let said = self.look(call).await.map_err(Trouble::of_a_look)?;
            let there = said.stack_resource_summaries.unwrap_or_default().into_iter();
            let there = there.filter(|r| r.resource_status != Some(ResourceStatus::DeleteComplete));
            resources.extend(there.map(|resource| {
                let name = resource.logical_resource_id.unwrap_or_default();
                let Fate { action, cause } =
                    fates.get(name.as_str()).cloned().unwrap_or_else(unknown);
                // Whoever is left with it must find it again.
                let id = resource.physical_resource_id.filter(|_| action == ResourceAction::Retain);
                let cause = match (cause, id) {
                    (Some(cause), Some(id)) => Some(format!("{cause}; it is {id}")),
                    (cause, _) => cause,
                };
                let kind = resource.resource_type.unwrap_or_default();
                ResourceChange { name, kind, action, cause, properties: Vec::new(), left: None }
            }));
            next = said.next_token;
            if next.is_none() {
                return Ok(Preview { resources, ..Preview::default() });
            }
        }
    }
}

/// One resource's change; `None`: only our own tags on it change, or nothing does.
fn resource(change: Described, hidden: &[String]) -> Option<ResourceChange> {
    let action = match (change.action.as_ref()?, change.replacement.as_ref()) {
        (ChangeAction::Add | ChangeAction::Import, _) => ResourceAction::Create,
        (ChangeAction::Remove, _) if change.policy_action == Some(PolicyAction::Retain) => {
            ResourceAction::Retain
        }
        (ChangeAction::Remove, _) => ResourceAction::Delete,
        (ChangeAction::Modify, Some(Replacement::True)) => ResourceAction::Replace,
        (ChangeAction::Modify, Some(Replacement::Conditional)) => ResourceAction::MayReplace,
        (ChangeAction::Modify, _) => ResourceAction::Update,
        // Only the service itself can tell, and it does when it is executed.
        _ => ResourceAction::MayReplace,
    };
    let left = match change.policy_action {
        Some(PolicyAction::ReplaceAndRetain) => outline::left(Some("Retain")),
        Some(PolicyAction::ReplaceAndSnapshot) => outline::left(Some("Snapshot")),
        _ => None,
    };
    let details = change.details.unwrap_or_default();
    // The stack's tags reach every resource at every apply, since the commit is one of them.
    let only_tags = change.scope.as_deref() == Some(&[ResourceAttribute::Tags]);
    if action == ResourceAction::Update && only_tags {
        return None;
    }
    let mut properties: Vec<PropertyChange> =
        details.iter().filter(|d| !is_tags(d)).filter_map(|d| property(d, hidden)).collect();
    properties.sort_by(|a, b| (&a.path, b.recreates).cmp(&(&b.path, a.recreates)));
    properties.dedup_by(|b, a| a.path == b.path);
    let cause = properties
        .iter()
        .filter(|p| p.recreates != Recreates::Never)
        .max_by_key(|p| p.recreates)
        .map(|p| p.path.clone());
    Some(ResourceChange {
        name: change.logical_resource_id?,
        kind: change.resource_type.unwrap_or_default(),
        action,
        cause,
        properties,
        left,
    })
}

fn is_tags(detail: &ResourceChangeDetail) -> bool {
    let target = detail.target.as_ref();
    target.and_then(|t| t.attribute.as_ref()) == Some(&ResourceAttribute::Tags)
}

fn property(detail: &ResourceChangeDetail, hidden: &[String]) -> Option<PropertyChange> {
    let target = detail.target.as_ref()?;
    let path = target.path.clone().map(|p| p.trim_start_matches("/Properties/").replace('/', "."));
    let path = path.or_else(|| target.name.clone())?;
    let shown = |value: &Option<String>| value.as_ref().map(|v| echo::shown(v, hidden));
    let recreates = match target.requires_recreation.as_ref() {
        Some(RequiresRecreation::Always) => Recreates::Always,
        Some(RequiresRecreation::Conditionally) => Recreates::Conditionally,
        _ => Recreates::Never,
    };
    Some(PropertyChange {
        path,
        before: shown(&target.before_value),
        after: shown(&target.after_value),
        recreates,
    })
}
