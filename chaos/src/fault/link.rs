//! The network between the nodes.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{Account, Kind, Stage};
use crate::net::{Mode, Place};

/// A delay of up to this: more than a lease, so that leaders are doubted.
const DELAY_MAX: Duration = Duration::from_millis(400);
/// Bytes a second of a slow link, at least and at most: less than the cluster's chatter, and about it.
const RATE: (u64, u64) = (2_000, 100_000);
/// Of a hundred packets, so many are lost: connections live on, slowly.
const LOSS_PERCENT: u8 = 30;
/// Between two breaks of all connections.
const RESET_EVERY: Duration = Duration::from_millis(40);

/// Ordered pairs of nodes, by their ids.
type Pairs = Vec<(u64, u64)>;

impl Stage {
    pub(super) async fn disturb(&mut self, kind: Kind, time: Duration) -> Result<Account> {
        let down = self.some(None);
        let (pairs, nodes) = self.pairs(kind, &down)?;
        let pairs = self.places(&pairs)?;
        let net = self.cluster.ground.net.clone();
        let hindered =
            |pairs: &[(Place, Place)]| pairs.iter().map(|(from, to)| net.hindered(*from, *to)).sum::<u64>();
        let before = hindered(&pairs);
        let mut account = Account { nodes: nodes.clone(), ..Account::default() };
        let mode = match kind {
            Kind::Delay => Mode::Delay(self.random.between(Duration::from_millis(5), DELAY_MAX)),
            Kind::Slow => Mode::Slow(RATE.0 + self.random.below(RATE.1 - RATE.0)),
            Kind::Loss => Mode::Loss(LOSS_PERCENT),
            Kind::Reset if net.wire().is_some() => Mode::Refuse,
            Kind::Reset => Mode::Pass,
            _ => Mode::Cut,
        };
        account.remarks.push(format!("{mode:?}"));
        if kind == Kind::HalfOpen {
            // What comes from now on is new, and taken, and never answered.
            pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
        }
        pairs.iter().try_for_each(|(from, to)| net.set(*from, *to, mode))?;
        if kind == Kind::Reset && mode == Mode::Pass {
            let began = Instant::now();
            while began.elapsed() < time {
                pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
                sleep(RESET_EVERY).await;
            }
        } else if matches!(kind, Kind::Cut | Kind::Mute | Kind::Deaf | Kind::HalfOpen) {
            self.others_serve(&down, time, &mut account).await;
        } else {
            sleep(time).await;
        }
        pairs.iter().try_for_each(|(from, to)| net.set(*from, *to, Mode::Pass))?;
        // What was held arrives late, or its connection is given up by then.
        if kind == Kind::HalfOpen || (mode == Mode::Cut && self.random.once_in(2)) {
            account.remarks.push("connections break at its end".to_owned());
            pairs.iter().for_each(|(from, to)| net.reset(*from, *to));
        }
        let count = hindered(&pairs) - before;
        account.proof = (count > 0).then(|| format!("the network hindered {count} times"));
        Ok(account)
    }

    fn places(&mut self, pairs: &Pairs) -> Result<Vec<(Place, Place)>> {
        let places =
            |(from, to): &(u64, u64)| Ok((self.cluster.node(*from)?.place, self.cluster.node(*to)?.place));
        pairs.iter().map(places).collect()
    }

    /// The directions that are disturbed, and the nodes at their ends that are named for it.
    fn pairs(&mut self, kind: Kind, ids: &[u64]) -> Result<(Pairs, Vec<u64>)> {
        let first = *ids.first().context("there is a node")?;
        let others: Vec<_> = self.cluster.ids().into_iter().filter(|id| *id != first).collect();
        if kind == Kind::CutPair {
            let other = *self.random.choice(&others);
            return Ok((vec![(first, other), (other, first)], vec![first, other]));
        }
        let all = self.cluster.ids();
        let each = ids
            .iter()
            .flat_map(|id| all.iter().filter(move |other| *other != id).map(move |other| (*id, *other)));
        let mut pairs = Pairs::new();
        for (id, other) in each {
            if kind != Kind::Deaf {
                pairs.push((id, other));
            }
            if kind != Kind::Mute {
                pairs.push((other, id));
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        Ok((pairs, ids.to_vec()))
    }
}
