//! A stack's events: what happened to its resources, and how an operation of ours ended.

use aws_sdk_cloudformation::types::{
    EventFilter, EventType, HookFailureMode, OperationEvent, StackEvent, ValidationStatus,
};
use jiff::Timestamp;

use super::error::Trouble;
use super::session::Session;
use super::stack::moment;
use super::status::{self, Ending};
use super::ticket::{Operation, is_of};
use crate::model::{Happening, Token};

/// One event, in our words.
#[derive(Clone, Debug)]
struct Event {
    id: String,
    at: Timestamp,
    resource: String,
    kind: String,
    /// It is about the stack itself.
    of_stack: bool,
    token: Option<String>,
    state: String,
    reason: Option<String>,
}

impl Event {
    fn of(event: StackEvent) -> Option<Self> {
        let at = moment(event.timestamp?)?;
        Some(Self {
            id: event.event_id?,
            at,
            of_stack: event.physical_resource_id.is_some()
                && event.physical_resource_id == event.stack_id,
            resource: event.logical_resource_id?,
            kind: event.resource_type.unwrap_or_default(),
            token: event.client_request_token,
            state: event.resource_status?.as_str().to_owned(),
            reason: event.resource_status_reason,
        })
    }

    fn failed(&self) -> bool {
        self.state.ends_with("_FAILED")
    }

    /// From here on it went wrong.
    fn turned(&self) -> bool {
        self.failed() || self.state.ends_with("ROLLBACK_IN_PROGRESS")
    }

    /// What did not pass a check that CloudFormation makes before it begins.
    fn of_check(event: OperationEvent, token: &Token) -> Option<Self> {
        let failed = event.event_type == Some(EventType::ValidationError)
            && event.validation_status == Some(ValidationStatus::Failed)
            && event.validation_failure_mode != Some(HookFailureMode::Warn);
        let found = event.client_request_token.as_deref();
        if !failed || found.is_some() && !is_of(found, token) {
            return None;
        }
        let at = event.timestamp?;
        Some(Self {
            id: event.event_id?,
            at: Timestamp::new(at.secs(), i32::try_from(at.subsec_nanos()).ok()?).ok()?,
            resource: event.logical_resource_id.or(event.validation_path)?,
            kind: event.resource_type.unwrap_or_default(),
            of_stack: false,
            token: None,
            state: "VALIDATION_FAILED".into(),
            reason: event.validation_status_reason,
        })
    }

    /// It was stopped because another failed: a consequence, not a cause.
    fn is_consequence(&self) -> bool {
        self.reason.as_deref().is_none_or(|r| {
            r.starts_with("Resource creation cancelled")
                || r.starts_with("Resource update cancelled")
        })
    }
}

/// What the events of an operation tell.
#[derive(Debug, Default)]
pub(super) struct Story {
    /// Oldest first.
    events: Vec<Event>,
    /// Our token stands in at least one event: the operation has begun.
    pub(super) begun: bool,
    /// What happened under no token of ours after our own last event, oldest first.
    later: Vec<Event>,
}

/// How an operation begins by the stack's own event.
const BEGINNINGS: [&str; 3] = ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"];

/// What the first event of a stack says of it: made by itself, or with a change set.
const STARTS: [&str; 2] = ["CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"];

/// Pages read of one operation's events at most.
const PAGES: usize = 50;

impl Session {
    /// All events of the operation that `token` began. Newest first come the pages, and what is
    /// older than the operation is not read.
    pub(super) async fn story(&self, stack: &str, token: &Token) -> Result<Story, Trouble> {
        let (mut events, mut begun, mut next) = (Vec::new(), false, None::<String>);
        let mut later = Vec::new();
        for _ in 0..PAGES {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_stack_events().stack_name(stack).set_next_token(page).send()
            };
            let said = match self.look_among(&self.limits.events, call).await {
                Ok(said) => said,
                Err(trouble) if trouble.says_absent() => break,
                Err(trouble) => return Err(trouble),
            };
            let mut older = false;
            for event in said.stack_events.unwrap_or_default().into_iter().filter_map(Event::of) {
                let ours = is_of(event.token.as_deref(), token);
                // Another's event, once ours were seen, is older than the operation.
                older |= begun && !ours && event.token.is_some();
                begun |= ours;
                if !begun {
                    later.push(event);
                    continue;
                }
                if older {
                    continue;
                }
                // The stack's own first event is where the operation began.
                older = ours && event.of_stack && BEGINNINGS.contains(&event.state.as_str());
                events.push(event);
            }
            next = said.next_token;
            if older || next.is_none() {
                break;
            }
        }
        if !begun {
            later.clear();
        }
        events.reverse();
        later.reverse();
        Ok(Story { events, begun, later })
    }
}

impl Session {
    /// Whether a stack was never whole, as its own events tell from its beginning on. What they do not
    /// tell, since they cannot be read or the first of them are gone after 90 days, is no yes.
    pub(super) async fn was_never_whole(&self, stack: &str) -> bool {
        let (mut first, mut next) = (None, None::<String>);
        for _ in 0..PAGES {
            let page = next.take();
            let call = |client: &aws_sdk_cloudformation::Client| {
                client.describe_stack_events().stack_name(stack).set_next_token(page).send()
            };
            let Ok(said) = self.look_among(&self.limits.events, call).await else { return false };
            let events = said.stack_events.unwrap_or_default().into_iter().filter_map(Event::of);
            for event in events.filter(|event| event.of_stack) {
                if !status::is_before_whole(&event.state) {
                    return false;
                }
                first = Some(event.state);
            }
            next = said.next_token;
            if next.is_none() {
                // Newest first they come.
                return first.is_some_and(|first| STARTS.contains(&first.as_str()));
            }
        }
        false
    }

    /// Adds what CloudFormation found before it began, where that is why nothing began: those
    /// events it tells in another place. Best effort: what could not be read is not told.
    pub(super) async fn explain(&self, story: &mut Story, stack: &str, token: &Token) {
        if story.events.iter().any(|e| !e.of_stack) || !story.events.iter().any(Event::failed) {
            return;
        }
        let call = |client: &aws_sdk_cloudformation::Client| {
            let filters = EventFilter::builder().failed_events(true).build();
            client.describe_events().stack_name(stack).filters(filters).send()
        };
        let Ok(said) = self.look_among(&self.limits.events, call).await else { return };
        let checks = said.operation_events.unwrap_or_default().into_iter();
        let mut checks: Vec<Event> = checks.filter_map(|e| Event::of_check(e, token)).collect();
        // An update's events may hold earlier operations' checks, where no token tells.
        let began = story.events.first().map(|e| e.at);
        checks.retain(|check| began.is_none_or(|began| check.at >= began));
        story.events.splice(1..1, checks);
    }
}

impl Story {
    /// What happened after the event `cursor`, with the new cursor.
    pub(super) fn after(&self, cursor: Option<&str>) -> (Vec<Happening>, Option<String>) {
        let seen = cursor.and_then(|c| self.events.iter().position(|e| e.id == c));
        let new = &self.events[seen.map_or(0, |n| n + 1)..];
        let happenings = new.iter().map(|event| Happening {
            at: event.at,
            what: event.resource.clone(),
            kind: Some(event.kind.clone()).filter(|k| !k.is_empty()),
            state: event.state.clone(),
            message: event.reason.clone(),
        });
        let last = self.events.last().map(|e| e.id.clone());
        (happenings.collect(), last.or(cursor.map(str::to_owned)))
    }

    /// How the operation ended by the stack's own last event; `None`: it has not.
    pub(super) fn ending(&self, token: &Token) -> Option<(Ending, &str)> {
        let ours = |e: &&Event| e.of_stack && is_of(e.token.as_deref(), token);
        let last = self.events.iter().rev().find(ours)?;
        Some((status::ending(&last.state)?, last.state.as_str()))
    }

    /// Whether somebody else took the operation over: one that they cancel comes to its end under their
    /// token, or under none. What they did up to that end is part of the story then.
    pub(super) fn is_overtaken(&mut self, token: &Token) -> bool {
        if !self.begun || self.ending(token).is_some() {
            return false;
        }
        let is_end = |e: &Event| e.of_stack && status::ending(&e.state).is_some();
        let Some(end) = self.later.iter().position(is_end) else { return false };
        self.events.extend(self.later.drain(..=end));
        true
    }

    /// What went wrong, the first cause first, in the service's words.
    pub(super) fn cause(&self) -> Option<String> {
        let failures = || self.events.iter().filter(|e| e.failed() && !e.of_stack);
        let first =
            failures().find(|e| !e.is_consequence()).or_else(|| failures().next()).or_else(
                || self.events.iter().find(|e| e.of_stack && e.reason.is_some() && e.turned()),
            )?;
        let more =
            failures().filter(|e| !e.is_consequence() && e.resource != first.resource).count();
        let reason = first.reason.as_deref().unwrap_or("no reason was given");
        let more = match more {
            0 => String::new(),
            1 => " (and one more resource failed)".into(),
            n => format!(" (and {n} more resources failed)"),
        };
        Some(format!("`{}` ({}) {}: {reason}{more}", first.resource, first.kind, first.state))
    }
}

impl Story {
    /// Which way the operation goes, by the stack's own first event.
    pub(super) fn operation(&self) -> Option<Operation> {
        let first = self.events.iter().find(|e| e.of_stack)?;
        Some(match first.state.as_str() {
            "CREATE_IN_PROGRESS" => Operation::Create,
            "DELETE_IN_PROGRESS" => Operation::Delete,
            _ => Operation::Update,
        })
    }
}
