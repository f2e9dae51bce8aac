//! Which repository of a forge an address leads to.

use super::Repo;

impl Repo {
    /// Names as forges allow them: nothing that could change the meaning of a path.
    pub fn new(owner: &str, name: &str) -> Option<Self> {
        let name = name.strip_suffix(".git").unwrap_or(name);
        let good = |part: &str| {
            let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
            (1..=100).contains(&part.len()) && part.bytes().all(is_good) && !is_dots(part)
        };
        (good(owner) && good(name)).then(|| Self { owner: owner.to_owned(), name: name.to_owned() })
    }

    /// From `owner/name`.
    pub fn parse(full_name: &str) -> Option<Self> {
        let (owner, name) = full_name.split_once('/')?;
        Self::new(owner, name)
    }

    /// The repository that a Git address leads to, when it lies on the forge whose API is at `api`:
    /// `github.com` for `https://api.github.com`, `acme.ghe.com` for `https://api.acme.ghe.com`, else
    /// the API's own host, and for `https` its port too.
    pub fn of_url(url: &str, api: &str) -> Option<Self> {
        let (web, port) = web_of(api)?;
        let (host, path) = if let Some((scheme, rest)) = url.split_once("://") {
            let (authority, path) = rest.split_once('/')?;
            let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let (host, at) = split_port(authority);
            match scheme {
                "https" if at.unwrap_or("443") == port => {}
                "http" if at.unwrap_or("80") == port => {}
                // Which port ssh is at says nothing about the port of the API.
                "ssh" => {}
                _ => return None,
            }
            (host, path)
        } else {
            let (authority, path) = url.split_once(':')?;
            if authority.contains('/') {
                return None;
            }
            (authority.rsplit_once('@').map_or(authority, |(_, host)| host), path)
        };
        let is_there = host.eq_ignore_ascii_case(web)
            || web == "github.com" && host.eq_ignore_ascii_case("ssh.github.com");
        let path = path.trim_matches('/');
        is_there.then(|| Self::parse(path)).flatten()
    }

    /// Whether both are the same repository: a forge does not tell upper from lower case in names.
    pub fn is(&self, other: &Self) -> bool {
        let Self { owner, name } = self;
        owner.eq_ignore_ascii_case(&other.owner) && name.eq_ignore_ascii_case(&other.name)
    }
}

/// Host and port of the repositories' addresses.
fn web_of(api: &str) -> Option<(&str, &str)> {
    let (usual, rest) = match api.split_once("://")? {
        ("https", rest) => ("443", rest),
        ("http", rest) => ("80", rest),
        _ => return None,
    };
    let authority = rest.split('/').next()?;
    let (host, port) = split_port(authority);
    let web = match host {
        "api.github.com" => "github.com",
        host if host.ends_with(".ghe.com") => host.strip_prefix("api.").unwrap_or(host),
        host => host,
    };
    (!web.is_empty()).then_some((web, port.unwrap_or(usual)))
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_v6 = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_v6..].find(':') {
        Some(at) => (&authority[..after_v6 + at], Some(&authority[after_v6 + at + 1..])),
        None => (authority, None),
    }
}

fn is_dots(part: &str) -> bool {
    part == "." || part == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_its_repository_and_no_other() {
        let of = |url: &str, api: &str| Repo::of_url(url, api).map(|repo| repo.to_string());
        let (cloud, own) = ("https://api.github.com", "https://git.acme.example:8443/api/v3/");
        for url in [
            "https://github.com/acme/requests",
            "https://github.com/acme/requests.git",
            "https://x@GitHub.com:443/acme/requests/",
            "ssh://git@github.com/acme/requests.git",
            "ssh://git@ssh.github.com:443/acme/requests.git",
            "git@github.com:acme/requests.git",
            "github.com:/acme/requests",
        ] {
            assert_eq!(of(url, cloud).as_deref(), Some("acme/requests"), "{url}");
            assert_eq!(of(url, own), None, "{url}");
        }
        for url in [
            "https://git.acme.example:8443/acme/requests.git",
            "ssh://git@git.acme.example/acme/requests",
            "git@git.acme.example:acme/requests",
        ] {
            assert_eq!(of(url, own).as_deref(), Some("acme/requests"), "{url}");
            assert_eq!(of(url, cloud), None, "{url}");
        }
        for url in [
            "https://github.com.evil/acme/requests",
            "https://github.com@evil/acme/requests",
            "https://evil/github.com/acme/requests",
            "http://github.com/acme/requests",
            "https://github.com:8443/acme/requests",
            "https://github.com/acme",
            "https://github.com/acme/requests/more",
            "https://github.com/acme/..",
            "https://github.com/../requests",
            "https://github.com/acme/a%2fb",
            "https://github.com/acme/re?q",
            "/srv/github.com:acme/requests",
            "file:///github.com/acme/requests",
            "./github.com:acme/requests",
            "",
        ] {
            assert_eq!(of(url, cloud), None, "{url}");
        }
        let residence = "https://api.acme.ghe.com";
        assert!(of("https://acme.ghe.com/a/b", residence).is_some());
        assert!(of("https://api.acme.ghe.com/a/b", residence).is_none());
        let loopback = "http://127.0.0.1:4711";
        assert!(of("http://127.0.0.1:4711/a/b.git", loopback).is_some());
        assert!(of("https://[::1]:4711/a/b.git", "https://[::1]:4711/api/v3").is_some());
    }

    #[test]
    fn case_is_no_difference() {
        let (a, b) = (Repo::parse("Acme/Requests").unwrap(), Repo::parse("acme/requests").unwrap());
        assert!(a.is(&b) && a != b);
        assert!(!a.is(&Repo::parse("acme/other").unwrap()));
    }
}
