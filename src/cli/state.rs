//! `vend state`: looking after the store.

use std::process::ExitCode;

use super::args::{Args, State, StateCommand};
use super::failure::Failure;
use super::{context, output};
use crate::reconcile::Takeover;

/// Runs it.
pub async fn run(args: &Args, state: &State) -> Result<ExitCode, Failure> {
    match state.command {
        StateCommand::Takeover => takeover(args).await,
    }
}

/// Raises this store's epoch above the published one, so that it may write again. Nothing is applied.
async fn takeover(args: &Args) -> Result<ExitCode, Failure> {
    let engine = context::engine(context::config(args)?).await?;
    let lease = context::lease(&engine).await?;
    let Takeover { lease, was_behind } = engine.take_over(lease, &context::now).await?;
    let epoch = lease.epoch();
    engine.store().release(lease).await?;
    if !args.quiet {
        output::print(&match was_behind {
            true => format!(
                "This store may go on, with epoch {epoch}; no other copy of it may run. Nothing was \
                 applied: look at `vend plan`, then start the daemon or `vend apply`."
            ),
            false => {
                "This store is not behind the status branch: there was nothing to take over.".into()
            }
        });
    }
    Ok(ExitCode::SUCCESS)
}
