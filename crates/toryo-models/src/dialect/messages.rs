//! Anthropic's messages.

mod read;
mod stream;
mod write;

pub(super) use read::read;
pub(super) use stream::Stream;
pub(super) use write::whole;
