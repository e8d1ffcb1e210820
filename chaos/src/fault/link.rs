//! The network between the nodes.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep;

use super::{Account, Kind, Stage};
use crate::net::{Mode, Place};

/// A delay of up to this: more than a lease, so that leaders are doubted.
const DELAY_MAX: Duration = Duration::from_millis(400);
/// Bytes a second of a slow link, at least and at most: less than the cluster's chatter, and about it.
const RATE: (u64, u64) = (2_000, 100_000);
/// Between two breaks of all connections.
const RESET_EVERY: Duration = Duration::from_millis(40);

/// Ordered pairs of nodes.
type Pairs = Vec<(Place, Place)>;

impl Stage {
    pub(super) async fn disturb(&mut self, kind: Kind, time: Duration) -> Result<Account> {
        let id = self.any();
        let (pairs, nodes) = self.pairs(kind, id)?;
        let net = self.cluster.ground.net.clone();
        let hindered = |pairs: &Pairs| pairs.iter().map(|(from, to)| net.hindered(*from, *to)).sum::<u64>();
        let before = hindered(&pairs);
        let mut account = Account { nodes: nodes.clone(), ..Account::default() };
        let mode = match kind {
            Kind::Delay => Mode::Delay(self.random.between(Duration::from_millis(5), DELAY_MAX)),
            Kind::Slow => Mode::Slow(RATE.0 + self.random.below(RATE.1 - RATE.0)),
            Kind::Reset => Mode::Pass,
            _ => Mode::Cut,
        };
        account.remarks.push(format!("{mode:?}"));
        if kind == Kind::HalfOpen {
            // What comes from now on is new, and taken, and never answered.
            pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
        }
        pairs.iter().for_each(|(from, to)| net.set(*from, *to, mode));
        if kind == Kind::Reset {
            let began = Instant::now();
            while began.elapsed() < time {
                pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
                sleep(RESET_EVERY).await;
            }
        } else if matches!(kind, Kind::Cut | Kind::Mute | Kind::Deaf | Kind::HalfOpen) {
            self.others_serve(&[id], time, &mut account).await;
        } else {
            sleep(time).await;
        }
        pairs.iter().for_each(|(from, to)| net.set(*from, *to, Mode::Pass));
        // What was held arrives late, or its connection is given up by then.
        if kind == Kind::HalfOpen || (mode == Mode::Cut && self.random.once_in(2)) {
            account.remarks.push("connections break at its end".to_owned());
            pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
        }
        let count = hindered(&pairs) - before;
        account.proof = (count > 0).then(|| format!("the proxies hindered {count} times"));
        Ok(account)
    }

    /// The directions that are disturbed, and the nodes at their ends that are named for it.
    fn pairs(&mut self, kind: Kind, id: u64) -> Result<(Pairs, Vec<u64>)> {
        let place = self.cluster.node(id)?.place;
        let others: Vec<_> = self
            .cluster
            .nodes
            .iter()
            .filter(|node| node.id != id)
            .map(|node| (node.id, node.place))
            .collect();
        let out = others.iter().map(|(_, other)| (place, *other));
        let inward = others.iter().map(|(_, other)| (*other, place));
        Ok(match kind {
            Kind::Mute => (out.collect(), vec![id]),
            Kind::Deaf => (inward.collect(), vec![id]),
            Kind::CutPair => {
                let (other_id, other) = *self.random.choice(&others);
                (vec![(place, other), (other, place)], vec![id, other_id])
            }
            _ => (out.chain(inward).collect(), vec![id]),
        })
    }
}
