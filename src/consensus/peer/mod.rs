//! Connections between nodes.
//!
//! Each node dials every other one and asks on the connections it dialled; what it accepted it only answers on.
//! There are two per pair and direction, both shared by all groups: one for Raft, and one for what is large
//! or may wait (snapshots, requests that are passed on), so that a snapshot never holds a heartbeat up.
//!
//! ```text
//! frame     length u32 | kind u8 | id u64 | body          little-endian, the length counts what follows it
//! request   cluster u64 | to u64 | deadline ms u32 | errand u8 | group u16 | payload
//! ```
//!
//! A connection begins with a hello of whoever dialled: which cluster, which node, which incarnation of its disk,
//! and whom it means to reach. The other end welcomes it or says why not (`hello`). After that requests and
//! answers cross in any order, matched by id (`link`, `host`). Every request names cluster and node again, has a
//! deadline that both ends keep, and nothing waits in an unbounded queue.
//!
//! A node whose disk was replaced comes back under its old id with another incarnation, one whose disk is an older copy
//! without the mark that the others saw last (`acquaintances`). It has forgotten votes and entries that it
//! acknowledged, so nobody talks to it: it has to join anew, under an id never used. It is told so, and ends.
//!
//! With TLS both ends show a certificate of the cluster's authority, valid for `node-ID.everstep` (`tls`).
//!
//! Caveat: an answer that does not come leaves the outcome open. Raft asks again; who passes a request on makes
//! sure that asking twice is harmless.

mod acquaintances;
mod dial;
mod frame;
mod hello;
mod host;
mod hush;
mod link;
mod listen;
mod peers;
mod request;
#[cfg(any(test, feature = "fuzzing"))]
pub mod rubbish;
#[cfg(test)]
mod tests;
mod tls;

pub use acquaintances::{Disk, Dismissal, Incarnation, Introduction, Known};
pub use dial::{Dial, PeerStream, TcpDial};
pub use hello::{Me, Welcome};
pub use host::Desk;
pub use listen::listen;
pub use peers::{KeepMarks, Peers};
pub use tls::{TlsError, TlsFiles, TlsSettings};
