//! Asking how an operation is getting on.

use aws_sdk_cloudformation::types::ChangeSetStatus;
use tokio::time::Instant;

use super::error::Trouble;
use super::event::Story;
use super::session::{Purpose, Session};
use super::settings::Place;
use super::stack::Stack;
use super::status::{self, Ending, Standing};
use super::submit::Work;
use super::ticket::{Notes, Operation, stopper};
use super::{CloudFormation, stack_name};
use crate::fault::point;
use crate::model::{Action, Change, Owner, Progress, Ticket};
use crate::provider::ProviderError;

impl CloudFormation {
    pub(super) async fn ask(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        let place = Place::read(&ticket.target.settings).map_err(ProviderError::Refused)?;
        let session = self.0.get(&place, Purpose::Look, &ticket.target.key).await;
        let known = Notes::read(ticket);
        must_be_there(&session, &place, ticket, known.as_ref()).await?;
        let notes = match known {
            Some(notes) => notes,
            None => find(&session, ticket, &stack_name(&place, &ticket.target)).await?,
        };
        if let Some(change_set) = notes.change_set.clone() {
            return self.advance(ticket, place, notes, &change_set).await;
        }
        let mut seen = session.recent(&notes.stack).await.map_err(Trouble::of_a_look)?;
        let (limits, id) = (session.limits.clone(), notes.stack.clone());
        if let Some(stack) = seen.as_ref().filter(|s| s.standing() == Standing::Busy)
            && !limits.flights.is_to_be_read(&id, &stack.state(), &limits.events, Instant::now())
        {
            return Ok(Progress::Running { ticket: ticket.clone(), events: Vec::new() });
        }
        let story = session.story(&id, &ticket.token).await;
        let mut story = story.map_err(Trouble::of_a_look)?;
        // Listings leave out what is deleted. Its events tell that; and else the service, asked by
        // the id, still knows it.
        let deleted = notes.operation == Operation::Delete && story.ending(&ticket.token).is_some();
        if seen.is_none() && !deleted {
            seen = session.stack(&id).await.map_err(Trouble::of_a_look)?;
        }
        session.explain(&mut story, &id, &ticket.token).await;
        let told = tell(ticket, notes, seen.as_deref(), &mut story);
        if !matches!(told, Progress::Running { .. }) {
            limits.flights.end(&id);
        }
        Ok(told)
    }

    /// Executes the change set once it is there, unless something would be lost by it: it was made since
    /// a preview had said that nothing would change, and nobody has looked at it.
    async fn advance(
        &self,
        ticket: &Ticket,
        place: Place,
        notes: Notes,
        change_set: &str,
    ) -> Result<Progress, ProviderError> {
        let session = self.0.get(&place, Purpose::Change, &ticket.target.key).await;
        let call = |client: &aws_sdk_cloudformation::Client| {
            client.describe_change_set().change_set_name(change_set).send()
        };
        let made = match session.look_among(&session.limits.change_sets, call).await {
            Ok(made) => made,
            Err(trouble) if trouble.says_absent() => {
                // One that was executed may be gone after it; the word of that was lost.
                let story = session.story(&notes.stack, &ticket.token).await;
                if story.map_err(Trouble::of_a_look)?.begun {
                    let notes = Notes { change_set: None, ..notes };
                    let ticket = notes.ticket(&ticket.token, &ticket.target);
                    return Ok(Progress::Running { ticket, events: Vec::new() });
                }
                return Err(ProviderError::Stale("its change set is gone".into()));
            }
            Err(trouble) => return Err(trouble.of_a_look()),
        };
        match made.status {
            Some(ChangeSetStatus::CreateComplete) => {
                let changes = session.changes(change_set, made, &[]).await;
                let changes = match changes {
                    Ok(changes) => changes,
                    Err(trouble) if trouble.says_absent() => {
                        return Err(ProviderError::Stale("its change set is gone".into()));
                    }
                    Err(trouble) => return Err(trouble.of_a_look()),
                };
                if let Some(lost) = changes.iter().find(|change| change.loses()) {
                    session.drop_change_set(change_set).await;
                    return Err(ProviderError::Stale(format!(
                        "nothing was to change in it, and now `{}` would be lost",
                        lost.name
                    )));
                }
                let change = of_ticket(ticket);
                let name = notes.stack.clone();
                let work = Work { session, place, change: &change, name };
                work.execute(change_set, notes).await
            }
            Some(ChangeSetStatus::Failed) => {
                let stack = session.stack(&notes.stack).await.map_err(Trouble::of_a_look)?;
                session.drop_change_set(change_set).await;
                let Some(stack) = stack else {
                    return Err(ProviderError::Stale("the stack has just gone".into()));
                };
                let reason = made.status_reason.unwrap_or_default();
                Ok(not_made(ticket, &notes, &stack, &reason))
            }
            _ => Ok(Progress::Running { ticket: ticket.clone(), events: Vec::new() }),
        }
    }

    /// Rolls an update back, which CloudFormation can do while it has not come to its clean-up; what
    /// is not begun is dropped. All else goes its way.
    pub(super) async fn stop(&self, ticket: &Ticket) -> Result<Progress, ProviderError> {
        let place = Place::read(&ticket.target.settings).map_err(ProviderError::Refused)?;
        let Some(mut notes) = Notes::read(ticket).filter(|n| n.operation == Operation::Update)
        else {
            return self.ask(ticket).await;
        };
        let session = self.0.get(&place, Purpose::Change, &ticket.target.key).await;
        must_be_there(&session, &place, ticket, Some(&notes)).await?;
        let stack = session.stack(&notes.stack).await.map_err(Trouble::of_a_look)?;
        if let Some(change_set) = notes.change_set.take() {
            let story = session.story(&notes.stack, &ticket.token).await;
            // It was executed, and the word of that was lost: then it is stopped as any other.
            if !story.map_err(Trouble::of_a_look)?.begun {
                session.delete_change_set(&change_set).await.map_err(Trouble::of_a_look)?;
                let state = stack.map_or_else(|| "DELETE_COMPLETE".into(), |s| s.state());
                let error = "it was stopped before it began".to_owned();
                return Ok(Progress::Failed { error, state, events: Vec::new() });
            }
        }
        let updates = stack.is_some_and(|s| s.state() == "UPDATE_IN_PROGRESS");
        if updates {
            let token = stopper(&ticket.token);
            let call = |client: &aws_sdk_cloudformation::Client| {
                let stop = client.cancel_update_stack().stack_name(&notes.stack);
                stop.client_request_token(&token).send()
            };
            point!("aws.stop.before")?;
            let stopped = session.change(call).await;
            point!("aws.stop.after")?;
            match stopped {
                Ok(_) => {}
                // It came to its end meanwhile, which asking finds.
                Err(trouble) if trouble.is("ValidationError") => {}
                // It goes on, and why it could not be stopped is said.
                Err(trouble) => return Err(trouble.of_a_look()),
            }
        }
        self.ask(&notes.ticket(&ticket.token, &ticket.target)).await
    }
}

/// Whoever asks in another account is told that there is no such stack, which reads as the end of a
/// deletion.
async fn must_be_there(
    session: &Session,
    place: &Place,
    ticket: &Ticket,
    notes: Option<&Notes>,
) -> Result<(), ProviderError> {
    let id = notes.map(|n| n.stack.as_str()).or(ticket.target.id.as_deref());
    session.check_account(place, id).await.map_err(Trouble::of_a_look)
}

/// What CloudFormation says of a change set in which nothing would change.
pub(super) fn says_no_changes(reason: &str) -> bool {
    !is_of_nested(Some(reason))
        && (reason.contains("didn't contain changes")
            || reason.contains("No updates are to be performed"))
}

/// Whether it failed since one of a stack within the stack did: that nothing would change in one says
/// nothing of the others.
pub(super) fn is_of_nested(reason: Option<&str>) -> bool {
    reason.is_some_and(|reason| reason.contains("ested change set"))
}

/// What it means that CloudFormation made no change set.
fn not_made(ticket: &Ticket, notes: &Notes, stack: &Stack, reason: &str) -> Progress {
    let state = stack.state();
    let failed = |error: &str, state| {
        let (error, events) = (error.to_owned(), Vec::new());
        Progress::Failed { error, state, events }
    };
    if !says_no_changes(reason) {
        return failed(reason, state);
    }
    if notes.reverts {
        return failed(NOTHING_BACK, state);
    }
    if stack.owner(&ticket.target) != Owner::Ours {
        return failed(NOTHING_TO_MARK, state);
    }
    // Tags alone are no change where no resource takes them: the stack keeps those that it has.
    let (outputs, mark) = (stack.outputs.clone(), stack.digest());
    Progress::Succeeded { outputs, state, mark, events: Vec::new() }
}

const NOTHING_BACK: &str = "CloudFormation finds nothing to change back: undo by hand what was changed, or change the request";
const NOTHING_TO_MARK: &str = "CloudFormation finds nothing to change in the stack, not even for its tags, so that it cannot be marked as vend's: ask for something in it that differs, or add vend's tags by hand";

/// As much of the change as executing its change set needs.
fn of_ticket(ticket: &Ticket) -> Change {
    Change {
        token: ticket.token.clone(),
        target: ticket.target.clone(),
        action: Action::Update,
        artifact: None,
        expect: None,
        labels: Default::default(),
        former: None,
        commit: None,
        protect: false,
        adopt: false,
        template: None,
        timeout: None,
        preview: None,
    }
}

/// The ticket's notes were lost with the process that had them: the stack's events tell.
async fn find(session: &Session, ticket: &Ticket, name: &str) -> Result<Notes, ProviderError> {
    let lost =
        || ProviderError::unknown("the stack's events do not know the change: send it again");
    let stack = session.stack(name).await.map_err(Trouble::of_a_look)?.ok_or_else(lost)?;
    let story = session.story(&stack.id, &ticket.token).await.map_err(Trouble::of_a_look)?;
    let operation = story.operation().ok_or_else(lost)?;
    Ok(Notes::new(operation, &stack.id))
}

/// What the stack and its events come to.
fn tell(ticket: &Ticket, notes: Notes, stack: Option<&Stack>, story: &mut Story) -> Progress {
    let state = stack.map_or_else(|| "DELETE_COMPLETE".into(), Stack::state);
    let gone = stack.is_none_or(|s| s.standing() == Standing::Gone);
    let busy = stack.is_some_and(|s| s.standing() == Standing::Busy);
    let overtaken = !busy && story.is_overtaken(&ticket.token);
    let (events, cursor) = story.after(notes.cursor.as_deref());
    let ending = match (stack, story.ending(&ticket.token)) {
        (_, Some((ending, _))) => ending,
        // Nobody else can have made what bears this id.
        (Some(stack), None) if notes.operation == Operation::Create => {
            status::row(&stack.status).ending
        }
        // What is gone by its id is gone for good, whoever saw to that: to an update it is told below.
        (_, None) if gone && notes.operation != Operation::Create => Ending::Good,
        (Some(_), None) if overtaken => Ending::Bad,
        // What was read may be older than what was begun.
        (_, None) => Ending::Open,
    };
    match ending {
        Ending::Good if gone && notes.operation != Operation::Delete => {
            let error = "the stack was deleted while it was being changed".to_owned();
            Progress::Failed { error, state, events }
        }
        Ending::Good if !busy => {
            let outputs = stack.filter(|_| !gone).map(|s| s.outputs.clone()).unwrap_or_default();
            Progress::Succeeded { outputs, state, mark: None, events }
        }
        Ending::Bad if overtaken => {
            let error = format!("somebody else stopped it, and it came to {state}");
            Progress::Failed { error, state, events }
        }
        Ending::Bad if !busy => {
            let reason = || stack.and_then(|s| s.reason.clone());
            let error = story.cause().or_else(reason).unwrap_or_else(|| state.clone());
            Progress::Failed { error, state, events }
        }
        Ending::Good | Ending::Bad | Ending::Open => {
            let notes = Notes { cursor, ..notes };
            Progress::Running { ticket: notes.ticket(&ticket.token, &ticket.target), events }
        }
    }
}
