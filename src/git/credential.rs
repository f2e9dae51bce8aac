//! What opens a server, and to which addresses it is shown.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use super::error::{GitError, io};

/// What opens a server, for addresses below a prefix only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credential {
    /// Such as `https://github.com/org/` or `ssh://git@github.com/org/`: the same scheme, host and
    /// port, the same user if it names one, and the beginning of the path by whole parts.
    pub url_prefix: String,
    /// A private key for ssh.
    pub ssh_key_file: Option<PathBuf>,
    /// Host keys for ssh; without it the system's.
    pub known_hosts_file: Option<PathBuf>,
    /// A file with a token for https, read anew at every use.
    pub token_file: Option<PathBuf>,
    /// Certificates of the authorities to believe for https, in PEM; without it the system's.
    pub ca_file: Option<PathBuf>,
}

impl Credential {
    /// How closely it fits: `None` when the address is not below its prefix.
    fn fit(&self, url: &str) -> Option<(usize, bool)> {
        let (prefix, url) = (Parts::of(&self.url_prefix)?, Parts::of(url)?);
        let same = prefix.scheme == url.scheme
            && prefix.host.eq_ignore_ascii_case(url.host)
            && prefix.port == url.port
            && (prefix.user.is_none() || prefix.user == url.user)
            && url.path.starts_with(&prefix.path);
        same.then_some((prefix.path.len(), prefix.user.is_some()))
    }
}

/// Tokens for https that somebody else makes, good for a while; asked for at every use. Where a
/// [`Credential`] has a token for an address too, that one is shown.
#[derive(Clone)]
pub struct Tokens {
    covers: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    give: Arc<dyn Fn(String) -> Giving + Send + Sync>,
}

/// A token on its way.
type Giving = Pin<Box<dyn Future<Output = Result<Option<String>, GitError>> + Send>>;

impl Tokens {
    /// `covers`: whether an address is one that there are tokens for. `give`: the token for such an
    /// address; `None` when there is none after all.
    pub fn new<F>(
        covers: impl Fn(&str) -> bool + Send + Sync + 'static,
        give: impl Fn(String) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Option<String>, GitError>> + Send + 'static,
    {
        Self { covers: Arc::new(covers), give: Arc::new(move |url| Box::pin(give(url))) }
    }

    pub(super) fn covers(&self, url: &str) -> bool {
        (self.covers)(url)
    }

    /// The header for an address.
    pub(super) async fn authorization(&self, url: &str) -> Result<Option<String>, GitError> {
        if !self.covers(url) {
            return Ok(None);
        }
        let Some(token) = (self.give)(url.to_owned()).await? else { return Ok(None) };
        // A line break would begin another setting of git's, or another header.
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            let what = "the token for an address".to_owned();
            let text = "it is not one line of printable text".to_owned();
            return Err(GitError::Refused { code: "SRC003", what, text });
        }
        Ok(Some(header(&token)))
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens(..)")
    }
}

/// One setting for an address: that of the longest prefix which has it.
pub(super) fn find<'a, T>(
    credentials: &'a [Credential],
    url: &str,
    setting: impl Fn(&'a Credential) -> Option<T>,
) -> Option<T> {
    let fitting = credentials.iter().filter_map(|c| Some((c.fit(url)?, setting(c)?)));
    fitting.max_by_key(|(fit, _)| *fit).map(|(_, setting)| setting)
}

/// An address taken apart, so that what looks alike as text (`https://host.evil`, `https://host@evil`,
/// another port) is another place.
struct Parts<'a> {
    scheme: &'static str,
    user: Option<&'a str>,
    host: &'a str,
    port: &'a str,
    path: Vec<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let (scheme, rest, divider) = match url.split_once("://") {
            Some(("https", rest)) => ("https", rest, '/'),
            Some(("http", rest)) => ("http", rest, '/'),
            Some(("ssh", rest)) => ("ssh", rest, '/'),
            Some(_) => return None,
            // `user@host:path`; servers of repositories have no home that would tell it from `/path`.
            None if url.starts_with('/') || !url.contains(':') => return None,
            None => ("ssh", url, ':'),
        };
        let (authority, path) = rest.split_once(divider).unwrap_or((rest, ""));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let after_v6 = host.rfind(']').map_or(0, |at| at + 1);
        let (host, port) = match host[after_v6..].find(':') {
            Some(at) => (&host[..after_v6 + at], &host[after_v6 + at + 1..]),
            None => (host, ""),
        };
        let usual = match scheme {
            "https" => "443",
            "http" => "80",
            _ => "22",
        };
        let port = if port.is_empty() { usual } else { port };
        let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        (!host.is_empty()).then_some(Self { scheme, user, host, port, path })
    }
}

/// `Authorization: Basic`, with the user that GitHub, GitLab and Gitea all take with a token.
pub(super) fn authorization(file: &Path) -> Result<String, GitError> {
    let doing = format!("reading the token file `{}`", file.display());
    let token = std::fs::read_to_string(file).map_err(io(doing))?;
    let token = token.trim();
    if token.is_empty() || token.bytes().any(|b| b.is_ascii_control()) {
        let what = format!("token file `{}`", file.display());
        let text = "expected one line with a token".to_owned();
        return Err(GitError::Refused { code: "SRC003", what, text });
    }
    Ok(header(token))
}

fn header(token: &str) -> String {
    let pair =
        if token.contains(':') { token.to_owned() } else { format!("x-access-token:{token}") };
    format!("Authorization: Basic {}", base64(pair.as_bytes()))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for n in 0..4 {
            if n <= chunk.len() {
                out.push(char::from(DIGITS[(word >> (18 - 6 * n)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"x-access-token:abc"), "eC1hY2Nlc3MtdG9rZW46YWJj");
        assert_eq!(
            (base64(b"a"), base64(b"ab"), base64(b"")),
            ("YQ==".into(), "YWI=".into(), "".into())
        );
    }

    #[tokio::test]
    async fn a_token_that_somebody_makes_is_for_what_it_covers_and_is_one_line() {
        let tokens = |token: &'static str| {
            let covers = |url: &str| url.starts_with("https://h/");
            Tokens::new(covers, move |_| async move { Ok(Some(token.to_owned())) })
        };
        let header = tokens("abc").authorization("https://h/x").await.unwrap();
        assert_eq!(header.as_deref(), Some("Authorization: Basic eC1hY2Nlc3MtdG9rZW46YWJj"));
        assert_eq!(tokens("abc").authorization("https://other/x").await.unwrap(), None);
        for odd in ["", "a\nb", "a b"] {
            let error = tokens(odd).authorization("https://h/x").await.unwrap_err();
            assert_eq!(error.code(), Some("SRC003"), "{odd:?}");
        }
        assert_eq!(format!("{:?}", tokens("abc")), "Tokens(..)");
    }

    fn of(prefix: &str) -> Credential {
        Credential { url_prefix: prefix.into(), ..Credential::default() }
    }

    #[test]
    fn b65_a_credential_is_for_its_host_its_port_and_whole_parts_of_its_path() {
        for (prefix, url) in [
            ("https://h/org", "https://h/org/x"),
            ("https://h/org/", "https://h/org/x"),
            ("https://h/org", "https://h/org"),
            ("https://H:443/", "https://h/x"),
            ("https://h:8443", "https://h:8443/x"),
            ("https://h/", "https://me@h/x"),
            ("https://[::1]:8443/", "https://[::1]:8443/x"),
            ("ssh://git@h/", "git@h:org/x"),
            ("git@h:org", "ssh://git@h:22/org/x"),
            ("ssh://h/", "ssh://git@h/x"),
        ] {
            assert!(of(prefix).fit(url).is_some(), "{prefix} {url}");
        }
        for (prefix, url) in [
            ("https://h/org", "https://h/organ/x"),
            ("https://h/org", "https://h/Org/x"),
            ("https://h", "https://h.evil/x"),
            ("https://h", "https://h@evil/x"),
            ("https://h", "https://h:8443/x"),
            ("https://h:844", "https://h:8443/x"),
            ("https://h", "https://h:443@evil/x"),
            ("https://h", "ssh://h/x"),
            ("https://[::1]/", "https://[::1]:8443/x"),
            ("ssh://git@h/", "ssh://root@h/x"),
            ("ssh://git@h/", "git@h.evil:x"),
            ("https:///", "https://h/x"),
            ("", "https://h/x"),
            ("/", "/srv/x"),
        ] {
            assert!(of(prefix).fit(url).is_none(), "{prefix} {url}");
        }
    }

    #[test]
    fn each_setting_comes_from_the_longest_prefix_that_has_it() {
        let token =
            |prefix: &str, file: &str| Credential { token_file: Some(file.into()), ..of(prefix) };
        let all = [
            token("https://h/org", "org"),
            Credential { ca_file: Some("ca".into()), ..token("https://h/", "host") },
        ];
        let token = |url| find(&all, url, |c| c.token_file.as_deref());
        assert_eq!(token("https://h/org/x"), Some(Path::new("org")));
        assert_eq!(token("https://h/other/x"), Some(Path::new("host")));
        assert_eq!(token("https://elsewhere/x"), None);
        assert_eq!(find(&all, "https://h/org/x", |c| c.ca_file.as_deref()), Some(Path::new("ca")));
    }
}
