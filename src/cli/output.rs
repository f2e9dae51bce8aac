//! The terminal: what goes where, and whether it may be coloured.

use std::io::{IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::MakeWriterExt;

use super::args::{Args, Command, Log};

/// Prints a result. A reader that went away (`| head`) is no error.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Says something that whoever reads the result should know, apart from the result itself.
pub fn warn(args: &Args, text: &str) {
    if !args.quiet {
        let _ = writeln!(std::io::stderr().lock(), "warning: {text}");
    }
}

/// Whether colour is welcome: a terminal, and no `NO_COLOR` (no-color.org).
pub fn is_colourful(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// The columns of the terminal, for wrapping.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    columns.filter(|c| (20..=1000).contains(c)).unwrap_or(100)
}

/// Logs go to stderr: warnings on the command line, events too in the daemon.
pub fn start_logging(args: &Args) {
    let level = match (&args.command, args.verbose, args.quiet) {
        (_, _, true) => "error",
        (Command::Serve(_), 0, _) | (_, 1, _) => "info",
        (_, 0, _) => "error",
        (_, _, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("VEND_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("vend={level}")));
    let writer = std::io::stderr.with_max_level(tracing::Level::TRACE);
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    let _ = match args.log {
        Log::Json => builder.json().try_init(),
        Log::Text => builder.with_ansi(is_colourful(&std::io::stderr())).try_init(),
    };
}
