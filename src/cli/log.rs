//! Log lines, on stderr. In the daemon they never block what is being logged: a reader that is stuck
//! costs lines, which are counted, and not passes. A panic is a line like others.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::panic::{PanicHookInfo, set_hook};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use super::args::{Args, Command, Log};
use super::output;
use crate::trace;

/// Lines that wait for their reader.
const WAITING: usize = 8_192;

/// How long the end of the program waits for the last lines to be read.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(300);

/// Said where the program cannot begin; put together beforehand, since memory may be what lacks.
const NO_THREADS: &str = "error: the system gives the program no thread, or no memory for one\n  try: more of both \
    (`ulimit -d`, `-v` and `-u`; for a service `MemoryMax=` and `TasksMax=`)\n";

/// How many lines were dropped since their reader was stuck.
pub fn dropped() -> Arc<AtomicU64> {
    static DROPPED: OnceLock<Arc<AtomicU64>> = OnceLock::new();
    DROPPED.get_or_init(Arc::default).clone()
}

/// Logs go to stderr: failures on the command line, events too in the daemon. What is given back
/// hands the last lines out when it is dropped.
#[must_use]
pub fn start(args: &Args) -> Option<Lines> {
    let daemon = matches!(args.command, Command::Serve(_));
    let level = match (daemon, args.verbose, args.quiet) {
        (_, _, true) => "error",
        (true, 0, _) | (_, 1, _) => "info",
        (_, 0, _) => "error",
        (_, _, _) => "debug",
    };
    let filter = EnvFilter::try_from_env("VEND_LOG")
        .unwrap_or_else(|_| EnvFilter::new(format!("vend={level}")));
    let shown = tracing_subscriber::fmt::layer().with_target(false);
    let colour = output::is_colourful(&io::stderr());
    let lines = daemon.then(Lines::start);
    let shown = match (args.log, &lines) {
        (Log::Json, Some(lines)) => shown.json().with_writer(lines.taker()).boxed(),
        (Log::Json, None) => shown.json().with_writer(io::stderr).boxed(),
        (Log::Text, Some(lines)) => shown.with_ansi(colour).with_writer(lines.taker()).boxed(),
        (Log::Text, None) => shown.with_ansi(colour).with_writer(io::stderr).boxed(),
    };
    // What is logged and what is traced are two choices: each has a filter of its own.
    let all = tracing_subscriber::registry().with(shown.with_filter(filter));
    let only = filter_fn(holds_no_body);
    let _ = match daemon {
        true => all.with(trace::layer()).with(only).try_init(),
        false => all.with(only).try_init(),
    };
    set_hook(Box::new(panicked));
    lines
}

/// Whether the program's threads are being started.
static BEGINS: AtomicBool = AtomicBool::new(false);

/// Starts the program's threads. Where the system gives one of them none, or no memory for it, what starts them panics,
/// and waits on its way out for those that are there already, which nobody ends: the program ends before that.
pub fn beginning<T>(start: impl FnOnce() -> T) -> T {
    BEGINS.store(true, Ordering::Relaxed);
    let started = start();
    BEGINS.store(false, Ordering::Relaxed);
    started
}

/// What the system would print of it by itself is no line of a log, and waits for its reader.
fn panicked(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    if BEGINS.load(Ordering::Relaxed) {
        let mut out = io::stderr();
        let _ = out.write_all(NO_THREADS.as_bytes());
        std::process::exit(1);
    }
    // Words that were put together may hold what was just read: a secret, for one.
    let words = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("a bug");
    // Where `RUST_BACKTRACE` asks for it.
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => tracing::error!(%trace, "panicked at {place}: {words}"),
        _ => tracing::error!("panicked at {place}: {words}"),
    }
}

/// The AWS SDK logs whole answers at its finest level, with all the secrets that are in them, whoever
/// asks for that level.
fn holds_no_body(of: &Metadata<'_>) -> bool {
    *of.level() != Level::TRACE || !of.target().starts_with("aws_")
}

enum Told {
    Line(Vec<u8>),
    End(std::sync::mpsc::Sender<()>),
}

/// Takes lines and never waits.
pub struct Lines {
    sender: SyncSender<Told>,
    dropped: Arc<AtomicU64>,
    /// Waits for what it took to be read when it is dropped.
    owner: bool,
}

impl Lines {
    fn start() -> Self {
        let (sender, lines) = sync_channel(WAITING);
        std::thread::spawn(move || write(&lines, &mut io::stderr()));
        Self { sender, dropped: dropped(), owner: true }
    }

    fn taker(&self) -> Self {
        Self { sender: self.sender.clone(), dropped: self.dropped.clone(), owner: false }
    }
}

fn write(lines: &Receiver<Told>, out: &mut dyn Write) {
    while let Ok(told) = lines.recv() {
        match told {
            // Nobody is left to tell that nobody reads.
            Told::Line(line) => drop(out.write_all(&line)),
            Told::End(done) => drop(done.send(())),
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.owner {
            return;
        }
        let (sender, done) = channel();
        if self.sender.try_send(Told::End(sender)).is_ok() {
            match done.recv_timeout(LAST_WORDS) {
                Ok(()) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { lines: self, text: Vec::new() }
    }
}

/// One line, handed over when it is whole.
pub struct Line<'a> {
    lines: &'a Lines,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() && self.lines.sender.try_send(Told::Line(text)).is_err() {
            self.lines.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f76_a_reader_that_is_stuck_costs_lines_and_no_time() {
        let (sender, stuck) = sync_channel(2);
        let lines = Lines { sender, dropped: Arc::default(), owner: false };
        for n in 0..5 {
            writeln!(lines.make_writer(), "line {n}").unwrap();
        }
        assert_eq!(lines.dropped.load(Ordering::Relaxed), 3);
        let mut out = Vec::new();
        drop(lines);
        write(&stuck, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "line 0\nline 1\n");
    }
}
