//! The Docker adapter on a real engine. Without one these tests fail and say so.

#[cfg(test)]
mod confinement;
#[cfg(test)]
mod contract;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod preparation;
#[cfg(test)]
mod suite;
#[cfg(test)]
mod support;
