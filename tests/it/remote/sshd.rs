//! Debian's `sshd` on a loopback port, with keys of its own.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::daemon::eventually;
use crate::lacking::not_run;

/// A running server; killed when it is dropped.
pub struct Sshd {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// The server's program; without it a test says that it did not run.
pub fn program(test: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain([PathBuf::from("/usr/sbin")]);
    let found = folders.map(|folder| folder.join("sshd")).find(|path| path.is_file());
    if found.is_none() {
        not_run(test, "sshd", "there is no sshd (openssh-server)");
    }
    found
}

impl Sshd {
    /// Serves this account's whole disk, to one key; all that it needs lies in a new folder in `root`.
    pub fn start(program: PathBuf, root: &Path) -> Self {
        let folder = root.join("sshd");
        std::fs::create_dir(&folder).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { program, folder, port, child: None };
        for key in ["host", "other-host", "client", "other-client"] {
            let path = server.file(key);
            keygen(&["-q", "-t", "ed25519", "-N", "", "-C", key, "-f", path.to_str().unwrap()]);
        }
        std::fs::copy(server.file("client.pub"), server.file("authorized")).unwrap();
        server.up("host");
        server
    }

    /// A file of its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Writes that servers at these ports have its usual key.
    pub fn known_hosts(&self, ports: &[u16]) -> PathBuf {
        let key = std::fs::read_to_string(self.file("host.pub")).unwrap();
        let lines = ports.iter().map(|port| format!("[127.0.0.1]:{port} {key}"));
        std::fs::write(self.file("known_hosts"), lines.collect::<String>()).unwrap();
        self.file("known_hosts")
    }

    /// Starts it with one of its host keys.
    pub fn up(&mut self, host_key: &str) {
        // Wanted where root runs it, for its child without rights; on Debian the service makes it.
        let _ = std::fs::create_dir("/run/sshd");
        // By `SHLVL` bash sees that it need not read the account's `.bashrc`, as it does below sshd.
        let config = format!(
            "ListenAddress {}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
             UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             KexAlgorithms curve25519-sha256\nPermitRootLogin prohibit-password\nAcceptEnv GIT_PROTOCOL\n\
             SetEnv SHLVL=1 GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null PATH={}\n",
            self.address(),
            self.file(host_key).display(),
            self.file("authorized").display(),
            std::env::var("PATH").unwrap_or_default(),
        );
        let file = self.file("config");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::File::create(self.file("log")).unwrap();
        let mut command = Command::new(&self.program);
        command.args(["-D", "-e", "-f"]).arg(file).stdin(Stdio::null()).stderr(log);
        let mut child = command.spawn().unwrap();
        eventually("sshd listens", || {
            let log = || std::fs::read_to_string(self.file("log")).unwrap();
            assert!(child.try_wait().unwrap().is_none(), "sshd ended: {}", log());
            log().contains("Server listening").then_some(())
        });
        self.child = Some(child);
    }

    /// Nobody listens any more.
    pub fn down(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.down();
    }
}

fn keygen(args: &[&str]) {
    assert!(Command::new("ssh-keygen").args(args).status().unwrap().success());
}
