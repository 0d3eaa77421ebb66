//! Logs: one subscriber for the process, text for people or JSON for machines, with secrets masked. Spans of model
//! calls go to an OTLP receiver, where one is configured ([`traces`]).
//!
//! Only the binary uses this crate; every other one logs through `tracing` and knows **nothing of where it goes**.

pub mod traces;

use std::io::{self, Write};
use std::sync::Arc;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use traces::{Traces, finish};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Replaces secrets in a line.
pub type Mask = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// Why logging did not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The filter is not one.
    #[error("the log filter `{0}` is not one, for example `info` or `toryo_engine=debug,info`")]
    Filter(String),
    /// There is a subscriber already.
    #[error("logging was started before")]
    Twice,
    /// Spans cannot be exported.
    #[error("spans cannot be exported: {0}")]
    Traces(String),
}

/// What is logged, and how.
pub struct Logs<'a> {
    /// How lines look.
    pub format: Format,
    /// In the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: &'a str,
    /// Takes secrets out.
    pub mask: Mask,
    /// The target of the spans that are exported; they are nothing for logs.
    pub without: &'static str,
}

/// Starts logging to standard error, and the export of spans where `traces` is given. Without it the spans cost nothing.
///
/// # Errors
/// The filter is not one, spans cannot be exported, or logging was started before.
pub fn start(logs: Logs<'_>, traces: Option<&Traces>) -> Result<(), Error> {
    let Logs { format, filter, mask, without: target } = logs;
    let filter = EnvFilter::try_new(filter).map_err(|_| Error::Filter(filter.to_owned()))?;
    let exported = filter_fn(move |metadata| metadata.target() == target);
    let lines = lines(format, mask);
    let registry = tracing_subscriber::registry();
    let started = match traces {
        Some(traces) => {
            let spans = traces.layer()?.with_filter(exported);
            registry.with(lines.with_filter(logged(filter, target))).with(spans).try_init()
        }
        // A layer that is `None` would have each span ask again whether anybody wants it.
        None => registry.with(lines.with_filter(logged(filter, target))).try_init(),
    };
    started.map_err(|_| Error::Twice)
}

/// What becomes lines: all that the filter lets pass, but for one target.
fn logged<S>(filter: EnvFilter, without: &'static str) -> impl Filter<S> {
    filter.and(filter_fn(move |metadata: &Metadata<'_>| metadata.target() != without))
}

fn lines<S>(format: Format, mask: Mask) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(Masked { mask }).with_target(false);
    match format {
        Format::Text => layer.with_ansi(false).boxed(),
        Format::Json => layer.json().boxed(),
    }
}

struct Masked {
    mask: Mask,
}

impl<'a> MakeWriter<'a> for Masked {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { mask: self.mask.clone(), bytes: Vec::new() }
    }
}

/// Collects what one event writes: a secret may be written in several pieces.
struct Line {
    mask: Mask,
    bytes: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = (self.mask)(&String::from_utf8_lossy(&self.bytes));
        // Where standard error is closed there is nobody to tell.
        let _written = io::stderr().lock().write_all(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn a_secret_written_in_pieces_reaches_the_mask_whole() {
        let seen = Arc::new(Mutex::new(String::new()));
        let sink = seen.clone();
        let mask: Mask = Arc::new(move |line| {
            *sink.lock().unwrap() = line.to_owned();
            String::new()
        });
        let writer = Masked { mask };
        let mut line = writer.make_writer();
        line.write_all(b"key sk-").unwrap();
        line.write_all(b"123\n").unwrap();
        drop(line);
        assert_eq!(*seen.lock().unwrap(), "key sk-123\n");
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let mask: Mask = Arc::new(str::to_owned);
        let logs = Logs { format: Format::Text, filter: "a=b=c", mask, without: "spans" };
        let error = start(logs, None).unwrap_err();
        assert!(error.to_string().contains("a=b=c"));
    }
}
