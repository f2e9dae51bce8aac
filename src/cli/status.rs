//! `vend status`: where requests stand.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use super::args::{Args, Format, Status};
use super::failure::Failure;
use super::live::{Block, Stream};
use super::look::Look;
use super::{context, laptop, output};
use crate::config::Config;
use crate::model::{self, Applying};
use crate::reconcile::view::Overview;
use crate::report;
use crate::report::attention::Daemon;

/// How often `--watch` looks. A look at a store in which nothing was written reads one number.
const EVERY: Duration = Duration::from_millis(500);

/// Prints it, once or for as long as somebody watches.
pub async fn run(args: &Args, status: &Status) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let look = Look::new(&config);
    let first = overview(args, &config, status, &look, None).await?.unwrap_or_default();
    let nothing = first.requests.is_empty() && status.request.is_some();
    print(args, &config, &first, status);
    if !status.watch {
        return Ok(ExitCode::from(u8::from(nothing)));
    }
    tokio::select! {
        ended = watch(args, &config, status, &look, first) => ended.map(|()| ExitCode::SUCCESS),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
    }
}

/// Prints what changes until nobody reads any more; on a terminal, what is under way is drawn below.
async fn watch(
    args: &Args,
    config: &Config,
    status: &Status,
    look: &Look<'_>,
    first: Overview,
) -> Result<(), Failure> {
    let mut block = (args.format != Format::Json).then(|| Block::on(Stream::Stdout)).flatten();
    let mut last = Seen::new(first);
    if block.is_none() && !tell(args, &[], &last.applying) {
        return Ok(());
    }
    loop {
        if let Some(block) = &mut block {
            block.draw(&last.applying);
        }
        tokio::time::sleep(EVERY).await;
        let Some(now) = overview(args, config, status, look, Some(last.stamp)).await? else {
            continue;
        };
        let now = Seen::new(now);
        let is_read = match &mut block {
            Some(block) => {
                // What is over goes before its line is printed.
                block.draw(&now.applying);
                block.above(|| print_changes(args, &last, &now))
            }
            None => tell(args, &last.applying, &now.applying) && print_changes(args, &last, &now),
        };
        if !is_read {
            return Ok(());
        }
        last = now;
    }
}

/// An overview, as far as changes are told.
struct Seen {
    /// By request: its line, and what it gives.
    lines: BTreeMap<String, (String, Vec<String>)>,
    applying: Vec<Applying>,
    stamp: u64,
}

impl Seen {
    fn new(overview: Overview) -> Self {
        let Overview { requests, applying, stamp, .. } = overview;
        let entry = |s: &model::Status| {
            let said = (report::overview::line(s), report::live::outputs(s));
            (s.metadata.id.to_string(), said)
        };
        Self { lines: requests.iter().map(entry).collect(), applying, stamp }
    }
}

/// `None`: nothing was written since the answer with that stamp.
async fn overview(
    args: &Args,
    config: &Config,
    status: &Status,
    look: &Look<'_>,
    stamp: Option<u64>,
) -> Result<Option<Overview>, Failure> {
    let prefix = status.request.as_deref();
    if context::is_operator(config) {
        return look.overview(prefix, status.not_ready, stamp).await;
    }
    laptop::overview(args, config, &status.elsewhere, prefix, status.not_ready).await.map(Some)
}

fn print(args: &Args, config: &Config, overview: &Overview, status: &Status) {
    if args.format == Format::Json {
        let overview = Overview { stamp: 0, ..overview.clone() };
        output::print(&serde_json::to_string_pretty(&overview).unwrap_or_default());
        return;
    }
    let colour = output::is_colourful(&std::io::stdout());
    let table = report::overview::terminal(&overview.requests, &overview.problems, colour);
    let daemon = match &overview.daemon {
        Some(pulse) => Daemon::Answers(pulse),
        None if context::is_operator(config) => Daemon::Silent,
        None => Daemon::Unasked,
    };
    let Overview { attention, applying, unattended, .. } = overview;
    let first = report::attention::lines(daemon, attention, applying, context::now(), colour);
    let text = format!("{first}{}{table}", report::overview::unattended(unattended, colour));
    if overview.requests.is_empty()
        && let Some(request) = &status.request
    {
        output::print(&format!("{text}No request {} is known.", model::quote(request)));
        return;
    }
    output::print(&text);
}

/// Tells what happened to resources, where nothing is drawn.
fn tell(args: &Args, last: &[Applying], now: &[Applying]) -> bool {
    if args.format == Format::Json {
        return now.iter().filter(|a| !last.contains(a)).all(|applying| {
            output::is_read(&serde_json::json!({"applying": applying}).to_string())
        });
    }
    report::live::changes(last, now).iter().all(|line| output::is_read(line))
}

/// Prints the requests that stand elsewhere now, and says whether there is still a reader.
fn print_changes(args: &Args, last: &Seen, now: &Seen) -> bool {
    let changed = now
        .lines
        .iter()
        .filter(|(id, (line, _))| last.lines.get(*id).is_none_or(|(before, _)| before != line));
    let gone = last.lines.keys().filter(|id| !now.lines.contains_key(*id));
    let mut lines = Vec::new();
    for (id, (line, outputs)) in changed {
        if args.format == Format::Json {
            lines.push(serde_json::json!({"request": id, "line": line}).to_string());
        } else {
            lines.push(line.clone());
            lines.extend(outputs.iter().cloned());
        }
    }
    lines.extend(gone.map(|id| match args.format {
        Format::Json => serde_json::json!({"request": id, "gone": true}).to_string(),
        Format::Text | Format::Github | Format::Sarif => format!("{id}  gone"),
    }));
    lines.iter().all(|line| output::is_read(line))
}
