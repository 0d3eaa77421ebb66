//! Thousands of readers of one stream on one thread: what they cost the machine would otherwise be taken for what the
//! server costs, on whose processors they run.

use crate::http::Http;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest wait for an event.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections on which a stream has begun.
pub struct Readers(Vec<Reader>);

struct Reader {
    stream: TcpStream,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// When each event came, in order.
    arrivals: Vec<Instant>,
    next: u64,
}

impl Readers {
    /// Of connections whose next event has this number.
    pub fn of(connections: Vec<Http>, first: u64) -> Self {
        let reader = |http: Http| {
            let (stream, begun) = http.into_parts();
            Reader { stream, begun, arrivals: Vec::new(), next: first }
        };
        Self(connections.into_iter().map(reader).collect())
    }

    /// Reads until everybody has so many events: when they came, reader by reader.
    pub fn read(mut self, count: usize) -> Vec<Vec<Instant>> {
        let epoll = Epoll::new(EpollCreateFlags::empty()).expect("an epoll");
        for (number, reader) in (0..).zip(&self.0) {
            reader.stream.set_nonblocking(true).expect("an option");
            epoll
                .add(&reader.stream, EpollEvent::new(EpollFlags::EPOLLIN, number))
                .expect("a socket to watch");
        }
        let mut missing = self.0.len() * count;
        let mut events = vec![EpollEvent::empty(); 1024];
        let mut buffer = vec![0; 16 * 1024];
        while missing > 0 {
            let patience = EpollTimeout::try_from(PATIENCE).expect("a time limit");
            let ready = epoll.wait(&mut events, patience).expect("an answer");
            assert!(ready > 0, "{missing} events did not come in {PATIENCE:?}");
            for event in events.iter().take(ready) {
                let reader = &mut self.0[usize::try_from(event.data()).expect("a place")];
                let read = reader.stream.read(&mut buffer).expect("a stream goes on");
                assert!(read > 0, "the server hung up");
                missing -= reader.take(&buffer[..read]);
            }
        }
        self.0.into_iter().map(|reader| reader.arrivals).collect()
    }
}

impl Reader {
    /// Takes what came; how many events began in it.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let now = Instant::now();
        let before = self.arrivals.len();
        self.begun.extend_from_slice(bytes);
        let end = self.begun.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in self.begun[..end].split(|byte| *byte == b'\n') {
            if let Some(id) = line.strip_prefix(b"id: ") {
                let id = std::str::from_utf8(id).ok().and_then(|id| id.parse::<u64>().ok());
                assert_eq!(id, Some(self.next), "no gap and no repeat");
                self.next += 1;
                self.arrivals.push(now);
            }
        }
        self.begun.drain(..end);
        self.arrivals.len() - before
    }
}
