//! What goes over the wire: requests with their checks, replies made from what the blackboard holds.

pub mod accounts;
pub mod actions;
pub mod budgets;
pub mod lists;
pub mod repos;
pub mod runs;
pub mod schemas;
pub mod steer;
pub mod tasks;
pub mod tenants;
pub mod usage;
