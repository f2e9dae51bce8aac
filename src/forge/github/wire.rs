//! One request out, one answer in, with octocrab; and nothing decided about either.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::http::uri::Authority;
use hyper::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use hyper_rustls::{ConfigBuilderExt, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use octocrab::service::middleware::base_uri::BaseUriLayer;
use octocrab::service::middleware::extra_headers::ExtraHeadersLayer;
use octocrab::{AuthState, Octocrab, OctocrabBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::super::ForgeError;
use crate::error::chain;

/// The most that is read of an answer: a page of a hundred comments of the longest kind.
const BODY_MOST: usize = 32 << 20;

const CONNECT_MOST: Duration = Duration::from_secs(10);

/// Where the API is.
#[derive(Clone, Debug)]
pub(super) struct Api {
    base: Uri,
    /// Authorities to believe, in PEM; else the system's.
    ca_file: Option<PathBuf>,
}

impl Api {
    /// # Errors
    /// A sentence: not an address, or one over which a token would travel in the clear.
    pub(super) fn parse(address: &str, ca_file: Option<PathBuf>) -> Result<Self, &'static str> {
        let base: Uri = address.parse().map_err(|_| "the API's address is not a URL")?;
        let authority = base.authority().ok_or("the API's address has no host")?;
        if authority.as_str().contains('@') || base.query().is_some() {
            return Err("the API's address holds neither a user nor a query");
        }
        match base.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback(authority) => {}
            _ => return Err("the API's address begins with `https://`, since a token goes there"),
        }
        Ok(Self { base, ca_file })
    }

    /// The path of another page, when it lies at the same server, as octocrab wants it: without what
    /// the API's own address ends with.
    pub(super) fn path_of(&self, address: &str) -> Option<String> {
        let uri: Uri = address.parse().ok()?;
        let is_here =
            uri.authority() == self.base.authority() && uri.scheme() == self.base.scheme();
        let base = self.base.path().trim_end_matches('/');
        let path = uri.path_and_query()?.as_str().strip_prefix(base)?;
        (is_here && path.starts_with('/')).then(|| path.to_owned())
    }

    /// Where it is, for people.
    pub(super) fn base(&self) -> &Uri {
        &self.base
    }

    /// A client. Its connections live on the runtime that this is called in. There are no retries in
    /// it, no redirects, no cache and no sleep: what is sent is sent once.
    pub(super) fn open(&self, auth: AuthState) -> Result<Octocrab, ForgeError> {
        let refused = |text: String| ForgeError::Settings { text };
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT_MOST));
        tcp.set_nodelay(true);
        let executor = TokioExecutor::new;
        let base = BaseUriLayer::new(self.base.clone());
        let agent = HeaderValue::from_static(concat!("vend/", env!("CARGO_PKG_VERSION")));
        let accept = HeaderValue::from_static("application/vnd.github+json");
        let headers = vec![(header::USER_AGENT, agent), (header::ACCEPT, accept)];
        let headers = ExtraHeadersLayer::new(Arc::new(headers));
        let built = if self.base.scheme_str() == Some("https") {
            tcp.enforce_http(false);
            let tls = self.tls().map_err(refused)?;
            let connector = HttpsConnectorBuilder::new()
                .with_tls_config(tls)
                .https_only()
                .enable_http1()
                .wrap_connector(tcp);
            let client = Client::builder(executor()).build(connector);
            let octocrab = OctocrabBuilder::new_empty().with_service(client);
            octocrab.with_layer(&headers).with_layer(&base).with_auth(auth).build()
        } else {
            let client = Client::builder(executor()).build(tcp);
            let octocrab = OctocrabBuilder::new_empty().with_service(client);
            octocrab.with_layer(&headers).with_layer(&base).with_auth(auth).build()
        };
        built.map_err(|never| match never {})
    }

    fn tls(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("TLS cannot be used: {}", chain(&error)))?;
        let Some(file) = &self.ca_file else {
            let config = config.with_native_roots().map_err(|error| {
                format!("the system's certificates cannot be used: {}", chain(&error))
            })?;
            return Ok(config.with_no_client_auth());
        };
        let wrong = |why: String| format!("the certificates in `{}`: {why}", file.display());
        let mut roots = RootCertStore::empty();
        let certificates =
            CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
            roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(wrong("there is none".to_owned()));
        }
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

/// A request. Paths and bodies hold no secret.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// From the API's address on, with its query.
    pub(super) path: String,
    /// JSON.
    pub(super) body: Option<Bytes>,
    /// What we have of it already.
    pub(super) etag: Option<String>,
}

impl std::fmt::Display for Ask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} {path}", self.method)
    }
}

/// An answer, whole.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// There is no answer.
pub(super) enum Silence {
    /// Nothing was sent.
    Unsent(String),
    /// Something may have been.
    Lost(String),
}

/// Sends it once and reads the answer, all within `deadline`.
pub(super) async fn send(
    client: &Octocrab,
    ask: &Ask,
    deadline: Duration,
) -> Result<Answer, Silence> {
    let unsent = |what: &str| Silence::Unsent(format!("{ask}: {what}"));
    let uri: Uri = ask.path.parse().map_err(|_| unsent("not a path"))?;
    let mut request = Request::builder()
        .method(ask.method.clone())
        .uri(uri)
        .header("x-github-api-version", "2022-11-28");
    if let Some(etag) = &ask.etag {
        request = request.header(header::IF_NONE_MATCH, etag);
    }
    if ask.body.is_some() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    let body = ask.body.clone().unwrap_or_default();
    let request = request.body(body).map_err(|_| unsent("not a request"))?;
    let lost = |what: &str| Silence::Lost(format!("{ask}: {what}"));
    let exchange = async {
        let answer = client.execute(request).await.map_err(|error| silence(ask, &error))?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, BODY_MOST).collect().await.map_err(|error| {
            let is_long = error.downcast_ref::<LengthLimitError>().is_some();
            lost(if is_long { "the answer is too long" } else { "the answer broke off" })
        })?;
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: body.to_bytes() })
    };
    let answer = tokio::time::timeout(deadline, exchange).await;
    answer.unwrap_or_else(|_| Err(lost("no answer in time")))
}

fn silence(ask: &Ask, error: &octocrab::Error) -> Silence {
    match error {
        // Its own words repeat the cause and add a back-trace.
        octocrab::Error::Service { source, .. } => {
            let text = format!("{ask}: {}", chain(&**source));
            match source.downcast_ref::<hyper_util::client::legacy::Error>() {
                Some(error) if error.is_connect() => Silence::Unsent(text),
                _ => Silence::Lost(text),
            }
        }
        octocrab::Error::JWT { source, .. } => {
            Silence::Unsent(format!("the App's key cannot sign: {source}"))
        }
        octocrab::Error::Http { .. } | octocrab::Error::InvalidHeaderValue { .. } => {
            Silence::Unsent(format!("{ask}: not a request"))
        }
        _ => Silence::Lost(format!("{ask}: the answer was not understood")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b74_a_token_does_not_travel_in_the_clear() {
        let is_good = |address: &str| Api::parse(address, None).is_ok();
        for address in [
            "https://api.github.com",
            "https://git.acme.example:8443/api/v3/",
            "http://127.0.0.1:4711",
            "http://[::1]:4711/api/v3",
            "http://localhost:4711",
        ] {
            assert!(is_good(address), "{address}");
        }
        for address in [
            "http://api.github.com",
            "http://127.0.0.1.evil/",
            "http://localhost@evil/",
            "https://me:word@api.github.com",
            "https://api.github.com/?x",
            "ftp://api.github.com",
            "api.github.com",
            "/api",
            "",
        ] {
            assert!(!is_good(address), "{address}");
        }
    }

    #[test]
    fn a_next_page_lies_at_the_same_server() {
        let api = Api::parse("https://h/api/v3/", None).unwrap();
        let path = api.path_of("https://h/api/v3/repositories/1/pulls?page=2");
        assert_eq!(path.as_deref(), Some("/repositories/1/pulls?page=2"));
        for other in [
            "https://evil/api/v3/x?page=2",
            "https://h:8443/api/v3/x",
            "http://h/api/v3/x",
            "https://h/api/v3x",
            "https://h/x",
            "/api/v3/x",
            "",
        ] {
            assert_eq!(api.path_of(other), None, "{other}");
        }
    }
}
