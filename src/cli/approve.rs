//! `vend approve` and `vend retry`: what a person decides.

use std::process::ExitCode;

use super::args::{Approve, Args, Retry};
use super::failure::Failure;
use super::{context, output, socket};
use crate::model::{RequestId, Revision, SourceName};
use crate::server::{Noted, PersonCommand};

/// Approves a plan digest, or `SOURCE@SHA`.
pub async fn run(args: &Args, approve: &Approve) -> Result<ExitCode, Failure> {
    let command = parse(&approve.what)?;
    let said = match &command {
        PersonCommand::Approve { digest } => {
            format!("Approved {}; the next pass goes on with it.", digest.short())
        }
        PersonCommand::Accept { source, revision } => {
            format!(
                "Accepted {} as the history of `{source}`; the next pass goes on from there.",
                revision.short()
            )
        }
        PersonCommand::Rollout { version, .. } => format!("Told the rollout of `{version}`."),
        PersonCommand::Retry { request } => format!("Trying `{request}` again at the next pass."),
    };
    let Noted { asking } = send(args, command).await?;
    if !args.quiet {
        let nobody = asking.is_some_and(|asking| asking.is_empty());
        output::print(if nobody { NOBODY } else { &said });
    }
    Ok(ExitCode::SUCCESS)
}

/// What is said to somebody who approved what is not asked for.
const NOBODY: &str = "Noted, but nothing that is held asks for that digest: either it was approved and used, or what \
    would be done has changed since, such as by another template or another effect, and that yes does not count for \
    it. `vend status --not-ready` has the digests that are asked for now.";

/// Forgets a request's failed tries.
pub async fn retry(args: &Args, retry: &Retry) -> Result<ExitCode, Failure> {
    let request = request_id(&retry.request)?;
    send(args, PersonCommand::Retry { request: request.clone() }).await?;
    if !args.quiet {
        output::print(&format!("Trying `{request}` again at the next pass."));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a request's identity, with or without `.yaml` and folders before it.
pub fn request_id(text: &str) -> Result<RequestId, Failure> {
    RequestId::parse(text).ok_or_else(|| {
        Failure::usage(format!("{} is not a request", crate::model::quote(text)))
            .hint("write it as <team>/<environment>/<name>, such as orders/dev/events")
    })
}

fn parse(what: &str) -> Result<PersonCommand, Failure> {
    if let Ok(digest) = what.parse() {
        return Ok(PersonCommand::Approve { digest });
    }
    let is_sha = |s: &str| s.len() == 40 && s.bytes().all(|b| b.is_ascii_hexdigit());
    match what.rsplit_once('@') {
        Some((source, sha)) if is_sha(sha) && !source.is_empty() => Ok(PersonCommand::Accept {
            source: SourceName::new(source),
            revision: Revision::new(sha.to_ascii_lowercase()),
        }),
        _ => Err(Failure::usage(format!(
            "{} is neither a digest nor SOURCE@SHA",
            crate::model::quote(what)
        ))
        .hint("`vend status` and `vend explain` print the line to paste, with the whole digest")),
    }
}

/// Says it to the daemon, or writes it down for the next pass.
pub(super) async fn send(args: &Args, command: PersonCommand) -> Result<Noted, Failure> {
    let config = context::config(args)?;
    if let Some(daemon) = socket::connect(&config).await {
        return daemon.person(&command).await;
    }
    let store = context::store(&config).await?;
    Ok(command.note(store.as_ref(), user(), context::now()).await?)
}

/// Who sits at this terminal, for the record.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let name = std::env::var("USER").ok().filter(|n| !n.is_empty() && n.len() <= 64);
    match name {
        Some(name) => format!("{} (uid {uid})", crate::model::escape(&name, 64)),
        None => format!("uid {uid}"),
    }
}
