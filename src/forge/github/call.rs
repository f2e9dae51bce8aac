//! Calls with manners: what is tried again, what is waited for, and what an answer comes to.

use std::time::Duration;

use hyper::body::Bytes;
use hyper::http::{HeaderMap, Method};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::auth::{Access, Who};
use super::cache::{self, Kept};
use super::manners::{self, Gate, Kind, Limit};
use super::wire::{self, Answer, Ask, Silence};
use super::{GitHub, lock};
use crate::fault::{Fault, point};
use crate::forge::ForgeError;
use crate::meter::meter;

/// Tries of a read in all.
const TRIES: u32 = 3;

/// A longer wish of GitHub's is the caller's to wait for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pages of a hundred. No repository has so many open pull requests, no pull request so many comments;
/// what has is refused rather than read in part.
const PAGES_MOST: usize = 100;

/// How much of GitHub's words is handed on, in characters.
const WORDS_MOST: usize = 500;

/// Why something could not be asked or said.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nothing happened; `limited`: since it is asked too much.
    Later { text: String, wait: Option<Duration>, limited: bool },
    /// It may have happened.
    Lost { text: String },
    /// It is not there.
    Gone { text: String },
    /// The token is not good, or not any more.
    Unauthorized { text: String },
    /// Nobody was asked: a file or a setting of our own.
    Settings { text: String },
    /// What was sent does not fit.
    Unfit { text: String },
    /// Whatever else GitHub does not want.
    Refused { text: String },
}

impl Trouble {
    pub(super) fn later(text: impl Into<String>) -> Self {
        Self::Later { text: text.into(), wait: None, limited: false }
    }

    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self::Refused { text: text.into() }
    }
}

impl From<Trouble> for ForgeError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Later { text, wait, .. } => Self::Unavailable { text, retry_after: wait },
            Trouble::Lost { text } => Self::Unknown { text },
            Trouble::Gone { text } => Self::Gone { text },
            Trouble::Settings { text } => Self::Settings { text },
            Trouble::Unauthorized { text }
            | Trouble::Unfit { text }
            | Trouble::Refused { text } => Self::Refused { text },
        }
    }
}

impl From<ForgeError> for Trouble {
    fn from(error: ForgeError) -> Self {
        match error {
            ForgeError::Unavailable { text, retry_after } => {
                Self::Later { text, wait: retry_after, limited: false }
            }
            ForgeError::Unknown { text } => Self::Lost { text },
            ForgeError::Gone { text } => Self::Gone { text },
            ForgeError::Settings { text } => Self::Settings { text },
            ForgeError::Refused { text } => Self::Refused { text },
        }
    }
}

/// What an answer's body says.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|error| {
        Trouble::later(format!("an answer that cannot be read, at column {}", error.column()))
    })
}

/// A page, and where the next one is.
struct Page {
    body: Bytes,
    next: Option<String>,
}

impl GitHub {
    /// Reads one thing.
    pub(super) async fn get(&self, who: Who<'_>, path: &str) -> Result<Bytes, Trouble> {
        Ok(self.page(who, path).await?.body)
    }

    /// Reads page after page, until `each` has seen enough: whether it wants another one.
    pub(super) async fn pages(
        &self,
        who: Who<'_>,
        path: &str,
        mut each: impl FnMut(&Bytes) -> Result<bool, Trouble> + Send,
    ) -> Result<(), Trouble> {
        let mut path = path.to_owned();
        for _ in 0..PAGES_MOST {
            let page = self.page(who, &path).await?;
            if !each(&page.body)? {
                return Ok(());
            }
            match page.next {
                Some(next) => path = next,
                None => return Ok(()),
            }
        }
        let path = path.split('?').next().unwrap_or_default();
        Err(Trouble::refused(format!("GET {path}: more than {PAGES_MOST} pages")))
    }

    /// Reads a whole list.
    pub(super) async fn list<T: DeserializeOwned + Send>(
        &self,
        who: Who<'_>,
        path: &str,
    ) -> Result<Vec<T>, Trouble> {
        let mut all = Vec::new();
        self.pages(who, path, |body| {
            all.extend(read::<Vec<T>>(body)?);
            Ok(true)
        })
        .await?;
        Ok(all)
    }

    /// Says something, once. `Lost`: look for it before it is said again.
    pub(super) async fn post(
        &self,
        who: Who<'_>,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<Bytes, Trouble> {
        let body =
            serde_json::to_vec(body).map_err(|_| Trouble::refused("words that are no JSON"))?;
        let ask = Ask { method, path: path.to_owned(), body: Some(body.into()), etag: None };
        let mut again = true;
        point!("forge.write.before").map_err(|fault| Trouble::later(fault.to_string()))?;
        let wrote = loop {
            let access = self.access(who).await?;
            match self.once(&access, Kind::Write, &ask).await {
                // A token that was refused did nothing.
                Err(Trouble::Unauthorized { .. }) if again && self.forget(who) => again = false,
                other => break other?.body,
            }
        };
        point!("forge.write.after").map_err(lost)?;
        Ok(wrote)
    }

    /// Before what was lost is looked for: it may be on its way yet.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(self.pause).await;
    }

    async fn page(&self, who: Who<'_>, path: &str) -> Result<Page, Trouble> {
        let access = self.access(who).await?;
        match self.page_as(&access, path).await {
            Err(Trouble::Unauthorized { .. }) if self.forget(who) => {
                let access = self.access(who).await?;
                self.page_as(&access, path).await
            }
            other => other,
        }
    }

    pub(super) async fn get_as(&self, access: &Access, path: &str) -> Result<Bytes, Trouble> {
        Ok(self.page_as(access, path).await?.body)
    }

    async fn page_as(&self, access: &Access, path: &str) -> Result<Page, Trouble> {
        let kept = lock(&self.cache).get(access.account, path).filter(|kept| !kept.is_full);
        let etag = kept.as_ref().map(|kept| kept.etag.clone());
        let ask = Ask { method: Method::GET, path: path.to_owned(), body: None, etag };
        let answer = self.patiently(access, &ask).await?;
        if answer.status == 304 {
            let kept =
                kept.ok_or_else(|| Trouble::later(format!("{ask}: not changed since never")))?;
            return Ok(Page { body: kept.body, next: kept.next });
        }
        let next = match link_next(&answer.headers) {
            None => None,
            Some(address) => Some(self.api.path_of(address).ok_or_else(|| {
                Trouble::later(format!("{ask}: the next page lies at another address"))
            })?),
        };
        let etag = answer.headers.get("etag").and_then(|etag| etag.to_str().ok());
        // One that was spoiled on its way would be right for as long as nothing changes.
        let is_whole = || serde_json::from_slice::<serde::de::IgnoredAny>(&answer.body).is_ok();
        if let Some(etag) = etag.filter(|_| is_whole()) {
            let (etag, body) = (etag.to_owned(), answer.body.clone());
            let is_full = next.is_none() && cache::is_full(path, &body);
            let kept = Kept { etag, body, next: next.clone(), is_full };
            lock(&self.cache).put(access.account, path, kept);
        }
        Ok(Page { body: answer.body, next })
    }

    /// Asks up to three times: only for what may be asked twice.
    pub(super) async fn patiently(&self, access: &Access, ask: &Ask) -> Result<Answer, Trouble> {
        let mut n = 1;
        loop {
            let (text, wait) = match self.once(access, Kind::Read, ask).await {
                Err(Trouble::Lost { text }) => (text, None),
                // A gate that is shut stays shut for longer than this.
                Err(Trouble::Later { text, wait, .. })
                    if wait.is_none_or(|wait| wait <= PATIENCE) =>
                {
                    (text, wait)
                }
                other => return other,
            };
            if n == TRIES {
                return Err(Trouble::Later { text, wait, limited: false });
            }
            let pause = self.pause * 2u32.saturating_pow(n - 1);
            tokio::time::sleep(wait.unwrap_or(pause)).await;
            n += 1;
        }
    }

    /// Asks once, through the gate, and counts what came of it. Good answers only; 304 is one.
    async fn once(&self, access: &Access, kind: Kind, ask: &Ask) -> Result<Answer, Trouble> {
        let answer = self.try_once(access, kind, ask).await;
        meter().forge(match &answer {
            Ok(_) => "ok",
            Err(Trouble::Later { limited: true, .. }) => "limited",
            Err(Trouble::Later { limited: false, .. } | Trouble::Settings { .. }) => "unavailable",
            Err(Trouble::Lost { .. }) => "lost",
            Err(Trouble::Unauthorized { .. }) => "unauthorized",
            // Whether something is there is often what is asked.
            Err(Trouble::Gone { .. }) => "ok",
            Err(Trouble::Unfit { .. } | Trouble::Refused { .. }) => "refused",
        });
        answer
    }

    async fn try_once(&self, access: &Access, kind: Kind, ask: &Ask) -> Result<Answer, Trouble> {
        let now = self.now();
        self.with_gate(access, |gate| {
            if let Some(wait) = gate.wait(kind, now) {
                let text = format!("{ask}: GitHub's limit is used up");
                return Err(Trouble::Later { text, wait: Some(wait), limited: true });
            }
            if kind == Kind::Write {
                gate.spend(now).map_err(|wait| {
                    let text = format!("{ask}: our own limit on what is said is used up");
                    Trouble::Later { text, wait: Some(wait), limited: true }
                })?;
            }
            Ok(())
        })?;
        let answer = match wire::send(&access.client, ask, self.deadline).await {
            Ok(answer) => answer,
            Err(silence) => {
                let (Silence::Unsent(text) | Silence::Lost(text)) = &silence;
                tracing::debug!(as_whom = ?access.account, text, "no answer of GitHub's");
                return Err(match silence {
                    Silence::Unsent(text) => Trouble::later(text),
                    Silence::Lost(text) => Trouble::Lost { text },
                });
            }
        };
        tracing::debug!(as_whom = ?access.account, %ask, status = answer.status, "GitHub answered");
        self.judge(access, kind, ask, answer)
    }

    fn judge(
        &self,
        access: &Access,
        kind: Kind,
        ask: &Ask,
        answer: Answer,
    ) -> Result<Answer, Trouble> {
        let (status, now) = (answer.status, self.now());
        if let Some(budget) = manners::budget(&answer.headers) {
            meter().budget(access.account.word(), budget);
        }
        if matches!(status, 200..=299 | 304) {
            self.with_gate(access, |gate| {
                gate.calm();
                if let Some(until) = manners::used_up(&answer.headers) {
                    gate.shut(kind, Limit::Primary { until }, now);
                }
            });
            return Ok(answer);
        }
        let words = words(&answer.body);
        let text = if words.is_empty() {
            format!("{ask}: {status}")
        } else {
            format!("{ask}: {status} {words}")
        };
        if let Some(limit) = Limit::of(status, &answer.headers, &words, now) {
            let wait = self.with_gate(access, |gate| gate.shut(kind, limit, now));
            return Err(Trouble::Later { text, wait: Some(wait), limited: true });
        }
        Err(match status {
            // What a write did before it failed is not known.
            408 | 500..=599 => match kind {
                Kind::Read => Trouble::Later {
                    text,
                    wait: manners::retry_after(&answer.headers, now),
                    limited: false,
                },
                Kind::Write => Trouble::Lost { text },
            },
            401 => Trouble::Unauthorized { text },
            404 | 410 => Trouble::Gone { text },
            422 => Trouble::Unfit { text },
            // Where a repository has moved to is the operator's to say.
            300..=399 => Trouble::refused(format!("{ask}: {status}, it lies elsewhere now")),
            _ => Trouble::Refused { text },
        })
    }

    fn with_gate<T>(&self, access: &Access, f: impl FnOnce(&mut Gate) -> T) -> T {
        let mut gates = lock(&self.gates);
        f(gates.entry(access.account).or_insert_with(|| Gate::new(self.writes, self.now())))
    }
}

/// It was said, and nobody heard of it.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
pub(super) fn lost(fault: Fault) -> Trouble {
    Trouble::Lost { text: fault.to_string() }
}

/// `rel="next"` of a `Link` header.
fn link_next(headers: &HeaderMap) -> Option<&str> {
    let links = headers.get("link")?.to_str().ok()?;
    links.split(',').find_map(|link| {
        let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        rest.split(';').any(|part| part.trim() == r#"rel="next""#).then_some(address)
    })
}

/// What GitHub says of a refusal: its message, and the errors that it lists.
fn words(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Shape {
        message: Option<String>,
        errors: Option<serde_json::Value>,
    }
    let Ok(shape) = serde_json::from_slice::<Shape>(body) else { return String::new() };
    let mut words = shape.message.unwrap_or_default();
    let said = |error: &serde_json::Value| {
        let message = error.as_str().or_else(|| error.get("message")?.as_str());
        let field = || {
            let field = error.get("field")?.as_str()?;
            Some(format!("{field}: {}", error.get("code")?.as_str()?))
        };
        message.map(str::to_owned).or_else(field)
    };
    let errors = shape.errors.as_ref();
    let all = errors.and_then(|errors| errors.as_array()).map_or(&[][..], Vec::as_slice);
    let one = errors.filter(|errors| errors.is_string());
    for error in all.iter().chain(one).filter_map(said) {
        words.push_str("; ");
        words.push_str(&error);
    }
    words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(WORDS_MOST).collect()
}

/// A part of a path or query that somebody else chose.
pub(super) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let of = |text: &str| {
            let headers = [("link".parse().unwrap(), text.parse().unwrap())].into_iter().collect();
            link_next(&headers).map(str::to_owned)
        };
        let two = r#"<https://h/x?page=1>; rel="prev", <https://h/x?page=3>; rel="next""#;
        assert_eq!(of(two).as_deref(), Some("https://h/x?page=3"));
        assert_eq!(of(r#"<https://h/x?page=1>; rel="prev""#), None);
        for hostile in ["", ",", "<", "<>", "next", r#"https://h; rel="next""#] {
            assert_eq!(of(hostile), None, "{hostile}");
        }
    }

    #[test]
    fn refusals_are_said_in_githubs_words_and_cut() {
        let say = |body: &str| words(body.as_bytes());
        assert_eq!(say(r#"{"message":"Not Found"}"#), "Not Found");
        assert_eq!(
            say(r#"{"message":"Validation Failed","errors":[{"field":"sha","code":"invalid"},
                {"message":"is\u001b[2J odd"},"plain",7,null]}"#),
            "Validation Failed; sha: invalid; is [2J odd; plain"
        );
        assert_eq!(say(r#"{"message":"No","errors":"why"}"#), "No; why");
        assert_eq!(say(r#"{"message":null,"errors":null}"#), "");
        assert_eq!(say("<html>502</html>"), "");
        let long = format!(r#"{{"message":"{}"}}"#, "ä".repeat(9_000));
        assert_eq!(say(&long).chars().count(), WORDS_MOST);
    }

    #[test]
    fn what_somebody_chose_cannot_leave_its_part_of_a_path() {
        assert_eq!(encode("dependabot[bot]"), "dependabot%5Bbot%5D");
        assert_eq!(encode("../x?y#z"), "%2E%2E%2Fx%3Fy%23z");
        assert_eq!(encode("a-b_c~1"), "a-b_c~1");
    }
}
