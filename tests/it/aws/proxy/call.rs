//! What passed through, as the record has it.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::body::Bytes;

use super::form::{self, Form};

/// One request as it arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    /// Since the proxy began.
    pub at: Duration,
    /// The access key that signed it: an account number, or a session of an assumed role.
    pub account: String,
    /// Of the signature's scope.
    pub region: String,
    /// Of the signature's scope: `cloudformation`, `sts`, `s3` …
    pub service: String,
    /// `Action` of the form; method and path for other protocols.
    pub action: String,
    /// The form; empty for other protocols.
    pub form: Form,
    /// The stack's name, also where the call gives an ARN or only a change set's.
    pub stack: String,
    /// `CREATE` or `UPDATE`, of the change set that it makes or executes; `REVIEW`, of a deletion
    /// of what only a change set to be looked at has made.
    pub kind: String,
    /// It changes something, and no intent of that was on disk when it came.
    pub unintended: bool,
    /// What became of it.
    pub end: End,
}

/// What became of a call.
#[derive(Clone, Debug, Default)]
pub struct End {
    /// The server got it.
    pub reached: bool,
    /// The same token came before: the answer of then was given, and nothing done.
    pub replayed: bool,
    /// The status that the server gave, or that was given in its place; none when no answer came.
    pub status: Option<u16>,
    /// The error code in that answer.
    pub code: Option<String>,
    /// The caller never saw that answer, or not this one.
    pub lost: bool,
}

impl Call {
    /// One of its parameters, empty when it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.form.get(name).map_or("", String::as_str)
    }

    /// `ClientRequestToken`, or `ClientToken` of a change set's creation.
    pub fn token(&self) -> &str {
        match self.get("ClientRequestToken") {
            "" => self.get("ClientToken"),
            token => token,
        }
    }

    /// The server did what it asks.
    pub fn done(&self) -> bool {
        self.end.reached && !self.end.replayed && self.end.status == Some(200)
    }

    /// It asks for more than looking. Change sets are made and removed too, so they count; drift
    /// detection changes nothing.
    pub fn writes(&self) -> bool {
        const LOOKS: [&str; 9] = [
            "Describe",
            "Get",
            "List",
            "Detect",
            "Validate",
            "Estimate",
            "AssumeRole",
            "GET ",
            "HEAD ",
        ];
        !LOOKS.iter().any(|look| self.action.starts_with(look))
    }

    /// It changes a stack, when it is accepted: `create`, `update` or `delete`.
    pub fn effect(&self) -> Option<&'static str> {
        match self.action.as_str() {
            "CreateStack" => Some("create"),
            "UpdateStack" => Some("update"),
            "DeleteStack" if self.kind == "REVIEW" => None,
            "DeleteStack" => Some("delete"),
            "ExecuteChangeSet" if self.kind == "CREATE" => Some("create"),
            "ExecuteChangeSet" => Some("update"),
            "ContinueUpdateRollback" | "CancelUpdateStack" | "RollbackStack" => Some("rollback"),
            _ => None,
        }
    }

    /// One line for messages.
    pub fn line(&self) -> String {
        let Self { at, account, action, stack, unintended, end, .. } = self;
        let status = end.status.map_or("no answer".to_owned(), |s| s.to_string());
        let mut line = format!("{:>6} ms {account} {action} {stack} -> {status}", at.as_millis());
        for (said, word) in [
            (end.code.is_some(), end.code.as_deref().unwrap_or_default()),
            (!end.reached, "never passed on"),
            (end.replayed, "replayed"),
            (end.lost, "answer lost"),
            (*unintended, "without an intent"),
        ] {
            if said {
                line = format!("{line} ({word})");
            }
        }
        line
    }
}

/// A request on its way to the server.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Method, path with query.
    pub method: hyper::Method,
    /// Path with query.
    pub path: String,
    /// Without those of the connection.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
}

/// An answer on its way back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Without those of the connection.
    pub headers: HeaderMap,
    /// All of it.
    pub body: Bytes,
}

impl Answer {
    /// An XML document.
    pub fn xml(status: u16, text: impl Into<String>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", hyper::header::HeaderValue::from_static("text/xml"));
        Self { status, headers, body: Bytes::from(text.into()) }
    }

    /// An error as the Query protocol writes it.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let kind = if status < 500 { "Sender" } else { "Receiver" };
        Self::xml(
            status,
            format!(
                "<ErrorResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
                 <Error><Type>{kind}</Type><Code>{code}</Code><Message>{}</Message></Error>\
                 <RequestId>{REQUEST}</RequestId></ErrorResponse>",
                escape(message)
            ),
        )
    }

    /// Its text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Changes its text.
    pub fn edit(&mut self, change: impl FnOnce(String) -> String) {
        self.body = Bytes::from(change(self.text()));
    }

    /// Text of the first element of that name.
    pub fn element(&self, name: &str) -> Option<String> {
        element(&self.text(), name).map(str::to_owned)
    }
}

/// The request id of answers that are not the server's.
const REQUEST: &str = "00000000-0000-4000-8000-000000000000";

/// Text of the first element of that name, as it is written.
pub fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// Text for an XML document.
pub fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;")
}

/// Reads what a request says of itself.
pub fn read(sent: &Sent, at: Duration) -> Call {
    let (account, region, service) = scope(&sent.headers);
    let form = match sent.headers.get("content-type").and_then(|v| v.to_str().ok()) {
        Some(kind) if kind.starts_with("application/x-www-form-urlencoded") => {
            form::decode(&sent.body)
        }
        _ => BTreeMap::new(),
    };
    let action = match form.get("Action") {
        Some(action) => action.clone(),
        None => format!("{} {}", sent.method, sent.path.split('?').next().unwrap_or_default()),
    };
    let stack = stack_name(form.get("StackName").map_or("", String::as_str)).to_owned();
    let kind = String::new();
    let end = End::default();
    Call { at, account, region, service, action, form, stack, kind, unintended: false, end }
}

/// The name in a stack's ARN; a name is one already.
pub fn stack_name(text: &str) -> &str {
    if text.starts_with("arn:") { text.split('/').nth(1).unwrap_or(text) } else { text }
}

/// Access key, region and service of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
fn scope(headers: &HeaderMap) -> (String, String, String) {
    let text = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let scope = text.split("Credential=").nth(1).and_then(|rest| rest.split(',').next());
    let mut parts = scope.unwrap_or_default().split('/').map(str::to_owned);
    let mut next = || parts.next().unwrap_or_default();
    let key = next();
    next();
    (key, next(), next())
}
