//! Talking to a running daemon over its Unix socket.

use std::path::{Path, PathBuf};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::failure::{Failure, Kind};
use crate::config::Config;
use crate::model::{Applying, PassReport, RequestId, Rollouts};
use crate::reconcile::view::{Explanation, Log, LogQuery, Overview};
use crate::server::{Noted, PersonCommand};

/// A daemon that answers.
pub struct Daemon {
    path: PathBuf,
}

/// The daemon of this configuration, when one listens.
pub async fn connect(config: &Config) -> Option<Daemon> {
    let path = config.settings.socket()?;
    UnixStream::connect(&path).await.ok()?;
    Some(Daemon { path })
}

impl Daemon {
    /// A pass, now.
    pub async fn apply(&self, wait: bool) -> Result<PassReport, Failure> {
        self.post("/v1/apply", &serde_json::json!({"wait": wait})).await
    }

    /// A person's command.
    pub async fn person(&self, command: &PersonCommand) -> Result<Noted, Failure> {
        self.post("/v1/person", command).await
    }

    /// Where everything stands; `None` when nothing was written since the answer with that stamp.
    pub async fn overview(
        &self,
        prefix: Option<&str>,
        not_ready: bool,
        stamp: Option<u64>,
    ) -> Result<Option<Overview>, Failure> {
        let prefix = prefix.unwrap_or_default();
        let stamp = stamp.map(|stamp| format!("&stamp={stamp}")).unwrap_or_default();
        let path = format!("/v1/status?not_ready={not_ready}&prefix={prefix}{stamp}");
        parse(&self.ask(Method::GET, &path, None).await?)
    }

    /// How versions stand that are rolled out.
    pub async fn rollouts(&self) -> Result<Rollouts, Failure> {
        parse(&self.ask(Method::GET, "/v1/rollouts", None).await?)
    }

    /// What is under way, with its resources.
    pub async fn applying(&self) -> Result<Vec<Applying>, Failure> {
        parse(&self.ask(Method::GET, "/v1/applying", None).await?)
    }

    /// Lines of a request's history; `None` when nothing was written since the last answer.
    pub async fn log(&self, id: &RequestId, query: LogQuery) -> Result<Option<Log>, Failure> {
        let LogQuery { after, limit, stamp } = query;
        let number = |name: &str, n: Option<u64>| n.map(|n| format!("&{name}={n}"));
        let after = number("after", after).unwrap_or_default();
        let stamp = number("stamp", stamp).unwrap_or_default();
        let path = format!("/v1/requests/{id}/log?limit={limit}{after}{stamp}");
        parse(&self.ask(Method::GET, &path, None).await?)
    }

    /// Why a request is where it is; `None` when nobody has heard of it.
    pub async fn explain(&self, id: &RequestId) -> Result<Option<Explanation>, Failure> {
        match self.ask(Method::GET, &format!("/v1/requests/{id}"), None).await {
            Ok(bytes) => parse(&bytes).map(Some),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
    ) -> Result<T, Failure> {
        parse(&self.ask(Method::POST, path, Some(body(value)?)).await?)
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Bytes>) -> Result<Bytes, Failure> {
        let lost = |error: anyhow::Error| {
            let text = format!("the daemon at `{}` did not answer", self.path.display());
            Failure::new(Kind::Failed, error.context(text))
                .hint("look at its log; a pass goes on without us")
        };
        let stream = open(&self.path).await.map_err(lost)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| lost(e.into()))?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "vend")
            .header("content-type", "application/json")
            .body(Full::new(body.unwrap_or_default()))
            .map_err(|e| Failure::usage(e.to_string()))?;
        let response = sender.send_request(request).await.map_err(|e| lost(e.into()))?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(|e| lost(e.into()))?.to_bytes();
        driver.abort();
        if status.is_success() {
            return Ok(bytes);
        }
        let said = serde_json::from_slice::<serde_json::Value>(&bytes).ok();
        let said = said.and_then(|v| v.get("error")?.as_str().map(str::to_owned));
        let text = said.unwrap_or_else(|| format!("the daemon answered {status}"));
        let failure = Failure::new(Kind::Failed, anyhow::Error::msg(text));
        Err(if status.as_u16() == 404 { failure.not_found() } else { failure })
    }
}

async fn open(path: &Path) -> Result<UnixStream, anyhow::Error> {
    Ok(UnixStream::connect(path).await?)
}

fn body(value: &impl Serialize) -> Result<Bytes, Failure> {
    Ok(serde_json::to_vec(value).map_err(anyhow::Error::new)?.into())
}

fn parse<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, Failure> {
    let read = serde_json::from_slice(bytes);
    read.map_err(|e| {
        Failure::new(
            Kind::Failed,
            anyhow::Error::new(e).context("the daemon's answer is not understood"),
        )
        .hint("use the same version of vend for both")
    })
}
