//! What goes wrong on demand.

use std::time::Duration;

/// What goes wrong with a request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// It is refused with this status, and a page instead of JSON, as from a proxy before GitHub.
    Status(u16),
    /// The secondary limit: 403, and when to come again if GitHub says so.
    SecondaryLimit(Option<u64>),
    /// The primary limit: 429, until so many seconds from now.
    PrimaryLimit(u64),
    /// It is not acceptable: 422, with this message.
    Invalid(String),
    /// It is refused with this status and message, in GitHub's own form.
    Refused(u16, String),
    /// It is carried out, and the connection ends without an answer.
    Lost,
    /// The connection ends before anything is done.
    Cut,
    /// It is answered with an empty list, as by a copy that lags behind.
    Empty,
    /// It is answered later.
    Slow(Duration),
    /// It is carried out, and the answer is not JSON.
    Garbled,
}

/// Which requests something goes wrong with.
pub(super) struct Rule {
    method: String,
    path: String,
    /// How many more; without end for `None`.
    times: Option<usize>,
    fault: Fault,
}

#[derive(Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    pub(super) fn add(&mut self, method: &str, path: &str, times: Option<usize>, fault: Fault) {
        self.0.push(Rule { method: method.into(), path: path.into(), times, fault });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What goes wrong with a request, the oldest rule first.
    pub(super) fn take(&mut self, method: &str, path: &str) -> Option<Fault> {
        let rule = self.0.iter_mut().find(|rule| {
            rule.times != Some(0)
                && (rule.method == "*" || rule.method == method)
                && is_match(&rule.path, path)
        })?;
        if let Some(times) = &mut rule.times {
            *times -= 1;
        }
        Some(rule.fault.clone())
    }
}

/// Whether a path is like a pattern, in which `*` stands for one part and `**` for any at the end.
pub fn is_match(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) | (Some("**"), _) => return true,
            (Some(want), Some(part)) if want == "*" || want == part => {}
            _ => return false,
        }
    }
}
