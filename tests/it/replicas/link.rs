//! The way to a server, which can be cut: what is sent then is neither delivered nor refused, as in a
//! network that lost a machine.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// It lives as long as the process: its threads wait at sockets that nobody uses any more.
pub struct Link {
    port: u16,
    cut: Arc<AtomicBool>,
}

impl Link {
    /// A way to a port of loopback.
    pub fn to(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = Self { port: listener.local_addr().unwrap().port(), cut: Arc::default() };
        let cut = link.cut.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let cut = cut.clone();
                std::thread::spawn(move || {
                    wait(&cut);
                    let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
                    let (from, back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let other = cut.clone();
                    std::thread::spawn(move || pass(from, server, &other));
                    pass(back, client, &cut);
                });
            }
        });
        link
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.cut.store(false, Ordering::SeqCst);
    }
}

fn wait(cut: &AtomicBool) {
    while cut.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, cut: &AtomicBool) {
    let mut buffer = [0; 16_384];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                wait(cut);
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    wait(cut);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}
