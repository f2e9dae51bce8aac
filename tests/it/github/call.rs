//! A request as handlers see it, and what they say to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

/// A request that got so far.
pub struct Call {
    pub caller: Caller,
    /// What stands for the `{name}`s of the operation's path.
    pub path: HashMap<String, String>,
    pub query: Vec<(String, String)>,
    /// `null` without one.
    pub body: Value,
    /// Without the query, for links to other pages.
    pub url: String,
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Caller {
    Nobody,
    /// An App with its key.
    App(u64),
    /// An App with a token of an installation.
    Installation {
        app: u64,
        id: u64,
        permissions: BTreeMap<String, String>,
        selected: Option<BTreeSet<String>>,
        login: String,
    },
    /// Somebody with a token of their own.
    User(String),
}

/// What is said to a request.
pub struct Reply {
    pub status: u16,
    pub body: Option<Value>,
    pub headers: Vec<(String, String)>,
}

/// A refusal is the error.
pub type Handled = Result<Reply, Reply>;

impl Call {
    /// `OWNER/NAME` of the repository in the path.
    pub fn repo(&self) -> String {
        format!("{}/{}", self.path["owner"], self.path["repo"])
    }

    /// A part of the path.
    pub fn at(&self, name: &str) -> &str {
        &self.path[name]
    }

    /// A number in the path.
    pub fn number(&self, name: &str) -> Result<u64, Reply> {
        self.path[name].parse().map_err(|_| Reply::not_found())
    }

    /// A parameter of the query.
    pub fn asked(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// Text in the body.
    pub fn text(&self, name: &str) -> Option<String> {
        self.body[name].as_str().map(str::to_owned)
    }

    /// One page of a list.
    pub fn page<T>(&self, items: Vec<T>, shape: impl FnMut(T) -> Value) -> Reply {
        let (items, headers) = self.cut(items);
        let items: Vec<_> = items.into_iter().map(shape).collect();
        Reply { headers, ..Reply::ok(items.into()) }
    }

    /// One page of a list that is told with its length, as some are.
    pub fn counted<T>(&self, name: &str, items: Vec<T>, shape: impl FnMut(T) -> Value) -> Reply {
        let count = items.len();
        let (items, headers) = self.cut(items);
        let items: Vec<_> = items.into_iter().map(shape).collect();
        Reply { headers, ..Reply::ok(json!({"total_count": count, name: items})) }
    }

    fn cut<T>(&self, items: Vec<T>) -> (Vec<T>, Vec<(String, String)>) {
        let number = |name: &str| self.asked(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let mut links = Vec::new();
        if page < last {
            links.extend([(page + 1, "next"), (last, "last")]);
        }
        if page > 1 {
            links.extend([(1, "first"), ((page - 1).min(last), "prev")]);
        }
        let links: Vec<_> = links.iter().map(|(page, name)| self.link(*page, name)).collect();
        let headers = match links.as_slice() {
            [] => vec![],
            links => vec![("link".into(), links.join(", "))],
        };
        (items.into_iter().skip((page - 1) * size).take(size).collect(), headers)
    }

    fn link(&self, page: usize, name: &str) -> String {
        let others = self.query.iter().filter(|(name, _)| name != "page");
        let query: String = others.map(|(name, value)| format!("{name}={value}&")).collect();
        format!("<{}?{query}page={page}>; rel=\"{name}\"", self.url)
    }
}

impl Caller {
    /// Under which name what it writes stands.
    pub fn login(&self) -> &str {
        match self {
            Self::User(login) | Self::Installation { login, .. } => login,
            Self::App(_) | Self::Nobody => "nobody",
        }
    }

    /// The App behind it.
    pub fn app(&self) -> Option<u64> {
        match self {
            Self::Installation { app, .. } => Some(*app),
            Self::User(_) | Self::App(_) | Self::Nobody => None,
        }
    }

    /// What its requests are counted under.
    pub fn account(&self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::App(id) => format!("app {id}"),
            Self::Installation { id, .. } => format!("installation {id}"),
            Self::User(login) => login.clone(),
        }
    }
}

impl Reply {
    pub fn new(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub fn ok(body: Value) -> Self {
        Self::new(200, body)
    }

    pub fn created(body: Value) -> Self {
        Self::new(201, body)
    }

    pub fn none() -> Self {
        Self { status: 204, body: None, headers: Vec::new() }
    }

    /// An error in GitHub's words.
    pub fn error(status: u16, message: &str) -> Self {
        let documentation = "https://docs.github.com/rest";
        let mut body = json!({"message": message, "documentation_url": documentation});
        // Where the description knows of it.
        if !matches!(status, 405 | 409 | 422) {
            body["status"] = status.to_string().into();
        }
        Self::new(status, body)
    }

    /// Also what who may not see something is told.
    pub fn not_found() -> Self {
        Self::error(404, "Not Found")
    }

    /// What was sent is not acceptable, as told about reviews.
    pub fn unprocessable(message: &str) -> Self {
        Self::new(
            422,
            json!({
                "message": "Unprocessable Entity",
                "errors": [message],
                "documentation_url": "https://docs.github.com/rest",
            }),
        )
    }

    /// What was sent is not acceptable.
    pub fn invalid(resource: &str, field: &str, code: &str, message: &str) -> Self {
        let error = json!({"resource": resource, "field": field, "code": code, "message": message});
        Self::new(
            422,
            json!({
                "message": "Validation Failed",
                "errors": [error],
                "documentation_url": "https://docs.github.com/rest",
            }),
        )
    }
}
