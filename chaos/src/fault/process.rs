//! Processes that die, stop, freeze and come back.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{Account, Stage};

impl Stage {
    pub(super) async fn kill_leader(&mut self, time: Duration) -> Result<Account> {
        let standing = self.cluster.standing().await?;
        let leaders: Vec<_> = standing.partitions.iter().filter_map(|group| group.leader).collect();
        let leader = if leaders.is_empty() { self.any() } else { *self.random.choice(&leaders) };
        let leads = standing.member(leader).map_or(0, |member| member.leads);
        let down = self.some(Some(leader));
        self.kill_these(down, time, format!("one led {leads} partitions")).await
    }

    pub(super) async fn kill_any(&mut self, time: Duration) -> Result<Account> {
        let down = self.some(None);
        self.kill_these(down, time, "they ran".to_owned()).await
    }

    async fn kill_these(&mut self, down: Vec<u64>, time: Duration, were: String) -> Result<Account> {
        for id in &down {
            self.cluster.node(*id)?.kill().await?;
        }
        let proof = Some(format!("{} gone; {were}", down.len()));
        let mut account = Account { nodes: down.clone(), proof, ..Account::default() };
        self.others_serve(&down, time, &mut account).await;
        for id in &down {
            self.cluster.node(*id)?.start()?;
        }
        Ok(account)
    }

    /// All at once; with `power` the disks keep only what was synced.
    pub(super) async fn kill_all(&mut self, time: Duration, power: bool) -> Result<Account> {
        for node in &mut self.cluster.nodes {
            node.kill().await?;
        }
        let mut proof = "all processes are gone".to_owned();
        if power {
            let mut lost = 0;
            for node in &self.cluster.nodes {
                lost += node.cut_power().with_context(|| format!("cut the power of node {}", node.id))?;
            }
            proof += &format!(", and {lost} bytes that were not synced");
        }
        sleep(time).await;
        for node in &mut self.cluster.nodes {
            node.start()?;
        }
        Ok(Account { nodes: self.cluster.ids(), proof: Some(proof), ..Account::default() })
    }

    pub(super) async fn restart(&mut self, time: Duration) -> Result<Account> {
        let id = self.any();
        let mut account = Account { nodes: vec![id], ..Account::default() };
        self.stop_in_order(id, &mut account).await?;
        self.others_serve(&[id], time, &mut account).await;
        self.cluster.node(id)?.start()?;
        Ok(account)
    }

    pub(super) async fn rolling_restart(&mut self) -> Result<Account> {
        let mut account = Account { nodes: self.cluster.ids(), ..Account::default() };
        for id in account.nodes.clone() {
            self.stop_in_order(id, &mut account).await?;
            let node = self.cluster.node(id)?;
            node.start()?;
            node.ready().await?;
        }
        Ok(account)
    }

    async fn stop_in_order(&mut self, id: u64, account: &mut Account) -> Result<()> {
        let status = self.cluster.node(id)?.stop().await?;
        account.proof = Some(format!("the process ended with {status}"));
        if !status.success() {
            account.violations.push(format!("node {id} was asked to stop and ended with {status}"));
        }
        Ok(())
    }

    /// Freezes nodes. Those that are frozen for long have to be done without.
    pub(super) async fn pause(&mut self, time: Duration, long: bool) -> Result<Account> {
        let down = self.some(None);
        for id in &down {
            self.cluster.node(*id)?.pause().await?;
        }
        let proof = Some(format!("the kernel says of {} that they are stopped", down.len()));
        let mut account = Account { nodes: down.clone(), proof, ..Account::default() };
        if long {
            self.others_serve(&down, time, &mut account).await;
        } else {
            sleep(time).await;
        }
        for id in &down {
            self.cluster.node(*id)?.resume().await?;
        }
        Ok(account)
    }
}
