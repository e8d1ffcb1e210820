//! The integration tests, one binary: linking is the slow part.

mod tidy;
