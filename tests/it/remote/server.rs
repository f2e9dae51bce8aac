//! A server of repositories: smart HTTP over TLS, before the real `git http-backend`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::certificate::{Authority, NAMED};
use crate::backend::{self, Answer};

/// What it does with requests.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What opens it, as the password of any user; without one everybody may come in.
    pub token: Option<String>,
    /// What who may not come in is told: 401 unless another is set, as GitHub's 404.
    pub refusal: Option<u16>,
    /// Whoever comes in may push to all repositories but those whose path begins so.
    pub read_only: Option<String>,
    /// Something that goes wrong.
    pub fault: Option<Fault>,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Every answer is this status.
    Status(u16),
    /// Every answer leads to the same path below another address.
    Redirect(String),
    /// What is fetched ends after so many bytes, and the connection with it.
    CutPacks(usize),
    /// A push is carried out, and the connection ends without an answer.
    LoseReplies,
    /// Requests wait until the rules change.
    Hold,
}

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Method, path and query.
    pub line: String,
    /// Whether anything was shown to get in.
    pub authorized: bool,
    /// `Transfer-Encoding`, `Content-Encoding`, `Git-Protocol`.
    pub encodings: [Option<String>; 3],
}

/// A running server; it ends when it is dropped.
pub struct Server {
    runtime: Runtime,
    address: SocketAddr,
    inner: Arc<Inner>,
    running: Option<tokio::task::JoinHandle<()>>,
    authority: Authority,
}

struct Inner {
    root: PathBuf,
    rules: watch::Sender<Rules>,
    seen: Mutex<Vec<Seen>>,
}

impl Server {
    /// Serves the repositories in `root`; its certificates lie in the new folder `name` there.
    pub fn start(root: &Path, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let rules = watch::Sender::new(Rules::default());
        let inner = Arc::new(Inner { root: root.to_owned(), rules, seen: Mutex::default() });
        let mut server = Self {
            runtime,
            address: ([127, 0, 0, 1], 0).into(),
            inner,
            running: None,
            authority: Authority::new(root.join(name)),
        };
        server.up();
        server
    }

    /// The beginning of its addresses, without a `/` at the end.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The same under another name.
    pub fn url_by_name(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The same under the name that tests give it.
    pub fn url_named(&self) -> String {
        format!("https://{NAMED}:{}", self.address.port())
    }

    /// What clients are to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.authority.file()
    }

    /// Changes what it does from now on; requests that are held look again.
    pub fn rules(&self, change: impl FnOnce(&mut Rules)) {
        self.inner.rules.send_modify(change);
    }

    /// All is well again.
    pub fn mend(&self) {
        self.rules(|rules| rules.fault = None);
    }

    /// Something goes wrong from now on.
    pub fn breaks(&self, fault: Fault) {
        self.rules(|rules| rules.fault = Some(fault));
    }

    /// What came in so far, taken away.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.inner.seen.lock().unwrap())
    }

    /// Nobody listens any more, and connections end.
    pub fn down(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = self.runtime.block_on(running);
        }
    }

    /// Listens, again under the same address.
    pub fn up(&mut self) {
        let listener = self.runtime.block_on(TcpListener::bind(self.address)).unwrap();
        self.address = listener.local_addr().unwrap();
        let (acceptor, inner) = (self.authority.acceptor(), self.inner.clone());
        self.running = Some(self.runtime.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, inner) = (acceptor.clone(), inner.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = hyper::service::service_fn(move |request| {
                        let inner = inner.clone();
                        async move { inner.answer(request).await }
                    });
                    let stream = TokioIo::new(stream);
                    let serving = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is no concern of a server's.
                    let _ = serving.serve_connection(stream, service).await;
                });
                while connections.try_join_next().is_some() {}
            }
        }));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

impl Inner {
    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let seen = Seen::of(&request);
        self.seen.lock().unwrap().push(seen);
        let mut changes = self.rules.subscribe();
        let free = |rules: &Rules| !matches!(rules.fault, Some(Fault::Hold));
        let rules = changes.wait_for(free).await.map_err(io::Error::other)?.clone();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        match &rules.fault {
            Some(Fault::Status(status)) => return Ok(plain(*status)),
            Some(Fault::Redirect(to)) => {
                let mut answer = plain(302);
                let to = format!("{to}{path}").parse().unwrap();
                answer.headers_mut().insert("location", to);
                return Ok(answer);
            }
            Some(Fault::CutPacks(_) | Fault::LoseReplies | Fault::Hold) | None => {}
        }
        if !rules.admits(&request) {
            let mut answer = plain(rules.refusal.unwrap_or(401));
            let asks = "Basic realm=\"repositories\"".parse().unwrap();
            answer.headers_mut().insert("www-authenticate", asks);
            return Ok(answer);
        }
        if rules.read_only.as_ref().is_some_and(|at| path.starts_with(at))
            && path.contains("git-receive-pack")
        {
            return Ok(plain(403));
        }
        let is_sent = |service: &str| request.method() == "POST" && path.ends_with(service);
        let (fetches, pushes) = (is_sent("git-upload-pack"), is_sent("git-receive-pack"));
        let answer = backend::serve(&self.root, request).await?;
        match rules.fault {
            Some(Fault::LoseReplies) if pushes => Err(io::Error::other("lost")),
            Some(Fault::CutPacks(most)) if fetches => Ok(answer.map(|body| body.cut(most))),
            _ => Ok(answer),
        }
    }
}

impl Rules {
    fn admits(&self, request: &Request<Incoming>) -> bool {
        let Some(token) = &self.token else { return true };
        let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        shown == Some(&super::basic(token))
    }
}

impl Seen {
    fn of(request: &Request<Incoming>) -> Self {
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into())
        };
        Self {
            line: format!("{} {}", request.method(), request.uri()),
            authorized: header("authorization").is_some(),
            encodings: ["transfer-encoding", "content-encoding", "git-protocol"].map(header),
        }
    }
}

fn plain(status: u16) -> Response<Answer> {
    let mut answer = Response::new(Answer::default());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}
