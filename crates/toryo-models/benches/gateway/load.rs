//! Clients that ask as fast as they are answered, over connections that stay open.

use crate::site::Contender;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use toryo_testkit::process;

/// How an answer comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// At once.
    Whole,
    /// In pieces.
    Stream,
}

impl Kind {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "json",
            Self::Stream => "stream",
        }
    }
}

/// Microseconds to the first byte of the body, and to the end.
#[derive(Default)]
struct Times {
    first: Vec<f64>,
    whole: Vec<f64>,
}

/// Asks for so many seconds, after one second that does not count.
pub async fn measure(contender: &Contender, kind: Kind, concurrency: usize, seconds: u64) -> Value {
    let request = Rc::new(contender.request(kind));
    run(contender, &request, kind, concurrency, Duration::from_secs(1)).await;
    let before = contender.process.map_or(0.0, process::cpu_ms);
    let started = Instant::now();
    let times = run(contender, &request, kind, concurrency, Duration::from_secs(seconds)).await;
    let took = started.elapsed().as_secs_f64();
    let used = contender.process.map_or(0.0, process::cpu_ms) - before;
    let count = times.whole.len() as f64;
    json!({
        "requests": count,
        "per_second": count / took,
        "per_core_second": if used > 0.0 { Some(count / (used / 1e3)) } else { None },
        "cpu_us": used * 1e3 / count,
        "first_p50_us": quantile(&times.first, 0.5),
        "p50_us": quantile(&times.whole, 0.5),
        "p99_us": quantile(&times.whole, 0.99),
    })
}

async fn run(
    contender: &Contender,
    request: &Rc<Vec<u8>>,
    kind: Kind,
    concurrency: usize,
    how_long: Duration,
) -> Times {
    let times = Rc::new(RefCell::new(Times::default()));
    let until = Instant::now() + how_long;
    let local = tokio::task::LocalSet::new();
    for _ in 0..concurrency {
        let (address, request, times) = (contender.address, Rc::clone(request), Rc::clone(&times));
        local.spawn_local(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("an option");
            let mut held = Vec::with_capacity(16 * 1024);
            while Instant::now() < until {
                let started = Instant::now();
                stream.write_all(&request).await.expect("a request");
                let first = answer(&mut stream, &mut held, kind, started).await;
                let mut times = times.borrow_mut();
                times.first.push(first.as_secs_f64() * 1e6);
                times.whole.push(started.elapsed().as_secs_f64() * 1e6);
            }
        });
    }
    local.await;
    times.take()
}

/// Reads one answer to its end; the time to the first byte of its body.
async fn answer(stream: &mut TcpStream, held: &mut Vec<u8>, kind: Kind, started: Instant) -> Duration {
    held.clear();
    let mut first = None;
    let mut head = None;
    loop {
        if head.is_none()
            && let Some(at) = memchr::memmem::find(held, b"\r\n\r\n")
        {
            let text = std::str::from_utf8(&held[..at]).expect("a head").to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}\n{}", String::from_utf8_lossy(&held[at..]));
            let length =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            head = Some((at + 4, length));
        }
        if let Some((body, length)) = head {
            if held.len() > body && first.is_none() {
                first = Some(started.elapsed());
            }
            let done = match (kind, length) {
                (_, Some(length)) => held.len() >= body + length,
                (_, None) => held.ends_with(b"0\r\n\r\n"),
            };
            if done {
                if kind == Kind::Stream {
                    assert!(memchr::memmem::find(held, b"[DONE]").is_some(), "a stream comes to its end");
                }
                return first.unwrap_or_else(|| started.elapsed());
            }
        }
        assert!(stream.read_buf(held).await.expect("an answer") > 0, "the server hung up");
    }
}

fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}
