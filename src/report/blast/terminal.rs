//! On a terminal.

use std::collections::BTreeMap;

use super::{Fold, by_time, folds, has_waves, head, places, remarks, when, word};
use crate::model::{Blast, Effect, Hit};
use crate::report::markdown::plural;
use crate::report::pass::Paint;
use crate::report::plan::{Artifacts, Options};

/// At most so many teams in a line, and requests named of those that are alike.
const TEAMS: usize = 12;
const NAMED: usize = 12;

/// Folds shown of one effect.
const FOLDS: usize = 25;

/// The counts, then each effect with who, what and the difference. `full`: everything of everybody.
pub fn terminal(blast: &Blast, artifacts: &Artifacts, options: &Options, full: bool) -> String {
    let paint = Paint(options.colour);
    let losses = blast.losses(|_| true);
    let (line, parts) = head(blast);
    let mut out = match () {
        () if losses.replaced + losses.deleted > 0 => format!("{}\n", paint.red(&line)),
        () if blast.changed(|_| true) == 0 => format!("{line}.\n"),
        () => format!("{}\n", paint.bold(&line)),
    };
    out.extend(parts.iter().map(|part| format!("  {part}\n")));
    for (arrival, groups) in by_time(blast) {
        if has_waves(blast) {
            let when = arrival.map_or_else(|| "At once: with the change itself".to_owned(), when);
            out.push_str(&format!("\n{}\n", paint.bold(&when)));
        }
        put_groups(groups, artifacts, options, full, &mut out);
    }
    let remarks = remarks(blast);
    if !remarks.is_empty() {
        out.push('\n');
    }
    for remark in remarks {
        out.push_str(&format!("{remark}\n"));
    }
    out
}

fn put_groups(
    groups: BTreeMap<Effect, Vec<&Hit>>,
    artifacts: &Artifacts,
    options: &Options,
    full: bool,
    out: &mut String,
) {
    let paint = Paint(options.colour);
    for (effect, hits) in groups {
        let title = format!("{}: {}", word(effect), plural(hits.len(), "request"));
        let title = match effect {
            Effect::Replaces | Effect::Deletes | Effect::BecomesInvalid | Effect::CannotTake => {
                paint.red(&title)
            }
            Effect::MayReplace | Effect::Waits | Effect::Updates => paint.yellow(&title),
            Effect::BecomesValid => paint.green(&title),
            Effect::Recorded => paint.dim(&title),
        };
        let most = if full { usize::MAX } else { TEAMS };
        let places = places(hits.iter().map(|hit| &hit.request), most);
        out.push_str(&format!("\n{title}\n  {places}\n"));
        let folds = folds(&hits, artifacts, options, full);
        let most = if full { usize::MAX } else { FOLDS };
        for fold in folds.iter().take(most) {
            put(fold, full, options, out);
        }
        let more: usize = folds.iter().skip(most).map(|fold| fold.hits.len()).sum();
        if more > 0 {
            out.push_str(&format!("  {} more; `--full` shows all\n", requests(more as u64)));
        }
    }
}

fn put(fold: &Fold<'_>, full: bool, options: &Options, out: &mut String) {
    let ids: Vec<&str> = fold.hits.iter().map(|hit| hit.request.as_str()).collect();
    let (Some(first), Some(hit)) = (ids.first(), fold.hits.first()) else { return };
    let template = hit.template.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
    match ids.len() {
        1 => out.push_str(&format!("  {first}{template}\n")),
        n => {
            let most = if full { usize::MAX } else { NAMED };
            let more = n.saturating_sub(most);
            let mut names = ids.iter().take(most).copied().collect::<Vec<_>>().join(", ");
            if more > 0 {
                names.push_str(&format!(" and {more} more"));
            }
            out.push_str(&format!("  {n} alike{template}; shown is {first}:\n    {names}\n"));
        }
    }
    for line in &fold.told {
        let most = options.width.saturating_sub(6).max(20);
        let cut: String = if line.chars().count() > most {
            line.chars().take(most - 1).chain(['…']).collect()
        } else {
            line.clone()
        };
        out.push_str(&format!("      {cut}\n"));
    }
}

fn requests(n: u64) -> String {
    plural(usize::try_from(n).unwrap_or(usize::MAX), "request")
}
