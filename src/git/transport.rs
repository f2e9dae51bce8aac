//! The environment in which `git` runs: ours alone.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{GitError, io};
use super::location::{Location, Reach, Trust};

/// Who our commits are by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Author {
    /// A name.
    pub name: String,
    /// An address.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Self { name: "vend".into(), email: "vend@localhost".into() }
    }
}

/// What opens a server, for addresses below a prefix only.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Credential {
    /// Such as `https://github.com/org/` or `git@github.com:org/`; matched at whole path parts.
    pub url_prefix: String,
    /// A private key for ssh.
    pub ssh_key_file: Option<PathBuf>,
    /// Host keys for ssh; without it the system's.
    pub known_hosts_file: Option<PathBuf>,
    /// A file with a token for https, read anew at every use.
    pub token_file: Option<PathBuf>,
}

impl Credential {
    fn covers(&self, url: &str) -> bool {
        let prefix = self.url_prefix.trim_end_matches('/');
        !prefix.is_empty()
            && url.strip_prefix(prefix).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || prefix.ends_with(':')
            })
    }
}

/// How servers are reached.
#[derive(Clone, Debug)]
pub struct Transport {
    /// The longest that one fetch or push may take.
    pub deadline: Duration,
    /// The longest matching prefix wins.
    pub credentials: Vec<Credential>,
    /// An empty home for the children, with our own `gitconfig` in it; in the state folder.
    pub home: PathBuf,
    /// Local repositories, possibly of another owner, that the operator named.
    pub allow_local: Vec<PathBuf>,
    /// The program: `git`, found by `PATH`, or a path.
    pub git: PathBuf,
    /// Who our commits are by.
    pub author: Author,
    /// Run with the user's own environment, keys and helpers: on a laptop, never in the daemon.
    pub users_own: bool,
}

impl Transport {
    /// No credentials, two minutes, `git` by `PATH`.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self {
            deadline: Duration::from_secs(120),
            credentials: Vec::new(),
            home: home.into(),
            allow_local: Vec::new(),
            git: "git".into(),
            author: Author::default(),
            users_own: false,
        }
    }

    fn credential(&self, url: &str) -> Option<&Credential> {
        let covering = self.credentials.iter().filter(|c| c.covers(url));
        covering.max_by_key(|c| c.url_prefix.len())
    }

    /// Writes `gitconfig` unless it is already so. Settings for `git` itself travel in the
    /// environment; only what the `upload-pack` of a local repository must see lies in the file,
    /// since `git` hides its own environment from that child.
    pub(super) fn prepare(&self) -> Result<PathBuf, GitError> {
        let file = self.home.join("gitconfig");
        let mut text = String::from("# Written by vend.\n[safe]\n");
        for path in &self.allow_local {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            for path in [path.clone(), path.join(".git"), real.clone(), real.join(".git")] {
                text.push_str(&format!("\tdirectory = {}\n", config_quote(&path)));
            }
        }
        if std::fs::read_to_string(&file).is_ok_and(|old| old == text) {
            return Ok(file);
        }
        std::fs::create_dir_all(&self.home).map_err(io("making the home of git's children"))?;
        let doing = || format!("writing `{}`", file.display());
        let new = tempfile::NamedTempFile::new_in(&self.home).map_err(io(doing()))?;
        std::fs::write(new.path(), text).map_err(io(doing()))?;
        new.persist(&file).map_err(|error| io(doing())(error.error))?;
        Ok(file)
    }

    /// The whole environment of a child, and whether it starts from the user's own.
    pub(super) async fn environment(
        &self,
        location: Option<&Location>,
    ) -> Result<Vec<(OsString, OsString)>, GitError> {
        let mut config = self.base_config();
        let mut ssh = None;
        if let Some(location) = location {
            let credential = self.credential(&location.url);
            let pinned = match location.trust {
                Trust::Content => Some(self.pin(location).await?),
                Trust::Operator => None,
            };
            match location.reach() {
                Reach::Https { host, port } => {
                    if let Some(address) = pinned {
                        let entry = resolve_entry(&host, port, address);
                        config.push(("http.curloptResolve".into(), entry));
                    }
                    if let Some(file) = credential.and_then(|c| c.token_file.as_deref()) {
                        // The narrowest scope there is: this address and nothing else.
                        let key = format!("http.{}.extraHeader", location.url);
                        config.push((key, authorization(file)?));
                    }
                }
                // A user's own ssh knows their keys, agents and host names.
                Reach::Ssh { host, .. } if !self.users_own => {
                    ssh = Some(self.ssh_command(credential, location.trust, &host, pinned));
                }
                Reach::Ssh { .. } | Reach::Local(_) => {}
            }
        }
        let mut env = self.basic(location)?;
        if let Some(ssh) = ssh {
            env.push(("GIT_SSH_COMMAND".into(), ssh));
        }
        push_config(&mut env, &config);
        Ok(env)
    }

    /// The environment of a child that reads or writes our own objects and reaches nothing.
    pub(super) fn local_environment(&self) -> Result<Vec<(OsString, OsString)>, GitError> {
        let mut env = self.basic(None)?;
        push_config(&mut env, &self.base_config());
        Ok(env)
    }

    fn basic(&self, location: Option<&Location>) -> Result<Vec<(OsString, OsString)>, GitError> {
        let protocols = match location.map(Location::reach) {
            None => "",
            Some(Reach::Local(_)) => "file",
            Some(Reach::Https { .. }) => "https",
            Some(Reach::Ssh { .. }) => "ssh",
        };
        let mut env: Vec<(OsString, OsString)> = vec![
            ("LC_ALL".into(), "C".into()),
            ("GIT_TERMINAL_PROMPT".into(), "0".into()),
            ("GIT_ALLOW_PROTOCOL".into(), protocols.into()),
            ("GIT_OPTIONAL_LOCKS".into(), "0".into()),
        ];
        if self.users_own {
            return Ok(env);
        }
        let config = self.prepare()?;
        let path =
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        env.extend([
            ("PATH".into(), path),
            ("HOME".into(), self.home.clone().into_os_string()),
            ("XDG_CONFIG_HOME".into(), self.home.join("none").into_os_string()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
            ("GIT_CONFIG_GLOBAL".into(), config.into_os_string()),
            ("GIT_ATTR_NOSYSTEM".into(), "1".into()),
            ("GIT_ASKPASS".into(), "/bin/false".into()),
            ("SSH_ASKPASS".into(), "/bin/false".into()),
            ("GCM_INTERACTIVE".into(), "never".into()),
        ]);
        Ok(env)
    }

    /// Looks the host up and takes one address, all of which must be public: `git` then connects to
    /// that one, so that a second look-up cannot answer otherwise.
    async fn pin(&self, location: &Location) -> Result<IpAddr, GitError> {
        let (host, port) = match location.reach() {
            Reach::Https { host, port } => (host, port),
            Reach::Ssh { host, port } => (host, port.unwrap_or(22)),
            Reach::Local(_) => {
                let text = "only https and ssh addresses are allowed here".to_owned();
                let what = format!("address `{}`", location.shown());
                return Err(GitError::Refused { code: "SRC001", what, text });
            }
        };
        let what = || format!("host `{host}`");
        let unavailable = |text: String| GitError::Unavailable { what: what(), text };
        let look = tokio::net::lookup_host((host.as_str(), port));
        let found = tokio::time::timeout(self.deadline, look).await;
        let found = found.map_err(|_| unavailable("no address in time".into()))?;
        let found = found.map_err(|error| unavailable(error.to_string()))?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        if addresses.iter().any(|address| is_inner(*address)) {
            let text = "it resolves to an address that is not public".to_owned();
            return Err(GitError::Refused { code: "NET001", what: what(), text });
        }
        addresses.first().copied().ok_or_else(|| unavailable("it has no address".into()))
    }

    fn base_config(&self) -> Vec<(String, String)> {
        let own = if self.users_own { &[][..] } else { &NOBODY[..] };
        let pairs = SETTINGS.iter().chain(own).map(|(key, value)| ((*key).into(), (*value).into()));
        let lenient = LENIENT.iter().map(|id| (format!("fetch.fsck.{id}"), "ignore".to_owned()));
        pairs.chain(lenient).collect()
    }

    /// `GIT_SSH_COMMAND` is read by a shell: every path is quoted.
    fn ssh_command(
        &self,
        credential: Option<&Credential>,
        trust: Trust,
        host: &str,
        pinned: Option<IpAddr>,
    ) -> OsString {
        let mut words: Vec<String> = vec!["ssh".into()];
        let mut option = |text: String| words.extend(["-o".into(), shell_quote(&text)]);
        option("BatchMode=yes".into());
        option("StrictHostKeyChecking=yes".into());
        option("ServerAliveInterval=15".into());
        option("ServerAliveCountMax=4".into());
        option(format!("ConnectTimeout={}", self.deadline.as_secs().clamp(1, 30)));
        option("ForwardAgent=no".into());
        option("ClearAllForwardings=yes".into());
        option("PermitLocalCommand=no".into());
        if let Some(file) = credential.and_then(|c| c.known_hosts_file.as_deref()) {
            option(format!("UserKnownHostsFile={}", ssh_quote(file)));
            option("GlobalKnownHostsFile=/dev/null".into());
        }
        let key = credential.and_then(|c| c.ssh_key_file.as_deref());
        if let Some(file) = key {
            option(format!("IdentityFile={}", ssh_quote(file)));
        }
        if key.is_some() || trust == Trust::Content {
            // This key or none: not the agent's, not one that happens to lie in the account's home.
            option("IdentitiesOnly=yes".into());
            option("IdentityAgent=none".into());
            if key.is_none() {
                option("IdentityFile=none".into());
            }
        }
        if let Some(address) = pinned {
            option(format!("HostName={address}"));
            option(format!("HostKeyAlias={host}"));
        }
        if key.is_some() || trust == Trust::Content {
            words.extend(["-F".into(), "none".into()]);
        }
        words.join(" ").into()
    }
}

/// Settings for `git` itself. `core.hooksPath` must not reach the `receive-pack` of a local
/// repository, whose own hooks decide about pushes; the environment does not.
const SETTINGS: [(&str, &str); 14] = [
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("fetch.fsckObjects", "true"),
    ("transfer.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("push.recurseSubmodules", "no"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("http.followRedirects", "false"),
    ("http.lowSpeedLimit", "100"),
    ("http.lowSpeedTime", "30"),
    ("submodule.recurse", "false"),
];

/// Nothing may ask a person, or a helper that would.
const NOBODY: [(&str, &str); 2] = [("credential.helper", ""), ("core.askPass", "")];

/// Old clumsiness in commits of real projects, harmless to us; names and trees stay strict.
const LENIENT: [&str; 14] = [
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingNameBeforeEmail",
    "missingEmail",
    "badName",
    "badEmail",
    "badDate",
    "badDateOverflow",
    "badTimezone",
    "zeroPaddedDate",
    "multipleAuthors",
    "nulInCommit",
    "missingTaggerEntry",
    "zeroPaddedFilemode",
];

/// `GIT_CONFIG_COUNT` and friends: nothing of it shows in an argument list.
fn push_config(env: &mut Vec<(OsString, OsString)>, config: &[(String, String)]) {
    for (n, (key, value)) in config.iter().enumerate() {
        env.push((format!("GIT_CONFIG_KEY_{n}").into(), key.into()));
        env.push((format!("GIT_CONFIG_VALUE_{n}").into(), value.into()));
    }
    env.push(("GIT_CONFIG_COUNT".into(), config.len().to_string().into()));
}

fn resolve_entry(host: &str, port: u16, address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("{host}:{port}:{address}"),
        IpAddr::V6(address) => format!("{host}:{port}:[{address}]"),
    }
}

/// `Authorization: Basic`, with the user that GitHub, GitLab and Gitea all take with a token.
fn authorization(file: &Path) -> Result<String, GitError> {
    let doing = format!("reading the token file `{}`", file.display());
    let token = std::fs::read_to_string(file).map_err(io(doing))?;
    let token = token.trim();
    if token.is_empty() || token.bytes().any(|b| b.is_ascii_control()) {
        let what = format!("token file `{}`", file.display());
        let text = "expected one line with a token".to_owned();
        return Err(GitError::Refused { code: "SRC003", what, text });
    }
    let pair =
        if token.contains(':') { token.to_owned() } else { format!("x-access-token:{token}") };
    Ok(format!("Authorization: Basic {}", base64(pair.as_bytes())))
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

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A value of `ssh -o`: in double quotes, where `%` introduces a token.
fn ssh_quote(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{}\"", text.replace('%', "%%"))
}

fn config_quote(path: &Path) -> String {
    let text = path.display().to_string();
    let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    format!("\"{text}\"")
}

/// Whether a host, as written, is an address that is not public, or not written as addresses are.
pub(super) fn is_inner_host(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if let Ok(address) = host.parse::<IpAddr>() {
        return is_inner(address);
    }
    let last = host.rsplit('.').next().unwrap_or(host);
    // `2130706433`, `0177.0.0.1`, `0x7f.1`, `127.1`: the C library reads these as addresses; no
    // public name ends in a number.
    let numeric = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
            || part.starts_with("0x")
            || part.starts_with("0X")
    };
    numeric(last) || last.eq_ignore_ascii_case("localhost")
}

fn is_inner(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_inner_v4(address),
        IpAddr::V6(address) => is_inner_v6(address),
    }
}

fn is_inner_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_unspecified()
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_inner_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    if let Some(v4) = address.to_ipv4() {
        return is_inner_v4(v4) || address.to_ipv4_mapped().is_none();
    }
    // NAT64 and 6to4 carry an IPv4 address inside.
    if segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0] || segments[0] == 0x2002 {
        let at = if segments[0] == 0x2002 { 1 } else { 6 };
        let (high, low) = (segments[at].to_be_bytes(), segments[at + 1].to_be_bytes());
        return is_inner_v4(Ipv4Addr::new(high[0], high[1], low[0], low[1]));
    }
    // Only 2000::/3 is given out.
    segments[0] & 0xe000 != 0x2000 || segments[0] == 0x2001 && segments[1] == 0xdb8
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

    #[test]
    fn b65_a_credential_covers_whole_path_parts_only() {
        let of = |prefix: &str| Credential { url_prefix: prefix.into(), ..Credential::default() };
        assert!(of("https://h/org").covers("https://h/org/x"));
        assert!(of("https://h/org/").covers("https://h/org/x"));
        assert!(of("git@h:").covers("git@h:org/x"));
        assert!(!of("https://h/org").covers("https://h/organ/x"));
        assert!(!of("https://h").covers("https://h.evil/x"));
        assert!(!of("").covers("https://h/x"));
    }

    #[test]
    fn b64_addresses_that_carry_an_inner_one_are_inner() {
        for inner in [
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fd00::1",
            "ff02::1",
            "192.0.0.8",
        ] {
            assert!(is_inner(inner.parse().unwrap()), "{inner}");
        }
        for public in ["1.1.1.1", "140.82.121.4", "2606:4700::1111", "64:ff9b::808:808"] {
            assert!(!is_inner(public.parse().unwrap()), "{public}");
        }
    }
}
