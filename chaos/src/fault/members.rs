//! Nodes that come, go, and are replaced.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{Account, Stage};
use crate::cluster::{Group, Standing};
use crate::files;

/// How long a new node may take until it votes everywhere: a snapshot of each partition and a few changes of voters.
const REBUILD_MAX: Duration = Duration::from_secs(60);
/// A node that is refused gives up sooner.
const REFUSED_MAX: Duration = Duration::from_secs(20);

impl Stage {
    /// A node loses its disk. Under its old id nobody takes it any more; another one takes its place.
    pub(super) async fn wipe(&mut self) -> Result<Account> {
        let id = self.any();
        let node = self.cluster.node(id)?;
        node.kill().await?;
        let data = node.data();
        ensure!(data.exists(), "{} is not there", data.display());
        std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        let mut account = Account { nodes: vec![id], ..Account::default() };
        self.must_not_come_back(id, "an empty disk", &mut account).await?;
        self.replace(id, &mut account).await?;
        Ok(account)
    }

    /// A node works for a time, and then an older copy of its disk is put in the place of what it has.
    pub(super) async fn go_back(&mut self, time: Duration) -> Result<Account> {
        let id = self.any();
        let starts = self.cluster.standing().await?.member(id).map_or(0, |member| member.starts);
        let node = self.cluster.node(id)?;
        node.kill().await?;
        let (data, copy) = (node.data(), node.data().with_extension("copy"));
        files::copy(&data, &copy)?;
        node.start()?;
        node.ready().await?;
        // What nobody has seen nobody can miss.
        let seen = |standing: &Standing| standing.member(id).is_some_and(|member| member.starts > starts);
        self.cluster.until(&format!("the start of node {id} is recorded"), REFUSED_MAX, seen).await?;
        tokio::time::sleep(time).await;
        let node = self.cluster.node(id)?;
        node.kill().await?;
        std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        std::fs::rename(&copy, &data).with_context(|| format!("put {} back", copy.display()))?;
        let mut account = Account { nodes: vec![id], ..Account::default() };
        self.must_not_come_back(id, "an older copy of its disk", &mut account).await?;
        self.replace(id, &mut account).await?;
        Ok(account)
    }

    /// Starts a node that has lost what it acknowledged: it is turned away, and ends by itself.
    async fn must_not_come_back(&mut self, id: u64, with: &str, account: &mut Account) -> Result<()> {
        let node = self.cluster.node(id)?;
        node.start()?;
        match node.wait_for_end(REFUSED_MAX).await? {
            Some(status) if !status.success() => {
                account.proof = Some(format!("with {with} it ended with {status}"));
            }
            Some(status) => account.violations.push(format!("node {id} has {with} and ended with {status}")),
            None => {
                // The nodes that its settings name may all be gone: then it looks for them, and does nothing else.
                if node.door.ready().await {
                    account.violations.push(format!("node {id} has {with} and serves"));
                }
                account.proof = Some(format!("with {with} it finds nobody who takes it"));
                node.kill().await?;
            }
        }
        Ok(())
    }

    /// Another node takes the place of one that is gone for good.
    pub(super) async fn replace(&mut self, gone: u64, account: &mut Account) -> Result<()> {
        let began = Instant::now();
        let first = self.random.once_in(2);
        if first {
            self.remove(gone).await?;
        }
        let id = self.cluster.add().await?;
        account.nodes.push(id);
        self.cluster.node(id)?.ready().await?;
        self.cluster.open_doors();
        if !first {
            self.remove(gone).await?;
        }
        self.until_voting(id).await?;
        account.remarks.push(format!("rebuilt in {} ms", began.elapsed().as_millis()));
        Ok(())
    }

    async fn remove(&mut self, id: u64) -> Result<()> {
        self.cluster.forget(id);
        let path = format!("/api/cluster/nodes/{id}");
        let removed = self.cluster.ask(|door| {
            let path = path.clone();
            async move { door.delete(&path).await }
        });
        removed.await.with_context(|| format!("remove node {id}"))?;
        Ok(())
    }

    /// Waits until a node has votes, and nobody who is gone has any: only then is one more loss bearable.
    async fn until_voting(&self, id: u64) -> Result<()> {
        let there = self.cluster.ids();
        let replicas = self.cluster.ground.replicas.min(there.len());
        let settled = |group: &Group| {
            !group.changing
                && group.voters.len() >= replicas
                && group.voters.iter().all(|voter| there.contains(voter))
        };
        let wanted = |standing: &Standing| {
            standing.member(id).is_some_and(|member| member.votes > 0)
                && standing.partitions.iter().all(settled)
        };
        self.cluster.until(&format!("node {id} votes"), REBUILD_MAX, wanted).await?;
        Ok(())
    }

    /// One more node. It follows, and gets votes as the cluster sees fit.
    pub(super) async fn add(&mut self) -> Result<Account> {
        let id = self.cluster.add().await?;
        self.cluster.node(id)?.ready().await?;
        self.cluster.open_doors();
        self.until_voting(id).await?;
        let proof = Some("it votes".to_owned());
        Ok(Account { nodes: vec![id], proof, ..Account::default() })
    }

    /// One node less: it hands everything over, is stopped and removed.
    pub(super) async fn drain(&mut self) -> Result<Account> {
        let id = self.any();
        let path = format!("/api/cluster/nodes/{id}/drain");
        let drained = self.cluster.ask(|door| {
            let path = path.clone();
            async move { door.post(&path, &json!({})).await }
        });
        drained.await.with_context(|| format!("drain node {id}"))?;
        let empty = |standing: &Standing| {
            standing.member(id).is_some_and(|member| member.leads == 0 && member.votes == 0)
                && standing.partitions.iter().all(|group| group.leader.is_some())
        };
        let took = self.cluster.until(&format!("node {id} is drained"), REBUILD_MAX, empty).await?;
        let mut account = Account { nodes: vec![id], ..Account::default() };
        let status = self.cluster.node(id)?.stop().await?;
        if !status.success() {
            account.violations.push(format!("drained node {id} ended with {status}"));
        }
        self.remove(id).await?;
        account.proof = Some(format!("it holds nothing after {} ms", took.as_millis()));
        Ok(account)
    }
}
