//! The `everstep` binary.
fn main() {}
