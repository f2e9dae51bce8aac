//! `vend logs`: what happened to a request, resource by resource.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::args::{Args, Format, Logs, Since};
use super::failure::{Failure, Kind};
use super::look::Look;
use super::{approve, context, output};
use crate::model::{RequestId, RequestPhase};
use crate::reconcile::view::{Log, LogQuery};
use crate::report;
use crate::store::Line;

/// How often `--follow` looks. A look at a store in which nothing was written reads one number.
const EVERY: Duration = Duration::from_millis(250);

/// How long nothing must have been written before `--until-done` believes that it is over: between
/// two components of a request there is a moment in which none is under way.
const REST: Duration = Duration::from_secs(2);

/// Prints it, once or for as long as somebody reads.
pub async fn run(args: &Args, logs: &Logs) -> Result<ExitCode, Failure> {
    let id = approve::request_id(&logs.request)?;
    let config = context::config(args)?;
    let look = Look::new(&config);
    let stays = logs.follow || logs.until_done;
    let limit = if logs.since.is_some() { usize::MAX } else { logs.lines.unwrap_or(usize::MAX) };
    let first = LogQuery { after: None, limit, stamp: None };
    let log = look.log(&id, first).await?.ok_or_else(|| anyhow::anyhow!("no answer"))?;
    if log.phase.is_none() && log.lines.is_empty() {
        let unknown = format!("nobody has heard of `{id}`");
        if !stays {
            return Err(Failure::new(Kind::Failed, anyhow::Error::msg(unknown)).hint(
                "is its file merged to the branch that vend reads? `vend validate` checks the file",
            ));
        }
        output::warn(args, &format!("{unknown} yet"));
    }
    if !print(args, newest(&log.lines, logs)) || !stays {
        return Ok(ExitCode::SUCCESS);
    }
    tokio::select! {
        ended = follow(args, logs, &look, &id, log) => ended,
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

/// Those that were asked for of the lines that are there.
fn newest<'a>(lines: &'a [Line], logs: &Logs) -> &'a [Line] {
    let from = logs.since.map(|since| match since {
        Since::Ago(length) => context::now().saturating_sub(length).unwrap_or(Timestamp::MIN),
        Since::At(at) => at,
    });
    // By their order in the store: a provider's clock may differ from ours by seconds.
    let first = from.map_or(0, |from| {
        lines.iter().position(|line| line.event.at >= from).unwrap_or(lines.len())
    });
    let lines = &lines[first..];
    &lines[lines.len().saturating_sub(logs.lines.unwrap_or(usize::MAX))..]
}

/// Prints what comes until nobody reads any more, or it is over.
async fn follow(
    args: &Args,
    logs: &Logs,
    look: &Look<'_>,
    id: &RequestId,
    first: Log,
) -> Result<ExitCode, Failure> {
    let mut query = LogQuery {
        after: Some(first.lines.last().map_or(0, |line| line.n)),
        limit: usize::MAX,
        stamp: Some(first.stamp),
    };
    let mut last = first;
    let mut since = Instant::now();
    loop {
        if logs.until_done && !is_under_way(&last) && since.elapsed() >= REST {
            let failed = last.phase == Some(RequestPhase::Failed);
            return Ok(ExitCode::from(u8::from(failed)));
        }
        tokio::time::sleep(EVERY).await;
        let Some(log) = look.log(id, query).await? else { continue };
        if !print(args, &log.lines) {
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(line) = log.lines.last() {
            query.after = Some(line.n);
        }
        query.stamp = Some(log.stamp);
        (last, since) = (log, Instant::now());
    }
}

fn is_under_way(log: &Log) -> bool {
    use RequestPhase::{Applying, Deleting, Pending};
    log.under_way > 0 || matches!(log.phase, Some(Pending | Applying | Deleting))
}

/// Prints lines, and says whether there is still a reader.
fn print(args: &Args, lines: &[Line]) -> bool {
    let colour = output::is_colourful(&std::io::stdout());
    lines.iter().all(|line| {
        output::is_read(&match args.format {
            Format::Json => report::log::json(line.n, &line.event).to_string(),
            Format::Text | Format::Github | Format::Sarif => {
                report::log::terminal(&line.event, colour)
            }
        })
    })
}
