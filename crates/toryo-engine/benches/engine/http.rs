//! The least of HTTP/1.1 that this benchmark asks for: thousands of its connections should cost the machine little.

use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// One connection, kept open.
pub struct Http {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
}

impl Http {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        Self { stream: BufReader::with_capacity(1024, stream), address }
    }

    /// Posts JSON; status and body.
    pub async fn post(&mut self, path: &str, body: &str) -> (u16, String) {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await.expect("a request");
        let (status, length) = self.head().await;
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await.expect("a body");
        (status, String::from_utf8(answer).expect("a text"))
    }

    /// Asks for a stream of events after this number, and waits for the head of the answer.
    pub async fn follow(&mut self, path: &str, after: u64) {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\naccept: text/event-stream\r\nlast-event-id: {after}\r\n\r\n",
            self.address
        );
        self.stream.write_all(request.as_bytes()).await.expect("a request");
        assert_eq!(self.head().await.0, 200, "the stream begins");
    }

    /// The connection itself, and what was read ahead.
    pub fn into_parts(self) -> (std::net::TcpStream, Vec<u8>) {
        let ahead = self.stream.buffer().to_vec();
        (self.stream.into_inner().into_std().expect("a socket"), ahead)
    }

    async fn head(&mut self) -> (u16, usize) {
        let first = self.line().await;
        let status = first.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let mut length = 0;
        loop {
            let line = self.line().await.to_ascii_lowercase();
            if line.is_empty() {
                return (status, length);
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stream.read_line(&mut line).await.expect("a line") > 0, "the server hung up");
        line.trim_end().to_owned()
    }
}
