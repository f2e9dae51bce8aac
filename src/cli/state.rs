//! `vend state`: looking after the store.

use std::process::ExitCode;

use super::args::{Args, State, StateCommand};
use super::failure::Failure;
use super::{context, output};

/// Runs it.
pub async fn run(args: &Args, state: &State) -> Result<ExitCode, Failure> {
    match state.command {
        StateCommand::Takeover => takeover(args).await,
    }
}

/// Raises this store's epoch above the published one, so that it may write again.
async fn takeover(args: &Args) -> Result<ExitCode, Failure> {
    let mut engine = context::engine(context::config(args)?).await?;
    let lease = context::lease(&engine).await?;
    let lease = engine.take_over(lease, &context::now).await?;
    let epoch = lease.epoch();
    engine.store().release(lease).await?;
    if !args.quiet {
        output::print(&format!(
            "This store goes on, with epoch {epoch}. No other copy of it may run."
        ));
    }
    Ok(ExitCode::SUCCESS)
}
