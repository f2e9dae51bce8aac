//! `vend upgrade`: request files brought to a newer version of their template, in place.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Args, Format, Upgrade as UpgradeArgs};
use super::failure::{Failure, Kind};
use super::laptop::{self, Bench};
use super::{context, output};
use crate::catalog::{self, RequestFile};
use crate::digest::{self, Digest};
use crate::forge::Repo;
use crate::git::{Author, Edit, blob_id};
use crate::model::{Artifact, Diagnostic, Plan, Record, RequestId, TemplateId, Wanted, is_name};
use crate::reconcile::desired::Evaluated;
use crate::reconcile::foresee::Foreseen;
use crate::reconcile::local::{self, Published, forbidden_changes};
use crate::reconcile::offer::{self, Asking};
use crate::reconcile::{self, propose};
use crate::report;
use crate::report::upgrade::{Done, Edited, Fate, Left, Proposed, Reason};
use crate::yaml;

/// What becomes of the requests that were asked about.
#[derive(Default)]
struct Work {
    edited: Vec<Edited>,
    left: Vec<Left>,
}

/// Edits the files, or a branch, and prints what was done and what it would apply.
pub async fn run(args: &Args, asked: &UpgradeArgs) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let mut bench = laptop::open(args, config, &asked.elsewhere, &laptop::here()?).await?;
    let files = candidates(&bench, asked);
    if files.is_empty() {
        return Err(Failure::usage("no request here is among those that were asked for")
            .hint("look at --template, --team and --environment"));
    }
    let ids: BTreeSet<RequestId> = files.keys().cloned().collect();
    let mut published = bench.published_with_versions(args, &asked.elsewhere, &ids).await?;
    let records = published.records();
    let mut work = decide(&bench, asked, files, &records);
    try_out(&mut bench, &records, &mut work).await?;
    let (plan, artifacts) = plan(&bench, &mut published, &work).await?;
    let (done, proposed) = match asked.propose {
        true => (Done::Proposed, propose(&bench, asked, &records, &mut work).await?),
        false => (apply(&bench, asked, &mut work)?, Vec::new()),
    };
    let max = bench.config.settings.limits.file_bytes;
    let text = |path: &str| bench.requests.text(path, max);
    print(args, asked, &work, (done, &proposed), (&plan, &artifacts), &text);
    let refused = work.left.iter().any(|left| matches!(left.reason, Reason::Invalid { .. }));
    Ok(if refused { ExitCode::from(Kind::Invalid.code()) } else { ExitCode::SUCCESS })
}

/// A request's text, and what it says.
type ReadFile = (String, Result<RequestFile, Vec<Diagnostic>>);

/// The requests that were asked about.
fn candidates(bench: &Bench, asked: &UpgradeArgs) -> BTreeMap<RequestId, ReadFile> {
    let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
    let ids = bench.requests.found.keys();
    let ids =
        ids.filter(|id| is(&asked.team, id.team()) && is(&asked.environment, id.environment()));
    let read = ids.filter_map(|id| {
        let (text, file) = bench.requests.file(id)?;
        let wanted = match &file {
            Ok(file) => is(&asked.template, &file.template.name),
            // Whoever asks for one template should hear of files that may be of it.
            Err(_) => named(text).is_none_or(|name| is(&asked.template, &name)),
        };
        wanted.then(|| (id.clone(), (text.to_owned(), file)))
    });
    read.collect()
}

/// The template that a file with errors is of, where it says so; its version may be what is wrong.
fn named(text: &str) -> Option<String> {
    let node = yaml::read(&"".into(), text.as_bytes(), &yaml::Options::request()).ok()?.pop()?;
    let template = node.at("/spec/template")?.to_json();
    let name = template.as_str()?.split('@').next()?.trim();
    is_name(name).then(|| name.to_owned())
}

/// What each comes to, by the catalog and its own text.
fn decide(
    bench: &Bench,
    asked: &UpgradeArgs,
    files: BTreeMap<RequestId, ReadFile>,
    records: &BTreeMap<RequestId, Record>,
) -> Work {
    let users = users(bench);
    let mut work = Work::default();
    for (id, (before, file)) in files {
        let path = bench.requests.found[&id].origin.path.to_string();
        let file = match file {
            Ok(file) => file,
            Err(problems) => {
                let reason = Reason::Invalid { after: false, problems };
                work.left.push(Left { id, path, reason });
                continue;
            }
        };
        let asking = Asking {
            id: &id,
            path: &path,
            text: &before,
            file: &file,
            recorded: records.get(&id).map(|record| &record.template),
            users: users.get(&id).map_or(&[], Vec::as_slice),
        };
        let is_committed = || {
            let found = &bench.requests.found[&id];
            bench.requests.copy.at_head(&path) == Some(found.blob)
        };
        let elsewhere = asked.branch.is_some() || asked.propose;
        match offer::edited(&bench.catalog.catalog, &asking, asked.to.as_ref()) {
            Ok(None) => {}
            Ok(Some(_)) if elsewhere && !is_committed() => {
                work.left.push(Left { id, path, reason: Reason::NotCommitted });
            }
            Ok(Some(edited)) => work.edited.push(edited),
            Err(reason) => work.left.push(Left { id, path, reason }),
        }
    }
    work
}

/// Who uses which output of whom.
fn users(bench: &Bench) -> BTreeMap<RequestId, Vec<(RequestId, String)>> {
    let mut users: BTreeMap<RequestId, Vec<(RequestId, String)>> = BTreeMap::new();
    for id in bench.requests.found.keys() {
        let Some((_, Ok(file))) = bench.requests.file(id) else { continue };
        for reference in file.references.values() {
            let user = (id.clone(), reference.output.clone());
            users.entry(reference.request.clone()).or_default().push(user);
        }
    }
    users
}

/// Reads and renders the files as they would be; those with errors stay as they are.
async fn try_out(
    bench: &mut Bench,
    records: &BTreeMap<RequestId, Record>,
    work: &mut Work,
) -> Result<(), Failure> {
    for edited in &work.edited {
        bench.requests.suppose(&edited.id, &edited.after);
    }
    let ids: BTreeSet<RequestId> = work.edited.iter().map(|e| e.id.clone()).collect();
    let evaluated =
        bench.requests.evaluate(&ids, &bench.catalog.catalog, records, &bench.config).await?;
    let mut wrong: BTreeMap<RequestId, Vec<Diagnostic>> = BTreeMap::new();
    for edited in &work.edited {
        let found = evaluated.iter().find(|e| e.row.desired.id == edited.id);
        let Some(desired) = found.map(|e| &e.row.desired) else { continue };
        let problems = match (&desired.wanted, records.get(&edited.id)) {
            (Wanted::Invalid(problems), _) => problems.clone(),
            (Wanted::Valid(_), Some(record)) => forbidden_changes(desired, record, &edited.after),
            (Wanted::Valid(_), None) | (Wanted::Waiting(_), _) => Vec::new(),
        };
        if problems.iter().any(Diagnostic::is_error) {
            wrong.insert(edited.id.clone(), problems);
        }
    }
    let (edited, left): (Vec<_>, Vec<_>) =
        std::mem::take(&mut work.edited).into_iter().partition(|e| !wrong.contains_key(&e.id));
    work.edited = edited;
    for Edited { id, path, upgrade, before, after } in left {
        bench.requests.suppose(&id, &before);
        let (problems, file) = (wrong.remove(&id).unwrap_or_default(), path.as_str().into());
        let problems = local::former(problems, &file, &upgrade.moves, (&before, &after));
        work.left.push(Left { id, path, reason: Reason::Invalid { after: true, problems } });
    }
    work.left.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(())
}

/// What the edited files would change, as `vend plan` has it.
async fn plan(
    bench: &Bench,
    published: &mut Published,
    work: &Work,
) -> Result<(Plan, HashMap<Digest, Arc<Artifact>>), Failure> {
    let ids: BTreeSet<RequestId> = work.edited.iter().map(|e| e.id.clone()).collect();
    let records = published.records();
    let (requests, catalog) = (&bench.requests, &bench.catalog.catalog);
    let evaluated = requests.evaluate(&ids, catalog, &records, &bench.config).await?;
    let evaluated: BTreeMap<_, Evaluated> =
        evaluated.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect();
    let desk = local::Desk {
        requests,
        catalog,
        config: &bench.config,
        ids: &ids,
        evaluated: &evaluated,
        gone: &BTreeMap::new(),
        published: &*published,
        now: context::now(),
    };
    let Foreseen { plan, evaluated: foreseen, untold: _ } = local::plan(&desk).await?;
    let mut artifacts = std::mem::take(&mut published.artifacts);
    for (_, artifact) in evaluated.values().chain(foreseen.values()).flat_map(|e| &e.artifacts) {
        if let Some(digest) = artifact.digest {
            artifacts.insert(digest, artifact.clone());
        }
    }
    Ok((plan, artifacts))
}

/// Opens a pull request for each version and team, or brings the one that is there up to date.
async fn propose(
    bench: &Bench,
    asked: &UpgradeArgs,
    records: &BTreeMap<RequestId, Record>,
    work: &mut Work,
) -> Result<Vec<Proposed>, Failure> {
    let source = &bench.requests.source;
    let mut settings = bench.config.settings.forge.clone().ok_or_else(|| {
        Failure::usage("`forge` in the configuration says where pull requests are opened")
            .hint("`--branch NAME` commits to a branch of this clone instead")
    })?;
    if let Some(file) = &asked.token_file {
        settings.github.token_file = Some(std::path::absolute(file)?);
        settings.github.app = None;
    }
    let repo = Repo::of_url(&source.repository, &settings.github.api).ok_or_else(|| {
        Failure::usage(format!("`{}` is no repository on that forge", source.repository))
    })?;
    let forge = reconcile::forge_of(&settings)?;
    let fetched = bench.branch_of_requests(&forge).await?;
    let (mirror, base) = (fetched.mirror, fetched.tip);
    let base = base.ok_or_else(|| {
        Failure::usage(format!("`{}` has no branch `{}`", source.repository, source.branch))
    })?;
    // Only what stands there as it does here can be edited there.
    for one in std::mem::take(&mut work.edited) {
        let there = mirror.find(&base, &one.path)?.map(|entry| entry.id);
        if there == Some(blob_id(one.before.as_bytes())) {
            work.edited.push(one);
        } else {
            let (id, path) = (one.id, one.path);
            work.left.push(Left { id, path, reason: Reason::Elsewhere });
        }
    }
    work.left.sort_by(|a, b| a.id.cmp(&b.id));
    let mut templates = offer::Templates::new();
    for id in work.left.iter().map(|left| &left.id) {
        if let Some((_, Ok(file))) = bench.requests.file(id) {
            templates.insert(id.clone(), file.template.name);
        }
    }
    let me = forge.me().await.map_err(|error| Failure::from(anyhow::Error::new(error)))?;
    // Whoever has our account may write in our name anyway: the marker only tells one kind from another.
    let key = digest::of(&("proposals of the command line", me.login));
    let desk = propose::Desk {
        mirror: &mirror,
        forge: Some((forge.as_ref(), &repo)),
        key: key.bytes(),
        base_branch: &source.branch,
        base: &base,
    };
    let labels = &bench.config.settings.upgrades.labels;
    let mut proposed = Vec::new();
    for offer in offer::offers(work.edited.clone(), work.left.clone(), &templates) {
        let change = reconcile::pull::change(&offer, labels.clone());
        let nothing = async |_| Ok(());
        // Nothing is kept between runs: what the branch has says whether it is ours.
        let redo = |path: &str, text: &str| redone(bench, records, &offer.to, (path, text));
        let known = propose::recognise(&desk, &change.branch(), &redo).await;
        let known = known.map_err(|error| Failure::from(anyhow::Error::new(error)))?;
        let outcome = propose::bring(&desk, &change, &known, context::now(), nothing).await;
        let outcome = outcome.map_err(|error| Failure::from(anyhow::Error::new(error)))?;
        let fate = match outcome {
            propose::Outcome::Stands(_, Some(pull)) => Fate::Open(pull.url),
            propose::Outcome::Stands(_, None) | propose::Outcome::Nothing => Fate::Merged,
            propose::Outcome::HandsOff(pull) => Fate::Theirs(pull.map(|pull| pull.url)),
            propose::Outcome::Declined(pull) => Fate::Declined(pull.url),
        };
        let (branch, files) = (change.branch(), offer.edited.len());
        proposed.push(Proposed { to: offer.to, team: offer.team, branch, files, fate });
    }
    Ok(proposed)
}

/// A request's file as this command brings it to a version, from another text than that which lies here.
fn redone(
    bench: &Bench,
    records: &BTreeMap<RequestId, Record>,
    to: &TemplateId,
    (path, text): (&str, &str),
) -> Option<String> {
    let mut found = bench.requests.found.iter();
    let (id, _) = found.find(|(_, found)| *found.origin.path == *path)?;
    let file = catalog::request(&path.into(), id, text.as_bytes()).ok()?;
    let recorded = records.get(id).map(|record| &record.template);
    let asking = Asking { id, path, text, file: &file, recorded, users: &[] };
    let edited = offer::edited(&bench.catalog.catalog, &asking, Some(&to.version)).ok()??;
    (edited.upgrade.to == *to).then_some(edited.after)
}

/// Puts the edits where they were asked for.
fn apply<'a>(bench: &Bench, asked: &'a UpgradeArgs, work: &mut Work) -> Result<Done<'a>, Failure> {
    if asked.dry_run || work.edited.is_empty() {
        return Ok(if asked.dry_run { Done::Nothing } else { Done::Files });
    }
    let copy = &bench.requests.copy;
    if let Some(branch) = &asked.branch {
        let edits: Vec<Edit> = work
            .edited
            .iter()
            .map(|e| Edit { path: e.path.clone(), content: Some(e.after.clone().into_bytes()) })
            .collect();
        let author = &bench.config.settings.author;
        let author = Author { name: author.name.clone(), email: author.email.clone() };
        let message = report::upgrade::message(&work.edited);
        copy.commit_to(branch, &edits, &message, &author, context::now())?;
        return Ok(Done::Branch(branch));
    }
    let mut edited = Vec::with_capacity(work.edited.len());
    for one in std::mem::take(&mut work.edited) {
        if copy.rewrite(&one.path, one.before.as_bytes(), one.after.as_bytes())? {
            edited.push(one);
        } else {
            work.left.push(Left { id: one.id, path: one.path, reason: Reason::Changed });
        }
    }
    work.edited = edited;
    Ok(Done::Files)
}

fn print(
    args: &Args,
    asked: &UpgradeArgs,
    work: &Work,
    (done, proposed): (Done<'_>, &[Proposed]),
    (plan, artifacts): (&Plan, &HashMap<Digest, Arc<Artifact>>),
    text: &dyn Fn(&str) -> Option<Arc<str>>,
) {
    let find = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d).cloned());
    let of_step = |step: &crate::model::Step| (find(step.from), find(step.artifact));
    let Work { edited, left } = work;
    if args.format == Format::Json {
        let mut value = report::upgrade::json(edited, left);
        value["plan"] = report::plan::json(plan, &of_step);
        if asked.propose {
            value["proposed"] = report::upgrade::proposed_json(proposed);
        }
        output::print(&value.to_string());
        return;
    }
    let colour = output::is_colourful(&std::io::stdout());
    let mut options =
        report::plan::Options { colour, width: output::width(), ..Default::default() };
    if asked.no_diff {
        options.diff_total = 0;
    }
    let mut out = report::upgrade::terminal(edited, left, !asked.no_diff);
    for Left { reason, .. } in left {
        if let Reason::Invalid { problems, .. } = reason {
            out.push_str(&report::diagnostic::terminal(problems, text, colour));
        }
    }
    if !edited.is_empty() {
        out.push('\n');
        out.push_str(&report::plan::terminal(plan, &of_step, &options));
    }
    out.push_str(&report::upgrade::proposed(proposed));
    // Of what is proposed only that counts which a pull request of ours has.
    let all = edited.len() + left.len();
    let edited = match done {
        Done::Proposed => report::upgrade::open_files(proposed),
        Done::Nothing | Done::Files | Done::Branch(_) => edited.len(),
    };
    out.push_str(&report::upgrade::summary(edited, all - edited, done));
    out.push('\n');
    output::print(&out);
}
