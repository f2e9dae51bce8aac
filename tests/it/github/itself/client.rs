//! A plain client.

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::HeaderMap;
use hyper_util::rt::TokioIo;
use octocrab::auth::create_jwt;
use octocrab::jsonwebtoken::EncodingKey;
use octocrab::models::AppId;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::github::GitHub;

/// What a request was answered.
pub struct Answered {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// Somebody who asks.
pub struct Client<'a> {
    hub: &'a GitHub,
    header: Option<String>,
}

impl<'a> Client<'a> {
    pub fn nobody(hub: &'a GitHub) -> Self {
        Self { hub, header: None }
    }

    pub fn with(hub: &'a GitHub, token: &str) -> Self {
        Self { hub, header: Some(format!("Bearer {token}")) }
    }

    /// The App itself.
    pub fn app(hub: &'a GitHub) -> Self {
        let key = EncodingKey::from_rsa_pem(hub.key().as_bytes()).unwrap();
        Self::with(hub, &create_jwt(AppId(hub.app_id()), &key).unwrap())
    }

    /// The App where it is installed.
    #[track_caller]
    pub fn installed(hub: &'a GitHub, account: &str) -> Self {
        Self::with(hub, &installation_token(hub, account))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Answered {
        self.send("GET", path, None, &[]).unwrap()
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: Value) -> Answered {
        self.send("POST", path, Some(body), &[]).unwrap()
    }

    pub fn send(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answered, hyper::Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let address = self.hub.url().replace("http://", "");
        let mut request = Request::builder().method(method).uri(format!("/api/v3{path}"));
        request = request.header("host", &address).header("user-agent", "a test");
        if let Some(header) = &self.header {
            request = request.header("authorization", header);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let request = request.body(Full::new(bytes)).unwrap();
        runtime.block_on(async {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            let running = tokio::spawn(connection);
            let answer = sender.send_request(request).await?;
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            let bytes = answer.into_body().collect().await?.to_bytes();
            running.abort();
            let body = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answered { status, headers, body })
        })
    }
}

/// A token of the App for an account that it is installed on.
#[track_caller]
pub fn installation_token(hub: &GitHub, account: &str) -> String {
    let app = Client::app(hub);
    let found = app.get(&format!("/orgs/{account}/installation")).is(200);
    let path = format!("/app/installations/{}/access_tokens", found.body["id"]);
    let made = app.send("POST", &path, None, &[]).unwrap().is(201);
    made.body["token"].as_str().unwrap().to_owned()
}

impl Answered {
    /// The same, which has this status.
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
