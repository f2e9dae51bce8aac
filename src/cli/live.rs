//! What is under way, drawn in place on a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{context, output};
use crate::model::Applying;
use crate::report::live::{self, Frame};

/// Lines of a block at most; what lies above it should stay in sight.
const ROWS: usize = 24;

/// Where a block is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Below a result.
    Stdout,
    /// Beside a result.
    Stderr,
}

/// A block at the lower end of a terminal, there as long as something is under way.
pub struct Block {
    stream: Stream,
    bar: Option<ProgressBar>,
}

impl Block {
    /// Nothing yet; `None` where the stream is no terminal.
    pub fn on(stream: Stream) -> Option<Self> {
        let is_terminal = match stream {
            Stream::Stdout => std::io::stdout().is_terminal(),
            Stream::Stderr => std::io::stderr().is_terminal(),
        };
        is_terminal.then_some(Self { stream, bar: None })
    }

    /// Draws it again as it is now.
    pub fn draw(&mut self, applying: &[Applying]) {
        if applying.is_empty() {
            return self.clear();
        }
        let (rows, width) = output::size();
        let colour = match self.stream {
            Stream::Stdout => output::is_colourful(&std::io::stdout()),
            Stream::Stderr => output::is_colourful(&std::io::stderr()),
        };
        let rows = rows.saturating_sub(2).clamp(2, ROWS);
        let frame = Frame { now: context::now(), width: width.saturating_sub(1), rows, colour };
        let text = live::block(applying, frame).join("\n");
        let bar = self.bar.get_or_insert_with(|| begin(self.stream));
        bar.set_message(text);
        bar.tick();
    }

    /// Prints above it.
    pub fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.clear();
    }
}

fn begin(stream: Stream) -> ProgressBar {
    let target = match stream {
        Stream::Stdout => ProgressDrawTarget::stdout(),
        Stream::Stderr => ProgressDrawTarget::stderr(),
    };
    let bar = ProgressBar::with_draw_target(None, target);
    match ProgressStyle::with_template("{msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
