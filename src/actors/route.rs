//! Finds the node that leads a partition: this one, or one to pass a request on to.
//!
//! Leadership moves while requests are on their way. Whoever asks here is patient: while nobody leads it waits,
//! and what another node turned down without doing anything is tried again, wherever leadership went. A
//! request whose outcome is unknown is repeated only if repeating it is harmless.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::consensus::peer::{Desk, Peers};
use crate::consensus::{
    self, BoxFuture, CatalogueChange, CatalogueConflict, Leadership, Unanswered, Workflow,
};
use crate::engine::model::PartitionId;
use crate::points::{self, Point};

use super::handle::Handle;
use super::partition::Partition;
use super::passing::{Answer, Ask, Failure};
use super::request::Error;

/// How long a request waits for its answer. A caller that hears nothing for so long is told that the
/// outcome is unknown.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(15);
/// How long a request looks for a leader: several elections, or the fall of a node and the election after it.
const LEADER_MAX: Duration = Duration::from_secs(5);
/// Between two looks whether the actors of a new leadership take work.
const DIRECTORY_POLL: Duration = Duration::from_millis(2);
/// The wait before a leader that turned a request down is looked for again, unless leadership changes sooner.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// How long the answer of a node is waited for that does not lead any more.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// Between two looks who leads a partition that is held elsewhere.
const TABLE_AGAIN: Duration = Duration::from_millis(100);

/// Where a request is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Here,
    There(u64),
}

/// Whether a request may be carried out twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is as good as once.
    Harmless,
    /// Only what certainly was not done is asked again.
    Never,
}

/// The other nodes of the cluster.
#[derive(Clone, Default)]
pub(super) struct Others(pub(super) Option<Peers>);

impl Others {
    /// The name of the cluster; empty for a node without any.
    pub(super) fn cluster_name(&self) -> String {
        self.0.as_ref().map(|peers| peers.me().cluster).unwrap_or_default()
    }

    pub(super) async fn ask(&self, node: u64, ask: &Ask, deadline: Duration) -> Result<Answer, Unanswered> {
        let alone = || Unanswered::Unreachable("this node is alone".to_owned());
        let peers = self.0.as_ref().ok_or_else(alone)?;
        let answer = peers.ask(node, ask.encode(), deadline).await?;
        Answer::decode(&answer).map_err(|error| Unanswered::Lost(error.to_string()))
    }
}

impl Handle {
    /// Carries a request out where its partition is led. `here` does it on this node, `ask` passes it on.
    pub(super) async fn carry_out<F>(
        &self,
        partition: PartitionId,
        repeat: Repeat,
        mut here: impl FnMut() -> F,
        ask: impl Fn() -> Ask,
    ) -> Result<Answer, Error>
    where
        F: Future<Output = Result<Answer, Error>>,
    {
        let begun = Instant::now();
        loop {
            let answer = match self.place(partition, begun).await? {
                Place::Here => here().await,
                Place::There(node) => {
                    let left = ANSWER_MAX.saturating_sub(begun.elapsed());
                    self.ask_leader(partition, node, &ask(), left).await
                }
            };
            if let Err(Error::Elsewhere { leader, .. }) = &answer
                && !self.holds(partition)
            {
                self.inner.table.correct(partition, *leader);
            }
            let again = match &answer {
                Err(Error::Elsewhere { .. }) => true,
                Err(Error::Unavailable { .. }) => repeat == Repeat::Harmless,
                Ok(_) | Err(_) => false,
            };
            if !again || begun.elapsed() >= LEADER_MAX {
                return answer;
            }
            let mut leadership = self.inner.consensus.leadership(partition);
            leadership.mark_unchanged();
            if let Ok(Err(_)) = tokio::time::timeout(LOOK_AGAIN, leadership.changed()).await {
                // Consensus has ended, whoever led last; nothing will change any more.
                return answer;
            }
        }
    }

    /// Asks the node that leads a partition, as long as it does: one that is cut off never answers, and another one
    /// leads long before the deadline.
    async fn ask_leader(
        &self,
        partition: PartitionId,
        node: u64,
        ask: &Ask,
        left: Duration,
    ) -> Result<Answer, Error> {
        points::cross(Point::PassOnBefore).await;
        let asked = self.inner.others.ask(node, ask, left);
        let Some(answer) = unless_replaced(self.inner.consensus.leadership(partition), node, asked).await
        else {
            return Err(unknown(&format!("node {node} was asked, and another one leads now")));
        };
        points::cross(Point::PassOnAnswered).await;
        match answer {
            Ok(Answer::Failed(failure)) => Err(failure.into()),
            Ok(answer) => Ok(answer),
            Err(Unanswered::Lost(why)) => Err(unknown(&why)),
            Err(Unanswered::Unreachable(why) | Unanswered::Refused(why)) => {
                tracing::debug!(%partition, node, why, "the leader cannot be reached");
                Err(Error::Elsewhere { partition, leader: None })
            }
        }
    }

    /// Changes the catalogue, wherever it is led.
    pub(super) async fn change(
        &self,
        change: CatalogueChange,
    ) -> Result<Result<Arc<Workflow>, CatalogueConflict>, Error> {
        let here = || self.change_here(change.clone());
        let ask = || Ask::Change(Box::new(change.clone()));
        match self.carry_out(PartitionId::CATALOGUE, Repeat::Never, here, ask).await? {
            Answer::Changed(changed) => Ok(changed),
            other => Err(misplaced(&other)),
        }
    }

    async fn change_here(&self, change: CatalogueChange) -> Result<Answer, Error> {
        self.inner.disk.admit_change()?;
        Ok(Answer::Changed(self.inner.consensus.change(change).await?))
    }

    /// Where a partition is led; waits while it is nowhere.
    pub(super) async fn place(&self, partition: PartitionId, begun: Instant) -> Result<Place, Error> {
        let mut leadership = self.inner.consensus.leadership(partition);
        let me = self.inner.consensus.node();
        let found = async {
            loop {
                let known = *leadership.borrow_and_update();
                match known {
                    Leadership::Leading { .. } => {
                        self.opened(partition).await;
                        return Ok(Place::Here);
                    }
                    Leadership::Following { leader: Some(node) } if node != me && self.holds(partition) => {
                        return Ok(Place::There(node));
                    }
                    Leadership::Following { .. } => {}
                }
                if !self.holds(partition)
                    && let Some(node) = self.inner.table.leader(partition).filter(|node| *node != me)
                {
                    return Ok(Place::There(node));
                }
                let stopped = Error::Unavailable { reason: "the node is stopping".to_owned() };
                if let Ok(Err(_)) = tokio::time::timeout(TABLE_AGAIN, leadership.changed()).await {
                    return Err(stopped);
                }
            }
        };
        let left = LEADER_MAX.saturating_sub(begun.elapsed()).max(LOOK_AGAIN);
        tokio::time::timeout(left, found).await.unwrap_or(Err(Error::Elsewhere { partition, leader: None }))
    }

    /// Waits until the actors of a leadership take work, which is a moment after the leadership is known; or until
    /// it has ended again.
    async fn opened(&self, partition: PartitionId) {
        let Some(partition) = self.inner.partitions.iter().find(|it| it.id == partition) else { return };
        let leading = self.inner.consensus.leadership(partition.id);
        while partition.directory.tenure().is_none() && is_leading(&leading.borrow()) {
            tokio::time::sleep(DIRECTORY_POLL).await;
        }
    }

    /// A partition this node leads, by chance if it is several.
    pub(super) fn led_here(&self, chance: u128) -> Option<&Arc<Partition>> {
        let led = || self.inner.partitions.iter().filter(|partition| partition.directory.tenure().is_some());
        let count = led().count();
        let chosen = usize::try_from(chance % u128::try_from(count.max(1)).unwrap_or(1)).unwrap_or(0);
        led().nth(chosen)
    }
}

/// Waits for an answer of the node that leads; none if another one has led for a moment by then. Whoever hands
/// over in order answers within that moment.
async fn unless_replaced<T>(
    mut leadership: watch::Receiver<Leadership>,
    node: u64,
    asked: impl Future<Output = T>,
) -> Option<T> {
    let replaced = async {
        let by_another = |known: &Leadership| match known {
            Leadership::Leading { .. } => true,
            Leadership::Following { leader } => leader.is_some_and(|leader| leader != node),
        };
        if leadership.wait_for(by_another).await.is_err() {
            // The node stops, and whoever asked with it.
            return std::future::pending().await;
        }
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        biased;
        answer = asked => Some(answer),
        () = replaced => None,
    }
}

impl Desk for Handle {
    fn answer(&self, from: u64, ask: bytes::Bytes) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async move {
            let answer = match Ask::decode(&ask) {
                Ok(Ask::Submit(begin)) => self.begin_here(*begin, None).await,
                Ok(Ask::Act { caller, id, input }) => self.act_here(&caller, id, &input).await,
                Ok(Ask::Change(change)) => self.change_here(*change).await,
                Ok(Ask::Nodes(change)) => self.change_nodes_here(change).await,
                Ok(Ask::Reshape { partition, step }) => self.reshape_here(partition, step).await,
                Ok(Ask::Standing) if self.inner.leaving.load(Ordering::SeqCst) => {
                    Err(Error::Unavailable { reason: "the node is stopping".to_owned() })
                }
                Ok(Ask::Standing) => Ok(Answer::Standing(self.standing())),
                Ok(Ask::Read { partition, question }) => self.answered_here(partition, &question).await,
                Ok(Ask::Join(change)) => self.change_nodes(change).await.map(|node| Answer::Node(Ok(node))),
                Err(error) => {
                    tracing::warn!(from, %error, "another node asked something this release does not know");
                    Err(Error::Unavailable { reason: format!("a request of node {from}: {error}") })
                }
            };
            points::cross(Point::DeskAnswered).await;
            answer.unwrap_or_else(|error| Answer::Failed(Failure::from(error))).encode()
        })
    }
}

pub(super) const fn is_leading(leadership: &Leadership) -> bool {
    matches!(leadership, Leadership::Leading { .. })
}

/// The caller has to find out by itself.
pub(super) fn unknown(reason: &str) -> Error {
    Error::Unavailable { reason: format!("{reason}; it may have happened") }
}

/// Another node answered something else.
pub(super) fn misplaced(answer: &impl std::fmt::Debug) -> Error {
    unknown(&format!("another node gave the answer to another question: {answer:?}"))
}

impl From<consensus::Error> for Error {
    fn from(error: consensus::Error) -> Self {
        match error {
            consensus::Error::Overloaded { what } => super::partition::overloaded(what),
            consensus::Error::TooLarge { bytes, bytes_max } => super::request::too_large(bytes, bytes_max),
            consensus::Error::NoLeader { partition, hint } => Self::Elsewhere { partition, leader: hint },
            consensus::Error::Timeout { .. }
            | consensus::Error::LeadershipLost { .. }
            | consensus::Error::Members { .. }
            | consensus::Error::Stopped
            | consensus::Error::Fatal { .. } => Self::Unavailable { reason: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Duration = Duration::from_secs(10);

    fn leading(leader: Option<u64>) -> (watch::Sender<Leadership>, watch::Receiver<Leadership>) {
        watch::channel(Leadership::Following { leader })
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_is_cut_off_is_not_waited_for_once_another_leads() {
        let (tell, leadership) = leading(Some(1));
        let never = std::future::pending::<()>();
        let asked = tokio::spawn(tokio::time::timeout(LATE, unless_replaced(leadership, 1, never)));
        tell.send_replace(Leadership::Following { leader: None });
        tell.send_replace(Leadership::Following { leader: Some(2) });
        assert_eq!(asked.await.unwrap(), Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_words_of_a_leader_are_heard() {
        let (_tell, leadership) = leading(Some(2));
        let answer = async {
            tokio::time::sleep(LAST_WORDS / 10).await;
            "done"
        };
        assert_eq!(unless_replaced(leadership, 1, answer).await, Some("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_is_waited_for_while_nobody_replaces_it() {
        let (tell, leadership) = leading(Some(1));
        tell.send_replace(Leadership::Following { leader: None });
        let slow = tokio::time::sleep(LAST_WORDS * 2);
        assert_eq!(unless_replaced(leadership, 1, slow).await, Some(()));
    }
}
