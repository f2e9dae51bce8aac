//! A provider in memory, which keeps a history and goes wrong when it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use vend::digest::Digest;
use vend::model::{
    Action, Artifact, Change, DriftItem, Live, Map, Observation, Owner, Preview, Progress, Target,
    Ticket, Token,
};
use vend::provider::{Provider, ProviderError};

use super::words::Hand;

/// How one call goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// The effect is made, and nobody hears of it.
    Lost,
    /// Nothing is made, and nobody hears of that either.
    Never,
    /// It cannot be reached.
    Away,
    /// It says that it goes on, and is done when it is asked.
    Slow,
}

/// Something that is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Thing {
    pub digest: Option<Digest>,
    pub token: Token,
    pub text: String,
    /// A person changed it.
    pub by_hand: bool,
}

/// One effect on the world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    pub request: String,
    pub action: Action,
    pub token: Token,
    pub text: String,
}

#[derive(Default)]
pub struct State {
    /// By the name of the target.
    pub things: BTreeMap<String, Thing>,
    /// Every effect, in its order.
    pub history: Vec<Effect>,
    /// What goes wrong with the next calls that change something.
    pub wrong: VecDeque<Wrong>,
    /// Looks that fail from now on.
    pub blind: bool,
    /// What contradicts what a provider may rely on.
    pub broken: Vec<String>,
    /// Calls that change something, whether or not they did.
    pub calls: usize,
    under_way: BTreeMap<String, Change>,
}

/// See the module. Shared by one process after the other.
#[derive(Clone, Default)]
pub struct Things(Arc<Mutex<State>>);

impl Things {
    pub fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Thing {
    fn drift(&self) -> Vec<DriftItem> {
        self.by_hand.then(|| DriftItem::new("note.yaml", "changed")).into_iter().collect()
    }
}

impl State {
    /// A person changes or removes what is there. The mark on it stays.
    pub fn touch(&mut self, name: &str, how: Hand) {
        match (how, self.things.get_mut(name)) {
            (Hand::Removed, _) => drop(self.things.remove(name)),
            (Hand::Changed, Some(thing)) => thing.by_hand = true,
            (Hand::Changed, None) => {}
        }
    }

    /// Makes the effect, once for each token.
    fn make(&mut self, change: &Change) {
        self.under_way.remove(change.token.as_str());
        let (name, request) =
            (change.target.name.to_string(), change.target.key.request.to_string());
        let text =
            change.artifact.iter().flat_map(|a| a.files.values()).cloned().collect::<String>();
        let is_done = match (change.action, self.things.get(&name)) {
            (Action::Delete, None) => true,
            (Action::Delete, Some(_)) => false,
            (_, there) => there.is_some_and(|thing| thing.token == change.token),
        };
        if is_done {
            return;
        }
        if let Some(old) = self.history.iter().find(|old| old.token == change.token) {
            self.broken.push(format!("{request}: {} was used for {old:?} already", change.token));
        }
        let there = self.things.get(&name).and_then(|thing| thing.digest);
        if there != change.expect {
            self.broken
                .push(format!("{request}: {:?} of what is not as it was planned", change.action));
        }
        self.history.push(Effect {
            request,
            action: change.action,
            token: change.token.clone(),
            text: text.clone(),
        });
        if change.action == Action::Delete {
            self.things.remove(&name);
        } else {
            let digest = change.artifact.as_ref().and_then(|a| a.digest);
            let token = change.token.clone();
            self.things.insert(name, Thing { digest, token, text, by_hand: false });
        }
    }
}

fn done() -> Progress {
    let (outputs, state) = (Map::new(), "THERE".to_owned());
    Progress::Succeeded { outputs, state, mark: None, events: Vec::new() }
}

#[async_trait]
impl Provider for Things {
    fn kind(&self) -> &'static str {
        "files"
    }
    fn lane(&self, _: &Target) -> String {
        "all".into()
    }
    fn batch(&self) -> usize {
        1
    }
    fn known(&self, _: &Target, _: &Artifact) -> Map {
        Map::new()
    }
    async fn observe(
        &self,
        targets: &[Target],
    ) -> Vec<(Target, Result<Observation, ProviderError>)> {
        let look = |state: &State, target: &Target| {
            if state.blind {
                return Err(ProviderError::unavailable("no answer"));
            }
            Ok(match state.things.get(target.name.as_str()) {
                None => Observation::Absent,
                Some(thing) => Observation::Present(Live {
                    owner: Owner::Ours,
                    digest: thing.digest,
                    token: Some(thing.token.clone()),
                    state: "THERE".into(),
                    busy: state.under_way.values().any(|change| change.target.name == target.name),
                    drift: thing.drift(),
                    pending: false,
                    adoptable: false,
                    stuck: None,
                    outputs: Map::new(),
                    unchecked: None,
                    touched: None,
                    guarded: None,
                }),
            })
        };
        self.with(|state| targets.iter().map(|t| (t.clone(), look(state, t))).collect())
    }
    async fn preview(&self, _: &Change) -> Result<Preview, ProviderError> {
        Ok(Preview::default())
    }
    async fn submit(&self, changes: &[Change]) -> Vec<(Token, Result<Progress, ProviderError>)> {
        let one = |change: &Change| {
            let answer = self.with(|state| {
                state.calls += 1;
                let wrong = state.wrong.pop_front();
                if !matches!(wrong, Some(Wrong::Never | Wrong::Away | Wrong::Slow)) {
                    state.make(change);
                }
                match wrong {
                    None => Ok(done()),
                    Some(Wrong::Lost | Wrong::Never) => {
                        Err(ProviderError::unknown("connection reset"))
                    }
                    Some(Wrong::Away) => Err(ProviderError::unavailable("connection refused")),
                    Some(Wrong::Slow) => {
                        state.under_way.insert(change.token.to_string(), change.clone());
                        let ticket = Ticket {
                            target: change.target.clone(),
                            token: change.token.clone(),
                            data: serde_json::Value::Null,
                        };
                        Ok(Progress::Running { ticket, events: Vec::new() })
                    }
                }
            });
            (change.token.clone(), answer)
        };
        changes.iter().map(one).collect()
    }
    async fn poll(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.with(|state| {
            if let Some(change) = state.under_way.remove(ticket.token.as_str()) {
                state.make(&change);
            }
        });
        Ok(done())
    }
    async fn cancel(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        self.poll(ticket).await
    }
}
