//! The terminal: what goes where, and whether it may be coloured.

use std::io::{IsTerminal, Write};

use super::args::Args;

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
