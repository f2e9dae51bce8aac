//! Progress on a terminal: a bar while requests are read, one while effects are made.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex};

use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Args, Format};
use crate::reconcile::{Notice, Watch};

/// Fewer than this are over before anybody could read a bar.
const WORTH_A_BAR: usize = 50;

/// Bars on stderr; silent where stderr is no terminal.
pub struct Bars {
    shown: bool,
    bar: Mutex<Option<ProgressBar>>,
}

/// Bars for this command line.
pub fn start(args: &Args) -> Arc<Bars> {
    let shown = std::io::stderr().is_terminal() && !args.quiet && args.format == Format::Text;
    Arc::new(Bars { shown, bar: Mutex::new(None) })
}

impl Bars {
    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = self.lock().take() {
            bar.finish_and_clear();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn begin(&self, what: &'static str, length: usize) {
        self.finish();
        if self.shown && length >= WORTH_A_BAR {
            let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}");
            let bar = ProgressBar::new(length as u64).with_message(what);
            *self.lock() = Some(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            });
        }
    }
}

impl Watch for Bars {
    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Reading { requests } => self.begin("reading", *requests),
            Notice::Planned { steps } => self.begin("applying", *steps),
            Notice::Ended { .. } => {
                if let Some(bar) = self.lock().as_ref() {
                    bar.inc(1);
                }
            }
            Notice::Began { .. } => {}
        }
    }
}
