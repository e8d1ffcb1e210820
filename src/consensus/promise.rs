//! What a node promised before it was stopped.
//!
//! Whoever answers a leader promises to help no other node to lead until the lease has passed; the leader reads its
//! own state meanwhile and asks nobody. Raft keeps that promise in memory alone, and a process can be killed and back
//! in a fraction of the lease. So for one lease after its start a node neither votes for another one than the
//! leader its log names, nor stands for election itself.
//!
//! Nobody was promised anything by a node whose own vote no leadership came of, or that led itself. A leader that
//! asks for its own replacement gives the promise back.

use std::time::Duration;

use tokio::time::Instant;

use crate::engine::planted::{self, Bug};

use super::types::{Types, Vote};

type VoteRequest = openraft::raft::VoteRequest<Types>;

/// To whom, and until when. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise(Option<(u64, Instant)>);

impl Promise {
    /// What `node` has to keep that starts now, with a vote that it finds on its disk.
    pub(super) fn kept(node: u64, vote: Option<&Vote>, lease: Duration) -> Self {
        let led = vote.filter(|vote| vote.is_committed()).map(|vote| vote.leader_id.node_id);
        let owed = led.filter(|leader| *leader != node && !planted::is(Bug::PromiseForgotten));
        Self(owed.map(|leader| (leader, Instant::now() + lease)))
    }

    /// Whether the election that a vote is asked for would break it; the error says why.
    pub(super) fn check(&self, asked: &VoteRequest) -> Result<(), String> {
        match self.0 {
            Some((leader, until))
                if asked.vote.leader_id.node_id != leader
                    && !asked.leadership_transfer
                    && Instant::now() < until =>
            {
                Err(format!("just started, and node {leader} may still have a lease"))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::LeaderId;
    use super::*;

    const LEASE: Duration = Duration::from_millis(300);

    fn asked(candidate: u64, leadership_transfer: bool) -> VoteRequest {
        let vote = Vote { leader_id: LeaderId { term: 9, node_id: candidate }, committed: false };
        VoteRequest { vote, last_log_id: None, leadership_transfer }
    }

    fn found(leader: u64, committed: bool) -> Vote {
        Vote { leader_id: LeaderId { term: 8, node_id: leader }, committed }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_is_helped_to_lead_within_the_lease() {
        let promise = Promise::kept(1, Some(&found(2, true)), LEASE);
        assert!(promise.check(&asked(3, false)).is_err());
        assert!(promise.check(&asked(1, false)).is_err(), "nor itself");
        assert!(promise.check(&asked(2, false)).is_ok(), "the leader itself may come back");
        assert!(promise.check(&asked(3, true)).is_ok(), "the leader itself may ask for another one");
        tokio::time::advance(LEASE).await;
        assert!(promise.check(&asked(3, false)).is_ok(), "it has passed");
    }

    #[tokio::test(start_paused = true)]
    async fn who_followed_nobody_has_promised_nothing() {
        for vote in [None, Some(found(2, false)), Some(found(1, true))] {
            let promise = Promise::kept(1, vote.as_ref(), LEASE);
            assert!(promise.check(&asked(3, false)).is_ok(), "{vote:?}");
        }
    }
}
