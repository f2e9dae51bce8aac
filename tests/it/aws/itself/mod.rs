//! The local AWS does what stories rely on.

mod faults;
mod manners;
mod slow;
mod stacks;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

/// Code and message of a refusal.
#[track_caller]
fn refusal<T: std::fmt::Debug, E, R>(result: Result<T, SdkError<E, R>>) -> (String, String)
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let error = result.expect_err("it was not refused");
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    (text(error.code()), text(error.message()))
}
