//! Where a branch lies, and which addresses are allowed.

use std::path::{Path, PathBuf};

use super::error::GitError;
use super::path::escape;

/// Who named the address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// The operator's own configuration: may also name local paths, and servers on inner networks.
    Operator,
    /// Content of a repository: https and ssh only, to public addresses and those that the operator
    /// allows.
    Content,
}

/// A branch of a repository. Only `refs/heads/<branch>` is ever meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// `https://`, `ssh://`, `git@host:path`, `file://` or an absolute local path.
    pub url: String,
    /// The branch's name, without `refs/heads/`.
    pub branch: String,
    /// Who named it.
    pub trust: Trust,
}

/// How an address is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    Local(PathBuf),
    Https {
        host: String,
        port: u16,
    },
    /// `http`, on this very machine only.
    Plain {
        host: String,
        port: u16,
    },
    Ssh {
        host: String,
        port: Option<u16>,
    },
}

impl Location {
    /// Checks an address and a branch name.
    ///
    /// # Errors
    /// `Refused` with `SRC001`: not an allowed address or name.
    pub fn parse(url: &str, branch: &str, trust: Trust) -> Result<Self, GitError> {
        let refused = |text: &str| refuse("SRC001", url, text);
        // A folder on this machine may well be called `My Repositories`; a URL is written without.
        let is_bad = |c: char| c.is_control() || (c == ' ' && !url.starts_with('/'));
        if url.contains(is_bad) {
            return Err(refused("an address holds no white space or control character"));
        }
        if url.starts_with('-') {
            return Err(refused("an address does not start with `-`"));
        }
        let reach = reach(url).map_err(refused)?;
        match (&reach, trust) {
            (Reach::Local(_) | Reach::Plain { .. }, Trust::Content) => {
                return Err(refused("only https and ssh addresses are allowed here"));
            }
            (Reach::Https { .. } | Reach::Ssh { .. }, Trust::Content) | (_, Trust::Operator) => {}
        }
        if !is_branch(branch) {
            let text = format!("`{}` is not a branch name", escape(branch.as_bytes()));
            return Err(refused(&text));
        }
        Ok(Self { url: url.to_owned(), branch: branch.to_owned(), trust })
    }

    /// The folder, for a path or a `file://` address.
    pub fn local_path(&self) -> Option<PathBuf> {
        match reach(&self.url) {
            Ok(Reach::Local(path)) => Some(path),
            _ => None,
        }
    }

    /// `refs/heads/<branch>`.
    pub(super) fn remote_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }

    /// The ref of ours that holds what was fetched.
    pub(super) fn fetched_ref(&self) -> String {
        format!("refs/vend/fetched/{}", self.branch)
    }

    pub(super) fn reach(&self) -> Reach {
        // `parse` accepted it; fields set by hand are re-checked before a child sees them.
        reach(&self.url).unwrap_or_else(|_| Reach::Local(PathBuf::from(&self.url)))
    }

    /// For messages: the address without what stands before an `@`, in case somebody put a password
    /// there.
    pub fn shown(&self) -> String {
        let url = escape(self.url.as_bytes());
        match url.split_once("://") {
            Some((scheme, rest)) => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                format!("{scheme}://{host}/{path}")
            }
            None => url,
        }
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "branch `{}` of `{}`", self.branch, self.shown())
    }
}

fn refuse(code: &'static str, url: &str, text: &str) -> GitError {
    let what = format!("address `{}`", escape(url.as_bytes()));
    GitError::Refused { code, what, text: text.to_owned() }
}

fn reach(url: &str) -> Result<Reach, &'static str> {
    const ALLOWED: &str = "only https, ssh, file and absolute paths are addresses";
    if let Some(path) = url.strip_prefix("file://") {
        if path.contains('%') {
            // `git` decodes it, for this scheme only: two readings of one address are one too many.
            return Err("a file address holds no `%`: write the path itself");
        }
        return local(path);
    }
    if url.starts_with('/') {
        return local(url);
    }
    if let Some(rest) = url.strip_prefix("https://") {
        let (host, port, user) = authority(rest)?;
        if user.is_some_and(|user| user.contains(':')) {
            return Err("an address holds no password: use a token file");
        }
        check_parts(rest)?;
        return Ok(Reach::Https { host, port: port.unwrap_or(443) });
    }
    if let Some(rest) = url.strip_prefix("http://") {
        let (host, port, user) = authority(rest)?;
        let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !loopback || user.is_some() {
            return Err("only https, ssh, file and absolute paths are addresses, and http for \
                        servers on this very machine, such as `http://127.0.0.1:3000/org/requests`");
        }
        check_parts(rest)?;
        return Ok(Reach::Plain { host, port: port.unwrap_or(80) });
    }
    if let Some(rest) = url.strip_prefix("ssh://") {
        let (host, port, user) = authority(rest)?;
        check_user(user)?;
        check_parts(rest)?;
        return Ok(Reach::Ssh { host, port });
    }
    // `ext::sh -c …` and `fd::3` are addresses of remote helpers: commands, in fact.
    if url.contains("::") || url.contains("://") {
        return Err(ALLOWED);
    }
    let (authority, path) = url.split_once(':').ok_or(ALLOWED)?;
    if authority.contains('/') || path.is_empty() || path.starts_with('-') {
        return Err(ALLOWED);
    }
    let (user, host) = match authority.split_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    check_user(user)?;
    Ok(Reach::Ssh { host: check_host(host)?, port: None })
}

fn local(path: &str) -> Result<Reach, &'static str> {
    let path = Path::new(path);
    if !path.is_absolute() {
        return Err("a local path is absolute");
    }
    if path.components().any(|part| part == std::path::Component::ParentDir) {
        return Err("a local path holds no `..`");
    }
    Ok(Reach::Local(path.to_owned()))
}

/// Host, port and user of `user@host:port/path`.
fn authority(rest: &str) -> Result<(String, Option<u16>, Option<&str>), &'static str> {
    let (authority, path) = rest.split_once('/').ok_or("an address names a repository")?;
    if path.is_empty() {
        return Err("an address names a repository");
    }
    let (user, host_port) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = if let Some(v6) = host_port.strip_prefix('[') {
        let (host, after) = v6.split_once(']').ok_or("an address of IPv6 ends with `]`")?;
        host.parse::<std::net::Ipv6Addr>().map_err(|_| "this is not an IPv6 address")?;
        (host.to_owned(), after.strip_prefix(':'))
    } else {
        match host_port.split_once(':') {
            Some((host, port)) => (check_host(host)?, Some(port)),
            None => (check_host(host_port)?, None),
        }
    };
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| "a port is a number up to 65535")?),
    };
    Ok((host, port, user))
}

/// `git`'s HTTP client takes `..` away before it asks, and servers may decode it later: an address
/// would lead elsewhere than below the prefix that its credential is for.
fn check_parts(rest: &str) -> Result<(), &'static str> {
    let is_up = |part: &str| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    };
    if rest.split(['/', '\\']).any(is_up) || rest.to_ascii_lowercase().contains("%2f") {
        return Err("the path of an address holds no `.`, `..` or `%2f`");
    }
    if rest.contains(['?', '#', '\\']) {
        return Err("an address holds no `?`, `#` or backslash");
    }
    Ok(())
}

fn check_host(host: &str) -> Result<String, &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if host.is_empty() || host.starts_with(['-', '.']) || !host.bytes().all(good) {
        return Err("this is not a host's name");
    }
    Ok(host.to_owned())
}

/// `ssh` takes a user that starts with `-` for an option.
fn check_user(user: Option<&str>) -> Result<(), &'static str> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    match user {
        Some(user) if user.is_empty() || user.starts_with('-') || !user.bytes().all(good) => {
            Err("this is not a user's name")
        }
        _ => Ok(()),
    }
}

fn is_branch(name: &str) -> bool {
    !name.starts_with('-')
        && !name.starts_with("refs/")
        && name != "HEAD"
        && git2::Reference::is_valid_name(&format!("refs/heads/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(url: &str, trust: Trust) -> Option<&'static str> {
        Location::parse(url, "main", trust).err().and_then(|error| error.code())
    }

    #[test]
    fn b61_b62_addresses_that_run_commands_or_read_disks_are_refused() {
        for url in [
            "ext::sh -c id",
            "ext::sh",
            "fd::3",
            "git://host/x",
            "http://host/x",
            "http://localhost/x",
            "http://127.0.0.1@evil/x",
            "http://u@127.0.0.1/x",
            "http://10.0.0.1/x",
            "ftp://host/x",
            "--upload-pack=id",
            "-oProxyCommand=id",
            "ssh://-oProxyCommand=id/x",
            "ssh://-x@host/x",
            "-x@host:y",
            "host:-x",
            "ssh://host\n/x",
            "https://host/x\0",
            "https://user:word@host/x",
            "relative/path",
            "../up",
            "/srv/../etc",
            "file://relative",
            "file:///a%20b",
            "https://host",
            "https://host/org/../other/x",
            "https://host/org/%2E./other/x",
            "https://host/org%2fx",
            "https://host/x?y",
            "ssh://git@host/org/../x",
            "",
        ] {
            assert_eq!(code(url, Trust::Operator), Some("SRC001"), "{url:?}");
            assert_eq!(code(url, Trust::Content), Some("SRC001"), "{url:?}");
        }
        for url in ["file:///etc", "/srv/x"] {
            assert_eq!(code(url, Trust::Content), Some("SRC001"), "{url}");
            assert_eq!(code(url, Trust::Operator), None, "{url}");
        }
        for url in [
            "https://github.com/a/b.git",
            "https://me@host.example:8443/x",
            "ssh://git@host:22/x",
            "git@github.com:a/b.git",
            "host:x",
        ] {
            assert_eq!(code(url, Trust::Content), None, "{url}");
        }
    }

    #[test]
    fn branches_are_names_never_options_or_whole_refs() {
        for branch in [
            "--upload-pack=x",
            "-x",
            "a..b",
            "a b",
            "refs/heads/x",
            "",
            "a\n",
            "HEAD",
            "x:y",
            "+x",
            "a.lock",
            "*",
        ] {
            let refused = Location::parse("/srv/x", branch, Trust::Operator);
            if branch == "+x" {
                // A legal name; it is always written after `refs/heads/`, so the sign means nothing.
                assert!(refused.is_ok());
            } else {
                assert!(refused.is_err(), "{branch:?}");
            }
        }
    }

    #[test]
    fn a_shown_address_has_no_user() {
        let at = |url| Location {
            url: String::from(url),
            branch: "main".into(),
            trust: Trust::Operator,
        };
        assert_eq!(at("https://x:secret@host/p").shown(), "https://host/p");
        assert_eq!(at("git@host:p").shown(), "git@host:p");
    }
}
