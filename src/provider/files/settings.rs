//! What an environment says about `files`, read and checked.

use std::path::PathBuf;

use serde_json::Value;

use super::allow::{Allow, Place, shown_address};
use super::path::{self, shown};
use crate::model::{Map, TargetKey};

/// Where a target goes when the environment says nothing about it.
const PATTERN: &str = "{environment}/{team}/{name}/{component}";

/// The branch of an output repository when the environment names none.
const BRANCH: &str = "main";

/// The one setting of the operator that all refusals of a place name.
const SETTING: &str = "providers.files.allow";

/// Fills in a target's own path, once, when it is first planned: recorded settings hold concrete
/// values, and are never computed again. The error is one sentence about the setting that is wrong.
pub fn settle(settings: &Map, key: &TargetKey) -> Result<Map, String> {
    let mut settled = settings.clone();
    let pattern = text(settings, "path")?.unwrap_or(PATTERN);
    let id = &key.request;
    let filled = fill(pattern, |name| match name {
        "environment" => Some(id.environment()),
        "team" => Some(id.team()),
        "name" => Some(id.name()),
        "component" => Some(key.component.as_str()),
        _ => None,
    })?;
    settled.insert("path".into(), Value::String(filled));
    if settled.contains_key("repository") {
        settled.entry("branch".into()).or_insert_with(|| Value::String(BRANCH.into()));
    }
    Where::read(&settled)?;
    Ok(settled)
}

/// Replaces each `{name}`.
fn fill<'a>(pattern: &str, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| format!("`path: {}` has a `{{` without its `}}`", shown(pattern)))?;
        let value = value(name).ok_or_else(|| {
            format!(
                "`path` has the placeholder `{{{}}}`; there are `{{environment}}`, `{{team}}`, \
                 `{{name}}` and `{{component}}`",
                shown(name)
            )
        })?;
        out.push_str(before);
        out.push_str(value);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Where one target's files go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Where {
    /// The folder on the host, or the repository and branch.
    pub root: Root,
    /// The target's own folder in there: relative, safe, at least one part.
    pub path: String,
}

/// What holds the folders of targets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Root {
    /// A folder on this host: absolute, without `.` and `..`.
    Directory(PathBuf),
    /// A branch of a repository.
    Repository {
        /// As the settings have it.
        repository: String,
        /// As it is compared with what is allowed.
        place: Place,
        /// Without `refs/heads/`.
        branch: String,
    },
}

impl Where {
    /// Reads settled settings. The error is one sentence.
    pub fn read(settings: &Map) -> Result<Self, String> {
        const KNOWN: [&str; 4] = ["repository", "branch", "directory", "path"];
        if let Some(key) = settings.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(format!(
                "`files` has no setting `{}`; it has `repository`, `branch`, `directory`, `path`",
                shown(key)
            ));
        }
        let path = text(settings, "path")?.unwrap_or_default().to_owned();
        path::parts(&path).map_err(|why| format!("the path `{}` {why}", shown(&path)))?;
        let (repository, directory) = (text(settings, "repository")?, text(settings, "directory")?);
        let branch = text(settings, "branch")?;
        let root = match (repository, directory) {
            (Some(repository), None) => Root::Repository {
                repository: repository.to_owned(),
                place: Place::parse(repository)?,
                branch: checked_branch(branch.unwrap_or(BRANCH))?,
            },
            (None, Some(directory)) => match Place::parse(directory)? {
                Place::Local(path) if branch.is_none() => Root::Directory(path),
                Place::Local(_) => return Err("`branch` goes with `repository`".into()),
                Place::Remote(_) => {
                    return Err(format!("`directory: {}` is not a path", shown(directory)));
                }
            },
            (Some(_), Some(_)) => {
                return Err("`files` takes `repository` or `directory`, not both".into());
            }
            (None, None) => return Err("`files` needs `repository` or `directory`".into()),
        };
        Ok(Self { root, path })
    }

    /// What bounds concurrency: the branch, or the allowed folder, under which no two writers may
    /// find at once that their folders do not overlap.
    pub fn lane(&self, allow: &Allow) -> String {
        match &self.root {
            Root::Directory(root) => {
                format!("files:{}", allow.local(root).unwrap_or(root).display())
            }
            Root::Repository { repository, branch, .. } => {
                format!("files:{}#{branch}", shown_address(repository))
            }
        }
    }

    /// The output `path`: where a reader finds the folder.
    pub fn output_path(&self) -> String {
        match &self.root {
            Root::Directory(root) => root.join(&self.path).display().to_string(),
            Root::Repository { .. } => self.path.clone(),
        }
    }

    /// Whether the operator allows it; the error is one sentence that names the setting.
    pub fn permit(&self, allow: &Allow) -> Result<(), String> {
        let (allowed, shown) = match &self.root {
            Root::Directory(path) => (allow.local(path).is_some(), path.display().to_string()),
            Root::Repository { repository, place, .. } => match place {
                Place::Local(path) => (allow.local(path).is_some(), repository.clone()),
                Place::Remote(parts) => (allow.remote(parts), shown_address(repository)),
            },
        };
        if allowed {
            return Ok(());
        }
        Err(format!("`{}` lies under no entry of `{SETTING}`", path::shown(&shown)))
    }
}

/// What Git takes for a branch, and nothing that a program could take for anything else.
fn checked_branch(branch: &str) -> Result<String, String> {
    match path::parts(branch) {
        Ok(parts)
            if !branch.contains("..")
                && parts.iter().all(|p| !p.ends_with(".lock") && !p.ends_with('.')) =>
        {
            Ok(branch.to_owned())
        }
        Ok(_) | Err(_) => Err(format!("`{}` is not the name of a branch", shown(branch))),
    }
}

fn text<'a>(settings: &'a Map, key: &str) -> Result<Option<&'a str>, String> {
    match settings.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{key}` must be a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, RequestId};
    use serde_json::json;

    fn key() -> TargetKey {
        let request = RequestId::new("orders", "prod", "events").unwrap();
        TargetKey { request, component: ComponentName::new("queue") }
    }

    fn map(value: Value) -> Map {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn settling_fills_the_pattern_once() {
        let settled = settle(&map(json!({"repository": "https://h/o/r"})), &key()).unwrap();
        assert_eq!(settled["path"], "prod/orders/events/queue");
        assert_eq!(settled["branch"], "main");
        assert_eq!(settle(&settled, &key()).unwrap(), settled, "again: nothing to fill");

        let settled =
            settle(&map(json!({"directory": "/srv", "path": "k8s/{name}-{team}"})), &key());
        assert_eq!(settled.unwrap()["path"], "k8s/events-orders");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let problem = |value| settle(&map(value), &key()).unwrap_err();
        insta::assert_snapshot!(problem(json!({})), @"`files` needs `repository` or `directory`");
        insta::assert_snapshot!(
            problem(json!({"directory": "/srv", "path": "{nme}"})),
            @"`path` has the placeholder `{nme}`; there are `{environment}`, `{team}`, `{name}` and `{component}`"
        );
        insta::assert_snapshot!(
            problem(json!({"directory": "/srv", "path": "../{name}"})),
            @"the path `../events` has a part that starts with `.`"
        );
        insta::assert_snapshot!(
            problem(json!({"directory": "out"})),
            @"`out` is neither an absolute path nor a plain URL"
        );
        let wrong = [
            json!({"directory": "/srv", "repository": "https://h/o"}),
            json!({"directory": "/srv", "branch": "main"}),
            json!({"directory": "/srv/../etc"}),
            json!({"directory": "https://h/o"}),
            json!({"directory": 1}),
            json!({"directory": "/srv", "path": "{name"}),
            json!({"directory": "/srv", "mode": "x"}),
            json!({"repository": "https://h/o", "branch": "--force"}),
            json!({"repository": "https://h/o", "branch": "a..b"}),
            json!({"repository": "https://h/o", "branch": "x.lock"}),
        ];
        for wrong in wrong {
            assert!(settle(&map(wrong.clone()), &key()).is_err(), "{wrong}");
        }
    }
}
