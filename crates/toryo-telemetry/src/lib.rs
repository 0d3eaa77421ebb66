//! Logs: one subscriber for the process, text for people or JSON for machines, with secrets masked.
//!
//! Only the binary uses this crate; every other one logs through `tracing` and knows **nothing of where it goes**.

use std::io::{self, Write};
use std::sync::Arc;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

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
}

/// Starts logging to standard error. `filter` is in the syntax of `tracing_subscriber::EnvFilter`.
///
/// # Errors
/// The filter is not one, or logging was started before.
pub fn start(format: Format, filter: &str, mask: Mask) -> Result<(), Error> {
    let filter = EnvFilter::try_new(filter).map_err(|_| Error::Filter(filter.to_owned()))?;
    let writer = Masked { mask };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_target(false);
    match format {
        Format::Text => builder.with_ansi(false).finish().try_init(),
        Format::Json => builder.json().finish().try_init(),
    }
    .map_err(|_| Error::Twice)
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
        let error = start(Format::Text, "a=b=c", Arc::new(str::to_owned)).unwrap_err();
        assert!(error.to_string().contains("a=b=c"));
    }
}
