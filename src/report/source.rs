//! What is wrong with a source, in one sentence, with what helps.

use jiff::Timestamp;

use super::hold::time;
use crate::model::{SourceName, SourceProblem, Unattended};

/// That an earlier copy of something is used, and how old it is.
pub fn earlier_copy(what: &str, error: &str, since: Option<Timestamp>, now: Timestamp) -> String {
    let copy = match since {
        Some(since) => format!("the copy of {} is used", ago(since, now)),
        None => "the copy of the last fetch is used".into(),
    };
    let error = crate::model::escape(error, 300).replace('\'', "`");
    format!("{what} could not be fetched, so {copy}: {error}")
}

/// For programs.
pub fn json(problems: &[(SourceName, SourceProblem)]) -> serde_json::Value {
    let one = |(name, p): &(SourceName, SourceProblem)| serde_json::json!({"source": name, "sentence": sentence(name, p), "details": p});
    problems.iter().map(one).collect()
}

/// How long ago a moment is, in its largest whole unit.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    let (n, unit) = match seconds {
        ..60 => return "less than a minute ago".into(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..86_400 => (seconds / 3_600, "hour"),
        86_400.. => (seconds / 86_400, "day"),
    };
    format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
}

/// That its pull requests are not looked after.
pub fn unattended(Unattended { source, since, error }: &Unattended) -> String {
    let error = crate::model::escape(error, 300);
    format!(
        "the pull requests to `{source}` are not looked after since {}; what is merged meanwhile waits: {error}",
        time(*since)
    )
}

/// The sentence.
pub fn sentence(name: &SourceName, problem: &SourceProblem) -> String {
    match problem {
        SourceProblem::Stale { error, since } => {
            format!(
                "`{name}` could not be fetched since {}; the last good commit stays in use and nothing is deleted: {error}",
                time(*since)
            )
        }
        SourceProblem::Missing { error, since } => {
            format!(
                "`{name}` is not there since {}; everything of it is left as it is: {error}",
                time(*since)
            )
        }
        SourceProblem::HistoryRewritten { last, tip } => format!(
            "the history of `{name}` was rewritten: {} does not descend from {}; everything of it is left as it is until somebody runs `vend approve {name}@{tip}` where vend runs",
            tip.short(),
            last.short()
        ),
        SourceProblem::FolderMissing { path, tip } => format!(
            "the folder `{path}` of `{name}` is not in {}; everything of it is left as it is until it is back, or until somebody runs `vend approve {name}@{tip}` where vend runs",
            tip.short()
        ),
        SourceProblem::NotConfigured => format!(
            "`{name}` is not configured any more; everything of it is left as it is: put it back, or move its files into another source"
        ),
        SourceProblem::TooManyFiles { limit } => {
            format!(
                "LIM002: `{name}` has more than {limit} files; everything of it is left as it is: raise `limits.files` or split the repository"
            )
        }
    }
}
