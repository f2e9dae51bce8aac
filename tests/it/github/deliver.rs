//! Sends webhooks out, one after the other.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;

use super::hook::{Delivery, Outgoing};

/// Sends all that comes; ends with the server.
pub async fn deliver(
    mut queue: UnboundedReceiver<Outgoing>,
    all: Arc<Mutex<Vec<Delivery>>>,
    pending: Arc<AtomicUsize>,
) {
    while let Some(outgoing) = queue.recv().await {
        let (index, answered) = (outgoing.index, outgoing.answered);
        let sent = send(outgoing.url, outgoing.headers, outgoing.body);
        // GitHub does not wait longer either.
        let answer = match tokio::time::timeout(Duration::from_secs(10), sent).await {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("timed out".into()),
        };
        if let Some(index) = index {
            all.lock().unwrap()[index].answers.push(answer.clone());
        }
        if let Some(answered) = answered {
            let _ = answered.send(answer);
        }
        pending.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn send(
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
) -> Result<u16, Box<dyn std::error::Error + Send + Sync>> {
    let rest = url.strip_prefix("http://").ok_or("only http")?;
    let (address, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let running = tokio::spawn(connection);
    let mut request = Request::post(format!("/{path}")).header("host", address);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let answer = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = answer.status().as_u16();
    answer.into_body().collect().await?;
    running.abort();
    Ok(status)
}
