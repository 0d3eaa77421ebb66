//! OpenAI's chat completions. Two fields are not OpenAI's but common among servers of this dialect:
//! `reasoning_content` shows the model's reasoning, `thinking_blocks` carries the provider's own form of it, to be
//! sent back in the assistant's message.

mod parts;
mod read;
mod stream;
mod write;

pub(super) use parts::image;
pub(super) use read::{effort, function, is_the_rule, json_schema, read, word_choice};
pub(super) use stream::{Stream, done, failed};
pub(super) use write::whole;
