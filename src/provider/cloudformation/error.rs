//! What the SDK says went wrong, sorted by what to do about it.

use std::time::Duration;

use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::provider::ProviderError;

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
    /// It was sent, and no answer that means anything came.
    Lost(String),
}

/// How long to leave a service alone that says "too fast" after all tries.
const THROTTLED: Duration = Duration::from_secs(20);

impl Trouble {
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
                // No credentials: nothing was signed, so nothing was sent.
                match failure.as_connector_error() {
                    Some(connector) if connector.is_user() || is_credentials(connector) => {
                        Self::Unsent(text(&error))
                    }
                    Some(_) | None => Self::Lost(text(&error)),
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
            Self::Unsent(words) | Self::Lost(words) => ProviderError::unavailable(words),
            Self::Rejected { code, message } => refused(&code, message),
        }
    }

    /// For a call that changes something: what was not answered may have happened.
    pub(super) fn of_a_change(self) -> ProviderError {
        match self {
            Self::Lost(words) => ProviderError::unknown(words),
            Self::Throttled(_) | Self::Unsent(_) | Self::Rejected { .. } => self.of_a_look(),
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
            Self::Throttled(_) | Self::Unsent(_) | Self::Lost(_) => false,
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
    match ProviderError::unavailable(words) {
        ProviderError::Unavailable { error, .. } => {
            ProviderError::Unavailable { retry_after: Some(THROTTLED), error }
        }
        other => other,
    }
}

fn refused(code: &str, message: String) -> ProviderError {
    if message.contains(code) || code == "ValidationError" {
        return ProviderError::Refused(message);
    }
    ProviderError::Refused(format!("{code}: {message}"))
}

fn is_credentials(connector: &aws_sdk_cloudformation::error::ConnectorError) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(connector);
    while let Some(error) = cause {
        if error.is::<aws_credential_types::provider::error::CredentialsError>() {
            return true;
        }
        cause = error.source();
    }
    false
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
