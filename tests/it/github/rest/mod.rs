//! The REST API: which operation a request is, and who may ask for it.

mod app;
mod check;
mod comment;
mod issue;
mod pull;
mod refs;
mod repository;
mod review;
mod status;
mod team;

use std::collections::HashMap;

use super::call::{Call, Caller, Handled, Reply};
use super::state::State;

/// Carries out one operation.
pub type Handler = fn(&mut State, &Call) -> Handled;

/// What a caller needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// The key of an App.
    App,
    /// A token, whatever it may do.
    Token,
    /// To read what it is about, by the name of an App's permission.
    Read(&'static str),
    /// To write.
    Write(&'static str),
    /// Nothing.
    Nothing,
}

/// An operation of the description.
pub struct Route {
    /// As the description names it: `GET /repos/{owner}/{repo}`.
    pub name: &'static str,
    pub need: Need,
    pub handler: Handler,
}

const fn route(name: &'static str, need: Need, handler: Handler) -> Route {
    Route { name, need, handler }
}

/// All of them.
fn routes() -> impl Iterator<Item = &'static Route> {
    let all = [
        app::ROUTES,
        check::ROUTES,
        comment::ROUTES,
        issue::ROUTES,
        pull::ROUTES,
        refs::ROUTES,
        repository::ROUTES,
        review::ROUTES,
        status::ROUTES,
        team::ROUTES,
    ];
    all.into_iter().flatten()
}

/// The operation of a request, and the parts of its path.
pub fn find(method: &str, path: &str) -> Option<(&'static Route, HashMap<String, String>)> {
    let parts: Vec<_> = path.split('/').map(unescape).collect();
    let fits = |route: &'static Route| {
        let (known, pattern) = route.name.split_once(' ').unwrap();
        let pattern: Vec<_> = pattern.split('/').collect();
        let found = (known == method).then(|| matches(&pattern, &parts)).flatten()?;
        Some((route, found))
    };
    // The one that leaves the least open: `.../refs/{ref}` also fits what others say exactly.
    routes().filter_map(fits).min_by_key(|(_, found)| {
        found.values().map(|value| value.split('/').count()).sum::<usize>()
    })
}

/// Branches and refs have slashes of their own; other names do not.
const LONG: [&str; 3] = ["{ref}", "{branch}", "{basehead}"];

fn matches(pattern: &[&str], parts: &[String]) -> Option<HashMap<String, String>> {
    let Some((first, rest)) = pattern.split_first() else {
        return parts.is_empty().then(HashMap::new);
    };
    let Some(name) = first.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
        let (part, others) = parts.split_first()?;
        return (part == first).then(|| matches(rest, others)).flatten();
    };
    let most = if LONG.contains(first) { parts.len() } else { 1 };
    (1..=most.min(parts.len())).find_map(|n| {
        let mut found = matches(rest, &parts[n..])?;
        let value = parts[..n].join("/");
        if value.is_empty() {
            return None;
        }
        found.insert(name.to_owned(), value);
        Some(found)
    })
}

/// Text of a path or a query, as it was before it was put there.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((&first, rest)) = left.split_first() {
        let hex = rest.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                left = &rest[2..];
            }
            None => {
                bytes.push(first);
                left = rest;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Refuses who may not.
pub fn admit(state: &State, route: &Route, call: &Call) -> Result<(), Reply> {
    let full = call.path.contains_key("repo").then(|| call.repo());
    match (route.need, &call.caller) {
        (Need::Nothing, _) | (Need::App, Caller::App(_)) => {}
        (_, Caller::Nobody) if full.is_none() => {
            return Err(Reply::error(401, "Requires authentication"));
        }
        (Need::App, _) => {
            return Err(Reply::error(401, "A JSON web token could not be decoded"));
        }
        (_, Caller::App(_)) => {
            let message = "Resource not accessible by integration";
            return Err(Reply::error(403, message));
        }
        (Need::Token | Need::Read(_) | Need::Write(_), _) => {}
    }
    let (name, writes) = match route.need {
        Need::Read(name) => (name, false),
        Need::Write(name) => (name, true),
        Need::App | Need::Token | Need::Nothing => return Ok(()),
    };
    match &full {
        Some(full) => may(state, full, &call.caller, name, writes),
        None => granted(&call.caller, name, writes),
    }
}

/// Whether somebody may see a repository, and write to it.
pub fn may(
    state: &State,
    full: &str,
    caller: &Caller,
    name: &str,
    writes: bool,
) -> Result<(), Reply> {
    let repo = state.repos.get(full).ok_or_else(Reply::not_found)?;
    match caller {
        Caller::Nobody if writes => Err(Reply::error(401, "Requires authentication")),
        Caller::Nobody | Caller::App(_) if repo.is_private => Err(Reply::not_found()),
        Caller::Nobody | Caller::App(_) => Ok(()),
        Caller::Installation { id, selected, .. } => {
            let covers = state.installations.iter().any(|it| it.id == *id && it.covers(full))
                && selected.as_ref().is_none_or(|some| some.contains(full));
            match covers {
                true => granted(caller, name, writes),
                false if repo.is_private => Err(Reply::not_found()),
                false if writes => Err(Reply::error(403, NOT_ACCESSIBLE)),
                false => Ok(()),
            }
        }
        Caller::User(login) => {
            // Anybody who may read may also discuss.
            let discusses = matches!(name, "issues" | "pull_requests");
            match state.permission(full, login) {
                "none" => Err(Reply::not_found()),
                "read" | "triage" if writes && !discusses => {
                    Err(Reply::error(403, "Must have push access to repository"))
                }
                _ => Ok(()),
            }
        }
    }
}

const NOT_ACCESSIBLE: &str = "Resource not accessible by integration";

/// Whether an installation was given a permission; where two are named, either.
fn granted(caller: &Caller, name: &str, writes: bool) -> Result<(), Reply> {
    let Caller::Installation { permissions, .. } = caller else { return Ok(()) };
    let has = |name: &str| match permissions.get(name).map(String::as_str) {
        Some("write" | "admin") => true,
        Some(_) => !writes,
        None => name == "metadata" && !writes,
    };
    if name.split('|').any(has) {
        return Ok(());
    }
    Err(Reply::error(403, NOT_ACCESSIBLE))
}
