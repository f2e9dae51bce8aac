//! Messages to receivers over HTTP: one request out, and whether it was taken; and the client by which all else goes
//! out as well.

mod http;

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use hyper::http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use sha2::Sha256;

pub use self::http::{ANSWER_MOST, Address, Answer, Outgoing};
use crate::git::Block;

/// The header with the signature.
pub const SIGNATURE: &str = "x-vend-signature-256";

/// The header with the moment that is signed too, in seconds since 1970.
pub const TIMESTAMP: &str = "x-vend-timestamp";

/// The header with the message's id: the same when it is sent again.
pub const DELIVERY: &str = "x-vend-delivery";

/// How long a receiver may take for its answer.
const DEADLINE: Duration = Duration::from_secs(15);

/// A message that is ready to go.
pub struct Letter<'a> {
    /// Its id.
    pub id: &'a str,
    /// JSON.
    pub body: Vec<u8>,
    /// What it is signed with, if it is.
    pub secret: Option<&'a str>,
    /// Now.
    pub now: Timestamp,
}

/// The signature of a body that is sent at a moment: HMAC with SHA-256 of `<seconds>.<body>`.
pub fn signature(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of HMAC has any length");
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body);
    let hex =
        mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256={hex}")
}

/// Sends to one receiver after the other.
pub struct Sender(Outgoing);

impl Sender {
    /// One that may also reach what is in these blocks.
    pub fn new(allow: impl Into<Arc<[Block]>>) -> Self {
        Self(Outgoing::new(allow))
    }

    /// Sends it once. The error is a sentence: it may have arrived all the same.
    ///
    /// # Errors
    /// The receiver cannot be reached, takes too long, or does not take it.
    pub async fn send(&self, to: &Address, letter: Letter<'_>) -> Result<(), String> {
        let Letter { id, body, secret, now } = letter;
        let seconds = now.as_second();
        let mut headers = HeaderMap::new();
        let mut header = |name: &'static str, value: &str| {
            let value = HeaderValue::from_str(value);
            let value = value.map_err(|_| "it cannot be made a request".to_owned())?;
            headers.insert(HeaderName::from_static(name), value);
            Ok::<(), String>(())
        };
        header("content-type", "application/json")?;
        header(DELIVERY, id)?;
        header(TIMESTAMP, &seconds.to_string())?;
        if let Some(secret) = secret {
            header(SIGNATURE, &signature(secret, seconds, &body))?;
        }
        // Its words are nobody's business: they could repeat what was sent.
        let Answer { status, body: _ } = self.0.post(to, headers, body.into(), DEADLINE).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(format!("it answers {}", status.as_u16()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_the_moment_and_of_every_byte() {
        // As `printf '1700000000.{}' | openssl dgst -sha256 -hmac secret` has it.
        assert_eq!(signature("secret", 1_700_000_000, b"{}"), SIGNED);
        assert_ne!(signature("secret", 1_700_000_001, b"{}"), SIGNED);
        assert_ne!(signature("secret", 1_700_000_000, b"{ }"), SIGNED);
        assert_ne!(signature("Secret", 1_700_000_000, b"{}"), SIGNED);
    }

    const SIGNED: &str = "sha256=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163";
}
