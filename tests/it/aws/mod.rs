//! A local AWS: a real server for CloudFormation's protocol, a proxy in front of it that records
//! and breaks, and what a test does out of band.

#![allow(dead_code, reason = "stories use what they need")]
#![allow(clippy::result_large_err, reason = "they are the SDK's errors, and rare")]

mod itself;
mod live;
mod proxy;
mod server;
pub mod stack;

use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::{BehaviorVersion, Credentials, Region};
use hyper::HeaderMap;
use hyper::body::Bytes;
use tokio::runtime::Runtime;

pub use proxy::{Answer, Call, Fault, Gate, Rule};
pub use server::REGION;

use proxy::{Form, Proxy, Sent};

/// Proxies and clients of all tests run on it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// An account of its own on the shared server, and a proxy of its own in front of it.
pub struct Aws {
    account: String,
    upstream: &'static str,
    proxy: Proxy,
    /// Stacks that were removed out of band, and how many calls had come by then.
    removed: Mutex<Vec<(usize, String)>>,
    /// Straight to the server: nothing of it is in the record, and no rule touches it.
    pub client: Client,
}

impl Aws {
    /// A new account.
    pub fn new() -> Self {
        Self::on(server::shared())
    }

    /// A new account on a server that enforces capabilities.
    pub fn strict() -> Self {
        Self::on(server::strict())
    }

    fn on(server: &'static server::Server) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let account = format!("{:012}", 100_000_000_000 + NEXT.fetch_add(1, Ordering::Relaxed));
        let proxy = RUNTIME.block_on(Proxy::start(&server.address));
        let client = client(&format!("http://{}", server.address), &account);
        let removed = Mutex::default();
        Self { account, upstream: &server.address, proxy, removed, client }
    }

    /// Twelve digits; as an access key they mean this account.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// Where the executable finds CloudFormation: the proxy.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.proxy.address)
    }

    /// What the executable's process finds in its environment.
    pub fn environment(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            set("AWS_ACCESS_KEY_ID", &self.account),
            set("AWS_SECRET_ACCESS_KEY", "test"),
            // Nothing is looked for outside the machine.
            set("AWS_EC2_METADATA_DISABLED", "true"),
        ]
    }

    /// A client whose calls go through the proxy, with the SDK's retries.
    pub fn through_proxy(&self) -> Client {
        client(&self.endpoint(), &self.account)
    }

    /// From now on, one more rule.
    pub fn rule(&self, rule: Rule) {
        self.proxy.rule(rule);
    }

    /// No rules any more.
    pub fn no_rules(&self) {
        self.proxy.no_rules();
    }

    /// Each rule has done something: a story of what breaks in which nothing broke shows nothing.
    #[track_caller]
    pub fn assert_rules_used(&self, what: &str) {
        let unused = self.proxy.unused_rules();
        assert!(unused.is_empty(), "{what}: no call broke of {unused:?}\n{}", self.history());
    }

    /// The server as it is, without AWS's manners.
    pub fn impolite(&self) {
        self.proxy.polite(false);
    }

    /// Waits for something asynchronous.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        RUNTIME.block_on(future)
    }

    /// A call to any service by the Query protocol, out of band; the answer's text.
    #[track_caller]
    pub fn query(&self, service: &str, action: &str, parameters: &[(&str, &str)]) -> String {
        let mut form: Form =
            parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        form.insert("Action".to_owned(), action.to_owned());
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let answer = self.send(service, hyper::Method::POST, "/", kind, &proxy::encode(&form), &[]);
        assert_eq!(answer.status, 200, "{action}: {}", answer.text());
        answer.text()
    }

    /// A call to any service by the JSON protocol, out of band.
    #[track_caller]
    pub fn json(&self, service: &str, target: &str, body: &serde_json::Value) -> serde_json::Value {
        let (kind, body) = ("application/x-amz-json-1.0", body.to_string());
        let target = [("x-amz-target", target)];
        let answer = self.send(service, hyper::Method::POST, "/", kind, &body, &target);
        assert_eq!(answer.status, 200, "{target:?}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap_or_default()
    }

    /// Whose an access key is, as the server tells.
    #[track_caller]
    pub fn caller(&self, key: &str) -> String {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        let form = Form::from([("Action".to_owned(), "GetCallerIdentity".to_owned())]);
        let form = proxy::encode(&form);
        let answer = self.send_as(key, "sts", hyper::Method::POST, "/", kind, &form, &[]);
        answer.element("Arn").unwrap_or_else(|| panic!("{key}: {}", answer.text()))
    }

    fn send(
        &self,
        service: &str,
        method: hyper::Method,
        path: &str,
        kind: &str,
        body: &str,
        more: &[(&'static str, &str)],
    ) -> Answer {
        self.send_as(&self.account, service, method, path, kind, body, more)
    }

    #[allow(clippy::too_many_arguments)]
    fn send_as(
        &self,
        key: &str,
        service: &str,
        method: hyper::Method,
        path: &str,
        kind: &str,
        body: &str,
        more: &[(&'static str, &str)],
    ) -> Answer {
        let mut headers = HeaderMap::new();
        // The server takes the key at its word.
        let signature = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/{REGION}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        headers.insert("authorization", signature.parse().unwrap());
        headers.insert("content-type", kind.parse().unwrap());
        for (name, value) in more {
            headers.insert(*name, value.parse().unwrap());
        }
        let body = Bytes::from(body.to_owned());
        let sent = Sent { method, path: path.to_owned(), headers, body };
        self.wait(proxy::send(self.upstream, &sent))
    }

    /// The record: everything that came through the proxy, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.proxy.calls()
    }

    /// How many calls of an action came.
    pub fn count(&self, action: &str) -> usize {
        self.calls().iter().filter(|call| call.action == action).count()
    }

    /// The record as text, for messages.
    pub fn history(&self) -> String {
        self.calls().iter().map(|call| call.line() + "\n").collect()
    }

    /// What was ever done to stacks whose name begins so, in order: `create`, `update`, `delete`.
    pub fn effects(&self, stack: &str) -> Vec<&'static str> {
        let calls = self.calls();
        let done = calls.iter().filter(|c| c.done() && c.stack.starts_with(stack));
        done.filter_map(Call::effect).collect()
    }

    /// From now on, the token of each change must lie in a store in one of this folder's folders when it
    /// is asked for.
    pub fn intents_lie_in(&self, folder: &Path) {
        self.proxy.intents().lie_in(folder);
    }

    /// From now on, a store that is no file tells whether it has the token of a change.
    pub fn intents_told_by(&self, has: impl Fn(&str) -> bool + Send + Sync + 'static) {
        self.proxy.intents().told_by(std::sync::Arc::new(has));
    }

    /// The oracle: as the server saw it, no stack was created while it stood, none was deleted that
    /// did not, no token had two effects, and nothing was asked for before the intent of it was on disk.
    #[track_caller]
    pub fn assert_sound(&self) {
        if let Some(call) = self.calls().iter().find(|call| call.unintended) {
            panic!("sent without an intent: {}\n{}", call.line(), self.history());
        }
        let mut standing = std::collections::BTreeSet::new();
        let mut tokens = std::collections::BTreeSet::new();
        let removed = self.removed.lock().unwrap();
        let mut removed = removed.iter().peekable();
        for (index, call) in self.calls().iter().enumerate().filter(|(_, call)| call.done()) {
            while let Some((_, name)) = removed.next_if(|(before, _)| *before <= index) {
                standing.remove(name);
            }
            let Some(effect) = call.effect() else { continue };
            let stack = call.stack.clone();
            let sound = match effect {
                "create" => standing.insert(stack.clone()),
                "delete" => {
                    // One that was never executed may be removed as well, and that without an intent.
                    let stood = standing.remove(&stack);
                    !stood || !call.token().is_empty() || !self.proxy.intents().are_known()
                }
                _ => true,
            };
            assert!(sound, "{effect} of {} out of turn:\n{}", call.stack, self.history());
            // Asked twice under one token to stop, it stops once.
            if effect == "rollback" {
                continue;
            }
            let token = (stack, effect, call.token().to_owned());
            assert!(
                call.token().is_empty() || tokens.insert(token),
                "{effect} of {} twice with one token:\n{}",
                call.stack,
                self.history()
            );
        }
    }

    /// Nothing that `work` does asks AWS for more than looking.
    #[track_caller]
    pub fn only_looks<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.calls().len();
        let result = work();
        let wrote: Vec<String> =
            self.calls()[before..].iter().filter(|c| c.writes()).map(Call::line).collect();
        assert!(wrote.is_empty(), "writes where nothing was to be done: {wrote:#?}");
        result
    }

    /// Waits until this is there.
    #[track_caller]
    pub fn eventually<T>(&self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + crate::world::PATIENCE;
        loop {
            if let Some(found) = check() {
                return found;
            }
            assert!(Instant::now() < deadline, "never: {what}\n{}", self.history());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn client(endpoint: &str, account: &str) -> Client {
    let config = aws_sdk_cloudformation::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static(REGION))
        .credentials_provider(Credentials::new(account, "test", None, None, "tests"))
        .build();
    Client::from_conf(config)
}

/// The shared server's process.
fn server_pid() -> u32 {
    server::shared().pid()
}
