//! The client against a server of the tests' own.

mod answers;
mod repeats;
mod server;
mod watching;
