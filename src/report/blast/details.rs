//! What the waves of new versions will do, folded: on a pull request, where the plan is of what comes with
//! the merge alone.

use super::{Fold, by_time, folds, other_settings, problem, when, word};
use crate::model::{Blast, Effect, Hit, escape};
use crate::report::hold;
use crate::report::markdown::{code, html, listed, plural, prose};
use crate::report::plan::{Artifacts, Options, bullets, difference, verb};

/// At most so many folds; the rest is counted.
const MOST: usize = 20;

/// Requests named of those that are alike.
const NAMED: usize = 50;

/// A fold for those that change alike, what comes first on top; each whole, and the last one may say how
/// many are left out.
pub fn details(blast: &Blast, artifacts: &Artifacts, options: &Options) -> Vec<String> {
    let mut out = Vec::new();
    let mut left = 0;
    for (arrival, groups) in by_time(blast) {
        let Some(arrival) = arrival else { continue };
        for (effect, hits) in groups {
            for fold in folds(&hits, artifacts, options, false) {
                if out.len() < MOST {
                    out.push(one(&when(arrival), effect, &fold, artifacts, options));
                } else {
                    left += fold.hits.len();
                }
            }
        }
    }
    if left > 0 {
        let left = plural(left, "more request");
        out.push(format!("{left} of later waves: `vend catalog diff` shows all.\n\n"));
    }
    out
}

fn one(
    when: &str,
    effect: Effect,
    fold: &Fold<'_>,
    artifacts: &Artifacts,
    options: &Options,
) -> String {
    let names: Vec<&str> = fold.hits.iter().map(|hit| hit.request.as_str()).collect();
    let (who, all) = match names.as_slice() {
        [one] => (format!("<code>{}</code>", html(one)), String::new()),
        many => {
            let names = many.iter().map(|name| code(name)).collect();
            (format!("{} alike", plural(many.len(), "request")), listed(names, NAMED) + "\n\n")
        }
    };
    let body = fold.hits.first().map(|hit| body(hit, artifacts, options)).unwrap_or_default();
    format!(
        "<details><summary>{}: <b>{}</b> {who}</summary>\n\n{all}{}\n\n</details>\n\n",
        html(when),
        word(effect),
        body.trim()
    )
}

fn body(hit: &Hit, artifacts: &Artifacts, options: &Options) -> String {
    let mut out: String =
        hit.problems.iter().map(|found| format!("- {}\n", prose(&problem(found)))).collect();
    out.extend(hit.held.iter().map(|held| format!("- {}\n", prose(&hold::reason(held)))));
    let settings = hit.settings.iter().map(|name| code(&escape(name, 120)));
    let said = other_settings(hit);
    out.extend(settings.map(|name| format!("- {said}: {name}\n")));
    for step in &hit.steps {
        let component = code(step.target.key.component.as_str());
        let (bullets, difference) = (bullets(step), difference(step, artifacts, options));
        let verb = verb(step.action).to_lowercase();
        let gap = if bullets.is_empty() || difference.is_empty() { "" } else { "\n" };
        out.push_str(&format!("\n**{verb}** {component}\n\n{bullets}{gap}{difference}"));
    }
    out
}
