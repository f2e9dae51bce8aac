//! Commits, branches and refs.

use git2::Oid;
use serde_json::json;

use super::super::call::{Call, Handled, Reply};
use super::super::git;
use super::super::state::State;
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("GET /repos/{owner}/{repo}/commits/{ref}", Need::Read("contents"), get_commit),
    route("GET /repos/{owner}/{repo}/compare/{basehead}", Need::Read("contents"), compare),
    route("GET /repos/{owner}/{repo}/branches", Need::Read("contents"), branches),
    route("GET /repos/{owner}/{repo}/branches/{branch}", Need::Read("contents"), branch),
    route("GET /repos/{owner}/{repo}/git/ref/{ref}", Need::Read("contents"), get_ref),
    route("GET /repos/{owner}/{repo}/git/matching-refs/{ref}", Need::Read("contents"), matching),
    route("POST /repos/{owner}/{repo}/git/refs", Need::Write("contents"), create_ref),
    route("PATCH /repos/{owner}/{repo}/git/refs/{ref}", Need::Write("contents"), update_ref),
    route("DELETE /repos/{owner}/{repo}/git/refs/{ref}", Need::Write("contents"), delete_ref),
];

/// The commit that a part of the path names.
pub fn commit(state: &State, call: &Call, name: &str) -> Result<Oid, Reply> {
    let git = git::open(&state.path(&call.repo()));
    let text = call.at(name);
    git::resolve(&git, text)
        .ok_or_else(|| Reply::error(422, &format!("No commit found for SHA: {text}")))
}

fn get_commit(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let id = commit(state, call, "ref")?;
    let git = git::open(&state.path(&full));
    Ok(Reply::ok(state.commit(&full, &git, id, true)))
}

fn compare(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let git = git::open(&state.path(&full));
    let ends = call.at("basehead").split_once("...");
    let (base, head) = ends.ok_or_else(Reply::not_found)?;
    let resolve = |name: &str| git::resolve(&git, name).ok_or_else(Reply::not_found);
    let (base_id, head_id) = (resolve(base)?, resolve(head)?);
    let from = git.merge_base(base_id, head_id).map_err(|_| Reply::not_found())?;
    let (ahead, behind) = git.graph_ahead_behind(head_id, base_id).unwrap();
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let html = format!("{}/{full}/compare/{base}...{head}", state.base);
    let commits = git::commits(&git, base_id, head_id);
    let files = git::changed(&git, base_id, head_id);
    let told = json!({
        "url": format!("{}/compare/{base}...{head}", state.repo_url(&full)),
        "html_url": html,
        "permalink_url": html,
        "diff_url": format!("{html}.diff"),
        "patch_url": format!("{html}.patch"),
        "base_commit": state.commit(&full, &git, base_id, false),
        "merge_base_commit": state.commit(&full, &git, from, false),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": commits.len(),
        "commits":
            commits.iter().map(|id| state.commit(&full, &git, *id, false)).collect::<Vec<_>>(),
        // More are never told.
        "files": files.iter().take(300).map(|it| state.file(&full, head_id, it)).collect::<Vec<_>>(),
    });
    Ok(Reply::ok(told))
}

fn heads(state: &State, full: &str) -> Vec<(String, Oid)> {
    let refs = state.repos[full].refs.iter();
    refs.filter_map(|(name, id)| Some((name.strip_prefix("refs/heads/")?.to_owned(), *id)))
        .collect()
}

fn branches(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let all = heads(state, &full);
    Ok(call.page(all, |(name, id)| {
        let url = format!("{}/commits/{id}", state.repo_url(&full));
        json!({"name": name, "commit": {"sha": id.to_string(), "url": url}, "protected": false})
    }))
}

fn branch(state: &mut State, call: &Call) -> Handled {
    let (full, name) = (call.repo(), call.at("branch"));
    let found = heads(state, &full).into_iter().find(|(it, _)| it == name);
    let (name, id) = found.ok_or_else(|| Reply::error(404, "Branch not found"))?;
    let git = git::open(&state.path(&full));
    let url = format!("{}/branches/{name}", state.repo_url(&full));
    let told = json!({
        "name": name,
        "commit": state.commit(&full, &git, id, false),
        "_links": {"self": url, "html": format!("{}/{full}/tree/{name}", state.base)},
        "protected": false,
        "protection": {"enabled": false},
        "protection_url": format!("{url}/protection"),
    });
    Ok(Reply::ok(told))
}

fn named(state: &State, call: &Call) -> Result<(String, Oid), Reply> {
    let name = format!("refs/{}", call.at("ref"));
    let id = state.repos[&call.repo()].refs.get(&name).copied();
    id.map(|id| (name, id)).ok_or_else(Reply::not_found)
}

fn get_ref(state: &mut State, call: &Call) -> Handled {
    let (name, id) = named(state, call)?;
    Ok(Reply::ok(state.git_ref(&call.repo(), &name, id)))
}

fn matching(state: &mut State, call: &Call) -> Handled {
    let (full, prefix) = (call.repo(), format!("refs/{}", call.at("ref")));
    let all = state.repos[&full].refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    Ok(call.page(all.collect(), |(name, id)| state.git_ref(&full, name, *id)))
}

/// The commit in the body.
fn wanted(state: &State, call: &Call) -> Result<Oid, Reply> {
    let sha = call.text("sha").unwrap_or_default();
    let id = git::resolve(&git::open(&state.path(&call.repo())), &sha);
    id.filter(|_| sha.len() == 40).ok_or_else(|| Reply::error(422, "Object does not exist"))
}

/// Moves a ref, and lets everything follow.
fn set(state: &mut State, call: &Call, name: &str, to: Option<Oid>) {
    let full = call.repo();
    let git = git::open(&state.path(&full));
    match to {
        Some(to) => drop(git.reference(name, to, true, "api").unwrap()),
        None => git.find_reference(name).unwrap().delete().unwrap(),
    }
    state.sync(&full, call.caller.login());
}

fn create_ref(state: &mut State, call: &Call) -> Handled {
    let (full, name) = (call.repo(), call.text("ref").unwrap_or_default());
    let id = wanted(state, call)?;
    if !name.starts_with("refs/") || name.matches('/').count() < 2 {
        return Err(Reply::error(422, "Reference name must start with 'refs/'."));
    }
    if state.repos[&full].refs.contains_key(&name) {
        return Err(Reply::error(422, "Reference already exists"));
    }
    set(state, call, &name, Some(id));
    Ok(Reply::created(state.git_ref(&full, &name, id)))
}

fn update_ref(state: &mut State, call: &Call) -> Handled {
    let (name, old) =
        named(state, call).map_err(|_| Reply::error(422, "Reference does not exist"))?;
    let new = wanted(state, call)?;
    let git = git::open(&state.path(&call.repo()));
    if call.body["force"] != true && !git::is_ancestor(&git, old, new) {
        return Err(Reply::error(422, "Update is not a fast forward"));
    }
    set(state, call, &name, Some(new));
    Ok(Reply::ok(state.git_ref(&call.repo(), &name, new)))
}

fn delete_ref(state: &mut State, call: &Call) -> Handled {
    let (name, _) =
        named(state, call).map_err(|_| Reply::error(422, "Reference does not exist"))?;
    set(state, call, &name, None);
    Ok(Reply::none())
}
