//! Under construction.

/// The replicated state of one partition.
pub struct Machine {}
