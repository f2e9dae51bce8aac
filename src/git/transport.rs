//! The environment in which `git` runs: ours alone.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::credential::{Credential, Tokens, authorization, find};
use super::error::{GitError, io};
use super::location::{Location, Reach, Trust};
use super::network::{Block, is_open, is_open_host};
use super::ssh::Ssh;

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

/// What a server is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shown {
    Nothing,
    /// What `credentials` has for it.
    Credential,
    /// A token that was made for it.
    Token,
}

/// How servers are reached.
#[derive(Clone, Debug)]
pub struct Transport {
    /// The longest that one fetch or push may take.
    pub deadline: Duration,
    /// Of each setting the longest matching prefix wins.
    pub credentials: Vec<Credential>,
    /// Tokens for https beside those.
    pub tokens: Option<Tokens>,
    /// Addresses that content may lead to although they are not public.
    pub allow_inner: Vec<Block>,
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
            tokens: None,
            allow_inner: Vec::new(),
            home: home.into(),
            allow_local: Vec::new(),
            git: "git".into(),
            author: Author::default(),
            users_own: false,
        }
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
            let addresses = match location.trust {
                Trust::Content => self.addresses(location).await?,
                Trust::Operator => Vec::new(),
            };
            match location.reach() {
                Reach::Https { host, port } | Reach::Plain { host, port } => {
                    config.extend(self.https_config(location, &host, port, &addresses).await?);
                }
                // A user's own ssh knows their keys, agents and host names.
                Reach::Ssh { host, port } if !self.users_own => {
                    let (all, url) = (&self.credentials, &location.url);
                    let how = Ssh {
                        key: find(all, url, |c| c.ssh_key_file.as_deref()),
                        known_hosts: find(all, url, |c| c.known_hosts_file.as_deref()),
                        trust: location.trust,
                        host: &host,
                        port,
                        pinned: addresses.first().copied(),
                        deadline: self.deadline,
                    };
                    ssh = Some(how.command());
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
            Some(Reach::Plain { .. }) => "http",
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

    async fn https_config(
        &self,
        location: &Location,
        host: &str,
        port: u16,
        addresses: &[IpAddr],
    ) -> Result<Vec<(String, String)>, GitError> {
        let mut config = Vec::new();
        if !addresses.is_empty() {
            config.push(("http.curloptResolve".into(), resolve_entry(host, port, addresses)));
        }
        let (all, url) = (&self.credentials, &location.url);
        let header = match (find(all, url, |c| c.token_file.as_deref()), &self.tokens) {
            (Some(file), _) => Some(authorization(file)?),
            (None, Some(tokens)) => tokens.authorization(url).await?,
            (None, None) => None,
        };
        // The narrowest scope there is: this address and nothing else.
        if let Some(header) = header {
            config.push((format!("http.{url}.extraHeader"), header));
        }
        if let Some(file) = find(all, url, |c| c.ca_file.as_deref()) {
            // Else said by some TLS libraries in words that name neither file nor reason.
            let doing = format!("reading the certificates in `{}`", file.display());
            std::fs::File::open(file).map_err(io(doing))?;
            config.push((format!("http.{url}.sslCAInfo"), file.display().to_string()));
            // These alone: the system's would be believed beside them, by some TLS libraries after
            // reading every one of them for each connection.
            let none = self.home.join("no-certificates");
            std::fs::create_dir_all(&none).map_err(io("making an empty folder for git"))?;
            config.push((format!("http.{url}.sslCAPath"), none.display().to_string()));
        }
        Ok(config)
    }

    /// Whose token or key goes with what is asked of this location.
    pub(super) fn shows_to(&self, location: &Location) -> Shown {
        let (all, url) = (&self.credentials, &location.url);
        if find(all, url, |c| c.token_file.as_ref().or(c.ssh_key_file.as_ref())).is_some() {
            return Shown::Credential;
        }
        let is_https = matches!(location.reach(), Reach::Https { .. } | Reach::Plain { .. });
        let covered = self.tokens.as_ref().is_some_and(|tokens| is_https && tokens.covers(url));
        if covered { Shown::Token } else { Shown::Nothing }
    }

    /// Whether content may name this location at all, before anything is looked up.
    ///
    /// # Errors
    /// `Refused` with `NET001`.
    pub(super) fn check(&self, location: &Location) -> Result<(), GitError> {
        match (location.trust, location.reach()) {
            (Trust::Content, Reach::Https { host, .. } | Reach::Ssh { host, .. })
                if !is_open_host(&host, &self.allow_inner) =>
            {
                Err(not_public(&host))
            }
            _ => Ok(()),
        }
    }

    /// Looks the host up; all its addresses must be open. `git` then connects to one of these, so
    /// that a second look-up cannot answer otherwise.
    async fn addresses(&self, location: &Location) -> Result<Vec<IpAddr>, GitError> {
        let (host, port) = match location.reach() {
            Reach::Https { host, port } | Reach::Plain { host, port } => (host, port),
            Reach::Ssh { host, port } => (host, port.unwrap_or(22)),
            Reach::Local(_) => {
                let text = "only https and ssh addresses are allowed here".to_owned();
                let what = format!("address `{}`", location.shown());
                return Err(GitError::Refused { code: "SRC001", what, text });
            }
        };
        let unavailable =
            |text: String| GitError::Unavailable { what: format!("host `{host}`"), text };
        let look = tokio::net::lookup_host((host.as_str(), port));
        let found = tokio::time::timeout(self.deadline, look).await;
        let found = found.map_err(|_| unavailable("no address in time".into()))?;
        let found = found.map_err(|error| unavailable(error.to_string()))?;
        let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
        if !addresses.iter().all(|address| is_open(*address, &self.allow_inner)) {
            return Err(not_public(&host));
        }
        if addresses.is_empty() {
            return Err(unavailable("it has no address".into()));
        }
        Ok(addresses)
    }

    fn base_config(&self) -> Vec<(String, String)> {
        let own = if self.users_own { &[][..] } else { &NOBODY[..] };
        let pairs = SETTINGS.iter().chain(own).map(|(key, value)| ((*key).into(), (*value).into()));
        let lenient = LENIENT.iter().map(|id| (format!("fetch.fsck.{id}"), "ignore".to_owned()));
        pairs.chain(lenient).collect()
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

fn resolve_entry(host: &str, port: u16, addresses: &[IpAddr]) -> String {
    let addresses = addresses.iter().map(|address| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    });
    format!("{host}:{port}:{}", addresses.collect::<Vec<_>>().join(","))
}

fn not_public(host: &str) -> GitError {
    let text = "its address is not a public one; `network.allow` may name it".to_owned();
    GitError::Refused { code: "NET001", what: format!("host `{host}`"), text }
}

fn config_quote(path: &Path) -> String {
    let text = path.display().to_string();
    let text = text.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b64_inner_addresses_from_content_are_refused_however_they_are_written() {
        let code = |url: &str, trust, allow: &[&str]| {
            let allow_inner = allow.iter().map(|block| Block::parse(block).unwrap()).collect();
            let transport = Transport { allow_inner, ..Transport::new("/nowhere") };
            let location = Location::parse(url, "main", trust).unwrap();
            transport.check(&location).err().and_then(|error| error.code())
        };
        for host in [
            "127.0.0.1",
            "169.254.169.254",
            "10.1.2.3",
            "192.168.0.1",
            "172.16.0.1",
            "0.0.0.0",
            "2130706433",
            "0177.0.0.1",
            "0x7f.1",
            "127.1",
            "[::1]",
            "[fc00::1]",
            "[fe80::1]",
            "[::ffff:127.0.0.1]",
            "localhost",
            "x.localhost",
            "100.64.0.1",
        ] {
            let url = format!("https://{host}/x");
            assert_eq!(code(&url, Trust::Content, &[]), Some("NET001"), "{url}");
            assert_eq!(code(&url, Trust::Operator, &[]), None, "{url}");
        }
        assert_eq!(code("ssh://git@10.1.2.3/x", Trust::Content, &["10.1.0.0/16"]), None);
        assert_eq!(code("ssh://git@10.2.2.3/x", Trust::Content, &["10.1.0.0/16"]), Some("NET001"));
    }
}
