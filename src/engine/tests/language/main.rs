//! The workflow language, held against scripts that are read like a table of what it promises.
//!
//! `definitions/*` hold texts and what the check says of them; `expressions/*` hold one expression a
//! line and its value. `UPDATE_GOLDEN=1 cargo test -p everstep-engine --test language` writes what is
//! said now into them, to be read before it is committed.

#![expect(clippy::unwrap_used, reason = "a test stops at what it does not expect")]

mod definitions;
mod differential;
mod expressions;
mod golden;
mod rubbish;
mod world;
