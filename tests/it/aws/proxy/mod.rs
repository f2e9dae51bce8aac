//! Stands between the executable and the server: keeps a record of every call, breaks what rules
//! say, and makes the server behave as AWS documents where it is known not to.
//!
//! # Flow
//!
//! ```text
//! request ─▶ record ─▶ intent on disk? ─▶ rules (delay, refuse, reset, change) ─▶ manners ─▶ server
//!                                                                                             │
//! answer ◀── record's end ◀── rules (reset, fail, cut, change) ◀── manners ◀──────────────────┘
//! ```
//!
//! # Guarantees
//!
//! * Calls are recorded in the order of their arrival, before anything happens to them.
//! * What the server was asked for is recorded to its end, also when whoever asked was killed.
//! * Whether a change was intended is looked up before anybody is asked for it.
//! * A call goes to the server at most once, and the record says whether it did.

mod call;
mod form;
mod intent;
mod manners;
mod rule;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use hyper::body::Bytes;
use tokio::net::TcpListener;

pub use call::{Answer, Call, Sent};
pub use form::{Form, encode};
pub use rule::{Fault, Gate, Rule};
pub use wire::send;

use call::End;
use intent::Intents;
use manners::Manners;
use rule::Rules;

/// A running one; it ends when it is dropped.
pub struct Proxy {
    /// `127.0.0.1:PORT`.
    pub address: String,
    state: Arc<State>,
    serving: tokio::task::JoinHandle<()>,
}

struct State {
    upstream: String,
    began: Instant,
    calls: Mutex<Vec<Call>>,
    rules: Mutex<Rules>,
    manners: Manners,
    intents: Intents,
    polite: AtomicBool,
}

/// What the caller gets.
enum Reply {
    Answer(Answer),
    /// The answer's first bytes, and then the connection breaks.
    Cut(Answer, usize),
    Reset,
    Silence,
}

impl Proxy {
    /// Begins to listen, for calls to `upstream`.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State {
            upstream: upstream.to_owned(),
            began: Instant::now(),
            calls: Mutex::default(),
            rules: Mutex::default(),
            manners: Manners::default(),
            intents: Intents::default(),
            polite: AtomicBool::new(true),
        });
        let serving = tokio::spawn(wire::serve(listener, Arc::clone(&state)));
        Self { address, state, serving }
    }

    /// Everything that arrived so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state.calls.lock().unwrap().clone()
    }

    /// From now on, one more rule.
    pub fn rule(&self, rule: Rule) {
        self.state.rules.lock().unwrap().add(rule);
    }

    /// The actions of rules that have met no call yet to do something to.
    pub fn unused_rules(&self) -> Vec<String> {
        self.state.rules.lock().unwrap().unused()
    }

    /// No rules any more.
    pub fn no_rules(&self) {
        self.state.rules.lock().unwrap().clear();
    }

    /// Where intents lie that a call must have.
    pub fn intents(&self) -> &Intents {
        &self.state.intents
    }

    /// Whether the server is made to behave as AWS documents; it is, unless a test says otherwise.
    pub fn polite(&self, polite: bool) {
        self.state.polite.store(polite, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    /// Records a call, breaks it as rules say, and passes it on.
    async fn handle(&self, mut sent: Sent) -> Reply {
        let mut call = call::read(&sent, self.began.elapsed());
        self.manners.complete(&mut call);
        let index = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(call.clone());
            calls.len() - 1
        };
        if self.intents.lack(&call).await {
            self.calls.lock().unwrap()[index].unintended = true;
        }
        let faults = self.rules.lock().unwrap().take(&call);
        let reply = self.pass(&mut call, &mut sent, &faults).await;
        self.calls.lock().unwrap()[index].end = call.end;
        reply
    }

    async fn pass(&self, call: &mut Call, sent: &mut Sent, faults: &[Fault]) -> Reply {
        for fault in faults {
            match fault {
                Fault::Delay(time) => tokio::time::sleep(*time).await,
                Fault::Hold(gate) => gate.pass().await,
                Fault::Throttle => return refuse(call, 400, "Throttling", "Rate exceeded"),
                Fault::Refuse(status, code, text) => return refuse(call, *status, code, text),
                Fault::FailBefore(status) => {
                    call.end = End { status: Some(*status), ..End::default() };
                    return Reply::Answer(Answer::xml(*status, ""));
                }
                Fault::ResetBefore => return Reply::Reset,
                Fault::Request(change) => {
                    change(&mut call.form);
                    sent.body = Bytes::from(encode(&call.form));
                }
                Fault::ResetAfter
                | Fault::FailAfter(_)
                | Fault::Garbage
                | Fault::Cut
                | Fault::Silence
                | Fault::Answer(_) => {}
            }
        }
        let mut answer = if self.polite.load(Ordering::Relaxed) {
            self.manners.pass(&self.upstream, call, sent).await
        } else {
            call.end.reached = true;
            send(&self.upstream, sent).await
        };
        call.end.status = Some(answer.status);
        call.end.code = answer.element("Code").filter(|_| answer.status != 200);
        for fault in faults {
            let reply = match fault {
                Fault::ResetAfter => Reply::Reset,
                Fault::FailAfter(status) => Reply::Answer(Answer::xml(*status, "")),
                Fault::Garbage => Reply::Answer(Answer::xml(200, "<html><body>hello")),
                Fault::Cut => Reply::Cut(answer.clone(), answer.body.len() / 2),
                Fault::Silence => Reply::Silence,
                Fault::Answer(change) => {
                    change(call, &mut answer);
                    continue;
                }
                _ => continue,
            };
            call.end.lost = true;
            return reply;
        }
        Reply::Answer(answer)
    }
}

fn refuse(call: &mut Call, status: u16, code: &str, message: &str) -> Reply {
    call.end = End { status: Some(status), code: Some(code.to_owned()), ..End::default() };
    Reply::Answer(Answer::error(status, code, message))
}
