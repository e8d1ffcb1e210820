//! Wall clocks that jump.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::sleep;

use super::{Account, Stage};

/// The farthest a clock jumps, either way.
const STEP_MAX: Duration = Duration::from_secs(60);

impl Stage {
    /// The clock of a node jumps, and later back.
    pub(super) async fn step_clock(&mut self, time: Duration) -> Result<Account> {
        let id = self.any();
        let (by, ahead) = (self.random.duration(STEP_MAX), self.random.once_in(2));
        let clock = self.cluster.node(id)?.clock.as_ref().context("clocks can be moved")?;
        let before = clock.told()?;
        clock.step(by, ahead)?;
        sleep(time).await;
        clock.step(Duration::ZERO, ahead)?;
        let told = clock.told()? - before;
        let proof = (told > 0).then(|| format!("it was told the wrong time {told} times"));
        let way = if ahead { "ahead" } else { "behind" };
        let remarks = vec![format!("{} ms {way}", by.as_millis())];
        Ok(Account { nodes: vec![id], proof, remarks, ..Account::default() })
    }
}
