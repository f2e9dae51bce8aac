//! Progress on a terminal: a bar while requests are read, one while effects are made, and below it
//! what is under way, resource by resource.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::SignedDuration;

use super::args::{Args, Format};
use super::context;
use super::live::{Block, Stream};
use crate::model::{Applying, TargetKey};
use crate::reconcile::{Notice, Watch};

/// Fewer than this are over before anybody could read a bar.
const WORTH_A_BAR: usize = 50;

/// How often what is under way is drawn again: times run on although nothing happens.
const EVERY: Duration = Duration::from_millis(250);

/// What is under way for longer is shown although nothing was heard of it.
const SLOW: SignedDuration = SignedDuration::from_secs(1);

/// Effects under way that are looked at for the block; it has room for fewer.
const SHOWN: usize = 50;

/// Bars on stderr; silent where stderr is no terminal, and where log lines go there.
pub struct Bars {
    board: Option<Mutex<Board>>,
}

struct Board {
    bar: Option<ProgressBar>,
    block: Block,
    applying: BTreeMap<TargetKey, Applying>,
}

/// Bars for this command line.
pub fn start(args: &Args) -> Arc<Bars> {
    let is_wanted = !args.quiet && args.verbose == 0 && args.format == Format::Text;
    let block = is_wanted.then(|| Block::on(Stream::Stderr)).flatten();
    let board =
        block.map(|block| Mutex::new(Board { bar: None, block, applying: BTreeMap::new() }));
    let bars = Arc::new(Bars { board });
    if bars.board.is_some() {
        // It ends with the last of the others that hold the bars.
        let drawn = Arc::downgrade(&bars);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(bars) = drawn.upgrade() else { return };
                bars.with(Board::draw);
            }
        });
    }
    bars
}

impl Bars {
    /// Takes all of it away.
    pub fn finish(&self) {
        self.with(|board| {
            board.applying.clear();
            board.block.clear();
            board.end();
        });
    }

    /// Whether anything is drawn.
    pub fn is_shown(&self) -> bool {
        self.board.is_some()
    }

    /// What is under way, by somebody else's word.
    pub fn show(&self, applying: Vec<Applying>) {
        let by_key = applying.into_iter().map(|a| (a.key.clone(), a)).collect();
        self.with(|board| board.applying = by_key);
    }

    fn with(&self, change: impl FnOnce(&mut Board)) {
        if let Some(board) = &self.board {
            let mut board: MutexGuard<'_, Board> =
                board.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut board);
        }
    }
}

impl Board {
    fn begin(&mut self, what: &'static str, length: usize) {
        self.end();
        self.block.clear();
        if length >= WORTH_A_BAR {
            let style = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {elapsed}");
            let bar = ProgressBar::new(length as u64).with_message(what);
            self.bar = Some(match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            });
        }
    }

    fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Either a bar or a block: both at once would draw over each other. Effects that are over at
    /// once are not worth a block.
    fn draw(&mut self) {
        let now = context::now();
        let is_slow = |a: &&Applying| !a.resources.is_empty() || now.duration_since(a.since) > SLOW;
        let slow: Vec<Applying> =
            self.applying.values().filter(is_slow).take(SHOWN).cloned().collect();
        if !slow.is_empty() {
            self.end();
        }
        self.block.draw(&slow);
    }
}

impl Watch for Bars {
    fn notice(&self, notice: &Notice<'_>) {
        self.with(|board| match notice {
            Notice::Reading { requests } => board.begin("reading", *requests),
            Notice::Planned { steps } => board.begin("applying", *steps),
            Notice::Began { key, action } => {
                let began = Applying::new((*key).clone(), *action, context::now());
                board.applying.insert((*key).clone(), began);
            }
            Notice::Happened { key, action, happening } => {
                let known = board.applying.entry((*key).clone());
                known
                    .or_insert_with(|| Applying::new((*key).clone(), *action, happening.at))
                    .hear(happening);
            }
            Notice::Ended { key, .. } => {
                board.applying.remove(*key);
                if let Some(bar) = &board.bar {
                    bar.inc(1);
                }
            }
        });
    }
}
