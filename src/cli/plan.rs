//! `vend plan`: what would be done, and what not and why.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Args, Format, Plan as PlanArgs};
use super::failure::{FOUND, Failure, Kind};
use super::{context, laptop, output};
use crate::digest::Digest;
use crate::model::{Artifact, HoldReason, Plan, SourceName, SourceProblem};
use crate::plan::Gone;
use crate::reconcile::desired::Evaluated;
use crate::reconcile::local;
use crate::report;

/// A plan with what is needed to show it.
struct Shown {
    plan: Plan,
    artifacts: HashMap<Digest, Arc<Artifact>>,
    problems: Vec<(SourceName, SourceProblem)>,
    remarks: Vec<String>,
}

/// Prints it.
pub async fn run(args: &Args, plan: &PlanArgs) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let shown = if context::is_operator(&config) {
        let mut engine = context::engine(config).await?;
        let look = engine.look(&context::now).await?;
        Shown {
            plan: look.report.plan,
            artifacts: look.artifacts,
            problems: look.report.problems,
            remarks: Vec::new(),
        }
    } else {
        on_a_laptop(config, plan).await?
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

async fn on_a_laptop(config: crate::config::Config, plan: &PlanArgs) -> Result<Shown, Failure> {
    let bench = laptop::open(config, &plan.elsewhere, &laptop::here()?).await?;
    let differing = if plan.all { None } else { bench.differing() };
    let known: BTreeSet<_> = bench.requests.found.keys().cloned().collect();
    let asked = differing.clone().unwrap_or_else(|| known.clone());
    let published = bench.published(&plan.elsewhere, &asked).await?;
    // The whole includes what is applied and has no file any more.
    let ids: BTreeSet<_> = match &differing {
        Some(ids) => ids.clone(),
        None => known.into_iter().chain(published.statuses.keys().cloned()).collect(),
    };
    let max = bench.config.settings.limits.file_bytes;
    let records = published.records();
    let evaluated =
        bench.requests.evaluate(&ids, &bench.catalog.catalog, &records, max, &bench.config).await?;
    let evaluated: BTreeMap<_, Evaluated> =
        evaluated.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect();
    let gone: BTreeMap<_, Gone> = BTreeMap::new();
    let plan = local::plan(&ids, &evaluated, &gone, &published, context::now());
    let mut artifacts = published.artifacts;
    for (_, artifact) in evaluated.values().flat_map(|e| &e.artifacts) {
        if let Some(digest) = artifact.digest {
            artifacts.insert(digest, artifact.clone());
        }
    }
    let mut remarks = vec![format!("The catalog is {}.", bench.catalog.origin)];
    remarks.push(match published.at {
        Some(at) => format!("Live state was not looked at; recorded state is of {at}."),
        None => "Nothing has been published yet: everything is shown as new.".into(),
    });
    Ok(Shown { plan, artifacts, problems: Vec::new(), remarks })
}

fn print(args: &Args, asked: &PlanArgs, shown: &Shown) {
    let Shown { plan, artifacts, problems, remarks } = shown;
    let find = |digest: Option<Digest>| digest.and_then(|d| artifacts.get(&d).cloned());
    let of_step = |step: &crate::model::Step| (find(step.from), find(step.artifact));
    if args.format == Format::Json {
        output::print(&report::plan::json(plan, &of_step).to_string());
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
    let mut out = String::new();
    for (name, problem) in problems {
        out.push_str(&format!("source {}\n", report::source::sentence(name, problem)));
    }
    out.push_str(&report::plan::terminal(plan, &of_step, &options));
    for remark in remarks {
        out.push_str(&format!("{remark}\n"));
    }
    output::print(&out);
}
