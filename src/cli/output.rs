//! The terminal: what goes where, and whether it may be coloured.

use std::io::{IsTerminal, Write};

use super::args::Args;

/// Prints a result. A reader that went away (`| head`) is no error.
pub fn print(text: &str) {
    let _ = is_read(text);
}

/// As [`print`], and whether there is still a reader: what prints for ever ends with that.
pub fn is_read(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(end));
    written.and_then(|()| out.flush()).is_ok()
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
    size().1
}

/// The lines and columns of the terminal; 24 and 100 where it does not say.
pub fn size() -> (usize, usize) {
    let terminal = [console::Term::stdout(), console::Term::stderr()]
        .into_iter()
        .find_map(|terminal| terminal.size_checked())
        .map(|(rows, columns)| (usize::from(rows), usize::from(columns)));
    let columns = std::env::var("COLUMNS").ok().and_then(|c| c.parse().ok());
    let columns = columns.or(terminal.map(|(_, columns)| columns));
    let columns = columns.filter(|c| (20..=1000).contains(c)).unwrap_or(100);
    (terminal.map_or(24, |(rows, _)| rows), columns)
}
