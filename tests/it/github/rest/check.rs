//! Check runs, which only Apps write.

use git2::Oid;
use jiff::Timestamp;
use serde_json::Value;

use super::super::call::{Call, Handled, Reply};
use super::super::git;
use super::super::state::{CheckRun, State};
use super::{Need, Route, route};

pub const ROUTES: &[Route] = &[
    route("POST /repos/{owner}/{repo}/check-runs", Need::Write("checks"), create),
    route("GET /repos/{owner}/{repo}/check-runs/{check_run_id}", Need::Read("checks"), get),
    route("PATCH /repos/{owner}/{repo}/check-runs/{check_run_id}", Need::Write("checks"), update),
    route(
        "GET /repos/{owner}/{repo}/check-runs/{check_run_id}/annotations",
        Need::Read("checks"),
        annotations,
    ),
    route("GET /repos/{owner}/{repo}/commits/{ref}/check-runs", Need::Read("checks"), of_commit),
    route("GET /repos/{owner}/{repo}/commits/{ref}/check-suites", Need::Read("checks"), suites),
];

fn app(call: &Call) -> Result<u64, Reply> {
    let message = "You must authenticate via a GitHub App.";
    call.caller.app().ok_or_else(|| Reply::error(403, message))
}

fn create(state: &mut State, call: &Call) -> Handled {
    let (full, app) = (call.repo(), app(call)?);
    let sha = call.text("head_sha").unwrap_or_default();
    // A whole one: unlike elsewhere, no other name of a commit will do.
    let head = Oid::from_str(&sha).ok().filter(|_| sha.len() == 40);
    let head = head.filter(|id| git::open(&state.path(&full)).find_commit(*id).is_ok());
    let Some(head) = head else {
        return Err(Reply::error(422, &format!("No commit found for SHA: {sha}")));
    };
    // All runs of an App on a commit are in one.
    let (suite, _) = state.suite(&full, app, head);
    let now = state.now();
    let mut run = CheckRun {
        id: state.fresh(),
        suite,
        app,
        name: call.text("name").unwrap_or_default(),
        head,
        external_id: String::new(),
        details_url: None,
        status: "queued".into(),
        conclusion: None,
        started: None,
        completed: None,
        title: None,
        summary: None,
        text: None,
        annotations: Vec::new(),
    };
    change(&mut run, call, now)?;
    run.started = run.started.or(Some(now));
    let told = state.check_run(&full, &run);
    state.repos.get_mut(&full).unwrap().check_runs.insert(run.id, run.clone());
    state.tell_check(&full, &run, "created", call.caller.login());
    if run.status == "completed" {
        state.tell_check(&full, &run, "completed", call.caller.login());
    }
    Ok(Reply::created(told))
}

/// Brings a run to what a call says.
fn change(run: &mut CheckRun, call: &Call, now: Timestamp) -> Result<(), Reply> {
    let time = |name: &str| call.text(name).and_then(|text| text.parse::<Timestamp>().ok());
    let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap();
    run.name = call.text("name").unwrap_or_else(|| std::mem::take(&mut run.name));
    if let Some(id) = call.text("external_id") {
        run.external_id = id;
    }
    if let Some(url) = call.text("details_url") {
        run.details_url = Some(url);
    }
    run.started = time("started_at").map(second).or(run.started);
    if let Some(status) = call.text("status") {
        if status != "completed" {
            run.conclusion = None;
            run.completed = None;
        }
        run.status = status;
    }
    if let Some(conclusion) = call.text("conclusion") {
        run.conclusion = Some(conclusion);
        run.status = "completed".into();
        run.completed = time("completed_at").map(second).or(Some(now));
    }
    if run.status == "completed" && run.conclusion.is_none() {
        let message = "conclusion is missing";
        return Err(Reply::invalid("CheckRun", "conclusion", "missing_field", message));
    }
    output(run, &call.body["output"])
}

fn output(run: &mut CheckRun, output: &Value) -> Result<(), Reply> {
    if output.is_null() {
        return Ok(());
    }
    let text = |name: &str| output[name].as_str().map(str::to_owned);
    for name in ["summary", "text"] {
        if text(name).is_some_and(|text| text.chars().count() > 65_535) {
            let message = format!("{name} exceeds a maximum bytesize of 65535");
            return Err(Reply::invalid("CheckRun", name, "custom", &message));
        }
    }
    let annotations = output["annotations"].as_array().cloned().unwrap_or_default();
    if annotations.len() > 50 {
        let message = "No more than 50 annotations are permitted per request.";
        return Err(Reply::invalid("CheckRun", "annotations", "custom", message));
    }
    for annotation in &annotations {
        let is_long = |name: &str, most: usize| {
            annotation[name].as_str().is_some_and(|text| text.len() > most)
        };
        let (start, end) = (&annotation["start_line"], &annotation["end_line"]);
        let lines = start.as_u64().zip(end.as_u64());
        let has_columns =
            !annotation["start_column"].is_null() || !annotation["end_column"].is_null();
        let wrong = match () {
            () if is_long("title", 255) => "title",
            () if is_long("message", 64 << 10) => "message",
            () if is_long("raw_details", 64 << 10) => "raw_details",
            () if lines.is_none_or(|(start, end)| start == 0 || end < start) => "start_line",
            () if has_columns && start != end => "start_column",
            () => continue,
        };
        return Err(Reply::invalid("CheckRun", wrong, "invalid", "Invalid annotation."));
    }
    run.title = text("title");
    run.summary = text("summary");
    run.text = text("text");
    // They are added to what is there.
    run.annotations.extend(annotations);
    Ok(())
}

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a CheckRun, Reply> {
    let run = state.repos[&call.repo()].check_runs.get(&call.number("check_run_id")?);
    run.ok_or_else(Reply::not_found)
}

fn get(state: &mut State, call: &Call) -> Handled {
    Ok(Reply::ok(state.check_run(&call.repo(), find(state, call)?)))
}

fn update(state: &mut State, call: &Call) -> Handled {
    let (full, app) = (call.repo(), app(call)?);
    let mut run = find(state, call)?.clone();
    if run.app != app {
        let message = format!(
            "Invalid app_id `{app}` - check run can only be modified by the GitHub App that created it."
        );
        return Err(Reply::error(403, &message));
    }
    let was = run.status.clone();
    change(&mut run, call, state.now())?;
    state.repos.get_mut(&full).unwrap().check_runs.insert(run.id, run.clone());
    if run.status == "completed" && was != "completed" {
        state.tell_check(&full, &run, "completed", call.caller.login());
    }
    Ok(Reply::ok(state.check_run(&full, &run)))
}

fn annotations(state: &mut State, call: &Call) -> Handled {
    let run = find(state, call)?;
    let all = run.annotations.iter().collect();
    Ok(call.page(all, |sent| state.annotation(&call.repo(), run, sent)))
}

fn of_commit(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let head = super::refs::commit(state, call, "ref")?;
    let asked = |name: &str| call.asked(name).map(str::to_owned);
    let is = |wanted: Option<String>, has: &str| wanted.is_none_or(|wanted| wanted == has);
    let mut all: Vec<_> = state.repos[&full]
        .check_runs
        .values()
        .rev()
        .filter(|run| {
            run.head == head
                && is(asked("check_name"), &run.name)
                && is(asked("status"), &run.status)
                && is(asked("app_id"), &run.app.to_string())
        })
        .collect();
    if call.asked("filter") != Some("all") {
        // The latest of a name and App.
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|run| seen.insert((run.app, run.name.clone())));
    }
    Ok(call.counted("check_runs", all, |run| state.check_run(&full, run)))
}

fn suites(state: &mut State, call: &Call) -> Handled {
    let full = call.repo();
    let head = super::refs::commit(state, call, "ref")?;
    let app = call.asked("app_id").map(str::to_owned);
    let all = state.repos[&full].check_suites.values();
    let all = all.filter(|suite| {
        suite.head == head && app.as_ref().is_none_or(|app| *app == suite.app.to_string())
    });
    Ok(call.counted("check_suites", all.collect(), |suite| state.check_suite(&full, suite)))
}
