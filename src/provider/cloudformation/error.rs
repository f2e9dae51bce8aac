//! What the SDK says went wrong, sorted by what to do about it.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{
    DisplayErrorContext, ErrorMetadata, ProvideErrorMetadata, SdkError,
};

use super::settings::Place;
use crate::error::chain;
use crate::fault::Fault;
use crate::model::Target;
use crate::provider::{ProviderError, Scope};

/// What became of a call that did not go well.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The service rejected it for being too fast.
    Throttled(String),
    /// The service rejected it, and would again.
    Rejected {
        /// The service's code, such as `ValidationError`.
        code: String,
        /// In its words.
        message: String,
    },
    /// It was never sent, or the service cannot look now.
    Unsent(String),
    /// Nothing was signed, and so nothing sent: there are no credentials.
    NoCredentials(String),
    /// It was sent, and no answer that means anything came.
    Lost(String),
}

/// Where the SDK's default chain looks, in its order, and what to do.
const CHAIN: &str = "tried AWS_ACCESS_KEY_ID, the profile in ~/.aws, AWS_WEB_IDENTITY_TOKEN_FILE, the container's \
    and the instance's role: set one of them for the process that runs vend";

/// How long to leave a service alone that says "too fast" after all tries.
const THROTTLED: Duration = Duration::from_secs(20);

impl Trouble {
    /// Nothing was sent, since a test said so.
    #[allow(clippy::needless_pass_by_value)] // for `map_err`
    pub(super) fn unsent(fault: Fault) -> Self {
        Self::Unsent(fault.to_string())
    }

    /// It was done, and nobody heard of it.
    #[allow(clippy::needless_pass_by_value)] // for `map_err`
    pub(super) fn lost(fault: Fault) -> Self {
        Self::Lost(fault.to_string())
    }

    /// Sorts what the SDK gave.
    #[allow(clippy::needless_pass_by_value)] // for `map_err`
    pub(super) fn of<E>(error: SdkError<E, HttpResponse>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        match &error {
            SdkError::ServiceError(said) => {
                let status = said.raw().status().as_u16();
                let (code, message) = (said.err().code(), said.err().message());
                let words = message.or(code).unwrap_or("no reason was given").to_owned();
                match code {
                    Some(code) if THROTTLES.contains(&code) => Self::Throttled(words),
                    _ if status == 429 => Self::Throttled(words),
                    // Credentials that ran out are fetched anew for the next try.
                    Some("ExpiredToken" | "ExpiredTokenException" | "RequestExpired") => {
                        Self::Unsent(words)
                    }
                    Some(code) if status < 500 => {
                        Self::Rejected { code: code.to_owned(), message: words }
                    }
                    Some(_) | None => Self::Lost(format!("HTTP status {status}: {words}")),
                }
            }
            SdkError::ConstructionFailure(_) => Self::Unsent(text(&error)),
            SdkError::DispatchFailure(failure) => {
                let connector = failure.as_connector_error();
                match connector.and_then(credentials) {
                    Some(words) => Self::NoCredentials(words),
                    None if connector.is_some_and(|c| c.is_user()) => Self::Unsent(text(&error)),
                    None => Self::Lost(text(&error)),
                }
            }
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) => Self::Lost(text(&error)),
            _ => Self::Lost(text(&error)),
        }
    }

    /// For a call that changes nothing: whatever was not answered did nothing.
    pub(super) fn of_a_look(self) -> ProviderError {
        match self {
            Self::Throttled(words) => throttled(words),
            Self::NoCredentials(words) => no_credentials(format!("no AWS credentials: {words}")),
            Self::Unsent(words) | Self::Lost(words) => ProviderError::unavailable(words),
            Self::Rejected { code, message } => refused(&code, message),
        }
    }

    /// As [`Trouble::of_a_look`], for those who look after an environment.
    pub(super) fn of_a_look_at(self, target: &Target, place: &Place) -> ProviderError {
        let Self::NoCredentials(words) = self else { return self.of_a_look() };
        let environment = target.key.request.environment();
        no_credentials(match &place.role {
            Some(role) if words != CHAIN => {
                format!(
                    "the role `{role}` of the environment `{environment}` cannot be taken on: {words}"
                )
            }
            Some(role) => format!(
                "no AWS credentials for the environment `{environment}`, of which `{role}` is taken on: {words}"
            ),
            None => format!("no AWS credentials for the environment `{environment}`: {words}"),
        })
    }

    /// For a call that changes something: what was not answered may have happened.
    pub(super) fn of_a_change(self) -> ProviderError {
        match self {
            Self::Lost(words) => ProviderError::unknown(words),
            Self::Throttled(_)
            | Self::Unsent(_)
            | Self::NoCredentials(_)
            | Self::Rejected { .. } => self.of_a_look(),
        }
    }

    /// What went wrong, for people.
    pub(super) fn words(self) -> String {
        match self.of_a_look() {
            ProviderError::Unavailable { error, .. } | ProviderError::Unknown { error } => {
                chain(&*error)
            }
            ProviderError::Stale(words) | ProviderError::Refused(words) => words,
        }
    }

    /// The service's own word that there is no such stack or change set.
    pub(super) fn says_absent(&self) -> bool {
        match self {
            Self::Rejected { code, message } => {
                code.starts_with("ChangeSetNotFound")
                    || code.starts_with("StackNotFound")
                    || (code == "ValidationError" && message.ends_with("does not exist"))
            }
            Self::Throttled(_) | Self::Unsent(_) | Self::NoCredentials(_) | Self::Lost(_) => false,
        }
    }

    /// Whether the service rejected it with this code, or its long form.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Rejected { code, .. } if code.starts_with(wanted))
    }
}

/// Codes that say "too fast", of CloudFormation, STS and S3.
const THROTTLES: [&str; 7] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "TooManyRequestsException",
    "SlowDown",
];

fn throttled(words: String) -> ProviderError {
    // The service counts the calls of an account, whatever they are about.
    ProviderError::unavailable_to(Scope::Lane, Some(THROTTLED), words)
}

/// Who has no credentials for one stack has none for others of the same role.
fn no_credentials(words: String) -> ProviderError {
    ProviderError::unavailable_to(Scope::View, None, words)
}

fn refused(code: &str, message: String) -> ProviderError {
    if message.contains(code) || code == "ValidationError" {
        return ProviderError::Refused(message);
    }
    ProviderError::Refused(format!("{code}: {message}"))
}

/// What is wrong with the credentials, where that is what is wrong: the chain has none, or the role or the
/// service that gives them said no, in its words.
fn credentials(connector: &aws_sdk_cloudformation::error::ConnectorError) -> Option<String> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(connector);
    let (mut found, mut last) = (false, String::new());
    while let Some(error) = cause {
        if let Some(credentials) = error.downcast_ref::<CredentialsError>() {
            found = true;
            if matches!(credentials, CredentialsError::CredentialsNotLoaded(_)) {
                return Some(CHAIN.to_owned());
            }
        }
        last = match error.downcast_ref::<ErrorMetadata>() {
            Some(said) => in_words(said),
            None => error.to_string(),
        };
        cause = error.source();
    }
    found.then_some(last)
}

/// What a service said: the SDK writes it as it debugs.
fn in_words(said: &ErrorMetadata) -> String {
    let words: Vec<&str> = said.code().into_iter().chain(said.message()).collect();
    if words.is_empty() { "no reason was given".to_owned() } else { words.join(": ") }
}

/// All that the SDK knows, on one line.
fn text<E, R>(error: &SdkError<E, R>) -> String
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug,
{
    let mut words = DisplayErrorContext(error).to_string();
    // Its debug form follows the chain: for people who debug the SDK, and it may hold bodies.
    if let Some(end) = words.rfind(" (") {
        words.truncate(end);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(code: &str, message: &str) -> Trouble {
        Trouble::Rejected { code: code.into(), message: message.into() }
    }

    #[test]
    fn only_the_services_own_word_says_that_nothing_is_there() {
        assert!(rejected("ValidationError", "Stack with id x does not exist").says_absent());
        assert!(
            rejected("ChangeSetNotFoundException", "ChangeSet [x] does not exist").says_absent()
        );
        assert!(!rejected("AccessDenied", "Stack with id x does not exist").says_absent());
        assert!(!Trouble::Lost("does not exist".into()).says_absent());
        assert!(!Trouble::Throttled("does not exist".into()).says_absent());
    }

    #[test]
    fn what_was_not_answered_may_have_happened() {
        let lost = || Trouble::Lost("timeout".into());
        assert!(matches!(lost().of_a_look(), ProviderError::Unavailable { .. }));
        assert!(matches!(lost().of_a_change(), ProviderError::Unknown { .. }));
        let unsent = Trouble::Unsent("no credentials".into());
        assert!(matches!(unsent.of_a_change(), ProviderError::Unavailable { .. }));
    }

    #[test]
    fn a_refusal_names_the_code_once() {
        let said = |t: Trouble| t.of_a_change().to_string();
        let denied = rejected("AccessDenied", "User x is not authorized to perform: y");
        assert_eq!(said(denied), "AccessDenied: User x is not authorized to perform: y");
        assert_eq!(
            said(rejected("ValidationError", "Template format error")),
            "Template format error"
        );
    }
}
