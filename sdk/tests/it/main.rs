//! The client against a server of the tests' own.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod answers;
mod repeats;
mod server;
mod watching;
