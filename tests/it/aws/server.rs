//! The server that speaks CloudFormation's protocol: one process for the whole test binary.
//!
//! # Guarantees
//!
//! * It listens on loopback only, on a port of its own.
//! * It ends with the test process, however that ends: it reads a pipe that only the test process
//!   holds open, and takes the workers it started with it.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Not `PR_SET_PDEATHSIG`: that one fires when the *thread* that started the process ends, and each
/// test is a thread.
const SUPERVISED: &str = r"
import os, shutil, sys, tempfile, threading
os.setsid()
def until_the_pipe_closes():
    sys.stdin.buffer.read()
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)
    os.killpg(0, 9)
threading.Thread(target=until_the_pipe_closes, daemon=True).start()
sys.argv = ['ministack']
from ministack.app import main
main()
";

/// The region that everything here is in.
pub const REGION: &str = "eu-west-1";

/// A running server.
pub struct Server {
    /// `127.0.0.1:PORT`.
    pub address: String,
    /// Its standard input is the pipe whose end ends it.
    child: Child,
}

/// The one that tests share: each has an account of its own in it.
pub fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[]))
}

/// Another one, which enforces capabilities and denials as the real one does.
pub fn strict() -> &'static Server {
    static STRICT: OnceLock<Server> = OnceLock::new();
    STRICT.get_or_init(|| Server::start(&[("AUTH", "true")]))
}

/// The interpreter that has the server's package.
pub fn python() -> PathBuf {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/python/bin/python");
    assert!(
        python.exists(),
        "these tests need a local AWS API, which is not installed: run scripts/python-tools \
         (`make test` does)"
    );
    python
}

impl Server {
    /// Starts one and waits until it answers.
    fn start(more: &[(&str, &str)]) -> Self {
        // Between finding a free port and taking it another process may be quicker.
        for _ in 0..5 {
            if let Some(server) = Self::try_start(more) {
                return server;
            }
        }
        panic!("the local AWS API did not start; what it said is in {}", logs().display());
    }

    fn try_start(more: &[(&str, &str)]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::Builder::new().prefix("vend-aws-").tempdir().unwrap().keep();
        let log = std::fs::File::create(logs().join(format!("aws-{port}.log"))).unwrap();
        let mut child = Command::new(python())
            .args(["-c", SUPERVISED])
            .current_dir(&folder)
            .env_clear()
            // Functions run by the `python3` that is found first.
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", REGION)
            .env("LOG_LEVEL", "WARNING")
            .envs(more.iter().copied())
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = format!("127.0.0.1:{port}");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if healthy(&address) {
                return Some(Self { address, child });
            }
            if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

fn logs() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn healthy(address: &str) -> bool {
    use std::io::{Read as _, Write as _};
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    let get =
        format!("GET /_localstack/health HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    stream.write_all(get.as_bytes()).is_ok()
        && stream.read_to_end(&mut answer).is_ok()
        && answer.starts_with(b"HTTP/1.1 200")
}
