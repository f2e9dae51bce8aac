//! `git http-backend` behind a server of the tests' own, and what it says, whole or cut.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Request, Response};
use tokio::io::AsyncWriteExt as _;

use crate::world::GIT;

/// A body that may end too early.
#[derive(Default)]
pub struct Answer {
    bytes: Option<Bytes>,
    is_cut: bool,
}

impl Answer {
    /// The same, of which only so many bytes ever arrive.
    pub fn cut(self, most: usize) -> Self {
        match self.bytes {
            Some(bytes) if bytes.len() > most => {
                Self { bytes: Some(bytes.slice(..most)), is_cut: true }
            }
            bytes => Self { bytes, ..self },
        }
    }
}

impl From<Bytes> for Answer {
    fn from(bytes: Bytes) -> Self {
        Self { bytes: Some(bytes), is_cut: false }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        Poll::Ready(self.is_cut.then(|| Err(io::Error::other("cut"))))
    }
}

/// Hands a request to `git http-backend`, as a web server does (RFC 3875).
pub async fn serve(root: &Path, request: Request<Incoming>) -> io::Result<Response<Answer>> {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let mut command = tokio::process::Command::new(&*GIT);
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", request.method().as_str())
        .env("PATH_INFO", request.uri().path())
        .env("QUERY_STRING", request.uri().query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("REMOTE_USER", "somebody")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("SERVER_PROTOCOL", "HTTP/1.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    let mut child = command.env("CONTENT_LENGTH", body.len().to_string()).spawn()?;
    let mut input = child.stdin.take().unwrap();
    let writes = tokio::spawn(async move {
        // It may have said all that it has to say before it read all.
        let _ = input.write_all(&body).await;
    });
    let output = child.wait_with_output().await?;
    writes.abort();
    read(&Bytes::from(output.stdout))
}

/// What `git http-backend` prints: headers, an empty line, a body.
fn read(output: &Bytes) -> io::Result<Response<Answer>> {
    let end = output.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("git http-backend said nothing"))?;
    let mut answer = Response::builder();
    for line in String::from_utf8_lossy(&output[..end]).lines() {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        answer = match name {
            "Status" => answer.status(value.split(' ').next().unwrap_or("500")),
            _ => answer.header(name, value),
        };
    }
    let bytes = output.slice(end + 4..);
    answer.body(bytes.into()).map_err(io::Error::other)
}
