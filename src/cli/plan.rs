//! `vend plan`: what would be done, and what not and why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Args, Format, Plan as PlanArgs};
use super::failure::{FOUND, Failure, Kind};
use super::laptop::{self, Bench};
use super::{context, output};
use crate::config::Config;
use crate::digest::Digest;
use crate::model::{Artifact, Diagnostic, HoldReason, Plan, RequestId, SourceName, SourceProblem};
use crate::plan::Gone;
use crate::reconcile::desired::Evaluated;
use crate::reconcile::foresee::Foreseen;
use crate::reconcile::local::{self, Changed, Differs, Published};
use crate::report;

/// A plan with what is needed to show it.
struct Shown {
    plan: Plan,
    artifacts: HashMap<Digest, Arc<Artifact>>,
    problems: Vec<(SourceName, SourceProblem)>,
    /// Paths that look like a request's and are none.
    diagnostics: Vec<Diagnostic>,
    remarks: Vec<String>,
}

/// Prints it.
pub async fn run(args: &Args, plan: &PlanArgs) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let shown = if context::is_operator(&config) {
        let mut engine = context::engine(config).await?;
        let look = engine.look(plan.preview, &context::now).await?;
        let remarks = report::plan::untold(look.report.untold.iter());
        Shown {
            plan: look.report.plan,
            artifacts: look.artifacts,
            problems: look.report.problems,
            diagnostics: look.report.diagnostics,
            remarks: remarks.into_iter().collect(),
        }
    } else if plan.preview {
        let what = "`--preview` asks the providers, which a working copy has no part in";
        return Err(Failure::usage(what).hint("run it where the operator's `vend.yaml` is"));
    } else {
        on_a_laptop(args, config, plan).await?
    };
    print(args, plan, &shown);
    let invalid = shown.plan.holds.iter().any(|h| matches!(h.reason, HoldReason::Invalid { .. }));
    let code = if invalid {
        Kind::Invalid.code()
    } else if plan.exit_code && !shown.plan.is_empty() {
        FOUND
    } else {
        0
    };
    Ok(ExitCode::from(code))
}

async fn on_a_laptop(args: &Args, config: Config, plan: &PlanArgs) -> Result<Shown, Failure> {
    let mut bench = laptop::open(args, config, &plan.elsewhere, &laptop::here()?).await?;
    let limit = bench.config.settings.limits.files;
    let differs = if plan.all { None } else { Some(bench.requests.differs(limit)?) };
    let (since, mut ids) = match &differs {
        Some(Differs::Since(Changed { base, ids })) => (Some(base), ids.clone()),
        Some(Differs::Unknown(_)) | None => (None, bench.requests.found.keys().cloned().collect()),
    };
    let mut published = bench.published_with_versions(args, &plan.elsewhere, &ids).await?;
    let requests = &bench.requests;
    // The whole includes what is applied and has no file any more; other sources' is not ours.
    let ours = published
        .statuses
        .values()
        .filter(|s| s.source.repository == *requests.source.name.as_str());
    let ours: BTreeSet<RequestId> = ours.map(|s| s.metadata.id.clone()).collect();
    if since.is_none() {
        ids.extend(ours);
    }
    let max = bench.config.settings.limits.file_bytes;
    let records = published.records();
    let evaluated =
        requests.evaluate(&ids, &bench.catalog.catalog, &records, &bench.config).await?;
    let evaluated: BTreeMap<_, Evaluated> =
        evaluated.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect();
    // A former identity matters although its file went long ago.
    let former = evaluated.values().filter_map(|e| e.row.desired.spec()?.moved_from.clone());
    ids.extend(
        former
            .filter(|id| records.contains_key(id) && !requests.found.contains_key(id))
            .collect::<Vec<_>>(),
    );
    let last_words = |id: &RequestId| {
        let path =
            records.get(id).map(|r| r.origin.path.to_string()).or_else(|| requests.path(id))?;
        requests.last_words(id, &path, since, max)
    };
    let gone: BTreeMap<RequestId, Gone> = ids
        .iter()
        .filter(|id| !requests.found.contains_key(id))
        .filter_map(|id| Some((id.clone(), last_words(id)?)))
        .collect();
    let now = context::now();
    let desk = local::Desk {
        requests,
        catalog: &bench.catalog.catalog,
        config: &bench.config,
        ids: &ids,
        evaluated: &evaluated,
        gone: &gone,
        published: &published,
        now,
    };
    let Foreseen { plan: made, evaluated: foreseen, untold } = local::plan(&desk).await?;
    let mut remarks = remarks(&bench, differs.as_ref(), &published, now);
    remarks.extend(report::plan::untold(untold.iter()));
    let mut artifacts = std::mem::take(&mut published.artifacts);
    for (_, artifact) in evaluated.values().chain(foreseen.values()).flat_map(|e| &e.artifacts) {
        if let Some(digest) = artifact.digest {
            artifacts.insert(digest, artifact.clone());
        }
    }
    let mut diagnostics = requests.problems.clone();
    // What is to be known of those that are planned, such as that their version is deprecated.
    let planned = ids.iter().filter_map(|id| evaluated.get(id));
    diagnostics.extend(planned.flat_map(|e| e.row.desired.notes.iter().cloned()));
    Ok(Shown { plan: made, artifacts, problems: Vec::new(), diagnostics, remarks })
}

/// What a plan made from a working copy has looked at and what not.
fn remarks(
    bench: &Bench,
    differs: Option<&Differs>,
    published: &Published,
    now: jiff::Timestamp,
) -> Vec<String> {
    let branch = &bench.requests.source.branch;
    let mut remarks = match differs {
        Some(Differs::Since(changed)) => vec![format!(
            "Shown is what this working copy changes since it left `{branch}` at {}; `--all` shows the whole.",
            changed.base.short()
        )],
        Some(Differs::Unknown(why)) => vec![format!("The whole is shown, since {why}.")],
        None => Vec::new(),
    };
    remarks.push(format!("The catalog is {}.", bench.catalog.origin));
    remarks.push(match published.at {
        Some(at) => format!(
            "Live state was not looked at; recorded state is of {} ({at:.0}).",
            report::source::ago(at, now)
        ),
        None => "Live state was not looked at, and nothing has been published yet: everything is \
                 shown as new."
            .into(),
    });
    remarks
}

fn print(args: &Args, asked: &PlanArgs, shown: &Shown) {
    let Shown { plan, artifacts, problems, diagnostics, remarks } = shown;
    let find = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d).cloned());
    let of_step = |step: &crate::model::Step| (find(step.from), find(step.artifact));
    if args.format == Format::Json {
        let mut value = report::plan::json(plan, &of_step);
        value["sources"] = report::source::json(problems);
        value["diagnostics"] = report::diagnostic::json(diagnostics)["diagnostics"].take();
        value["remarks"] = serde_json::json!(remarks);
        output::print(&value.to_string());
        return;
    }
    let mut options = report::plan::Options {
        colour: output::is_colourful(&std::io::stdout()),
        width: output::width(),
        ..Default::default()
    };
    if asked.no_diff {
        options.diff_total = 0;
    }
    let mut out = report::diagnostic::terminal(diagnostics, &|_| None, options.colour);
    for (name, problem) in problems {
        out.push_str(&format!("source {}\n", report::source::sentence(name, problem)));
    }
    out.push_str(&report::plan::terminal(plan, &of_step, &options));
    for remark in remarks {
        out.push_str(&format!("{remark}\n"));
    }
    output::print(&out);
}
