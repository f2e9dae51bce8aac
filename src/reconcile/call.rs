//! Calls of providers: bounded in time, and apart from each other. Whatever a provider does, there
//! is an answer for each row.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::ledger::End;
use crate::error::chain;
use crate::model::{Change, Happening, Journalled, Preview, Progress, Target, Ticket, Token};
use crate::provider::{Provider, ProviderError};

/// No call takes longer. Long, since a batch may be a commit of thousands of files that is pushed
/// over a slow line: each provider has shorter deadlines of its own for what it waits for.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// What became of a row.
#[derive(Debug)]
pub(super) enum Answer {
    /// The end was seen.
    Ended(End, Vec<Happening>),
    /// Under way; the provider's wish when to ask again.
    Running(Ticket, Vec<Happening>, Option<Duration>),
    /// It may have happened.
    Unknown(String),
    /// Nothing happened, and the target is not what was planned for.
    Stale(String),
    /// Nothing happened; later.
    Later(String, Option<Duration>),
    /// Nothing happened, and nothing will until somebody changes something.
    Refused(String),
}

impl Answer {
    /// What was sent once may have happened whatever is answered now: "cannot be reached" and "not
    /// allowed" end nothing.
    pub(super) fn of_a_resumed(self) -> Self {
        match self {
            Self::Later(error, _) | Self::Refused(error) => Self::Unknown(error),
            sure @ (Self::Ended(..) | Self::Running(..) | Self::Unknown(_) | Self::Stale(_)) => {
                sure
            }
        }
    }
}

/// Rows with what became of them.
pub(super) type Answers = Vec<(Journalled, Answer)>;

/// Submits rows of one lane.
pub(super) async fn submit(provider: Arc<dyn Provider>, rows: Vec<Journalled>) -> Answers {
    let changes: Vec<Change> = rows.iter().map(|r| r.change.clone()).collect();
    let call = apart(async move { provider.submit(&changes).await }).await;
    let (mut answers, lost): (HashMap<Token, _>, _) = match call {
        // A provider that forgets to answer has not said that nothing happened.
        Ok(given) => (given.into_iter().collect(), "the provider gave no answer for this change"),
        Err(lost) => (HashMap::new(), lost),
    };
    let answered = rows.into_iter().map(|row| {
        let answer = answers.remove(&row.change.token);
        let answer = answer.map_or_else(|| Answer::Unknown(lost.into()), answer_of);
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
    let asked = ticket.clone();
    let answer = match apart(async move { provider.poll(&asked).await }).await {
        // Failing to ask is not an end: the change goes on at the provider.
        Ok(Err(ProviderError::Unavailable { retry_after, .. })) => {
            Answer::Running(ticket, Vec::new(), retry_after)
        }
        Err(_) => Answer::Running(ticket, Vec::new(), None),
        Ok(answer) => answer_of(answer),
    };
    (row, answer)
}

/// Asks what a change would do.
pub(super) async fn preview(
    provider: Arc<dyn Provider>,
    change: Change,
) -> Result<Preview, ProviderError> {
    let call = apart(async move { provider.preview(&change).await }).await;
    call.unwrap_or_else(|lost| Err(ProviderError::unavailable(lost)))
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
    let answer = match apart(async move { provider.cancel(&asked).await }).await {
        Ok(Ok(progress)) => answer_of(Ok(progress)),
        // It goes on, and is asked to stop again.
        Ok(Err(_)) | Err(_) => return (row, Answer::Running(ticket, Vec::new(), None)),
    };
    (Journalled { cancelled: true, ..row }, answer)
}

/// Runs a call where its panic or its silence is its own; else says why there is no answer.
async fn apart<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> Result<T, &'static str> {
    let mut task = tokio::spawn(call);
    match tokio::time::timeout(DEADLINE, &mut task).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => {
            tracing::error!("a call of a provider panicked");
            Err("the provider's code failed in the middle of the change")
        }
        Err(_) => {
            task.abort();
            Err("the provider gave no answer in half an hour")
        }
    }
}

fn answer_of(answer: Result<Progress, ProviderError>) -> Answer {
    match answer {
        Ok(Progress::Running { ticket, events }) => Answer::Running(ticket, events, None),
        Ok(Progress::Succeeded { outputs, state, mark, events }) => {
            Answer::Ended(End::Done { outputs, state, mark }, events)
        }
        Ok(Progress::Failed { error, state: _, events }) => {
            Answer::Ended(End::Failed { error }, events)
        }
        Err(ProviderError::Unavailable { retry_after, error }) => {
            Answer::Later(chain(&*error), retry_after)
        }
        Err(ProviderError::Stale(why)) => Answer::Stale(why),
        Err(ProviderError::Refused(error)) => Answer::Refused(error),
        Err(ProviderError::Unknown { error }) => Answer::Unknown(chain(&*error)),
    }
}
