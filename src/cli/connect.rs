//! The client that commands talk through.

use std::time::Duration;

use everstep_sdk::{Builder, Client};

use super::args::Globals;
use super::failure::Failure;

/// Where `everstep dev` listens unless told otherwise.
const SERVER_DEFAULT: &str = "http://127.0.0.1:8000";

/// A client of the server that was named, or of the default one.
pub(super) fn connect(globals: &Globals) -> Result<Client, Failure> {
    connect_to(globals, globals.server.as_deref().unwrap_or(SERVER_DEFAULT))
}

/// As `connect`, for whoever wants to know soon that nobody answers.
pub(super) fn connect_for(globals: &Globals, timeout: Duration) -> Result<Client, Failure> {
    let server = globals.server.as_deref().unwrap_or(SERVER_DEFAULT);
    build(globals, Client::builder(server).timeout(timeout))
}

/// A client of a certain server.
pub(super) fn connect_to(globals: &Globals, server: &str) -> Result<Client, Failure> {
    build(globals, Client::builder(server))
}

fn build(globals: &Globals, mut builder: Builder) -> Result<Client, Failure> {
    if let Some(token) = &globals.token {
        builder = builder.token(token);
    }
    Ok(builder.build()?)
}
