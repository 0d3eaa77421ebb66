//! OpenAI's responses. The gateway keeps no conversations, so every question has to carry all of its own, and
//! reasoning travels through the client in `encrypted_content`.

mod items;
mod read;
mod stream;
mod write;

pub(super) use read::read;
pub(super) use stream::Stream;
pub(super) use write::whole;
