//! Connections: how many, how long, how much. What is slow or greedy costs only itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::connect_info::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

/// Connections at once. Where one more comes, the oldest of those that nobody works for gives way to it: whoever
/// keeps all places and asks for nothing keeps nobody else out. Only where all are at work does it wait.
const CONNECTIONS: usize = 512;

/// A request's head.
const HEAD: (usize, Duration) = (16 * 1024, Duration::from_secs(5));

/// A request's body, where nothing else is said.
const BODY: usize = 1024 * 1024;

/// What the bodies of one server's requests may hold together, in KiB: what comes beyond it is told to
/// come again.
const BODIES: u32 = 64 * 1024;

/// How long a body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Who is at the other end, as far as the system says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(Option<u32>);

impl Peer {
    /// For the record of who did what.
    pub(super) fn name(self) -> String {
        self.0.map_or_else(|| "unknown".into(), |uid| format!("uid {uid}"))
    }
}

/// Tells the peer of a connection.
pub(super) trait Known {
    fn peer(&self) -> Peer;
}

impl Known for TcpStream {
    fn peer(&self) -> Peer {
        Peer(None)
    }
}

impl Known for UnixStream {
    fn peer(&self) -> Peer {
        Peer(self.peer_cred().ok().map(|c| c.uid()))
    }
}

/// Serves for ever; `life` bounds a whole connection.
pub(super) async fn serve<L>(listener: L, router: Router, life: Option<Duration>)
where
    L: Listener,
    L::Io: Known,
{
    serve_bodies(listener, router, life, Bodies { most: BODY, admit: Arc::new(|_| Ok(())) }).await;
}

/// As [`serve`], pages that are only read: whoever says that a body comes is answered without it.
pub(super) async fn serve_pages<L>(listener: L, router: Router, life: Option<Duration>)
where
    L: Listener,
    L::Io: Known,
{
    serve_bodies(listener, router, life, Bodies { most: 0, admit: Arc::new(|_| Ok(())) }).await;
}

/// Whether a head is one whose body is worth reading; else what is answered.
type Admit = Arc<dyn Fn(&HeaderMap) -> Result<(), StatusCode> + Send + Sync>;

/// Which bodies are read.
#[derive(Clone)]
pub(super) struct Bodies {
    /// The longest, in bytes; 0: none is read.
    pub most: usize,
    pub admit: Admit,
}

/// As [`serve`], with other bodies.
pub(super) async fn serve_bodies<L>(
    mut listener: L,
    router: Router,
    life: Option<Duration>,
    bodies: Bodies,
) where
    L: Listener,
    L::Io: Known,
{
    // Their handlers take bodies whole: this is the one bound.
    let router = router.layer(axum::extract::DefaultBodyLimit::disable());
    let room = Arc::new(Semaphore::new(BODIES as usize));
    let router = router.layer(middleware::from_fn(move |request, next| {
        read_body(request, next, bodies.clone(), room.clone())
    }));
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut open = Open::default();
    loop {
        // Waits a moment by itself when there are no descriptors left.
        let (stream, _) = listener.accept().await;
        if places.available_permits() == 0 {
            open.make_room();
        }
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let at_work = AtWork::default();
        let router = router.clone().layer(Extension(ConnectInfo(stream.peer())));
        let router = router.layer(Extension(at_work.clone()));
        let task = tokio::spawn(async move {
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD.1)
                .max_buf_size(HEAD.0)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            let outcome = match life {
                Some(life) => tokio::time::timeout(life, served).await.unwrap_or(Ok(())),
                None => served.await,
            };
            if let Err(error) = outcome {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
        open.push(task.abort_handle(), at_work);
    }
}

/// Whether somebody works for a connection: all of a request was read, and not all of it is answered.
#[derive(Clone, Default)]
struct AtWork(Arc<AtomicBool>);

/// Connections, the oldest first.
#[derive(Default)]
struct Open(VecDeque<(AbortHandle, AtWork)>);

impl Open {
    fn push(&mut self, task: AbortHandle, at_work: AtWork) {
        if self.0.len() >= CONNECTIONS {
            self.0.retain(|(task, _)| !task.is_finished());
        }
        self.0.push_back((task, at_work));
    }

    /// Ends the oldest that nobody works for; its place is free a moment later.
    fn make_room(&mut self) {
        self.0.retain(|(task, _)| !task.is_finished());
        let idle = self.0.iter().position(|(_, at_work)| !at_work.0.load(Ordering::Relaxed));
        if let Some((task, _)) = idle.and_then(|at| self.0.remove(at)) {
            task.abort();
        }
    }
}

/// Answers a request of which all was read.
async fn work(request: Request<Body>, next: Next) -> Response {
    let at_work = request.extensions().get::<AtWork>().cloned().unwrap_or_default();
    at_work.0.store(true, Ordering::Relaxed);
    let answer = next.run(request).await;
    // One whose end is not known yet is written as it comes about.
    if answer.body().size_hint().exact().is_some() {
        at_work.0.store(false, Ordering::Relaxed);
    }
    answer
}

/// Reads the whole body before anybody works on the request, within its bounds.
async fn read_body(
    request: Request<Body>,
    next: Next,
    Bodies { most, admit }: Bodies,
    room: Arc<Semaphore>,
) -> Response {
    let (head, body) = request.into_parts();
    if let Err(refused) = admit(&head.headers) {
        return refused.into_response();
    }
    if most == 0 {
        return work(Request::from_parts(head, Body::empty()), next).await;
    }
    // One that does not tell its length may come to all that is allowed.
    let length = body.size_hint().upper().map_or(most, |upper| upper.min(most as u64) as usize);
    let needs = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    // Held until it is answered.
    let Ok(_room) = room.try_acquire_many_owned(needs) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match tokio::time::timeout(BODY_WITHIN, to_bytes(body, most)).await {
        Ok(Ok(bytes)) => work(Request::from_parts(head, Body::from(bytes)), next).await,
        Ok(Err(_)) => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Err(_) => StatusCode::REQUEST_TIMEOUT.into_response(),
    }
}

/// Refuses what asks for a page by another name than this machine's: a page in a browser may be led
/// here by its name service.
pub(super) async fn local_only(request: Request<Body>, next: Next) -> Response {
    let host = request.headers().get("host").and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    let loopback = name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if loopback || name.eq_ignore_ascii_case("localhost") || name.is_empty() {
        next.run(request).await
    } else {
        StatusCode::MISDIRECTED_REQUEST.into_response()
    }
}
