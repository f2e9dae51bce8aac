//! An authority and a server's certificate by it, made by `openssl`, which Debian has wherever it has
//! certificates at all.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

/// A name that nobody has but where a test says so.
pub const NAMED: &str = "hub.vend.test";

/// An authority that signed one certificate, for 127.0.0.1, `localhost` and [`NAMED`].
pub struct Authority {
    folder: PathBuf,
}

impl Authority {
    /// Makes one in a new folder.
    pub fn new(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
        let authority =
            "-keyout ca.key -out ca.pem -subj /CN=Authority -addext keyUsage=keyCertSign";
        openssl(&folder, &format!("{new} {authority}"));
        let server = "-keyout key.pem -out cert.pem -CA ca.pem -CAkey ca.key -subj /CN=localhost";
        let names = format!("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:{NAMED}");
        let leaf = "-addext basicConstraints=critical,CA:FALSE -addext";
        openssl(&folder, &format!("{new} {server} {leaf} {names}"));
        Self { folder }
    }

    /// What clients are to trust.
    pub fn file(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The server's end of a connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_file(self.folder.join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(self.folder.join("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server that speaks TLS, and hands on what it is told to one that does not.
pub struct Front {
    _runtime: Runtime,
    address: SocketAddr,
}

impl Front {
    /// One with the certificate of `authority`, before the server at `host`.
    pub fn start(authority: &Authority, host: &str) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, host) = (authority.acceptor(), host.to_owned());
        runtime.spawn(async move {
            while let Ok((outer, _)) = listener.accept().await {
                let (acceptor, host) = (acceptor.clone(), host.clone());
                tokio::spawn(async move {
                    // Whoever does not believe us hangs up.
                    let Ok(mut outer) = acceptor.accept(outer).await else { return };
                    let mut inner = TcpStream::connect(host).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                });
            }
        });
        Self { _runtime: runtime, address }
    }

    /// What follows its address begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }
}

fn openssl(folder: &Path, args: &str) {
    let output = Command::new("openssl").args(args.split(' ')).current_dir(folder).output();
    let output = output.unwrap_or_else(|e| panic!("openssl: {e}: apt-get install openssl"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {args}: {said}");
}
