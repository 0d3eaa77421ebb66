//! The web pages: functions from plain values to HTML. Everything that comes from a run is text and is escaped.

pub mod ask;
pub mod compare;
pub mod costs;
pub mod diff;
pub mod events;
pub mod graph;
pub mod highlight;
pub mod layout;
pub mod list;
pub mod log;
pub mod markdown;
pub mod pull;
pub mod review;
pub mod run;
pub mod steer;
pub mod tests;
pub mod usage;
pub mod words;

pub use layout::{Shell, shell};
