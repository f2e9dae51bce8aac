//! The command line of `ssh`.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::location::Trust;

/// What one connection is made with.
pub(super) struct Ssh<'a> {
    pub key: Option<&'a Path>,
    pub known_hosts: Option<&'a Path>,
    pub trust: Trust,
    pub host: &'a str,
    pub port: Option<u16>,
    /// The address to connect to, whatever the name resolves to by then.
    pub pinned: Option<IpAddr>,
    pub deadline: Duration,
}

impl Ssh<'_> {
    /// `GIT_SSH_COMMAND` is read by a shell: every path is quoted.
    pub fn command(&self) -> OsString {
        let Self { key, known_hosts, trust, host, port, pinned, deadline } = self;
        let mut words: Vec<String> = vec!["ssh".into()];
        let mut option = |text: String| words.extend(["-o".into(), shell_quote(&text)]);
        option("BatchMode=yes".into());
        option("StrictHostKeyChecking=yes".into());
        option("UpdateHostKeys=no".into());
        option("ServerAliveInterval=15".into());
        option("ServerAliveCountMax=4".into());
        option(format!("ConnectTimeout={}", deadline.as_secs().clamp(1, 30)));
        option("ForwardAgent=no".into());
        option("ClearAllForwardings=yes".into());
        option("PermitLocalCommand=no".into());
        if let Some(file) = known_hosts {
            option(format!("UserKnownHostsFile={}", ssh_quote(file)));
            option("GlobalKnownHostsFile=/dev/null".into());
        }
        if let Some(file) = key {
            option(format!("IdentityFile={}", ssh_quote(file)));
        }
        let ours_alone = key.is_some() || *trust == Trust::Content;
        if ours_alone {
            // This key or none: not the agent's, not one that happens to lie in the account's home.
            option("IdentitiesOnly=yes".into());
            option("IdentityAgent=none".into());
            if key.is_none() {
                option("IdentityFile=none".into());
            }
        }
        if let Some(address) = pinned {
            option(format!("HostName={address}"));
            // Known under the name that it would have been looked up by: with its port, unless 22.
            option(match port {
                None | Some(22) => format!("HostKeyAlias={host}"),
                Some(port) => format!("HostKeyAlias=[{host}]:{port}"),
            });
        }
        if ours_alone {
            words.extend(["-F".into(), "none".into()]);
        }
        words.join(" ").into()
    }
}

fn shell_quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A value of `ssh -o`: in double quotes, where `%` introduces a token.
fn ssh_quote(path: &Path) -> String {
    let text = path.display().to_string().replace('\\', r"\\").replace('"', r#"\""#);
    format!("\"{}\"", text.replace('%', "%%"))
}
