//! Several nodes in one process, and what can go wrong between them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::message::Unanswered;
use super::{Address, BoxFuture, Chunks, Receiver, Request, Response, SnapshotHead, Transport};

/// A network of nodes in one process. Cheap to clone.
///
/// Messages are encoded and decoded as on a wire, so that nothing is shared by accident.
#[derive(Clone, Default)]
pub struct LocalNetwork(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: BTreeMap<u64, Receiver>,
    /// Ordered pairs: no message goes from the first to the second.
    cut: BTreeSet<(u64, u64)>,
    snapshots: u64,
    went_back: BTreeSet<u64>,
}

impl LocalNetwork {
    /// Without nodes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The transport to start a node with.
    #[must_use]
    pub fn transport(&self, node: u64) -> Arc<dyn Transport> {
        Arc::new(Wire { network: self.clone(), from: node })
    }

    /// Makes a node reachable, in place of its earlier boot.
    pub fn join(&self, node: u64, receiver: Receiver) {
        self.state().nodes.insert(node, receiver);
    }

    /// Makes a node unreachable for good.
    pub fn leave(&self, node: u64) {
        self.state().nodes.remove(&node);
    }

    /// Loses everything between this node and all others, both ways.
    pub fn isolate(&self, node: u64) {
        let mut state = self.state();
        let others: Vec<u64> = state.nodes.keys().copied().filter(|other| *other != node).collect();
        for other in others {
            state.cut.extend([(node, other), (other, node)]);
        }
    }

    /// Loses everything that goes from one node to another.
    pub fn cut(&self, from: u64, to: u64) {
        self.state().cut.insert((from, to));
    }

    /// Loses nothing any more.
    pub fn heal(&self) {
        self.state().cut.clear();
    }

    /// How many snapshots have arrived, including those that were not wanted.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.state().snapshots
    }

    /// The nodes that were caught with less than they had acknowledged.
    #[must_use]
    pub fn went_back(&self) -> BTreeSet<u64> {
        self.state().went_back.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The other end; `None` if the way is cut.
    fn route(&self, from: u64, to: u64) -> Result<Option<Receiver>, Unanswered> {
        let state = self.state();
        if state.cut.contains(&(from, to)) {
            return Ok(None);
        }
        let nobody = || Unanswered::Unreachable(format!("nobody listens at node {to}"));
        state.nodes.get(&to).cloned().map(Some).ok_or_else(nobody)
    }
}

struct Wire {
    network: LocalNetwork,
    from: u64,
}

impl Wire {
    /// The other end. A lost message is not answered for as long as the caller waits.
    async fn receiver(&self, to: u64, deadline: Duration) -> Result<Receiver, Unanswered> {
        if let Some(receiver) = self.network.route(self.from, to)? {
            return Ok(receiver);
        }
        tokio::time::sleep(deadline).await;
        Err(Unanswered::Lost("the way is cut".to_owned()))
    }

    /// The way back.
    fn back(&self, to: u64, response: &Response) -> Result<Response, Unanswered> {
        if self.network.state().cut.contains(&(to, self.from)) {
            return Err(Unanswered::Lost("the way back is cut".to_owned()));
        }
        Response::decode(&response.encode()).map_err(|error| Unanswered::Lost(error.to_string()))
    }
}

impl Transport for Wire {
    fn call<'a>(
        &'a self,
        to: &'a Address,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(async move {
            let receiver = self.receiver(to.node, deadline).await?;
            let request =
                Request::decode(&request.encode()).map_err(|error| Unanswered::Lost(error.to_string()))?;
            let response = receiver.answer(to.group, request).await?;
            self.back(to.node, &response)
        })
    }

    fn snapshot<'a>(
        &'a self,
        to: &'a Address,
        head: SnapshotHead,
        chunks: Chunks,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(async move {
            let receiver = self.receiver(to.node, deadline).await?;
            let head =
                SnapshotHead::decode(&head.encode()).map_err(|error| Unanswered::Lost(error.to_string()))?;
            self.network.state().snapshots += 1;
            let session = self.network.state().snapshots;
            receiver.begin(to.group, session, head).await?;
            for (number, chunk) in (0..).zip(chunks) {
                let chunk = chunk.map_err(|error| Unanswered::Lost(error.to_string()))?;
                receiver.chunk(to.group, session, number, chunk.into()).await?;
            }
            let response = receiver.finish(to.group, session).await?;
            self.back(to.node, &response)
        })
    }

    fn went_back(&self, node: u64) {
        self.network.state().went_back.insert(node);
    }
}
