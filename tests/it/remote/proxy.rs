//! A port that leads to another one, until it is told to cut what comes back.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How much of an answer passes when all does.
const ALL: usize = usize::MAX;

/// It lives as long as the process: its threads wait at sockets that nobody uses any more.
pub struct Proxy {
    address: SocketAddr,
    most: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy =
            Self { address: listener.local_addr().unwrap(), most: Arc::new(AtomicUsize::new(ALL)) };
        let most = proxy.most.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(to) else { continue };
                let (from, back) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, server, ALL));
                let most = most.load(Ordering::SeqCst);
                std::thread::spawn(move || pass(back, client, most));
            }
        });
        proxy
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// New connections end after so many bytes from the server.
    pub fn cut_after(&self, bytes: usize) {
        self.most.store(bytes, Ordering::SeqCst);
    }

    pub fn mend(&self) {
        self.cut_after(ALL);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, most: usize) {
    let (mut buffer, mut left) = ([0; 4096], most);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        let read = read.min(left);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
        left -= read;
        if left == 0 {
            let _ = from.shutdown(Shutdown::Both);
            break;
        }
    }
    let how = if left == 0 { Shutdown::Both } else { Shutdown::Write };
    let _ = to.shutdown(how);
}
