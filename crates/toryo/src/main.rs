//! The command line of Toryo; wires ports to adapters.
fn main() {}
