//! What a change would do, resource by resource, by a change set that is not executed.

use std::collections::VecDeque;
use std::time::Duration;

use aws_sdk_cloudformation::operation::describe_change_set::DescribeChangeSetOutput;
use aws_sdk_cloudformation::types::{
    ChangeAction, ChangeSetStatus, PolicyAction, Replacement, RequiresRecreation,
    ResourceAttribute, ResourceChange as Described, ResourceChangeDetail, ResourceStatus,
};
use serde_json::Value;

use super::error::Trouble;
use super::outline::{self, Fate};
use super::poll::{is_of_nested, says_no_changes};
use super::session::{Purpose, Session};
use super::settings::Place;
use super::stack::Stack;
use super::status::Standing;
use super::submit::{Work, in_between, is_available, is_in_between};
use super::{CloudFormation, NESTED, stack_name, template};
use super::{each, echo};
use crate::digest;
use crate::fault::point;
use crate::model::{
    Action, Change, Preview, PropertyChange, Recreates, ResourceAction, ResourceChange,
};
use crate::provider::ProviderError;

/// How long CloudFormation may take to work out a change set.
const DEADLINE: Duration = Duration::from_secs(5 * 60);

/// Change sets of stacks within the stack that are read at most; what is in more is not looked at.
const NESTED_MAX: usize = 100;

/// How long CloudFormation may not know of a change set that it has just made.
const UNKNOWN: Duration = Duration::from_secs(3);

/// How often a preview is made anew whose change set went while it was read.
const TRIES: u32 = 3;

/// A change set older than this tells of a world that may have moved.
const OLD: Duration = Duration::from_secs(60 * 60);

impl CloudFormation {
    pub(super) async fn foresee(&self, change: &Change) -> Result<Preview, ProviderError> {
        let place = Place::read(&change.target.settings).map_err(ProviderError::Refused)?;
        let name = stack_name(&place, &change.target);
        let session = self.0.get(&place, Purpose::Preview, &change.target.key).await;
        let checked = session.check_account(&place, change.target.id.as_deref()).await;
        checked.map_err(Trouble::of_a_look)?;
        let work = Work { session, place, change, name };
        for _ in 0..TRIES {
            if let Some(preview) = work.foresee_once().await? {
                return Ok(preview);
            }
        }
        Err(gone())
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
    /// `None`: the change set went before it was read. Whoever previews the same change has the same one and
    /// drops it, and a creation clears away the empty stack that it is in: what is there now is looked at anew.
    async fn foresee_once(&self) -> Result<Option<Preview>, ProviderError> {
        let (session, change) = (&self.session, self.change);
        let stack = session.stack(&self.name).await.map_err(Trouble::of_a_look)?;
        let stack = stack.filter(|s| s.standing() != Standing::Gone);
        if change.action == Action::Delete {
            return match stack {
                Some(stack) => session.deletions(&stack).await.map(Some),
                None => Ok(Some(Preview::default())),
            };
        }
        match stack {
            // One that is to go first, and that nothing can be done to as it is, has no change set either.
            Some(stack)
                if change.action == Action::Create && stack.standing() == Standing::Stuck =>
            {
                Ok(Some(self.outline()))
            }
            // Somebody began to change it since it was looked at: the next look says what is to be done.
            Some(stack) if is_in_between(&stack) => Err(in_between(&stack)),
            Some(stack) if stack.standing() != Standing::Rubble => {
                self.foresee_update(&stack).await
            }
            // CloudFormation works out no change set for it before it is deleted; and in what somebody else
            // has made to look at, nobody else makes one.
            Some(stack) if !stack.is_in_review() || !self.is_left(&stack).await => {
                Ok(Some(self.outline()))
            }
            Some(_) | None => self.foresee_creation().await,
        }
    }

    /// From all that the change set is made with: the same preview twice is one change set, and one that
    /// was made with other tags, by another role or in another way is not taken for it.
    fn preview_name(&self, there: Option<&Stack>) -> Result<String, ProviderError> {
        let (target, place) = (&self.change.target, &self.place);
        let artifact = self.change.artifact.as_ref().and_then(|a| a.digest);
        let rights = (&place.service_role, &place.capabilities, &place.role, &place.preview_role);
        let what = (artifact, self.tags(there)?, rights, self.reverts());
        let seed = digest::of(&("preview", &target.instance, &target.name, what));
        Ok(format!("vend-preview-{}", &seed.hex()[..24]))
    }

    async fn foresee_update(&self, stack: &Stack) -> Result<Option<Preview>, ProviderError> {
        let name = self.preview_name(Some(stack))?;
        let nests = self.nests();
        let Some((mut id, mut first)) = self.fresh_change_set(&name, stack, nests).await? else {
            return Ok(None);
        };
        let is_failed =
            |made: &DescribeChangeSetOutput| made.status == Some(ChangeSetStatus::Failed);
        // One stack within it in which nothing would change makes all of it fail. Without those, nobody
        // has looked into any.
        if nests && is_failed(&first) && is_of_nested(first.status_reason()) {
            self.session.drop_change_set(&id).await;
            let flat = self.fresh_change_set(&format!("{name}-flat"), stack, false).await?;
            let Some(flat) = flat else { return Ok(None) };
            (id, first) = flat;
        }
        if is_failed(&first) {
            let reason = first.status_reason.unwrap_or_default();
            self.session.drop_change_set(&id).await;
            if says_no_changes(&reason) {
                return Ok(Some(Preview::default()));
            }
            return Err(ProviderError::Refused(reason));
        }
        match self.told(&id, first, Some(stack)).await {
            Ok(Some(resources)) => {
                let handle = Some(Value::String(id));
                Ok(Some(Preview { resources, handle, ..Preview::default() }))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.session.drop_change_set(&id).await;
                Err(error)
            }
        }
    }

    /// A change set of that name that is worked out, made now or good still; `None`: it is gone.
    async fn fresh_change_set(
        &self,
        name: &str,
        stack: &Stack,
        nested: bool,
    ) -> Result<Option<(String, DescribeChangeSetOutput)>, ProviderError> {
        let id = self.change_set(name, None, Some(stack), nested).await?;
        let made = self.session.worked_out(&id).await?;
        if made.as_ref().is_none_or(is_fresh) {
            return Ok(made.map(|made| (id, made)));
        }
        self.session.drop_change_set(&id).await;
        let id = self.change_set(name, None, Some(stack), nested).await?;
        let made = self.session.worked_out(&id).await?;
        Ok(made.map(|made| (id, made)))
    }

    /// What a change set that is worked out would do; `None`: it went while it was read.
    async fn told(
        &self,
        id: &str,
        first: DescribeChangeSetOutput,
        before: Option<&Stack>,
    ) -> Result<Option<Vec<ResourceChange>>, ProviderError> {
        let hidden = self.hidden(before).await?;
        match self.session.changes(id, first, &hidden).await {
            Ok(changes) => Ok(Some(changes)),
            Err(trouble) if trouble.says_absent() => Ok(None),
            Err(trouble) => Err(trouble.of_a_look()),
        }
    }

    /// A change set for a stack that is not there makes a stack that holds nothing, which goes again.
    async fn foresee_creation(&self) -> Result<Option<Preview>, ProviderError> {
        let id = self.change_set(&self.preview_name(None)?, None, None, self.nests()).await?;
        let preview = match self.session.worked_out(&id).await {
            Ok(Some(first)) if first.status == Some(ChangeSetStatus::Failed) => {
                Err(ProviderError::Refused(first.status_reason.unwrap_or_default()))
            }
            Ok(Some(first)) => {
                let told = self.told(&id, first, None).await;
                let preview = |resources| Preview { resources, ..Preview::default() };
                told.map(|resources| resources.map(preview))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        // What is there without it is somebody else's, or looked at anew.
        if !matches!(preview, Ok(None))
            && let Err(trouble) = self.clear_away(&id).await
        {
            tracing::warn!(stack = self.name, ?trouble, "the empty stack of a preview stays");
        }
        preview
    }

    /// The stack goes, and the change set with it. Where it may not be deleted, both stay: by the
    /// change set's tags the stack is known as one that a preview left, and as nothing more. Where
    /// somebody else has something in it too, the change set goes alone.
    async fn clear_away(&self, change_set: &str) -> Result<(), Trouble> {
        match self.session.stack(&self.name).await?.filter(|s| s.is_in_review()) {
            Some(left) if self.is_left(&left).await => self.session.delete_empty(&left.id).await,
            Some(_) | None => {
                self.session.drop_change_set(change_set).await;
                Ok(())
            }
        }
    }

    /// Whether an empty stack holds nothing but previews of this instance's. Where nobody may look, it
    /// is somebody else's.
    async fn is_left(&self, stack: &Stack) -> bool {
        let left = self.session.is_lost_preview(&stack.id, &self.change.target.instance).await;
        left.unwrap_or_else(|trouble| {
            tracing::warn!(stack = stack.name, ?trouble, "what is in an empty stack is not known");
            false
        })
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

fn gone() -> ProviderError {
    ProviderError::Stale("its change set went while it was read".into())
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
    /// Waits until a change set is worked out; gives its first page. `None`: there is none of that id, and
    /// there has been time enough for it to be known.
    async fn worked_out(&self, id: &str) -> Result<Option<DescribeChangeSetOutput>, ProviderError> {
        let mut wait = Duration::from_millis(100);
        let begun = tokio::time::Instant::now();
        loop {
            let waited = begun.elapsed();
            match self.change_set_page(id, None).await {
                Ok(made) => match made.status {
                    Some(ChangeSetStatus::CreateComplete | ChangeSetStatus::Failed) => {
                        return Ok(Some(made));
                    }
                    _ if waited >= DEADLINE => {
                        return Err(ProviderError::unavailable(
                            "the change set is not worked out in five minutes",
                        ));
                    }
                    _ => {}
                },
                Err(trouble) if trouble.says_absent() && waited >= UNKNOWN => return Ok(None),
                Err(trouble) if trouble.says_absent() => {}
                Err(trouble) => return Err(trouble.of_a_look()),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(3));
        }
    }

    async fn change_set_page(
        &self,
        id: &str,
        next: Option<String>,
    ) -> Result<DescribeChangeSetOutput, Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            let page = client.describe_change_set().change_set_name(id).set_next_token(next);
            page.include_property_values(true).send()
        };
        self.look_among(&self.limits.change_sets, call).await
    }

    /// All pages of a change set, in our words.
    pub(super) async fn changes(
        &self,
        id: &str,
        first: DescribeChangeSetOutput,
        hidden: &[String],
    ) -> Result<Vec<ResourceChange>, Trouble> {
        let mut changes = Vec::new();
        // Of each stack within it the name that what is in it is told by, and its own change set.
        let mut nested = VecDeque::new();
        self.read_changes(id, first, "", hidden, (&mut changes, &mut nested)).await?;
        let mut looked = 0;
        while let Some((name, kind, id)) = nested.pop_front() {
            looked += 1;
            let first = match looked <= NESTED_MAX {
                true => self.change_set_page(&id, None).await,
                false => Ok(DescribeChangeSetOutput::builder().build()),
            };
            let first = match first {
                // Who may not look there has not looked.
                Err(Trouble::Rejected { .. }) => DescribeChangeSetOutput::builder().build(),
                first => first?,
            };
            match first.status {
                Some(ChangeSetStatus::CreateComplete) => {
                    let told = (&mut changes, &mut nested);
                    self.read_changes(&id, first, &format!("{name}/"), hidden, told).await?;
                }
                Some(ChangeSetStatus::Failed)
                    if says_no_changes(first.status_reason.as_deref().unwrap_or_default()) => {}
                _ => changes.push(unseen(name, kind)),
            }
        }
        Ok(changes)
    }

    /// All pages of one change set; what is in it is told by names that begin with `within`.
    async fn read_changes(
        &self,
        id: &str,
        first: DescribeChangeSetOutput,
        within: &str,
        hidden: &[String],
        (changes, nested): (&mut Vec<ResourceChange>, &mut VecDeque<(String, String, String)>),
    ) -> Result<(), Trouble> {
        let mut page = first;
        loop {
            let described = page.changes.unwrap_or_default().into_iter();
            for change in described.filter_map(|c| c.resource_change) {
                let name = format!("{within}{}", change.logical_resource_id().unwrap_or_default());
                let kind = change.resource_type.clone().unwrap_or_default();
                let changes_inside = kind == NESTED && change.action == Some(ChangeAction::Modify);
                let inside = change.change_set_id.clone().filter(|_| changes_inside);
                let own = resource(change, hidden)
                    .map(|own| ResourceChange { name: name.clone(), ..own });
                match inside {
                    Some(id) => {
                        changes.extend(own);
                        nested.push_back((name, kind, id));
                    }
                    // The service reads its template anew whatever else of it changes.
                    None if changes_inside && own.as_ref().is_none_or(|own| !own.loses()) => {
                        changes.push(unseen(name, kind));
                    }
                    None => changes.extend(own),
                }
            }
            match page.next_token {
                Some(next) => page = self.change_set_page(id, Some(next)).await?,
                None => return Ok(()),
            }
        }
    }

    /// Best effort: what stays is found by its name, or falls to the next execution.
    pub(super) async fn drop_change_set(&self, id: &str) {
        if let Err(trouble) = self.delete_change_set(id).await {
            tracing::warn!(change_set = id, ?trouble, "a change set could not be deleted");
        }
    }

    /// Deletes a change set, or finds that it is gone: it is not executed any more.
    pub(super) async fn delete_change_set(&self, id: &str) -> Result<(), Trouble> {
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.delete_change_set().change_set_name(id).send()
        };
        point!("aws.discard.before").map_err(Trouble::unsent)?;
        match self.change(call).await {
            Ok(_) => {}
            Err(trouble) if trouble.says_absent() => {}
            Err(trouble) => return Err(trouble),
        }
        point!("aws.discard.after").map_err(Trouble::lost)
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
        let template = self.template(stack).await?.map(each::written_out);
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

/// A stack within a stack, into which nobody has looked: all that is in it may go.
fn unseen(name: String, kind: String) -> ResourceChange {
    let cause = Some("what is in it was not looked at".into());
    let (action, properties) = (ResourceAction::MayReplace, Vec::new());
    ResourceChange { name, kind, action, cause, properties, left: None }
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
