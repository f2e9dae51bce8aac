//! `vend explain`: why a request is in the state it is in.

use std::process::ExitCode;

use super::args::{Args, Explain, Format};
use super::failure::{Failure, Kind};
use super::{approve, context, laptop, output, socket};
use crate::reconcile::view;
use crate::report;

/// Prints the chain from the request's line to what it waits for.
pub async fn run(args: &Args, explain: &Explain) -> Result<ExitCode, Failure> {
    let id = approve::request_id(&explain.request)?;
    let config = context::config(args)?;
    let explained = if !context::is_operator(&config) {
        laptop::explain(args, &config, &explain.elsewhere, &id).await?
    } else if let Some(daemon) = socket::connect(&config).await {
        daemon.explain(&id).await?
    } else {
        let store = context::store(&config).await?;
        view::explain(store.as_ref(), &id).await?
    };
    let Some(explained) = explained else {
        return Err(Failure::new(Kind::Failed, anyhow::anyhow!("nobody has heard of `{id}`"))
            .hint(
                "is its file merged to the branch that vend reads? `vend validate` checks the file",
            ));
    };
    if args.format == Format::Json {
        output::print(&serde_json::to_string_pretty(&explained).map_err(anyhow::Error::new)?);
        return Ok(ExitCode::SUCCESS);
    }
    let facts = explained.facts(&id);
    output::print(&report::explain::terminal(&facts, output::is_colourful(&std::io::stdout())));
    Ok(ExitCode::SUCCESS)
}
