//! The Docker adapter on a real engine. Without one these tests fail and say so.

mod confinement;
mod contract;
mod faults;
mod preparation;
mod support;
