//! Messages to receivers over HTTP: one request out, and whether it was taken.
//!
//! # Guarantees
//! - An address is a secret, since whoever knows that of a chat may write there: it is in no error, and has
//!   no `Display`.
//! - Nothing is sent in the clear but to this very machine, no redirect is followed, and nothing is tried
//!   twice here.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::http::{Method, Request, Uri, header};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use rustls::ClientConfig;
use sha2::Sha256;

use crate::error::chain;

/// The header with the signature.
pub const SIGNATURE: &str = "x-vend-signature-256";

/// The header with the moment that is signed too, in seconds since 1970.
pub const TIMESTAMP: &str = "x-vend-timestamp";

/// The header with the message's id: the same when it is sent again.
pub const DELIVERY: &str = "x-vend-delivery";

/// How long a receiver may take for its answer.
const DEADLINE: Duration = Duration::from_secs(15);

const CONNECT_MOST: Duration = Duration::from_secs(10);

/// What is read of an answer, so that its connection can be used again.
const ANSWER_MOST: usize = 64 * 1024;

/// Where a receiver is.
#[derive(Clone)]
pub struct Address(Uri);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(..)")
    }
}

impl Address {
    /// # Errors
    /// A sentence that does not repeat it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is not a URL")?;
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it holds a user: a receiver is told who we are by the signature");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        match uri.scheme_str() {
            Some("https") => Ok(Self(uri)),
            Some("http") if is_here => Ok(Self(uri)),
            _ => Err("it begins with `https://`, but for this very machine"),
        }
    }
}

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

type Http = Client<HttpConnector, Full<Bytes>>;
type Https = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends to one receiver after the other.
#[derive(Default)]
pub struct Sender {
    http: OnceLock<Http>,
    https: OnceLock<Https>,
}

impl Sender {
    /// Sends it once. The error is a sentence: it may have arrived all the same.
    ///
    /// # Errors
    /// The receiver cannot be reached, takes too long, or does not take it.
    pub async fn send(&self, to: &Address, letter: Letter<'_>) -> Result<(), String> {
        let Letter { id, body, secret, now } = letter;
        let seconds = now.as_second();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(to.0.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("vend/", env!("CARGO_PKG_VERSION")))
            .header(DELIVERY, id)
            .header(TIMESTAMP, seconds.to_string());
        if let Some(secret) = secret {
            request = request.header(SIGNATURE, signature(secret, seconds, &body));
        }
        let request = request
            .body(Full::new(Bytes::from(body)))
            .map_err(|_| "it cannot be made a request".to_owned())?;
        let exchange = async {
            let answer = if to.0.scheme_str() == Some("https") {
                self.https()?.request(request).await
            } else {
                self.http().request(request).await
            };
            let (parts, body) = answer.map_err(|error| chain(&error))?.into_parts();
            // Its words are nobody's business: they could repeat what was sent.
            let _ = Limited::new(body, ANSWER_MOST).collect().await;
            if parts.status.is_success() {
                return Ok(());
            }
            Err(format!("it answers {}", parts.status.as_u16()))
        };
        let answer = tokio::time::timeout(DEADLINE, exchange).await;
        answer.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    fn http(&self) -> &Http {
        self.http.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector()))
    }

    fn https(&self) -> Result<&Https, String> {
        if let Some(client) = self.https.get() {
            return Ok(client);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {}", chain(&error)))?;
        let config = config.with_native_roots().map_err(|error| {
            format!("the system's certificates cannot be used: {}", chain(&error))
        })?;
        let mut tcp = connector();
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(self.https.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }
}

fn connector() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.set_connect_timeout(Some(CONNECT_MOST));
    tcp.set_nodelay(true);
    tcp
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b74_an_address_is_not_printed_and_nothing_goes_out_in_the_clear() {
        for fine in [
            "https://hooks.slack.com/services/T/B/x",
            "https://10.1.2.3/x",
            "http://127.0.0.1:9/x",
            "http://[::1]:9",
            "http://localhost/x",
        ] {
            let address = Address::parse(fine).unwrap();
            assert_eq!(format!("{address:?}"), "Address(..)");
        }
        for bad in [
            "http://hooks.slack.com/x",
            "https://me:word@h/x",
            "http://127.0.0.1.evil/",
            "ftp://h/",
            "/x",
            "",
            "http://localhost@evil/",
        ] {
            let said = Address::parse(bad).unwrap_err();
            assert!(bad.len() < 4 || !said.contains(bad), "{said}");
        }
    }

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
