//! Failure classes: what kind of failure it was decides what happens next (design §4.7).

use crate::text_enum;

text_enum! {
    /// The class of a failure. Errors of every crate map to one; the engine decides by it alone.
    pub enum FailureClass {
        /// May go away by itself: a network fault, a restarting server. Retried with back-off.
        Transient = "transient",
        /// A provider asks for fewer requests. Retried after the time it names.
        RateLimited = "rate_limited",
        /// A model's reply stays invalid after it was told so twice. A person decides.
        InvalidOutput = "invalid_output",
        /// The container engine failed, not the commands in it. Retried with back-off.
        Sandbox = "sandbox",
        /// A guardrail forbids it. A person decides.
        Policy = "policy",
        /// Money, tokens, time or loops are used up. A person decides.
        Budget = "budget",
        /// Wrong input that no retry mends: a repository that does not exist, an unknown branch. The run fails.
        Input = "input",
        /// Somebody cancelled it.
        Cancelled = "cancelled",
        /// A fault of Toryo's own. The run fails and says so.
        Bug = "bug",
    }
}
