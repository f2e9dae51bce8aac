//! The server: from a connection to an operation and back.

use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use serde_json::Value;
use sha2::Digest as _;

use super::auth;
use super::call::{Call, Caller, Reply};
use super::description;
use super::fault::{Fault, Faults};
use super::rest::{self, Need, admit, find, unescape};
use super::state::State;
use crate::backend::{self, Answer};

/// A request that came in, with what it was answered.
#[derive(Clone, Debug)]
pub struct Entry {
    pub method: String,
    /// Without the base of the API and the query.
    pub path: String,
    pub query: String,
    /// Of the REST API; `null` without one.
    pub body: Value,
    /// Who asked: a login, `installation N`, `app N`, `nobody`.
    pub caller: String,
    /// What was meant to be answered, also when the answer was lost.
    pub status: u16,
}

pub struct Inner {
    pub state: Mutex<State>,
    pub faults: Mutex<Faults>,
    pub log: Mutex<Vec<Entry>>,
    /// Where requests and answers are not as the description says.
    pub wrong: Mutex<Vec<String>>,
    pub root: PathBuf,
}

const SECONDARY: &str =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

/// Where the REST API is.
const API: &str = "/api/v3";

impl Inner {
    /// A test that panicked while it looked does not make the server's own answers wrong.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let path = request.uri().path().to_owned();
        let path = path.strip_prefix(API).unwrap_or(&path);
        let fault = self.faults.lock().unwrap().take(request.method().as_str(), path);
        let mut entry = Entry {
            method: request.method().to_string(),
            path: path.to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            body: Value::Null,
            caller: String::new(),
            status: 0,
        };
        let instead = match &fault {
            Some(Fault::Cut) => {
                self.log.lock().unwrap().push(entry);
                return Err(io::Error::other("cut"));
            }
            Some(Fault::Slow(time)) => {
                tokio::time::sleep(*time).await;
                None
            }
            Some(fault) => self.refusal(fault),
            None => None,
        };
        let is_api = request.uri().path().starts_with(API);
        let mut answer = match instead {
            Some(answer) => {
                let bytes = request.into_body().collect().await.map_err(io::Error::other)?;
                entry.body = serde_json::from_slice(&bytes.to_bytes()).unwrap_or_default();
                answer
            }
            None if is_api => self.rest(request, &mut entry).await?,
            None => self.git(request, &mut entry).await?,
        };
        entry.status = answer.status().as_u16();
        self.log.lock().unwrap().push(entry);
        match fault {
            Some(Fault::Lost) => return Err(io::Error::other("lost")),
            Some(Fault::Garbled) => *answer.body_mut() = Bytes::from("{\"id\": 1, \"no").into(),
            _ => {}
        }
        Ok(answer)
    }

    /// What is answered instead of doing anything.
    fn refusal(&self, fault: &Fault) -> Option<Response<Answer>> {
        let now = self.state().now();
        let header = |name: &str, value: String| (name.to_owned(), value);
        let reply = match fault {
            Fault::Status(status) => {
                let page = Bytes::from("<html><body>Unicorn!</body></html>");
                let answer =
                    Response::builder().status(*status).header("content-type", "text/html");
                return Some(answer.body(page.into()).unwrap());
            }
            Fault::SecondaryLimit(after) => {
                let headers = after.map(|after| header("retry-after", after.to_string()));
                Reply { headers: headers.into_iter().collect(), ..Reply::error(403, SECONDARY) }
            }
            Fault::PrimaryLimit(seconds) => {
                let reset = now.as_second() + i64::try_from(*seconds).unwrap();
                let headers = vec![
                    header("x-ratelimit-limit", "5000".into()),
                    header("x-ratelimit-remaining", "0".into()),
                    header("x-ratelimit-used", "5000".into()),
                    header("x-ratelimit-reset", reset.to_string()),
                    header("x-ratelimit-resource", "core".into()),
                ];
                Reply { headers, ..Reply::error(429, "API rate limit exceeded") }
            }
            Fault::Invalid(message) => Reply::invalid("Something", "field", "custom", message),
            Fault::Refused(status, message) => Reply::error(*status, message),
            Fault::Empty => Reply::ok(serde_json::json!([])),
            Fault::Lost | Fault::Cut | Fault::Slow(_) | Fault::Garbled => return None,
        };
        Some(written(reply))
    }

    async fn rest(
        &self,
        request: Request<Incoming>,
        entry: &mut Entry,
    ) -> io::Result<Response<Answer>> {
        let header = |name: &str| {
            let value = request.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(str::to_owned)
        };
        let (shown, known) = (header("authorization"), header("if-none-match"));
        if header("user-agent").is_none() {
            self.wrong(vec![format!("{} {}: no User-Agent", entry.method, entry.path)]);
        }
        let bytes = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
        if !bytes.is_empty() {
            entry.body = match serde_json::from_slice(&bytes) {
                Ok(body) => body,
                Err(_) => return Ok(written(Reply::error(400, "Problems parsing JSON"))),
            };
        }
        let mut state = self.state();
        let mut reply = self.called(&mut state, entry, shown.as_deref(), !bytes.is_empty());
        if reply.status == 200 && entry.method == "GET" {
            let tag = tag(&reply);
            reply.headers.push(("etag".into(), tag.clone()));
            if known
                .is_some_and(|known| known.trim_start_matches("W/") == tag.trim_start_matches("W/"))
            {
                // Without where the next page is: so GitHub says it.
                reply.headers.retain(|(name, _)| name != "link");
                reply = Reply { status: 304, body: None, headers: reply.headers };
            }
        }
        let (now, who) = (state.now(), entry.caller.clone());
        // What has not changed is free for who says who they are, and so is asking for the limit.
        let is_free = reply.status == 304 && who != "nobody" || entry.path == "/rate_limit";
        if !is_free && !state.limits.take(&who, now) {
            let text = format!("API rate limit exceeded for {who}.");
            reply = Reply::error(403, &text);
        }
        reply.headers.extend(state.limits.standing(&who, now).headers());
        reply.headers.push(("x-github-request-id".into(), "0000:0000".into()));
        Ok(written(reply))
    }

    /// Carries out a request, and holds it and its answer against the description.
    fn called(
        &self,
        state: &mut State,
        entry: &mut Entry,
        shown: Option<&str>,
        has_body: bool,
    ) -> Reply {
        let caller = match auth::caller(state, shown) {
            Ok(caller) => caller,
            Err(refused) => {
                entry.caller = "nobody".into();
                return refused;
            }
        };
        entry.caller = caller.account();
        let left = state.limits.standing(&entry.caller, state.now()).remaining();
        if left == 0 && entry.path != "/rate_limit" {
            // Nothing is done: the answer is made where requests are counted.
            return Reply::error(403, "API rate limit exceeded");
        }
        let Some((route, path)) = find(&entry.method, &entry.path) else {
            self.wrong(vec![format!("unknown operation: {} {}", entry.method, entry.path)]);
            return Reply::not_found();
        };
        let query = query(&entry.query);
        let operation = description::operation(route.name);
        let wrong = operation.check_request(&path, &query, has_body.then_some(&entry.body));
        if !wrong.is_empty() {
            self.wrong(wrong);
            return Reply::invalid("Request", "body", "invalid", "Invalid request.");
        }
        let (now, writes) = (state.now(), entry.method != "GET" && route.need != Need::App);
        if writes && !state.limits.write(&entry.caller, now) {
            let mut refused = Reply::error(403, SECONDARY);
            refused.headers.push(("retry-after".into(), "60".into()));
            return refused;
        }
        let url = format!("{}{}", state.api(), entry.path);
        let call = Call { caller, path, query, body: entry.body.clone(), url };
        let full = call.path.contains_key("repo").then(|| call.repo());
        if let Some(full) = full.filter(|full| state.repos.contains_key(full)) {
            // Whoever wrote into the bare repository itself is heard of as well.
            state.sync(&full, "somebody");
        }
        let done = admit(state, route, &call).and_then(|()| (route.handler)(state, &call));
        let reply = done.unwrap_or_else(|refused| refused);
        self.wrong(operation.check_answer(reply.status, reply.body.as_ref()));
        reply
    }

    fn wrong(&self, wrong: Vec<String>) {
        self.wrong.lock().unwrap().extend(wrong);
    }

    /// Hands a request for a repository to `git http-backend`, if it may come in.
    async fn git(
        &self,
        request: Request<Incoming>,
        entry: &mut Entry,
    ) -> io::Result<Response<Answer>> {
        let header = request.headers().get("authorization");
        let shown = header.and_then(|value| value.to_str().ok());
        let pushes = entry.path.ends_with("/git-receive-pack")
            || entry.query.contains("service=git-receive-pack");
        let parts = entry.path.split_once(".git/");
        let Some(full) = parts.map(|(full, _)| full.trim_start_matches('/').to_owned()) else {
            return Ok(written(Reply::not_found()));
        };
        let (caller, may) = {
            let state = self.state();
            let caller = auth::caller(&state, shown);
            let may = match &caller {
                Ok(caller) => rest::may(&state, &full, caller, "contents", pushes),
                Err(_) => Err(Reply::error(401, "Bad credentials")),
            };
            (caller.unwrap_or(Caller::Nobody), may)
        };
        entry.caller = caller.account();
        if let Err(refused) = may {
            let is_unknown = matches!(caller, Caller::Nobody);
            let status = if is_unknown { 401 } else { refused.status };
            let mut answer = written(Reply::error(status, "Repository not found."));
            let asks = "Basic realm=\"GitHub\"".parse().unwrap();
            answer.headers_mut().insert("www-authenticate", asks);
            return Ok(answer);
        }
        let answer = backend::serve(&self.root, request).await?;
        if pushes {
            self.state().sync(&full, caller.login());
        }
        Ok(answer)
    }

    /// Gives what was wrong so far, and forgets it.
    pub fn take_wrong(&self) -> Vec<String> {
        let mut wrong = std::mem::take(&mut *self.wrong.lock().unwrap());
        wrong.append(&mut self.state().hooks.wrong.lock().unwrap());
        wrong
    }
}

fn tag(reply: &Reply) -> String {
    let bytes = reply.body.as_ref().map(Value::to_string).unwrap_or_default();
    let digest = sha2::Sha256::digest(bytes.as_bytes());
    let hex: String = digest.iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("W/\"{hex}\"")
}

fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (unescape(name), unescape(&value.replace('+', " "))))
        .collect()
}

fn written(reply: Reply) -> Response<Answer> {
    let mut answer = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        answer = answer.header(name, value);
    }
    let answer = answer
        .header("content-type", "application/json; charset=utf-8")
        .header("x-github-media-type", "github.v3; format=json")
        .header("server", "github.com");
    let bytes = reply.body.map(|body| Bytes::from(body.to_string()));
    answer.body(bytes.map(Into::into).unwrap_or_default()).unwrap()
}
