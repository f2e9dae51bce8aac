//! Where the operator lets this provider write. What environments say comes from a catalog, and a
//! catalog cannot choose where on the host vend writes.

use std::path::{Component, Path, PathBuf};

use super::path::shown;

/// The entries of `providers.files.allow`.
#[derive(Debug, Default)]
pub(super) struct Allow(Vec<Place>);

/// A place on this host or elsewhere, in the one form in which places are compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// An absolute path, without `.` or `..`.
    Local(PathBuf),
    /// `scheme://user@host`, then the parts of the path.
    Remote(Vec<String>),
}

impl Allow {
    /// Reads the operator's entries; the error is a sentence that names the wrong one.
    pub fn parse(entries: &[String]) -> Result<Self, String> {
        entries.iter().map(|entry| Place::parse(entry)).collect::<Result<_, _>>().map(Self)
    }

    /// The longest local entry that `path` lies under.
    pub fn local(&self, path: &Path) -> Option<&Path> {
        self.0
            .iter()
            .filter_map(|entry| match entry {
                Place::Local(base) if path.starts_with(base) => Some(base.as_path()),
                Place::Local(_) | Place::Remote(_) => None,
            })
            .max_by_key(|base| base.components().count())
    }

    /// Whether a remote place lies under an entry.
    pub fn remote(&self, parts: &[String]) -> bool {
        self.0.iter().any(|entry| match entry {
            Place::Remote(base) => parts.starts_with(base),
            Place::Local(_) => false,
        })
    }
}

impl Place {
    /// Reads a path, a `file:` URL, another URL or `user@host:path`. The error is a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if has_password(text) {
            // Not shown: what is refused here ends up in a status file.
            return Err("an address holds no password: use a token file".into());
        }
        let refuse = |why: &str| Err(format!("`{}` {why}", shown(text)));
        if text.is_empty() || text.starts_with('-') {
            return refuse("is neither an absolute path nor a URL");
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return refuse("holds a control character or a backslash");
        }
        if let Some(path) = text.strip_prefix("file://") {
            if !path.starts_with('/') || path.contains(['%', '?', '#']) {
                return refuse("is not `file://` and a plain absolute path");
            }
            return Self::local(path);
        }
        if text.starts_with('/') {
            return Self::local(text);
        }
        match Self::remote(text) {
            Some(parts) => Ok(Self::Remote(parts)),
            None => refuse("is neither an absolute path nor a plain URL"),
        }
    }

    fn local(text: &str) -> Result<Self, String> {
        let mut path = PathBuf::from("/");
        for component in Path::new(text).components() {
            match component {
                Component::RootDir | Component::CurDir => {}
                Component::Normal(part) if part == ".git" => {
                    return Err(format!("`{}` lies inside a `.git` folder", shown(text)));
                }
                Component::Normal(part) => path.push(part),
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(format!("`{}` may not contain `..`", shown(text)));
                }
            }
        }
        Ok(Self::Local(path))
    }

    /// `%` is refused since a server may read `%2e%2e` as a way up, where a comparison does not.
    fn remote(text: &str) -> Option<Vec<String>> {
        if text.contains(['%', '?', '#', ' ']) {
            return None;
        }
        let (authority, path) = match text.split_once("://") {
            Some((scheme, rest)) => {
                let scheme = scheme.to_ascii_lowercase();
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let port = match scheme.as_str() {
                    "https" => ":443",
                    "ssh" => ":22",
                    _ => "",
                };
                let authority = authority.strip_suffix(port).unwrap_or(authority);
                (format!("{scheme}://{}", lower_host(authority)?), path.to_owned())
            }
            None => {
                let (authority, path) = text.split_once(':')?;
                if authority.contains('/') {
                    return None;
                }
                // A relative path there starts at the user's home, and is another place than the
                // same path after `ssh://host/`.
                let path =
                    path.strip_prefix('/').map_or_else(|| format!("~/{path}"), str::to_owned);
                (format!("ssh://{}", lower_host(authority)?), path)
            }
        };
        let mut parts = vec![authority];
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => return None,
                part => parts.push(part.to_owned()),
            }
        }
        if let Some(last) =
            parts.last_mut().and_then(|last| last.strip_suffix(".git").map(str::to_owned))
            && parts.len() > 1
        {
            let n = parts.len() - 1;
            parts[n] = last;
        }
        Some(parts)
    }
}

fn has_password(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// An address without the user, which may be a token.
pub(super) fn shown_address(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return shown(text) };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    shown(&format!("{scheme}://{host}/{path}"))
}

fn lower_host(authority: &str) -> Option<String> {
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    if host.is_empty() || host.starts_with('-') || user.is_some_and(|u| u.starts_with('-')) {
        return None;
    }
    let host = host.to_ascii_lowercase();
    Some(user.map_or_else(|| host.clone(), |user| format!("{user}@{host}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str], text: &str) -> bool {
        let entries: Vec<_> = entries.iter().map(ToString::to_string).collect();
        let allow = Allow::parse(&entries).unwrap();
        match Place::parse(text) {
            Ok(Place::Local(path)) => allow.local(&path).is_some(),
            Ok(Place::Remote(parts)) => allow.remote(&parts),
            Err(_) => false,
        }
    }

    #[test]
    fn one_entry_covers_what_lies_under_it() {
        for good in ["/srv/out", "/srv/out/", "/srv//out/./a", "file:///srv/out/a"] {
            assert!(allowed(&["/srv/out"], good), "{good}");
        }
        for good in ["https://git.example.com/o/r", "https://GIT.example.com:443/o/r.git"] {
            assert!(allowed(&["https://git.example.com/o"], good), "{good}");
        }
        assert!(allowed(&["git@host:org"], "git@host:org/repo.git"));
        assert!(allowed(&["https://h/o/r.git"], "https://h/o/r"));
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let problem = Place::parse("https://me:hunter2@h/o").unwrap_err();
        assert!(!problem.contains("hunter2"), "{problem}");
        assert_eq!(shown_address("https://token@h/o/r"), "https://h/o/r");
    }

    #[test]
    fn nothing_else_passes() {
        let bad = [
            "/srv/output",
            "/srv",
            "/srv/out/../x",
            "srv/out",
            "file://host/srv/out",
            "/srv/out\n",
            "/srv/out/.git/hooks",
            "file:///srv/%6fut",
            "--upload-pack=x",
            "",
        ];
        for bad in bad {
            assert!(!allowed(&["/srv/out"], bad), "{bad:?}");
        }
        let bad = [
            "https://git.example.com/other",
            "https://git.example.com/o/../x",
            "https://evil/o/r",
            "https://git.example.com/o/%2e%2e/x",
            "http://git.example.com/o/r",
            "https://user@git.example.com/o/r",
            "https://git.example.com/o?x=1",
            "https://git.example.com.evil/o/r",
            "https://git.example.com/oo",
            "https://git.example.com:444/o/r",
            "ssh://-oProxyCommand=x/o",
            "ext::sh -c x",
        ];
        for bad in bad {
            assert!(!allowed(&["https://git.example.com/o"], bad), "{bad:?}");
        }
        assert!(!allowed(&["ssh://git@host/org"], "git@host:org/repo"), "home is not the root");
    }
}
