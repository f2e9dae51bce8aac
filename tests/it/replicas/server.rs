//! A PostgreSQL server of a test's own: Debian's programs, in a folder of its own, reached by a socket
//! in there or on a port of loopback.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::lacking::not_run;

// By its path, for the library's own tests have this file too.
#[path = "../lacking.rs"]
#[allow(clippy::duplicate_mod, reason = "the library's own tests include this file as well")]
mod lacking;

/// A running server; its end is the end of all in it.
pub struct PostgresServer {
    root: TempDir,
    programs: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// Who runs the server where the tests run as root, whom it refuses.
const NOBODY: u32 = 65_534;

impl PostgresServer {
    /// A new one; `None`, and said, where PostgreSQL is not installed.
    pub fn start(who: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            not_run(who, "postgres", "there is no PostgreSQL (postgresql)");
            return None;
        };
        let root = tempfile::Builder::new().prefix("vend-pg").tempdir().unwrap();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        // Its own user must reach it.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let home = root.path().join("server");
        fs::create_dir(&home).unwrap();
        if is_root() {
            chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut server = Self { root, programs, port, child: None };
        let mut initdb = server.command("initdb");
        initdb.args(["--username=vend", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        // What is durable is not what is asked here: the tests end processes, not machines.
        let made = initdb.arg("--no-sync").arg("-D").arg(server.data()).output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.run();
        // Another program may have taken the port between.
        while !server.wait() {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            server.port = port;
            server.run();
        }
        Some(server)
    }

    /// The address of its one database, by the socket.
    pub fn url(&self) -> String {
        format!("postgres:///postgres?host={}&port={}&user=vend", self.home().display(), self.port)
    }

    /// The address of its one database, by another port of loopback: a proxy's.
    pub fn url_by(&self, port: u16) -> String {
        format!("postgres://vend@127.0.0.1:{port}/postgres?sslmode=disable")
    }

    /// Its own port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What a statement answers, one line a row.
    pub fn sql(&self, statement: &str) -> String {
        let output = self.psql(statement);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// From now on whoever comes by the port needs this password.
    pub fn protect(&self, password: &str) {
        self.sql(&format!("ALTER USER vend PASSWORD '{password}'"));
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).unwrap();
        let read = self.pg_ctl(&["reload"]);
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    }

    /// All that is in its database, as text.
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = self.command("pg_dump");
        dump.args(["-U", "vend", "-d", "postgres", "-p", &self.port.to_string()]);
        let output = dump.arg("-h").arg(self.home()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Ends it at once, as a crash does.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            // All of its processes: a server that is killed leaves those of its sessions.
            let _ = self.pg_ctl(&["stop", "-m", "immediate"]);
            let _ = child.wait();
        }
    }

    /// Starts it again.
    pub fn restart(&mut self) {
        self.crash();
        self.run();
        assert!(self.wait(), "PostgreSQL ended at once");
    }

    fn run(&mut self) {
        let mut postgres = self.command("postgres");
        postgres
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.home())
            .args(["-p", &self.port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "fsync=off", "-c", "max_connections=200"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.root.path().join("log")).unwrap());
        self.child = Some(postgres.spawn().unwrap());
    }

    /// Until it answers; `false`: it has ended.
    fn wait(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(180);
        while !self.psql("SELECT 1").status.success() {
            if self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some()) {
                return false;
            }
            let log = || fs::read_to_string(self.root.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "PostgreSQL does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        true
    }

    fn psql(&self, statement: &str) -> std::process::Output {
        let mut psql = self.command("psql");
        psql.args([
            "-XAtq",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "vend",
            "-d",
            "postgres",
            "-c",
            statement,
        ]);
        psql.arg("-h").arg(self.home()).args(["-p", &self.port.to_string()]).output().unwrap()
    }

    fn pg_ctl(&self, arguments: &[&str]) -> std::process::Output {
        self.command("pg_ctl").args(arguments).arg("-D").arg(self.data()).output().unwrap()
    }

    /// A program of PostgreSQL's, as a user that it does not refuse, with nothing of whoever runs the
    /// tests.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                let id = NOBODY.to_string();
                command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program);
                command
            }
            false => Command::new(program),
        };
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir(self.home());
        command
    }

    fn home(&self) -> PathBuf {
        self.root.path().join("server")
    }

    fn data(&self) -> PathBuf {
        self.home().join("data")
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.crash();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// Where Debian has them, else where the path does.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = folders.into_iter().rev().chain(std::env::split_paths(&path));
    all.into_iter().find(|folder| is_program(&folder.join("initdb")))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
