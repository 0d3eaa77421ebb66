//! What an answer says about itself.

/// What an answer says about itself besides the model's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The gateway's name for the call, without the prefix that each dialect puts before it (`chatcmpl-`, `resp_`,
    /// `msg_`).
    pub id: String,
    /// When the answer began, in seconds since 1970.
    pub created: i64,
    /// The route's alias, as the client asked for it.
    pub alias: String,
}
