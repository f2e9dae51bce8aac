//! Whether two addresses mean the same repository.

use std::path::Path;

/// Whether they do, as far as their text tells: `git@host:a/b.git`, `ssh://git@host/a/b` and
/// `https://host/a/b/` are one, as are a path, its `file://` address and links that lead there.
pub fn same_repository(a: &str, b: &str) -> bool {
    plain(a) == plain(b)
}

fn plain(address: &str) -> String {
    let address = address.trim();
    let local = address.strip_prefix("file://").unwrap_or(address);
    if local.starts_with('/') {
        let path = Path::new(local);
        // A clone's address may name its `.git`; a bare repository's may lack it.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        return bare(&path.display().to_string()).to_owned();
    }
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.to_owned(),
        // `user@host:path`
        None => address.replacen(':', "/", 1),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((&rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{}/{}", host.to_lowercase(), bare(path.trim_start_matches('/')))
}

fn bare(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.strip_suffix("/.git").or_else(|| path.strip_suffix(".git")).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::same_repository;

    #[test]
    fn one_repository_has_many_addresses() {
        let all = [
            "git@git.acme.example:platform/requests.git",
            "ssh://git@git.acme.example/platform/requests",
            "https://ada:token@Git.acme.example/platform/requests.git/",
        ];
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            assert!(same_repository(a, b), "{a} {b}");
        }
        assert!(!same_repository(all[0], "git@git.acme.example:platform/requests-2.git"));
        assert!(!same_repository(all[0], "git@git.acme.example:orders/requests.git"));
        assert!(same_repository("/nowhere/r.git", "file:///nowhere/r.git/"));
        assert!(same_repository("/nowhere/r/.git", "/nowhere/r"));
        assert!(!same_repository("/nowhere/r", "/elsewhere/r"));
    }
}
