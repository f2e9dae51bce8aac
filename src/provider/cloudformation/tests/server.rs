//! A local server of the AWS API, for as long as one test runs.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub(super) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(super) fn start() -> Self {
        let program = tool("ministack");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(&program)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", "eu-west-1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|e| {
                panic!("{}: {e}; `scripts/python-tools` installs it", program.display())
            });
        let server = Self { child, port };
        let end = Instant::now() + Duration::from_secs(60);
        while !server.is_up() {
            assert!(Instant::now() < end, "the server of the AWS API does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn is_up(&self) -> bool {
        use std::io::Read;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else { return false };
        let ask = "GET /_localstack/health HTTP/1.0\r\nHost: localhost\r\n\r\n";
        let mut answer = String::new();
        stream.write_all(ask.as_bytes()).is_ok()
            && stream.read_to_string(&mut answer).is_ok()
            && answer.contains(" 200 ")
    }

    /// Runs the AWS command line.
    pub(super) fn aws(&self, args: &[&str]) -> String {
        let run = Command::new(tool("aws"))
            .args(["--endpoint-url", &self.endpoint(), "--region", "eu-west-1", "--output", "text"])
            .args(args)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    }

    /// Changes the queue of a stack by hand.
    pub(super) fn keep_messages_longer(&self, stack: &str) {
        let url = self.aws(&[
            "cloudformation",
            "describe-stacks",
            "--stack-name",
            stack,
            "--query",
            "Stacks[0].Outputs[0].OutputValue",
        ]);
        self.aws(&[
            "sqs",
            "set-queue-attributes",
            "--queue-url",
            &url,
            "--attributes",
            "MessageRetentionPeriod=86399",
        ]);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn tool(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(".tools/python/bin").join(name)
}
