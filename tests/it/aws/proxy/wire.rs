//! HTTP/1.1 on both sides.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::call::{Answer, Sent};
use super::{Reply, State};

/// Takes connections until it is dropped.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>) {
    // Dropped with this future, and all connections with it.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let Ok(socket) = stream.as_fd().try_clone_to_owned() else { return };
    let reset = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&reset);
    let service = service_fn(move |request: Request<Incoming>| {
        let (state, flag) = (Arc::clone(&state), Arc::clone(&flag));
        async move {
            let sent = receive(request).await?;
            // Whoever asked may be gone before the answer: what was asked for happens, and is
            // recorded, all the same.
            let handling = tokio::spawn(async move { state.handle(sent).await });
            let reply = handling.await.map_err(io::Error::other)?;
            if matches!(reply, Reply::Silence) {
                std::future::pending::<()>().await;
            }
            respond(reply).inspect_err(|_| flag.store(true, Ordering::Relaxed))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if reset.load(Ordering::Relaxed) {
        // The last holder of the socket closes it without the usual farewell.
        let _ = rustix::net::sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
    }
}

async fn receive(request: Request<Incoming>) -> io::Result<Sent> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    Ok(Sent { method: head.method, path, headers: without_connection(head.headers), body })
}

fn respond(reply: Reply) -> io::Result<Response<Partial>> {
    let (answer, sent) = match reply {
        Reply::Answer(answer) => {
            let all = answer.body.len();
            (answer, all)
        }
        Reply::Cut(answer, sent) => (answer, sent),
        Reply::Reset | Reply::Silence => return Err(io::ErrorKind::ConnectionReset.into()),
    };
    let length = answer.body.len() as u64;
    let mut parts = VecDeque::from([Ok(answer.body.slice(..sent))]);
    if (sent as u64) < length {
        parts.push_back(Err(io::ErrorKind::ConnectionReset.into()));
    }
    let mut response = Response::new(Partial { parts, length });
    *response.status_mut() =
        hyper::StatusCode::from_u16(answer.status).map_err(io::Error::other)?;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Passes a request on, over a connection of its own. No answer is 502.
pub async fn send(upstream: &str, sent: &Sent) -> Answer {
    try_send(upstream, sent)
        .await
        .unwrap_or_else(|error| Answer::error(502, "BadGateway", &error.to_string()))
}

async fn try_send(upstream: &str, sent: &Sent) -> io::Result<Answer> {
    let stream = TcpStream::connect(upstream).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let driving = tokio::spawn(connection);
    let mut request = Request::new(Full::new(sent.body.clone()));
    *request.method_mut() = sent.method.clone();
    *request.uri_mut() = sent.path.parse().map_err(io::Error::other)?;
    *request.headers_mut() = sent.headers.clone();
    request.headers_mut().insert(HOST, upstream.parse().map_err(io::Error::other)?);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    driving.abort();
    Ok(Answer { status: head.status.as_u16(), headers: without_connection(head.headers), body })
}

/// What holds for one connection, or follows from the body.
fn without_connection(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

/// A body that promises its whole length and may break off before.
struct Partial {
    parts: VecDeque<io::Result<Bytes>>,
    length: u64,
}

impl Body for Partial {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.parts.pop_front().map(|part| part.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }
}
