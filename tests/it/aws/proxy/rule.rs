//! What is done to which calls.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::call::{Answer, Call};
use super::form::Form;

/// Which calls, and what is done to them. All that match one are done to it, in the order given.
#[derive(Clone)]
pub struct Rule {
    action: Option<String>,
    stack: String,
    skip: usize,
    times: usize,
    share: u64,
    fault: Fault,
}

/// What is done to a call.
#[derive(Clone)]
pub enum Fault {
    /// It takes longer.
    Delay(Duration),
    /// It waits in front of the server until the gate opens.
    Hold(Gate),
    /// `Throttling`, 400: not passed on.
    Throttle,
    /// This status, code and message: not passed on.
    Refuse(u16, &'static str, &'static str),
    /// The connection is reset, and nothing passed on.
    ResetBefore,
    /// This status, without a body that says why: not passed on.
    FailBefore(u16),
    /// Passed on; then the connection is reset instead of an answer.
    ResetAfter,
    /// Passed on; then this status, without a body that says why.
    FailAfter(u16),
    /// Passed on; then a success whose body is no XML.
    Garbage,
    /// Passed on; then the answer breaks off half-way.
    Cut,
    /// Passed on; then no answer at all until the caller gives up.
    Silence,
    /// Its parameters are others.
    Request(ChangeRequest),
    /// Its answer is another.
    Answer(ChangeAnswer),
}

type ChangeRequest = Arc<dyn Fn(&mut Form) + Send + Sync>;
type ChangeAnswer = Arc<dyn Fn(&Call, &mut Answer) + Send + Sync>;

impl Fault {
    /// Changes the parameters.
    pub fn request(change: impl Fn(&mut Form) + Send + Sync + 'static) -> Self {
        Self::Request(Arc::new(change))
    }

    /// Changes the answer.
    pub fn answer(change: impl Fn(&Call, &mut Answer) + Send + Sync + 'static) -> Self {
        Self::Answer(Arc::new(change))
    }
}

impl Rule {
    /// Calls of this action; `*` at its end stands for anything.
    pub fn on(action: &str, fault: Fault) -> Self {
        Self { action: Some(action.to_owned()), ..Self::any(fault) }
    }

    /// All calls.
    pub fn any(fault: Fault) -> Self {
        Self { action: None, stack: String::new(), skip: 0, times: usize::MAX, share: 100, fault }
    }

    /// Only for stacks whose name begins so.
    pub fn stack(self, prefix: &str) -> Self {
        Self { stack: prefix.to_owned(), ..self }
    }

    /// Not for the first so many that match.
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }

    /// For so many only.
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// For the first that matches only.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// For this share of them, in percent: the same ones each time it is run, whatever the order
    /// they come in.
    pub fn share(self, percent: u64) -> Self {
        Self { share: percent, ..self }
    }

    fn matches(&self, call: &Call) -> bool {
        let action = match self.action.as_deref() {
            None => true,
            Some(name) => match name.strip_suffix('*') {
                Some(start) => call.action.starts_with(start),
                None => call.action == name,
            },
        };
        action && call.stack.starts_with(&self.stack)
    }
}

/// The rules, and how often each was met and used.
#[derive(Default)]
pub struct Rules {
    rules: Vec<Kept>,
    /// How often an action came for a stack.
    seen: HashMap<(String, String), u64>,
}

struct Kept {
    rule: Rule,
    /// Calls that match it.
    met: usize,
    /// Calls that it did something to.
    hits: usize,
}

impl Rules {
    /// One more.
    pub fn add(&mut self, rule: Rule) {
        self.rules.push(Kept { rule, met: 0, hits: 0 });
    }

    /// The actions of those that nothing was done by yet.
    pub fn unused(&self) -> Vec<String> {
        let unused = self.rules.iter().filter(|kept| kept.hits == 0);
        unused.map(|kept| kept.rule.action.clone().unwrap_or_else(|| "*".to_owned())).collect()
    }

    /// None any more.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// What is done to a call.
    pub fn take(&mut self, call: &Call) -> Vec<Fault> {
        let seen = self.seen.entry((call.action.clone(), call.stack.clone())).or_default();
        *seen += 1;
        let mut faults = Vec::new();
        for (index, Kept { rule, met, hits }) in self.rules.iter_mut().enumerate() {
            let chance = || {
                let mut hasher = DefaultHasher::new();
                (&call.action, &call.stack, *seen, index).hash(&mut hasher);
                hasher.finish() % 100
            };
            if !rule.matches(call) || rule.share < 100 && chance() >= rule.share {
                continue;
            }
            *met += 1;
            if *met > rule.skip && *met - rule.skip <= rule.times {
                *hits += 1;
                faults.push(rule.fault.clone());
            }
        }
        faults
    }
}

/// Holds calls until it is opened.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed one.
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets all through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn pass(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
