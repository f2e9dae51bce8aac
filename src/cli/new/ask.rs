//! Questions on the terminal.

use std::io::{ErrorKind, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use console::Term;
use dialoguer::theme::{ColorfulTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input, MultiSelect};
use tokio::signal::unix::{SignalKind, signal};

use super::super::failure::{Failure, Kind};
use super::super::output;
use crate::model::visible;

/// A person at a terminal.
pub(super) struct Asker {
    term: Term,
    theme: Box<dyn Theme>,
    stopped: Arc<AtomicBool>,
    /// A question stands there now.
    asks: Arc<AtomicBool>,
}

/// Questions without colours, all with their colon.
struct Plain;

impl Theme for Plain {
    fn format_fuzzy_select_prompt(
        &self,
        f: &mut dyn std::fmt::Write,
        prompt: &str,
        typed: &str,
        cursor: usize,
    ) -> std::fmt::Result {
        let (before, after) = typed.split_at(cursor);
        write!(f, "{prompt}: {before}|{after}")
    }
}

/// A question that waits for a key is told of Ctrl-C by the terminal; one that was not yet, or not
/// any more, reading keys when it came does not hear of it.
const HEARD: Duration = Duration::from_millis(250);

impl Asker {
    /// Whoever sits there; `None` where nobody does.
    ///
    /// From here on Ctrl-C ends the questions with a failure, at whichever of them it comes: with
    /// the signal's own effect the terminal would be left without its cursor.
    pub fn open() -> Result<Option<Self>, Failure> {
        let term = Term::stderr();
        if !term.is_term() || !std::io::stdin().is_terminal() {
            return Ok(None);
        }
        let mut interrupts = signal(SignalKind::interrupt())?;
        let stopped = Arc::new(AtomicBool::new(false));
        let asks = Arc::new(AtomicBool::new(false));
        let (stops, asking) = (Arc::clone(&stopped), Arc::clone(&asks));
        let before = rustix::termios::tcgetattr(std::io::stdin());
        let cursor = term.clone();
        tokio::spawn(async move {
            while interrupts.recv().await.is_some() {
                stops.store(true, Ordering::SeqCst);
                tokio::time::sleep(HEARD).await;
                if asking.load(Ordering::SeqCst) {
                    // It would wait for another key.
                    if let Ok(before) = &before {
                        let now = rustix::termios::OptionalActions::Now;
                        let _ = rustix::termios::tcsetattr(std::io::stdin(), now, before);
                    }
                    let _ = cursor.show_cursor();
                    let _ = cursor.write_line("");
                    let _ = cursor.write_line(&format!("error: {STOPPED}"));
                    std::process::exit(Kind::Failed.code().into());
                }
            }
        });
        let colourful = output::is_colourful(&std::io::stderr());
        let theme: Box<dyn Theme> =
            if colourful { Box::new(ColorfulTheme::default()) } else { Box::new(Plain) };
        Ok(Some(Self { term, theme, stopped, asks }))
    }

    /// Fails when somebody pressed Ctrl-C since the last question.
    pub fn go_on(&self) -> Result<(), Failure> {
        if self.stopped.load(Ordering::SeqCst) { Err(stopped()) } else { Ok(()) }
    }

    fn answer<T>(&self, ask: impl FnOnce() -> dialoguer::Result<T>) -> Result<T, Failure> {
        self.go_on()?;
        self.asks.store(true, Ordering::SeqCst);
        let answer = ask();
        self.asks.store(false, Ordering::SeqCst);
        match answer {
            Ok(answer) => {
                self.go_on()?;
                Ok(answer)
            }
            Err(error) => {
                let dialoguer::Error::IO(error) = error;
                let _ = self.term.show_cursor();
                let _ = self.term.write_line("");
                Err(match error.kind() {
                    ErrorKind::Interrupted | ErrorKind::UnexpectedEof => stopped(),
                    _ => Failure::new(
                        Kind::Failed,
                        anyhow::Error::new(error).context("cannot ask on this terminal"),
                    ),
                })
            }
        }
    }

    /// A text as it fits on one line: a longer one would spoil how a list is drawn.
    fn line(&self, text: &str) -> String {
        let columns = usize::from(self.term.size().1).clamp(20, 200);
        visible(text, columns.saturating_sub(8))
    }

    /// Says something between two questions.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            let _ = self.term.write_line(&visible(line, 1000));
        }
    }

    /// A line of text that `check` has nothing against. `given` is what Enter alone means.
    pub fn text(
        &self,
        question: &str,
        given: Option<&str>,
        check: &dyn Fn(&str) -> Result<(), String>,
    ) -> Result<String, Failure> {
        let mut input = Input::<String>::with_theme(&*self.theme)
            .with_prompt(self.line(question))
            .validate_with(|text: &String| check(text))
            .report(true);
        input = match given {
            Some("") => input.allow_empty(true),
            Some(given) => input.default(given.to_owned()),
            None => input,
        };
        self.answer(|| input.interact_text_on(&self.term))
    }

    /// One of several, the given one marked at first; what is typed narrows the list.
    pub fn one<T: AsRef<str>>(
        &self,
        question: &str,
        items: &[T],
        given: usize,
    ) -> Result<usize, Failure> {
        let items = distinct(items.iter().map(|item| self.line(item.as_ref())).collect());
        // A list that took letters for nothing, or for keys, would take Enter for another one than was typed.
        let select = FuzzySelect::with_theme(&*self.theme)
            .with_prompt(self.line(question))
            .default(given.min(items.len().saturating_sub(1)))
            .items(&items);
        self.answer(|| select.interact_on(&self.term))
    }

    /// Any of several, in their order.
    pub fn some<T: AsRef<str>>(&self, question: &str, items: &[T]) -> Result<Vec<usize>, Failure> {
        let items: Vec<String> = items.iter().map(|item| self.line(item.as_ref())).collect();
        let question = format!("{} (space marks, enter goes on)", self.line(question));
        let select = MultiSelect::with_theme(&*self.theme).with_prompt(question).items(&items);
        self.answer(|| select.interact_on(&self.term))
    }

    /// Yes or no.
    pub fn yes(&self, question: &str, given: Option<bool>) -> Result<bool, Failure> {
        let mut confirm = Confirm::with_theme(&*self.theme).with_prompt(self.line(question));
        if let Some(given) = given {
            confirm = confirm.default(given);
        }
        self.answer(|| confirm.interact_on(&self.term))
    }
}

/// Lines of which no two are equal: the list finds what was chosen by its text.
fn distinct(mut lines: Vec<String>) -> Vec<String> {
    for n in 1..lines.len() {
        let plain = lines[n].clone();
        let mut more = 2;
        while lines[..n].contains(&lines[n]) {
            lines[n] = format!("{plain} ({more})");
            more += 1;
        }
    }
    lines
}

const STOPPED: &str = "stopped; nothing was written";

fn stopped() -> Failure {
    Failure::new(Kind::Failed, anyhow::Error::msg(STOPPED))
}

#[cfg(test)]
mod tests {
    use super::distinct;

    #[test]
    fn no_two_lines_of_a_list_are_equal() {
        let lines = |all: &[&str]| all.iter().map(|&line| line.to_owned()).collect::<Vec<_>>();
        assert_eq!(distinct(lines(&["a", "b", "a", "a"])), lines(&["a", "b", "a (2)", "a (3)"]));
        assert_eq!(distinct(lines(&["a (2)", "a", "a"])), lines(&["a (2)", "a", "a (3)"]));
        assert_eq!(distinct(Vec::new()), lines(&[]));
    }
}
