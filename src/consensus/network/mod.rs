//! What one node's groups say to another's.
//!
//! Consensus knows four questions, all of them [`Request`]s, and the snapshot, which is long and comes in
//! chunks. How they travel is the business of a [`Transport`], which `node` hands in: one connection per pair
//! of nodes serves all groups. [`Receiver`] is the other end.
//!
//! Every call has a deadline. An answer that comes later is as good as none, because Raft asks again.
//!
//! Caveat: one append is in flight per group and follower.

mod client;
mod local;
mod message;
mod receiver;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub(super) use client::Factory;
pub use local::LocalNetwork;
pub(super) use message::{Answered, Question};
pub use message::{Request, Response, SnapshotHead, Unanswered};
pub use receiver::Receiver;

/// A future on the heap, so that transports can be handed in.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The chunks of a snapshot, in order. An error ends the transfer.
pub type Chunks = Box<dyn Iterator<Item = std::io::Result<Vec<u8>>> + Send>;

/// Where a message goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Which node.
    pub node: u64,
    /// Where it listens, as the membership says.
    pub address: String,
    /// Which of its groups.
    pub group: u16,
}

/// Carries messages between nodes.
pub trait Transport: Send + Sync + 'static {
    /// Asks one question.
    ///
    /// Errors: [`Unanswered`]; whether the other node has acted on it is unknown then.
    fn call<'a>(
        &'a self,
        to: &'a Address,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>>;

    /// Sends a snapshot. `deadline` is for one chunk, not for all.
    ///
    /// Errors: as for `call`.
    fn snapshot<'a>(
        &'a self,
        to: &'a Address,
        head: SnapshotHead,
        chunks: Chunks,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>>;

    /// A node has less in its log than it had acknowledged to this one: its disk went back.
    fn went_back(&self, _node: u64) {}
}

/// The transport of a node that is alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nowhere;

impl Nowhere {
    /// As what `Consensus::start` takes.
    #[must_use]
    pub fn transport() -> Arc<dyn Transport> {
        Arc::new(Self)
    }
}

impl Transport for Nowhere {
    fn call<'a>(
        &'a self,
        _: &'a Address,
        _: Request,
        _: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(std::future::ready(Err(Unanswered::Unreachable("this node is alone".to_owned()))))
    }

    fn snapshot<'a>(
        &'a self,
        _: &'a Address,
        _: SnapshotHead,
        _: Chunks,
        _: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(std::future::ready(Err(Unanswered::Unreachable("this node is alone".to_owned()))))
    }
}
