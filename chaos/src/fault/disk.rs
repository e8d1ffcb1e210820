//! Disks that fill up, and disks that change what was written.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::sleep;

use super::{Account, Stage};
use crate::cluster::POLL;
use crate::door::Reply;
use crate::flips::damage;

/// A node looks at its disk from time to time.
const NOTICED_MAX: Duration = Duration::from_secs(5);
/// A node that opens a damaged directory reads much of it before it says anything.
const OPENED_MAX: Duration = Duration::from_secs(30);
/// Histories that are read from a node that starts with damaged files.
const SAMPLES: usize = 50;

impl Stage {
    pub(super) async fn fill_disk(&mut self, time: Duration) -> Result<Account> {
        let id = self.any();
        let full = self.random.once_in(2);
        // Scarce below 5 %, full below 1 %.
        let (word, left_percent) = if full { ("full", 0.6) } else { ("scarce", 3.0) };
        let node = self.cluster.node(id)?;
        let filler = node.disk().join("filler");
        fill(&filler, left_percent)?;
        let mut account = Account { nodes: vec![id], ..Account::default() };
        let began = Instant::now();
        while began.elapsed() < NOTICED_MAX && account.proof.is_none() {
            if let Reply::Done(health) = node.door.get("/api/health").await
                && health["disk"] == word
            {
                account.proof = Some(format!("it says that its disk is {word}"));
            }
            sleep(POLL * 5).await;
        }
        if full {
            self.others_serve(&[id], time, &mut account).await;
        } else {
            // It goes on leading, and refuses what is new.
            sleep(time).await;
        }
        let node = self.cluster.node(id)?;
        std::fs::remove_file(&filler).with_context(|| format!("remove {}", filler.display()))?;
        if let Some(status) = node.ended()? {
            // A write that finds no room ends the process; what was acknowledged is there at the next start.
            account.remarks.push(format!("it ended with {status}"));
            node.start()?;
        }
        Ok(account)
    }

    /// Changes bytes of a stopped node. It has to refuse to start, or to serve nothing that is wrong. Either way it
    /// is replaced afterwards.
    pub(super) async fn flip(&mut self) -> Result<Account> {
        let id = self.any();
        let node = self.cluster.node(id)?;
        node.kill().await?;
        node.mark_damaged()?;
        let data = node.data();
        let damage = damage::inflict(&data, &mut self.random)?;
        let mut account =
            Account { nodes: vec![id], remarks: vec![damage.to_string()], ..Account::default() };
        let node = self.cluster.node(id)?;
        let verified = node.verify().await?;
        let found = if verified.is_some() { "verify finds it" } else { "verify finds nothing" };
        account.remarks.push(found.to_owned());
        node.start()?;
        let began = Instant::now();
        loop {
            if let Some(status) = node.ended()? {
                account.proof = Some(format!("it refused to start: {status}; {found}"));
                break;
            }
            if node.door.ready().await {
                account.proof = Some(format!("it started all the same; {found}"));
                self.read_all_from(id, &mut account).await?;
                break;
            }
            ensure!(began.elapsed() < OPENED_MAX, "node {id} neither starts nor ends on damaged files");
            sleep(POLL).await;
        }
        let node = self.cluster.node(id)?;
        if node.process().is_some() && node.ended()?.is_none() {
            node.kill().await?;
        }
        self.replace(id, &mut account).await?;
        Ok(account)
    }

    /// Reads histories from a node that may serve rot; whatever it answers is held against what is known.
    async fn read_all_from(&mut self, id: u64, account: &mut Account) -> Result<()> {
        let door = self.cluster.node(id)?.door.clone();
        let all: Vec<String> = self.ledger.executions().into_keys().collect();
        let mut read = 0;
        for _ in 0..SAMPLES.min(all.len()) {
            let execution = self.random.choice(&all).clone();
            let floor = self.ledger.floor(&execution);
            match door.history(&execution).await {
                Reply::Done(Value::Array(events)) => {
                    self.ledger.told(&execution, floor, events, door.address());
                    read += 1;
                }
                Reply::Done(_) | Reply::NotNow(_) | Reply::Unavailable(_) | Reply::Unknown(_) => {}
                Reply::Refused(status, text) => {
                    account
                        .violations
                        .push(format!("a damaged node answers {status} for {execution}: {text}"));
                }
            }
        }
        account.remarks.push(format!("{read} histories read from it"));
        Ok(())
    }
}

/// Leaves so much of a file system.
fn fill(filler: &Path, left_percent: f64) -> Result<()> {
    let disk = nix::sys::statvfs::statvfs(filler.parent().context("a file is in a directory")?)?;
    let block = disk.fragment_size();
    let (free, total) = (disk.blocks_available() * block, disk.blocks() * block);
    let fill = free.saturating_sub((total as f64 * left_percent / 100.0) as u64);
    let (mut file, zeros) = (File::create(filler)?, vec![0_u8; 1 << 20]);
    let mut left = usize::try_from(fill)?;
    while left > 0 {
        let now = left.min(zeros.len());
        file.write_all(&zeros[..now]).context("fill the disk")?;
        left -= now;
    }
    Ok(())
}
