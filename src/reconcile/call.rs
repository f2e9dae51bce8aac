//! Calls of providers: bounded in time, and apart from each other. Whatever a provider does, there
//! is an answer for each row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::ledger::End;
use crate::error::chain;
use crate::fault::{planted, point};
use crate::model::{
    Change, Happening, Journalled, Map, Observation, Owner, Preview, Progress, Target, TargetKey,
    Ticket, Token, hidden_output, is_hidden_output,
};
use crate::provider::{self, Provider, ProviderError, Scope, masked};

/// No call takes longer. Long, since a batch may be a commit of thousands of files that is pushed
/// over a slow line: each provider has shorter deadlines of its own for what it waits for.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// What became of a row.
#[derive(Debug)]
pub(super) enum Answer {
    /// The end was seen.
    Ended(End, Vec<Happening>),
    /// Under way.
    Running(Ticket, Vec<Happening>),
    /// Under way by all that is known, and the provider could not be asked: why, and its wish when to
    /// ask again.
    Silent(Ticket, String, Option<Duration>),
    /// It may have happened.
    Unknown(String),
    /// Nothing happened, and the target is not what was planned for.
    Stale(String),
    /// Nothing happened; later.
    Later(String, Option<Duration>, Scope),
    /// It was never asked for, and is not before then: what it would have met is known.
    NotBegun(String, Timestamp),
    /// Nothing happened, and nothing will until somebody changes something.
    Refused(String),
}

impl Answer {
    /// Whether a try is over and came to nothing.
    pub(super) fn is_a_failure(&self) -> bool {
        match self {
            Self::Ended(End::Failed { .. }, _)
            | Self::Stale(_)
            | Self::Later(..)
            | Self::Refused(_) => true,
            // What was not tried did not fail.
            Self::NotBegun(..)
            | Self::Ended(End::Done { .. }, _)
            | Self::Running(..)
            | Self::Silent(..)
            | Self::Unknown(_) => false,
        }
    }

    /// What was sent once may have happened whatever is answered now: "cannot be reached" and "not
    /// allowed" end nothing by themselves.
    pub(super) fn of_a_resumed(self) -> Self {
        match self {
            Self::Later(error, ..) | Self::Refused(error) => Self::Unknown(error),
            sure @ (Self::Ended(..)
            | Self::Running(..)
            | Self::Silent(..)
            | Self::Unknown(_)
            | Self::NotBegun(..)
            | Self::Stale(_)) => sure,
        }
    }
}

/// Rows with what became of them.
pub(super) type Answers = Vec<(Journalled, Answer)>;

/// Submits rows of one lane.
pub(super) async fn submit(provider: Arc<dyn Provider>, rows: Vec<Journalled>) -> Answers {
    let anew = planted!("token-anew").then(|| getrandom::u64().unwrap_or_default());
    let token = |token: &Token| match anew {
        Some(anew) => Token::new(format!("{token}-{anew:x}")),
        None => token.clone(),
    };
    let sent = |row: &Journalled| Change { token: token(&row.change.token), ..row.change.clone() };
    let changes: Vec<Change> = rows.iter().map(sent).collect();
    if let Err(fault) = point!("pass.submit.before") {
        return all(rows, |_| Answer::Later(chain(&fault), None, Scope::Target));
    }
    if planted!("done-before-call") {
        let done = || End::Done { outputs: Map::new(), state: "DONE".into(), mark: None };
        return all(rows, |_| Answer::Ended(done(), Vec::new()));
    }
    let call = apart(async move { provider.submit(&changes).await }).await;
    if let Err(fault) = point!("pass.submit.after") {
        return all(rows, |_| Answer::Unknown(chain(&fault)));
    }
    let (mut answers, lost): (HashMap<Token, _>, _) = match call {
        // A provider that forgets to answer has not said that nothing happened.
        Ok(given) => (given.into_iter().collect(), "the provider gave no answer for this change"),
        Err(lost) => (HashMap::new(), lost),
    };
    all(rows, |row| {
        let answer = answers.remove(&token(&row.change.token));
        answer.map_or_else(|| Answer::Unknown(lost.into()), |a| answer_of(a, &row.change))
    })
}

/// Submits rows again that may have been sent before, under the same tokens.
///
/// A refusal ends one of them only if the target is as it was before the first call: what was asked for
/// may be the very thing that is refused, and would be asked for for ever.
pub(super) async fn submit_again(provider: Arc<dyn Provider>, rows: Vec<Journalled>) -> Answers {
    let answers = submit(provider.clone(), rows).await;
    let is_refused = |answer: &Answer| matches!(answer, Answer::Refused(_));
    let refused = answers.iter().filter(|(_, answer)| is_refused(answer));
    let targets: Vec<Target> = refused.map(|(row, _)| row.change.target.clone()).collect();
    let mut seen: HashMap<TargetKey, _> = HashMap::new();
    if !targets.is_empty() {
        let look = apart(async move { provider.observe(&targets).await }).await;
        seen.extend(look.unwrap_or_default().into_iter().map(|(target, seen)| (target.key, seen)));
    }
    let sure = |(row, answer): (Journalled, Answer)| {
        let is_sure = is_refused(&answer)
            && matches!(seen.get(&row.change.target.key), Some(Ok(found)) if is_untouched(&row.change, found));
        let answer = if is_sure { answer } else { answer.of_a_resumed() };
        (row, answer)
    };
    answers.into_iter().map(sure).collect()
}

/// Whether a target is as it was when the change was planned, and would not be if it had been made.
fn is_untouched(change: &Change, found: &Observation) -> bool {
    match found {
        Observation::Absent => change.expect.is_none(),
        Observation::Present(live) => {
            // Where only its guard was to change, that tells.
            let is_unguarded = change.protect && live.guarded == Some(false);
            live.owner == Owner::Ours
                && !live.busy
                && live.token.as_ref() != Some(&change.token)
                && live.digest.is_some()
                && live.digest == change.expect
                && (is_unguarded
                    || change.artifact.as_ref().and_then(|a| a.digest) != change.expect)
        }
    }
}

fn all(rows: Vec<Journalled>, mut answer: impl FnMut(&Journalled) -> Answer) -> Answers {
    let answered = rows.into_iter().map(|row| {
        let answer = answer(&row);
        (row, answer)
    });
    answered.collect()
}

/// Asks about a row that has a ticket.
pub(super) async fn poll(
    provider: Arc<dyn Provider>,
    row: Journalled,
    ticket: Ticket,
) -> (Journalled, Answer) {
    let ticket_asked = ticket.clone();
    if point!("pass.poll.before").is_err() {
        return (row, Answer::Running(ticket, Vec::new()));
    }
    let call = async move { provider.poll(&ticket_asked).await };
    let call = tokio::time::timeout(ASKED, self::asked(call)).await;
    let call = call.unwrap_or(Err("the provider gave no answer in half a minute"));
    if point!("pass.poll.after").is_err() {
        return (row, Answer::Running(ticket, Vec::new()));
    }
    let answer = match call {
        // Failing to ask is not an end: the change goes on at the provider.
        Ok(Err(ProviderError::Unavailable { retry_after, scope: _, error })) => {
            let why = masked(chain(&*error), &hidden(&row.change));
            Answer::Silent(ticket, why, retry_after)
        }
        Err(lost) => Answer::Silent(ticket, lost.to_owned(), None),
        Ok(answer) => answer_of(answer, &row.change),
    };
    (row, answer)
}

/// Asks what a change would do.
pub(super) async fn preview(
    provider: Arc<dyn Provider>,
    change: Change,
) -> Result<Preview, ProviderError> {
    point!("pass.preview.before")?;
    let hidden = hidden(&change);
    let call = asked(async move { provider.preview(&change).await }).await;
    point!("pass.preview.after")?;
    let answer = call.unwrap_or_else(|lost| Err(ProviderError::unavailable(lost)));
    answer.map_err(|error| error.reworded(|text| masked(text, &hidden)))
}

/// Drops what a preview prepared; that it could not be dropped is nobody's trouble.
pub(super) async fn discard(provider: Arc<dyn Provider>, target: Target, handle: Value) {
    let call = apart(async move { provider.discard(&target, &handle).await });
    let _ = call.await;
}

/// Asks a row that has a ticket to stop, where that is safe; else it is as if it had been polled.
pub(super) async fn cancel(
    provider: Arc<dyn Provider>,
    row: Journalled,
    ticket: Ticket,
) -> (Journalled, Answer) {
    let asked = ticket.clone();
    if point!("pass.cancel.before").is_err() {
        return (row, Answer::Running(ticket, Vec::new()));
    }
    let call = apart(async move { provider.cancel(&asked).await }).await;
    if point!("pass.cancel.after").is_err() {
        return (row, Answer::Running(ticket, Vec::new()));
    }
    let answer = match call {
        Ok(Ok(progress)) => answer_of(Ok(progress), &row.change),
        // It goes on, and is asked to stop again.
        Ok(Err(error)) => {
            let why = masked(chain(&error), &hidden(&row.change));
            return (row, Answer::Silent(ticket, why, None));
        }
        Err(lost) => return (row, Answer::Silent(ticket, lost.to_owned(), None)),
    };
    (Journalled { cancelled: true, ..row }, answer)
}

/// Looks at targets, for drift too where `deep` says so.
pub(super) async fn look(
    provider: Arc<dyn Provider>,
    targets: Vec<Target>,
    deep: bool,
) -> Vec<(Target, Result<Observation, ProviderError>)> {
    let asked = targets.clone();
    let call = self::asked(async move {
        if deep { provider.inspect(&asked).await } else { provider.observe(&asked).await }
    });
    call.await.unwrap_or_else(|lost| {
        targets.into_iter().map(|target| (target, Err(ProviderError::unavailable(lost)))).collect()
    })
}

/// Clears away what previews left at targets.
pub(super) async fn sweep(provider: Arc<dyn Provider>, targets: Vec<Target>) {
    let _ = asked(async move { provider.sweep(&targets).await }).await;
}

/// How long a change is asked about: it is under way whether somebody tells or not, and is asked about
/// again.
const ASKED: Duration = Duration::from_secs(30);

/// Ends a task that only asks, together with whoever waits for it.
struct Ends(tokio::task::AbortHandle);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs a call that only asks: apart, and no longer than somebody waits for it.
async fn asked<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, &'static str> {
    let mut task = tokio::spawn(call.in_current_span());
    let _ends = Ends(task.abort_handle());
    end_of(&mut task, "the provider's code failed while it was asked").await
}

/// Runs a call where its panic or its silence is its own; else says why there is no answer.
async fn apart<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, &'static str> {
    let mut task = tokio::spawn(call.in_current_span());
    end_of(&mut task, "the provider's code failed in the middle of the change").await
}

/// What came of a call that runs apart; `broke` is said where it panicked.
async fn end_of<T>(task: &mut JoinHandle<T>, broke: &'static str) -> Result<T, &'static str> {
    match tokio::time::timeout(DEADLINE, &mut *task).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => {
            tracing::error!("a call of a provider panicked");
            Err(broke)
        }
        Err(_) => {
            task.abort();
            Err("the provider gave no answer in half an hour")
        }
    }
}

/// What was answered, with nothing in its words that the change has and nobody is to see.
fn answer_of(answer: Result<Progress, ProviderError>, change: &Change) -> Answer {
    let hidden = hidden(change);
    let safe = |text: String| match planted!("secret-in-error") {
        true => text,
        false => masked(text, &hidden),
    };
    let told = |events: Vec<Happening>| -> Vec<Happening> {
        let told = events.into_iter();
        told.map(|event| Happening { message: event.message.map(safe), ..event }).collect()
    };
    match answer.map_err(|error| error.reworded(safe)) {
        Ok(Progress::Running { ticket, events }) => Answer::Running(ticket, told(events)),
        Ok(Progress::Succeeded { outputs, state, mark, events }) => {
            let outputs = unechoed(outputs, &change.target, &hidden);
            Answer::Ended(End::Done { outputs, state, mark }, told(events))
        }
        Ok(Progress::Failed { error, state: _, events }) => {
            Answer::Ended(End::Failed { error: safe(error) }, told(events))
        }
        Err(ProviderError::Unavailable { retry_after, scope, error }) => {
            Answer::Later(chain(&*error), retry_after, scope)
        }
        Err(ProviderError::Stale(why)) => Answer::Stale(why),
        Err(ProviderError::Refused(error)) => Answer::Refused(error),
        Err(ProviderError::Unknown { error }) => Answer::Unknown(chain(&*error)),
    }
}

/// What a target gives, without what it repeats of values that nobody is to see: other requests take
/// outputs for their parameters, so that none of such a value is kept.
pub(super) fn unechoed(outputs: Map, target: &Target, hidden: &[String]) -> Map {
    let kept = |(name, value): (String, Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let repeats = !is_hidden_output(&value) && masked(text.clone(), hidden) != text;
        let value = match repeats {
            true => hidden_output(&target.provider, &target.name, &name),
            false => value,
        };
        (name, value)
    };
    outputs.into_iter().map(kept).collect()
}

fn hidden(change: &Change) -> Vec<String> {
    change.artifact.as_deref().map(provider::hidden).unwrap_or_default()
}
