//! `vend state`: looking after the store.

use std::process::ExitCode;

use super::args::{Args, State, StateCommand};
use super::failure::Failure;
use super::{context, output};
use crate::reconcile::Takeover;
use crate::reconcile::rebuild::{AHEAD, Remains};
use crate::report;

/// Runs it.
pub async fn run(args: &Args, state: &State) -> Result<ExitCode, Failure> {
    context::no_core_dumps();
    match state.command {
        StateCommand::Takeover => takeover(args).await,
        StateCommand::Rebuild => rebuild(args).await,
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

/// Makes the store of this configuration from what the status branch and the providers tell. It is made
/// beside its place and put there when it is whole: a rebuild that is cut off leaves none.
async fn rebuild(args: &Args) -> Result<ExitCode, Failure> {
    let config = std::sync::Arc::new(context::config(args)?);
    if let Some(socket) = config.settings.socket()
        && tokio::net::UnixStream::connect(&socket).await.is_ok()
    {
        return Err(Failure::usage(format!("a daemon answers at `{}`", socket.display()))
            .hint("stop it: it works on the store that is to be made anew"));
    }
    let location = context::free_store(&config).await?;
    let mut remains = Remains::read(&config).await?;
    let rebuilt = remains.look().await?;
    let (instance, tip, at) = (remains.instance.clone(), remains.tip.clone(), remains.at);
    let remarks = std::mem::take(&mut remains.remarks);
    // The branch may say anything; beyond what a lease can count to, the next pass refuses to go on.
    let epoch = instance.epoch.saturating_add(AHEAD).min(i64::MAX.cast_unsigned() / 2);
    let made = location.create_beside(&instance.instance, epoch).await?;
    let lease = context::take_lease(&config, made.store()).await?;
    remains.write(made.store(), &lease, context::now()).await?;
    made.store().release(lease).await?;
    made.put().await?;
    if !args.quiet {
        output::print(&report::rebuild::terminal(&tip, at, &rebuilt, &remarks));
    }
    Ok(ExitCode::SUCCESS)
}
