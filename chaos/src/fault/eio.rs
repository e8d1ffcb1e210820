//! Disks that answer with an error.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{Account, Stage};
use crate::eio::Fails;

/// A node writes several times a second; after an error it must not go on.
const ENDED_MAX: Duration = Duration::from_secs(10);
/// What the system calls the error, which the last words of a node have to name.
const ERROR: &str = "Input/output error";

impl Stage {
    /// The disk of a node fails. It has to end at once, and say why; when the disk works again, it comes back.
    pub(super) async fn fail_disk(&mut self, time: Duration) -> Result<Account> {
        let id = self.any();
        let what = *self.random.choice(&[Fails::Writes, Fails::Syncs, Fails::Both]);
        let node = self.cluster.node(id)?;
        let said_before = node.said()?.len();
        let medium = node.medium.as_ref().context("disks can fail")?;
        let before = medium.failed()?;
        medium.fail(what)?;
        let ended = node.wait_for_end(ENDED_MAX).await?;
        let failed = node.medium.as_ref().map_or(Ok(0), |medium| medium.failed())? - before;
        let mut account = Account { nodes: vec![id], ..Account::default() };
        account.remarks.push(format!("{what:?}"));
        match ended {
            None => {
                account
                    .violations
                    .push(format!("W1: the disk of node {id} failed {failed} times, and it goes on"));
                node.kill().await?;
            }
            Some(status) if failed == 0 => anyhow::bail!("node {id} ended by itself: {status}"),
            Some(status) => {
                account.proof = Some(format!("after {failed} failures it ended with {status}"));
                let said = node.said()?;
                let said = said.get(said_before..).unwrap_or_default();
                if status.success() || !said.contains(ERROR) {
                    account
                        .violations
                        .push(format!("node {id} ended with {status}, and did not say that its disk fails"));
                }
            }
        }
        self.others_serve(&[id], time, &mut account).await;
        let node = self.cluster.node(id)?;
        node.medium.as_ref().context("disks can fail")?.fail(Fails::Nothing)?;
        node.start()?;
        Ok(account)
    }
}
