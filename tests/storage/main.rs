//! Storage: what was acknowledged is there, what is damaged is not served.

mod log;
