//! The provider `cloudformation`: a component is a stack.
//!
//! A stack is ours when its tags name our instance and the very target; all else is somebody's.
//! Nothing is created but by one call that carries the change's token, nothing changed but by a
//! change set, and how an operation ended is what the stack's own events say under that token.

mod console;
mod drift;
mod each;
mod echo;
mod error;
mod event;
mod flight;
mod foretell;
mod limiter;
mod look;
mod objections;
mod outline;
mod poll;
mod preview;
mod session;
mod settings;
mod stack;
mod status;
mod submit;
mod sweep;
mod template;
#[cfg(test)]
mod tests;
mod ticket;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::task::JoinSet;
use tracing::Instrument as _;

pub use self::echo::{hidden, masked};
use self::session::{Purpose, Sessions};
use self::settings::Place;
use super::{Objection, Provider, ProviderError};
use crate::model::{
    Action, Artifact, Change, Map, Observation, Preview, Progress, Target, TargetKey, Ticket, Token,
};

pub use limiter::Rate;
pub use session::CloudFormationSettings;

/// See the module. Cheap to clone; clones share connections and limits.
#[derive(Clone)]
pub struct CloudFormation(Arc<Sessions>);

impl CloudFormation {
    /// Reaches nothing.
    pub fn new(settings: CloudFormationSettings) -> Self {
        Self(Arc::new(Sessions::new(settings)))
    }

    /// As [`CloudFormation::new`], with credentials, timeouts and HTTP client from `config` instead
    /// of the SDK's default chain.
    pub fn with_config(settings: CloudFormationSettings, config: aws_config::SdkConfig) -> Self {
        Self(Arc::new(Sessions::with_config(settings, config)))
    }
}

/// The type of a resource that is a stack itself.
const NESTED: &str = "AWS::CloudFormation::Stack";

/// What a target's stack is called.
fn stack_name(place: &Place, target: &Target) -> String {
    place.stack_name.clone().unwrap_or_else(|| target.name.to_string())
}

#[async_trait]
impl Provider for CloudFormation {
    fn kind(&self) -> &'static str {
        "cloudformation"
    }

    fn lane(&self, target: &Target) -> String {
        Place::read(&target.settings).map_or_else(|_| "cloudformation".into(), |p| p.lane())
    }

    /// By one role, at one account's region.
    fn view(&self, target: &Target) -> String {
        let place = Place::read(&target.settings);
        let view = |place: Place| format!("{} {}", place.lane(), place.role.unwrap_or_default());
        place.map_or_else(|_| "cloudformation".into(), view)
    }

    /// One operation is one call: they go side by side, as fast as the limiter lets them.
    fn batch(&self) -> usize {
        1
    }

    fn settle(&self, settings: &Map, key: &TargetKey) -> Result<Map, String> {
        Place::settle(settings, key, self.0.endpoint())
    }

    fn objections(
        &self,
        settings: &Map,
        key: &TargetKey,
        labels: &BTreeMap<String, String>,
        artifact: &Artifact,
    ) -> Vec<Objection> {
        objections::of(settings, key, labels, artifact)
    }

    /// A stack's outputs are CloudFormation's to tell.
    fn known(&self, _: &Target, _: &Artifact) -> Map {
        Map::new()
    }

    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.see(targets, Depth::Status).await
    }

    async fn inspect(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        self.see(targets, Depth::Drift).await
    }

    fn can_adopt(&self) -> bool {
        true
    }

    fn is_text_of(&self, touched: &Value, applied: &Artifact) -> bool {
        template::text(applied).ok().and_then(echo::parsed).as_ref() == Some(touched)
    }

    fn guards(&self) -> bool {
        true
    }

    fn reach(&self, recorded: &Map, id: Option<&str>, now: Option<&Map>) -> Map {
        settings::reach(recorded, id, now)
    }

    fn previews(&self) -> bool {
        true
    }

    async fn discard(&self, target: &Target, handle: &Value) {
        self.drop_preview(target, handle).await;
    }

    fn outline(&self, action: Action, artifact: &Artifact) -> Option<Preview> {
        outline::outline(action, artifact)
    }

    fn foretell(&self, applied: &Artifact, desired: &Artifact) -> Option<Preview> {
        foretell::foretell(applied, desired)
    }

    /// Another endpoint has no console.
    fn link(&self, ticket: &Ticket) -> Option<String> {
        let place = Place::read(&ticket.target.settings).ok()?;
        let real = self.0.endpoint().is_none() && place.endpoint.is_none();
        ticket::Notes::read(ticket).filter(|_| real).and_then(|n| console::page(&n.stack))
    }

    fn identity(&self, ticket: &Ticket) -> Option<String> {
        let id = ticket::Notes::read(ticket)?.stack;
        stack::account(&id).is_some().then_some(id)
    }

    async fn sweep(&self, targets: &[Target]) {
        self.clear_away(targets).await;
    }

    async fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        self.foresee(change).await
    }

    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let mut answers = Vec::with_capacity(changes.len());
        for change in changes {
            answers.push((change.token.clone(), self.begin(change).await));
        }
        answers
    }

    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.ask(ticket).await
    }

    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.stop(ticket).await
    }
}

/// How closely stacks are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Status,
    Drift,
}

type Seen = Result<Observation, ProviderError>;

/// Targets, by number, with where their stacks are, by lane and role.
type Groups = BTreeMap<(String, Option<String>), Vec<(usize, Place)>>;

impl CloudFormation {
    /// Looks at stacks, those together that one listing may answer.
    async fn see(&self, targets: &[Target], depth: Depth) -> Vec<(Target, Seen)> {
        let mut groups = Groups::new();
        let mut seen: Vec<Option<Seen>> = targets.iter().map(|_| None).collect();
        for (n, target) in targets.iter().enumerate() {
            match Place::read(&target.settings) {
                Ok(place) => {
                    let key = (place.lane(), place.role.clone());
                    groups.entry(key).or_default().push((n, place));
                }
                Err(why) => seen[n] = Some(Err(ProviderError::Refused(why))),
            }
        }
        let mut looks = JoinSet::new();
        for group in groups.into_values() {
            let (this, targets) = (self.clone(), targets.to_vec());
            looks.spawn(async move { this.look(group, &targets, depth).await }.in_current_span());
        }
        while let Some(looked) = looks.join_next().await {
            for (n, observation) in looked.unwrap_or_default() {
                seen[n] = Some(observation);
            }
        }
        let lost = || Err(ProviderError::unavailable("the look was given up"));
        targets.iter().cloned().zip(seen.into_iter().map(|s| s.unwrap_or_else(lost))).collect()
    }

    async fn look(
        &self,
        group: Vec<(usize, Place)>,
        targets: &[Target],
        depth: Depth,
    ) -> Vec<(usize, Seen)> {
        let Some((first, place)) = group.first() else { return Vec::new() };
        let session = self.0.get(place, Purpose::Look, &targets[*first].key).await;
        let mut seen = Vec::with_capacity(group.len());
        let mut meant = Vec::with_capacity(group.len());
        for (n, place) in group {
            // One group may be of several accounts, of which the credentials belong to one.
            match session.check_account(&place, None).await {
                Ok(()) => meant.push((n, place)),
                Err(trouble) => seen.push((n, Err(trouble.of_a_look_at(&targets[n], &place)))),
            }
        }
        let names: Vec<String> =
            meant.iter().map(|(n, place)| stack_name(place, &targets[*n])).collect();
        let stacks = match names.is_empty() {
            true => Vec::new(),
            false => session.stacks(&names).await,
        };
        let mut deep = JoinSet::new();
        for ((n, place), stack) in meant.into_iter().zip(stacks) {
            let stack = match stack {
                Ok(stack) => session.meant(stack, &place, &targets[n]).await,
                Err(trouble) => Err(trouble),
            };
            let stack = match stack {
                Ok(Some(stack)) => stack,
                Ok(None) => {
                    seen.push((n, Ok(Observation::Absent)));
                    continue;
                }
                Err(trouble) => {
                    seen.push((n, Err(trouble.of_a_look_at(&targets[n], &place))));
                    continue;
                }
            };
            let observation = session.judged(&stack, stack.observation(&targets[n])).await;
            match (observation, depth) {
                (Observation::Present(live), Depth::Drift) => {
                    let session = session.clone();
                    let inspect =
                        async move { (n, drift::inspect(session, stack, &place, live).await) };
                    deep.spawn(inspect.in_current_span());
                }
                (observation, Depth::Status | Depth::Drift) => seen.push((n, Ok(observation))),
            }
        }
        seen.extend(deep.join_all().await);
        seen
    }
}
