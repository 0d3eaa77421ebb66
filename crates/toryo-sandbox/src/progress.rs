//! Progress: lines about what is going on, for whoever watches. Losing some is harmless; waiting for them is not.

use std::fmt;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Something to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Update {
    /// What the sandbox does now, as a sentence without a full stop.
    Stage(String),
    /// The last line a command has written. At most a few a second; most lines are left out.
    Output(String),
}

/// A handle that takes updates. Cheap to clone. Whatever receives them must not block.
#[derive(Clone)]
pub struct Progress(Option<Arc<dyn Fn(Update) + Send + Sync>>);

impl Progress {
    /// Nobody watches.
    #[must_use]
    pub const fn none() -> Self {
        Self(None)
    }

    /// Calls `receive` for each update, on the thread that works: it has to return at once.
    pub fn new(receive: impl Fn(Update) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(receive)))
    }

    /// Sends updates into a channel of this capacity; those that find it full are dropped.
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Update>) {
        let (sender, receiver) = mpsc::channel(capacity);
        (Self::new(move |update| drop(sender.try_send(update))), receiver)
    }

    /// Tells what is being done now.
    pub fn stage(&self, text: impl Into<String>) {
        if let Some(receive) = &self.0 {
            receive(Update::Stage(text.into()));
        }
    }

    /// Shows a line a command has written.
    pub fn output(&self, line: impl Into<String>) {
        if let Some(receive) = &self.0 {
            receive(Update::Output(line.into()));
        }
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Progress(watched)" } else { "Progress(none)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_channel_drops_updates_instead_of_blocking() {
        let (progress, mut updates) = Progress::channel(1);
        progress.stage("first");
        progress.output("dropped");
        assert_eq!(updates.recv().await, Some(Update::Stage("first".into())));
        progress.output("third");
        assert_eq!(updates.recv().await, Some(Update::Output("third".into())));
    }
}
