//! A receiver of notifications: it keeps what it is sent, and answers as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Statuses that are none: no answer at all, and one without end.
pub const HANGS: u16 = 0;
pub const FLOODS: u16 = 1;

/// What was sent once.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn id(&self) -> &str {
        &self.headers["x-vend-delivery"]
    }
}

pub struct Receiver {
    pub address: String,
    status: Arc<AtomicU16>,
    location: Arc<Mutex<Option<String>>>,
    got: Arc<Mutex<Vec<Delivery>>>,
}

impl Receiver {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (status, got) = (Arc::new(AtomicU16::new(204)), Arc::<Mutex<Vec<_>>>::default());
        let location = Arc::<Mutex<Option<String>>>::default();
        let (answer, leads, kept) = (status.clone(), location.clone(), got.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (answer, leads, kept) = (answer.clone(), leads.clone(), kept.clone());
                std::thread::spawn(move || serve(&stream, &answer, &leads, &kept));
            }
        });
        Self { address, status, location, got }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers with this status from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// Says from now on that it is to be found elsewhere.
    pub fn redirect(&self, status: u16, to: &str) {
        *self.location.lock().unwrap() = Some(to.to_owned());
        self.answer(status);
    }

    pub fn got(&self) -> Vec<Delivery> {
        self.got.lock().unwrap().clone()
    }
}

/// One request after the other, for as long as the connection lasts.
fn serve(
    stream: &TcpStream,
    status: &AtomicU16,
    location: &Mutex<Option<String>>,
    got: &Mutex<Vec<Delivery>>,
) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?);
    let mut out = stream.try_clone().ok()?;
    loop {
        let mut line = || {
            let mut line = String::new();
            (lines.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
        };
        let path = line()?.split(' ').nth(1)?.to_owned();
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line()?.split_once(':') {
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length")?.parse().ok()?;
        let mut body = vec![0; length];
        lines.read_exact(&mut body).ok()?;
        got.lock().unwrap().push(Delivery { path, headers, body });
        let status = status.load(Ordering::Relaxed);
        match status {
            HANGS => loop {
                std::thread::park();
            },
            FLOODS => {
                write!(out, "HTTP/1.1 200 x\r\ncontent-length: 1000000000000\r\n\r\n").ok()?;
                loop {
                    out.write_all(&[b'x'; 1 << 16]).ok()?;
                }
            }
            _ => {}
        }
        let to = location.lock().unwrap().clone().filter(|_| (300..400).contains(&status));
        let to = to.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
        write!(out, "HTTP/1.1 {status} x\r\n{to}content-length: 0\r\n\r\n").ok()?;
    }
}
