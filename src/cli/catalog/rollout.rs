//! `vend catalog rollout`: how far newer versions have come, and people's word on it.

use std::process::ExitCode;

use semver::Version;

use super::super::args::catalog::{Rollout, RolloutCommand};
use super::super::args::{Args, Format};
use super::super::failure::Failure;
use super::super::{approve, context, output, socket};
use crate::config::Config;
use crate::model::{Rollouts, TemplateId, quote};
use crate::reconcile::rollout;
use crate::report;
use crate::server::PersonCommand;

/// Shows them, stops one, or goes on with it.
pub async fn run(args: &Args, rollout: &Rollout) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let rollouts = standing(&config).await?;
    let (template, resume) = match &rollout.command {
        None => {
            let text = match args.format {
                Format::Json => serde_json::to_string(&rollouts).unwrap_or_default(),
                _ => report::rollout::overview(&rollouts).trim_end().to_owned(),
            };
            output::print(&text);
            return Ok(ExitCode::SUCCESS);
        }
        Some(RolloutCommand::Stop(of)) => (&of.template, false),
        Some(RolloutCommand::Resume(of)) => (&of.template, true),
    };
    let versions = meant(&rollouts, template, resume)?;
    for version in versions {
        let has_begun = rollouts.versions.iter().any(|rollout| rollout.version == version);
        let said = if !has_begun {
            format!("No rollout of `{version}` has begun; when it comes, it waits for `resume`.")
        } else if resume {
            format!("The rollout of `{version}` goes on with the next pass.")
        } else {
            format!("The rollout of `{version}` stops with the next pass; what has it keeps it.")
        };
        approve::send(args, PersonCommand::Rollout { version, resume }).await?;
        if !args.quiet {
            output::print(&said);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// From the daemon, else from the store.
async fn standing(config: &Config) -> Result<Rollouts, Failure> {
    match socket::connect(config).await {
        Some(daemon) => daemon.rollouts().await,
        None => Ok(rollout::standing(context::store(config).await?.as_ref()).await?),
    }
}

/// The open rollouts that `TEMPLATE` or `TEMPLATE@VERSION` names and that the word is news to.
fn meant(rollouts: &Rollouts, template: &str, resume: bool) -> Result<Vec<TemplateId>, Failure> {
    let (name, version) = template.split_once('@').unwrap_or((template, ""));
    let version = match version {
        "" => None,
        text => Some(Version::parse(text).map_err(|_| {
            Failure::usage(format!("{} is not a version such as `1.2.0`", quote(text)))
        })?),
    };
    let open = rollouts.versions.iter().filter(|r| r.is_open() && r.version.name == name);
    let open = open.filter(|r| version.as_ref().is_none_or(|v| *v == r.version.version));
    let (other, same): (Vec<_>, Vec<_>) = open.partition(|r| r.stopped.is_some() == resume);
    // Once a version has landed, its first wave begins with the next pass: whoever wants to look first
    // says so beforehand.
    if let (Some(version), false) = (&version, resume)
        && !rollouts
            .versions
            .iter()
            .any(|r| r.version.name == name && r.version.version == *version)
    {
        return Ok(vec![TemplateId { name: name.to_owned(), version: version.clone() }]);
    }
    if other.is_empty() {
        let shown = quote(template);
        let text = match (same.is_empty(), resume) {
            (true, _) => format!("no version of {shown} is being rolled out"),
            (false, true) => format!("the rollout of {shown} is not stopped"),
            (false, false) => format!("the rollout of {shown} is stopped already"),
        };
        return Err(
            Failure::usage(text).hint("`vend catalog rollout` shows how far versions have come")
        );
    }
    Ok(other.into_iter().map(|r| r.version.clone()).collect())
}
