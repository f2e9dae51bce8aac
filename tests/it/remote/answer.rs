//! What a server says, whole or cut.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::Response;
use hyper::body::{Body, Bytes, Frame};

/// A body that may end too early.
#[derive(Default)]
pub struct Answer {
    bytes: Option<Bytes>,
    is_cut: bool,
}

impl Answer {
    /// The same, of which only so many bytes ever arrive.
    pub fn cut(self, most: usize) -> Self {
        match self.bytes {
            Some(bytes) if bytes.len() > most => {
                Self { bytes: Some(bytes.slice(..most)), is_cut: true }
            }
            bytes => Self { bytes, ..self },
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(bytes) = self.bytes.take() {
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        Poll::Ready(self.is_cut.then(|| Err(io::Error::other("cut"))))
    }
}

/// What `git http-backend` prints: headers, an empty line, a body.
pub struct Backend;

impl Backend {
    pub fn read(output: &Bytes) -> io::Result<Response<Answer>> {
        let end = output.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| io::Error::other("git http-backend said nothing"))?;
        let mut answer = Response::builder();
        for line in String::from_utf8_lossy(&output[..end]).lines() {
            let (name, value) = line.split_once(": ").unwrap_or((line, ""));
            answer = match name {
                "Status" => answer.status(value.split(' ').next().unwrap_or("500")),
                _ => answer.header(name, value),
            };
        }
        let bytes = output.slice(end + 4..);
        answer.body(Answer { bytes: Some(bytes), is_cut: false }).map_err(io::Error::other)
    }
}
