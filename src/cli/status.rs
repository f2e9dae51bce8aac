//! `vend status`: where requests stand.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use super::args::{Args, Elsewhere, Format, Status};
use super::failure::Failure;
use super::{context, laptop, output, socket};
use crate::config::Config;
use crate::report;
use crate::server::view::{self, Overview};

/// How often `--watch` looks.
const EVERY: Duration = Duration::from_millis(500);

/// Prints it, once or for as long as somebody watches.
pub async fn run(args: &Args, status: &Status) -> Result<ExitCode, Failure> {
    let config = context::config(args)?;
    let first = overview(args, &config, status, &status.elsewhere).await?;
    print(args, &first, status);
    if status.watch {
        let mut last = lines(&first);
        loop {
            tokio::time::sleep(EVERY).await;
            let now = lines(&overview(args, &config, status, &status.elsewhere).await?);
            print_changes(args, &last, &now);
            last = now;
        }
    }
    let nothing = first.requests.is_empty() && status.request.is_some();
    Ok(ExitCode::from(u8::from(nothing)))
}

async fn overview(
    args: &Args,
    config: &Config,
    status: &Status,
    elsewhere: &Elsewhere,
) -> Result<Overview, Failure> {
    let prefix = status.request.as_deref();
    if !context::is_operator(config) {
        return laptop::overview(args, config, elsewhere, prefix, status.not_ready).await;
    }
    if let Some(daemon) = socket::connect(config).await {
        return daemon.overview(prefix, status.not_ready).await;
    }
    let store = context::store(config)?;
    Ok(view::overview(store.as_ref(), prefix, status.not_ready).await?)
}

fn print(args: &Args, overview: &Overview, status: &Status) {
    if args.format == Format::Json {
        output::print(&serde_json::to_string_pretty(overview).unwrap_or_default());
        return;
    }
    let colour = output::is_colourful(&std::io::stdout());
    let text = report::overview::terminal(&overview.requests, &overview.problems, colour);
    if overview.requests.is_empty()
        && let Some(request) = &status.request
    {
        output::print(&format!("{text}No request {} is known.", crate::model::quote(request)));
        return;
    }
    output::print(&text);
}

fn lines(overview: &Overview) -> BTreeMap<String, String> {
    overview
        .requests
        .iter()
        .map(|s| (s.metadata.id.to_string(), report::overview::line(s)))
        .collect()
}

fn print_changes(args: &Args, last: &BTreeMap<String, String>, now: &BTreeMap<String, String>) {
    for (id, line) in now.iter().filter(|(id, line)| last.get(*id) != Some(line)) {
        match args.format {
            Format::Json => {
                output::print(&serde_json::json!({"request": id, "line": line}).to_string());
            }
            Format::Text | Format::Github | Format::Sarif => output::print(line),
        }
    }
    for id in last.keys().filter(|id| !now.contains_key(*id)) {
        match args.format {
            Format::Json => {
                output::print(&serde_json::json!({"request": id, "gone": true}).to_string());
            }
            Format::Text | Format::Github | Format::Sarif => output::print(&format!("{id}  gone")),
        }
    }
}
