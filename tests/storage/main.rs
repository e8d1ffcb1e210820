//! Storage: what was acknowledged is there after every kind of end, and what is damaged is never served.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers as well")]

mod crash;
mod damage;
mod golden;
mod log;
mod model;
mod powerloss;
mod store;
mod support;
mod torn;
mod verify;
