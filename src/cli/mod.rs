//! The command line: one file per subcommand, error kinds, hints, exit codes.

mod apply;
mod approve;
mod args;
mod catalog;
mod context;
mod demo;
mod explain;
mod extend;
mod failure;
mod findings;
mod init;
mod laptop;
mod live;
mod log;
mod logs;
mod look;
mod man;
mod new;
mod output;
mod plan;
mod progress;
mod render;
mod schema;
mod serve;
mod socket;
mod state;
mod status;
mod upgrade;
mod validate;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::catalog::CatalogCommand;
use args::{Args, Command};
pub use failure::{Failure, Kind};

/// Runs the program with its arguments, the program's name first.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { Kind::Usage.code() } else { 0 });
        }
    };
    let lines = log::start(&args);
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = match log::beginning(|| threads.enable_all().build()) {
        Ok(runtime) => runtime,
        Err(error) => return Failure::from(anyhow::Error::new(error)).report(&args),
    };
    let outcome = runtime.block_on(dispatch(&args));
    // Work that git or a provider still does in the background must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    drop(lines);
    match outcome {
        Ok(code) => code,
        Err(failure) if matches!(args.command, Command::Serve(_)) => last_words(failure, args),
        Err(failure) => failure.report(&args),
    }
}

/// Says why a daemon ended, which waits for no reader that is stuck: whoever watches over it must see the end.
fn last_words(failure: Failure, args: Args) -> ExitCode {
    let code = failure.code();
    let (sender, said) = std::sync::mpsc::channel();
    let says = move || {
        // Nobody may wait for it any more.
        let _ = sender.send(failure.report(&args));
    };
    match std::thread::Builder::new().spawn(says) {
        Ok(_) => said.recv_timeout(log::LAST_WORDS).unwrap_or(code),
        Err(_) => code,
    }
}

async fn dispatch(args: &Args) -> Result<ExitCode, Failure> {
    let is_for_findings = matches!(args.format, args::Format::Github | args::Format::Sarif);
    if is_for_findings && !finds_problems(&args.command) {
        return Err(Failure::usage(
            "only `vend validate`, `vend catalog check` and `vend catalog test` write the formats `github` and `sarif`",
        )
        .hint("use `--format json`"));
    }
    match &args.command {
        Command::Demo(demo) => demo::run(demo),
        Command::Init(init) => init::run(args, init),
        Command::New(new) => new::run(args, new).await,
        Command::Validate(validate) => validate::run(args, validate).await,
        Command::Render(render) => render::run(args, render).await,
        Command::Plan(plan) => plan::run(args, plan).await,
        Command::Upgrade(upgrade) => upgrade::run(args, upgrade).await,
        Command::Extend(extend) => extend::run(args, extend).await,
        Command::Apply(apply) => apply::run(args, apply).await,
        Command::Serve(serve) => serve::run(args, serve).await,
        Command::Status(status) => status::run(args, status).await,
        Command::Logs(logs) => logs::run(args, logs).await,
        Command::Explain(explain) => explain::run(args, explain).await,
        Command::Approve(approve) => approve::run(args, approve).await,
        Command::Retry(retry) => approve::retry(args, retry).await,
        Command::Catalog(catalog) => catalog::run(args, catalog).await,
        Command::Schema(schema) => schema::run(args, schema).await,
        Command::State(state) => state::run(args, state).await,
        Command::Man(man) => man::run(args, man),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Args::command(), "vend", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether what a command prints is problems of files.
fn finds_problems(command: &Command) -> bool {
    match command {
        Command::Validate(_) => true,
        Command::Catalog(catalog) => {
            matches!(catalog.command, CatalogCommand::Check(_) | CatalogCommand::Test(_))
        }
        _ => false,
    }
}
