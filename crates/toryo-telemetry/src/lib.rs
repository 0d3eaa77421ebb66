//! Logs with secrets redacted.
