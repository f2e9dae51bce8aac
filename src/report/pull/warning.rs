//! What a reviewer should know besides: protection that is taken off, drift that would be overwritten, older and newer versions.

use std::collections::BTreeMap;

use crate::model::{Brief, Remark, RequestId, Warned};
use crate::report::markdown::{code, line, listed, short_code};

/// At most so many lines, and names in one line.
const MOST: usize = 15;
const NAMES: usize = 5;

/// As a list; empty when there is nothing to say.
pub(super) fn list(brief: &Brief, problems: &str) -> String {
    let mut lines = unguarded(brief);
    lines.extend(overwrites(brief));
    lines.extend(versions(brief));
    lines.extend(newer(brief));
    let untold = crate::report::plan::untold(brief.untold.iter());
    lines.extend(untold.map(|text| line(&text)));
    let more = lines.len().saturating_sub(MOST);
    lines.truncate(MOST);
    lines.extend((more > 0).then(|| format!("{more} more like these")));
    let lines: String = lines.iter().map(|text| format!("- {text}\n")).collect();
    match problems.is_empty() && lines.is_empty() {
        true => String::new(),
        false => format!("#### To know\n\n{problems}{lines}\n"),
    }
}

fn overwrites(brief: &Brief) -> Vec<String> {
    let said = brief.warnings.iter().filter_map(|warned| match warned {
        Warned::Overwrites { target, items } => {
            let items = listed(items.iter().map(|item| short_code(item, 200)).collect(), NAMES);
            let what = if items.is_empty() { String::new() } else { format!(": {items}") };
            let key = code(&target.to_string());
            Some(format!(
                "**Drift**: {key} was changed outside of vend, and merging overwrites that{what}"
            ))
        }
        Warned::Newer { .. }
        | Warned::Exposes { .. }
        | Warned::Unprotects { .. }
        | Warned::Permits { .. } => None,
    });
    said.collect()
}

/// What would not be kept from being deleted any more.
fn unguarded(brief: &Brief) -> Vec<String> {
    let said = brief.warnings.iter().filter_map(|warned| match warned {
        Warned::Unprotects { request } => {
            let id = code(request.as_str());
            Some(format!("**Protection**: {id} is protected, and would be no more"))
        }
        Warned::Permits { request } => {
            let id = code(request.as_str());
            Some(format!("**Protection**: {id} is protected, and this permits its deletion"))
        }
        Warned::Newer { .. } | Warned::Exposes { .. } | Warned::Overwrites { .. } => None,
    });
    said.collect()
}

/// Downgrades and swaps of templates.
fn versions(brief: &Brief) -> Vec<String> {
    let remarks = brief.plan.steps.iter().flat_map(|s| s.remarks.iter().map(move |r| (s, r)));
    let mut said: BTreeMap<String, ()> = BTreeMap::new();
    for (step, remark) in remarks {
        let id = code(step.target.key.request.as_str());
        let text = match remark {
            Remark::Downgrade { from, to } => {
                format!("**Downgrade**: {id} goes from {} to {}", version(from), version(to))
            }
            Remark::Swap { from, to } => format!(
                "**Another template**: {id} goes from {} to {}",
                short_code(from, 100),
                short_code(to, 100)
            ),
            Remark::Drifted(_)
            | Remark::ComponentGone
            | Remark::MayChange
            | Remark::Adopts
            | Remark::Guards
            | Remark::Ends(_)
            | Remark::Rubble => continue,
        };
        said.insert(text, ());
    }
    said.into_keys().collect()
}

/// Newer versions, those who could take the same one together.
fn newer(brief: &Brief) -> Vec<String> {
    let mut by: BTreeMap<(&str, &semver::Version, &semver::Version), Vec<&RequestId>> =
        BTreeMap::new();
    for warned in &brief.warnings {
        if let Warned::Newer { request, template, version, newer } = warned {
            by.entry((template, version, newer)).or_default().push(request);
        }
    }
    let said = by.into_iter().map(|((template, old, new), ids)| {
        let takes = if ids.len() == 1 { "takes" } else { "take" };
        let ids = listed(ids.iter().map(|id| code(id.as_str())).collect(), NAMES);
        let template = short_code(&format!("{template}@{old}"), 150);
        format!("**Newer version**: {ids} {takes} {template}; {} is there", version(new))
    });
    said.collect()
}

fn version(version: &semver::Version) -> String {
    short_code(&version.to_string(), 100)
}
