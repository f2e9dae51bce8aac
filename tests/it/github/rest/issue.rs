//! Issues, labels and reactions.

use serde_json::Value;

use super::super::action::long;
use super::super::call::{Call, Handled, Reply};
use super::super::state::{Issue, Reaction, State};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}/issues", Need::Read("issues"), list),
    route("POST /repos/{owner}/{repo}/issues", Need::Write("issues"), open),
    route("GET /repos/{owner}/{repo}/issues/{issue_number}", Need::Read(EITHER), get),
    route("PATCH /repos/{owner}/{repo}/issues/{issue_number}", Need::Write(EITHER), edit),
    route("GET /repos/{owner}/{repo}/issues/{issue_number}/labels", Need::Read(EITHER), labels),
    route(
        "POST /repos/{owner}/{repo}/issues/{issue_number}/labels",
        Need::Write(EITHER),
        add_labels,
    ),
    route(
        "DELETE /repos/{owner}/{repo}/issues/{issue_number}/labels/{name}",
        Need::Write(EITHER),
        remove_label,
    ),
    route(
        "GET /repos/{owner}/{repo}/issues/{issue_number}/reactions",
        Need::Read(EITHER),
        reactions,
    ),
    route("POST /repos/{owner}/{repo}/issues/{issue_number}/reactions", Need::Write(EITHER), react),
];

/// Pull requests are issues too: one of the two permissions is enough.
pub const EITHER: &str = "issues|pull_requests";

/// The issue or pull request of a path; one that was deleted is gone.
pub fn find<'a>(state: &'a State, call: &Call) -> Result<&'a Issue, Reply> {
    let issue = state.repos[&call.repo()].issues.get(&call.number("issue_number")?);
    let issue = issue.ok_or_else(Reply::not_found)?;
    match issue.is_deleted {
        true => Err(Reply::error(410, "This issue was deleted")),
        false => Ok(issue),
    }
}

/// By creation; pull requests are among them.
fn list(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let since = match call.asked("since").map(str::parse::<jiff::Timestamp>) {
        Some(Err(_)) => {
            return Err(Reply::invalid("Issue", "since", "invalid", "since is no time"));
        }
        Some(Ok(since)) => Some(since),
        None => None,
    };
    let is_wanted = |issue: &Issue| match call.asked("state").unwrap_or("open") {
        "open" => issue.is_open,
        "closed" => !issue.is_open,
        _ => true,
    };
    let seen = state.repos[&full].issues.values().filter(|issue| !issue.is_deleted);
    let all = seen.filter(|it| is_wanted(it) && since.is_none_or(|since| it.updated >= since));
    let mut all: Vec<&Issue> = all.collect();
    if call.asked("direction") != Some("asc") {
        all.reverse();
    }
    Ok(call.page(all, |issue| state.issue_told(&full, issue)))
}

fn edit(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let (number, now) = (find(state, call)?.number, state.now());
    let issue = state.issue(&full, number);
    if let Some(wanted) = call.text("state") {
        issue.is_open = wanted == "open";
        issue.closed = (!issue.is_open).then_some(now);
    }
    issue.updated = now;
    get(state, call)
}

fn open(state: &mut State, call: &Call) -> Handled {
    let (full, author) = (call.repo(), call.caller.login().to_owned());
    let body = call.text("body");
    long("Issue", body.as_deref().unwrap_or_default())?;
    let title = match &call.body["title"] {
        Value::String(title) => title.clone(),
        other => other.to_string(),
    };
    let number = state.open_issue(&full, &author, title, body);
    Ok(Reply::created(state.issue_told(&full, &state.repos[&full].issues[&number])))
}

fn get(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.issue_told(&call.repo(), find(state, call)?)))
}

fn labels(state: &mut State, call: &Call) -> Handled {
    let all = state.labels(&call.repo(), find(state, call)?);
    Ok(call.page(all, |label| label))
}

fn add_labels(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let number = find(state, call)?.number;
    let list = match &call.body {
        Value::Array(list) => list,
        body => body["labels"].as_array().ok_or_else(|| {
            Reply::invalid("Label", "labels", "missing_field", "labels are missing")
        })?,
    };
    let name = |label: &Value| Some(label.as_str().or(label["name"].as_str())?.to_owned());
    for name in list.iter().filter_map(name) {
        let id = state.fresh();
        state.repos.get_mut(&full).unwrap().labels.entry(name.clone()).or_insert(id);
        state.issue(&full, number).labels.insert(name);
    }
    labels(state, call)
}

fn remove_label(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let number = find(state, call)?.number;
    if !state.issue(&full, number).labels.remove(call.at("name")) {
        return Err(Reply::error(404, "Label does not exist"));
    }
    labels(state, call)
}

fn reactions(state: &mut State, call: &Call) -> Handled {
    let content = call.asked("content");
    let all = find(state, call)?.reactions.iter();
    let all = all.filter(|it| content.is_none_or(|content| it.content == content)).collect();
    Ok(call.page(all, |it| state.reaction(it)))
}

fn react(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let number = find(state, call)?.number;
    let (reaction, is_new) = new(state, call, &find(state, call)?.reactions);
    let told = told(state, &reaction, is_new);
    if is_new {
        state.issue(&full, number).reactions.push(reaction);
    }
    Ok(told)
}

/// The reaction that a call asks for, and whether it was not there yet.
pub fn new(state: &State, call: &Call, there: &[Reaction]) -> (Reaction, bool) {
    let (author, content) = (call.caller.login(), call.text("content").unwrap_or_default());
    let old = there.iter().find(|it| it.author == author && it.content == content);
    let reaction = Reaction {
        id: old.map_or_else(|| state.fresh(), |old| old.id),
        author: author.to_owned(),
        content,
        created: old.map_or_else(|| state.now(), |old| old.created),
    };
    (reaction, old.is_none())
}

pub fn told(state: &State, reaction: &Reaction, is_new: bool) -> Reply {
    Reply::new(if is_new { 201 } else { 200 }, state.reaction(reaction))
}
