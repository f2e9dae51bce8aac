//! The one client for what goes out over HTTP to addresses that an operator named: to receivers of notifications, and
//! to the collector of traces.
//!
//! # Guarantees
//! - An address is a secret, since whoever knows that of a chat may write there: it is in no error, and has
//!   no `Display`.
//! - Nothing is sent in the clear but to this very machine, no redirect is followed, and nothing is tried
//!   twice here.
//! - A name that leads to this machine, to what is only on its link or to a cloud's metadata is refused: the
//!   addresses that it is looked up to for a connection are looked at, and one of these is connected to.
//! - An answer takes no longer than its deadline, and no more of it is kept than [`ANSWER_MOST`].

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

use crate::error::chain;
use crate::git::{Block, may_be_sent_to};

const CONNECT_MOST: Duration = Duration::from_secs(10);

/// What is read of an answer, so that its connection can be used again.
pub const ANSWER_MOST: usize = 64 * 1024;

/// Where something is sent.
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
            return Err("it holds a user: what opens it stands in a file");
        }
        let scheme = uri.scheme_str().map(str::to_owned);
        let address = Self(uri);
        match scheme.as_deref() {
            Some("https") => Ok(address),
            Some("http") if address.is_here() => Ok(address),
            _ => Err("it begins with `https://`, but for this very machine"),
        }
    }

    fn host(&self) -> &str {
        let host = self.0.host().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']')
    }

    /// Whether it names this very machine, in so many words.
    fn is_here(&self) -> bool {
        let host = self.host();
        host == HERE || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

/// The name that means this machine and is meant so.
const HERE: &str = "localhost";

const BARRED: &str = "NET001: its address is of this machine, of its link, or where a cloud hands out credentials; \
                      `network.allow` may name it";

/// Looks a name up for a connection.
#[derive(Clone)]
struct Lookup(Arc<[Block]>);

impl Lookup {
    /// All of what a name leads to must be allowed: which of them is connected to is chance.
    fn judge(&self, name: &str, found: Vec<SocketAddr>) -> std::io::Result<Vec<SocketAddr>> {
        let is_meant = |at: &SocketAddr| {
            may_be_sent_to(at.ip(), &self.0) || (name == HERE && at.ip().is_loopback())
        };
        if found.iter().all(is_meant) { Ok(found) } else { Err(std::io::Error::other(BARRED)) }
    }
}

impl Service<Name> for Lookup {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let own = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(own.judge(name.as_str(), found)?.into_iter())
        })
    }
}

type Http = Client<HttpConnector<Lookup>, Full<Bytes>>;
type Https = Client<HttpsConnector<HttpConnector<Lookup>>, Full<Bytes>>;

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body; nothing of one that is too large, or breaks off.
    pub body: Bytes,
}

/// Sends one request after the other, over connections that it keeps.
pub struct Outgoing {
    lookup: Lookup,
    /// The authorities to trust, and no others; else the system's.
    ca_file: Option<PathBuf>,
    http: OnceLock<Http>,
    https: OnceLock<Https>,
}

impl Outgoing {
    /// One that may also reach what is in these blocks.
    pub fn new(allow: impl Into<Arc<[Block]>>) -> Self {
        let lookup = Lookup(allow.into());
        Self { lookup, ca_file: None, http: OnceLock::new(), https: OnceLock::new() }
    }

    /// One that trusts the authorities whose certificates this file holds, in PEM, and no others. It is read
    /// when it is first needed.
    #[must_use]
    pub fn trusting(self, ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..self }
    }

    /// Posts it once. The error is a sentence: it may have arrived all the same.
    ///
    /// # Errors
    /// The address cannot be reached or may not be, or takes too long.
    pub async fn post(
        &self,
        to: &Address,
        headers: HeaderMap,
        body: Bytes,
        deadline: Duration,
    ) -> Result<Answer, String> {
        // An address that is written out is looked up by nobody.
        let written = to.host().parse::<IpAddr>();
        if written.is_ok_and(|it| !to.is_here() && !may_be_sent_to(it, &self.lookup.0)) {
            return Err(BARRED.to_owned());
        }
        let request = Request::builder().method(Method::POST).uri(to.0.clone());
        let mut request =
            request.body(Full::new(body)).map_err(|_| "it cannot be made a request".to_owned())?;
        *request.headers_mut() = headers;
        let agent = HeaderValue::from_static(concat!("vend/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, agent);
        let exchange = async {
            let answer = if to.0.scheme_str() == Some("https") {
                self.https()?.request(request).await
            } else {
                self.http().request(request).await
            };
            let (parts, body) = answer.map_err(|error| chain(&error))?.into_parts();
            let body = Limited::new(body, ANSWER_MOST).collect().await;
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            Ok(Answer { status: parts.status, body })
        };
        let answer = tokio::time::timeout(deadline, exchange).await;
        answer.unwrap_or_else(|_| Err("no answer in time".to_owned()))
    }

    fn http(&self) -> &Http {
        self.http.get_or_init(|| Client::builder(TokioExecutor::new()).build(self.connector()))
    }

    fn https(&self) -> Result<&Https, String> {
        if let Some(client) = self.https.get() {
            return Ok(client);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {}", chain(&error)))?;
        let config = match &self.ca_file {
            Some(file) => config.with_root_certificates(authorities(file)?),
            None => config.with_native_roots().map_err(|error| {
                format!("the system's certificates cannot be used: {}", chain(&error))
            })?,
        };
        let mut tcp = self.connector();
        tcp.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config.with_no_client_auth())
            .https_only()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(self.https.get_or_init(|| Client::builder(TokioExecutor::new()).build(connector)))
    }

    fn connector(&self) -> HttpConnector<Lookup> {
        let mut tcp = HttpConnector::new_with_resolver(self.lookup.clone());
        tcp.set_connect_timeout(Some(CONNECT_MOST));
        tcp.set_nodelay(true);
        tcp
    }
}

fn authorities(file: &Path) -> Result<RootCertStore, String> {
    let wrong = |why: String| format!("the certificates in `{}`: {why}", file.display());
    let mut roots = RootCertStore::empty();
    for found in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
        let certificate = found.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() { Err(wrong("there is none".to_owned())) } else { Ok(roots) }
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
    fn b92_all_that_a_name_leads_to_must_be_where_something_may_be_sent() {
        let judge = |name: &str, found: &[&str], allow: &[&str]| {
            let allow: Vec<Block> = allow.iter().map(|it| Block::parse(it).unwrap()).collect();
            let found = found.iter().map(|ip| SocketAddr::new(ip.parse().unwrap(), 443)).collect();
            Lookup(allow.into()).judge(name, found).map_err(|error| error.to_string())
        };
        assert!(judge("hooks.example", &["10.1.2.3", "1.1.1.1"], &[]).is_ok());
        assert!(judge("localhost", &["127.0.0.1", "::1"], &[]).is_ok());
        for bad in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1"] {
            let said = judge("hooks.example", &["1.1.1.1", bad], &[]).unwrap_err();
            assert!(said.starts_with("NET001") && !said.contains(bad), "{said}");
        }
        assert!(judge("localhost", &["169.254.169.254"], &[]).is_err());
        assert!(judge("hooks.example", &["127.0.0.1"], &["127.0.0.1/32"]).is_ok());
    }
}
