//! `vend apply`: one pass, by the daemon where one runs, else by this process.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::args::{Apply, Args, Format};
use super::failure::{FOUND, Failure, Kind};
use super::socket::{self, Daemon};
use super::{context, output, progress};
use crate::model::{Diagnostic, Hold, HoldReason, PassReport, Plan};
use crate::reconcile::Wake;
use crate::report;

/// How often a daemon is asked what is under way.
const ASK: Duration = Duration::from_millis(500);

/// Runs it.
pub async fn run(args: &Args, apply: &Apply) -> Result<ExitCode, Failure> {
    context::no_core_dumps();
    let config = context::config(args)?;
    if let Some(daemon) = socket::connect(&config).await {
        let report = by_daemon(args, apply, &daemon).await?;
        return Ok(finish(args, apply, &report));
    }
    let mut engine = context::engine(config).await?;
    let lease = Arc::new(context::lease(&engine).await?);
    let bars = progress::start(args);
    engine.watched(bars.clone());
    let keeper = lease_keeper(&engine, &lease);
    let report = engine.pass(Wake::Apply(&lease), &context::now).await?;
    let mut report = engine.standing(report).await?;
    while report.unread > 0 || (apply.wait && report.under_way > 0) {
        if report.unread == 0 {
            tokio::time::sleep(until(&report)).await;
        }
        // Only this form shows the plan, and that of very many would be kept for nothing.
        if args.format != Format::Json {
            report.plan = Plan::default();
        }
        let next = engine.pass(Wake::Apply(&lease), &context::now).await?;
        report = report.followed_by(engine.standing(next).await?);
    }
    keeper.abort();
    let _ = keeper.await;
    bars.finish();
    if let Some(lease) = Arc::into_inner(lease) {
        engine.store().release(lease).await?;
    }
    Ok(finish(args, apply, &report))
}

/// Asks the daemon for it, and meanwhile for what is under way.
async fn by_daemon(args: &Args, apply: &Apply, daemon: &Daemon) -> Result<PassReport, Failure> {
    let bars = progress::start(args);
    let report = daemon.apply(apply.wait);
    tokio::pin!(report);
    loop {
        tokio::select! {
            report = &mut report => {
                bars.finish();
                return report;
            }
            () = tokio::time::sleep(ASK) => {
                if bars.is_shown() && let Ok(applying) = daemon.applying().await {
                    bars.show(applying);
                }
            }
        }
    }
}

/// Renews the lease while a long pass runs.
fn lease_keeper(
    engine: &crate::reconcile::Engine,
    lease: &Arc<crate::store::Lease>,
) -> tokio::task::JoinHandle<()> {
    let store = engine.store().clone();
    let ttl = engine.config().settings.reconcile.lease;
    let lease = lease.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(ttl.unsigned_abs() / 3).await;
            if store.renew(&lease, context::now(), ttl).await.is_err() {
                return;
            }
        }
    })
}

/// How long until something is due; at least a moment, at most a few seconds.
fn until(report: &PassReport) -> Duration {
    let wait = report.due.map(|due| due.duration_since(context::now()));
    let wait = wait.map_or(Duration::from_secs(1), |w| {
        if w.is_negative() { Duration::ZERO } else { w.unsigned_abs() }
    });
    wait.clamp(Duration::from_millis(100), Duration::from_secs(5))
}

/// Prints what a pass did, and says it by the exit code.
pub fn finish(args: &Args, apply: &Apply, report: &PassReport) -> ExitCode {
    let is_said = report.publish_error.is_none() && report.unremoved.is_empty();
    let failed = report.failures() > 0 || !is_said;
    let is_invalid = |h: &Hold| matches!(h.reason, HoldReason::Invalid { .. });
    let invalid =
        report.holds.iter().any(is_invalid) || report.diagnostics.iter().any(Diagnostic::is_error);
    match args.format {
        Format::Json => output::print(&report::pass::json(report).to_string()),
        Format::Text | Format::Github | Format::Sarif => {
            if !args.quiet || failed {
                let colour = output::is_colourful(&std::io::stdout());
                output::print(&report::pass::terminal(report, colour));
            }
        }
    }
    let open = !report.holds.is_empty() || report.under_way > 0;
    let code = if failed {
        Kind::Failed.code()
    } else if invalid {
        Kind::Invalid.code()
    } else if apply.exit_code && open {
        FOUND
    } else {
        0
    };
    ExitCode::from(code)
}
