//! A node as an operator sees it: a process, a port, a directory.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::api::Api;
use crate::door::Door;
use crate::power::Power;

/// Between two looks at a condition.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// A node that is not ready after this long will not be.
const READY_MAX: Duration = Duration::from_secs(30);

/// How nodes are started.
#[derive(Debug, Clone)]
pub(crate) struct Launch {
    binary: PathBuf,
    dir: PathBuf,
    port: u16,
    power: Option<Power>,
}

/// A node that was started.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

/// A port that is free and that the kernel gives to nobody while the node is down: below those it hands out.
fn free_port() -> Result<u16> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000)?;
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    (first..32_000).find(free).context("find a free port")
}

impl Launch {
    /// A node of `binary` that keeps everything below `dir`, on a port that was free a moment ago.
    /// With `power_loss`, a kill takes with it what was not synced.
    pub(crate) fn new(binary: &Path, dir: &Path, power_loss: bool) -> Result<Self> {
        let binary = binary.canonicalize().with_context(|| format!("find {}", binary.display()))?;
        let port = free_port()?;
        let power = power_loss.then(|| Power::new(dir, &dir.join("data"))).transpose()?;
        Ok(Self { binary, dir: dir.to_owned(), port, power })
    }

    /// A node that keeps everything below `dir`, on this port.
    pub(crate) fn at(binary: &Path, dir: &Path, port: u16) -> Self {
        Self { binary: binary.to_owned(), dir: dir.to_owned(), port, power: None }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    pub(crate) fn start(&self) -> Result<Process> {
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let child = Command::new(&self.binary)
            .args(["dev", "--listen", &format!("127.0.0.1:{}", self.port), "--data-dir"])
            .arg(self.data_dir())
            .current_dir(&self.dir)
            // Settings of the person who runs this must not change what is tested.
            .env_remove("EVERSTEP_ADDRESS")
            .envs(self.power.iter().flat_map(Power::environment))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start {}", self.binary.display()))?;
        Ok(Process { child })
    }

    /// What the kill of the node did to its disk.
    pub(crate) fn after_kill(&self) -> Result<()> {
        self.power.as_ref().map_or(Ok(0), Power::cut).map(|_lost| ())
    }

    /// Asks the binary itself whether the data directory is whole; what it says if not.
    pub(crate) async fn verify(&self) -> Result<Option<String>> {
        self.verify_at(&self.data_dir()).await
    }

    /// As `verify`, about a directory wherever it is.
    pub(crate) async fn verify_at(&self, dir: &Path) -> Result<Option<String>> {
        let output = Command::new(&self.binary).arg("verify").arg(dir).kill_on_drop(true).output().await?;
        let text = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&text).trim().to_owned()))
    }
}

impl Process {
    /// Waits until the node takes work; how long that took.
    pub(crate) async fn ready(&mut self, api: &Api) -> Result<Duration> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the node ended by itself while it started: {status}");
            }
            if api.ready().await {
                return Ok(began.elapsed());
            }
            if began.elapsed() > READY_MAX {
                bail!("the node is not ready after {READY_MAX:?}");
            }
            sleep(POLL).await;
        }
    }

    /// As `ready`, asked at this door.
    pub(crate) async fn ready_at(&mut self, door: &Door) -> Result<()> {
        let began = Instant::now();
        while !door.ready().await {
            if let Some(status) = self.ended()? {
                bail!("the node ended by itself while it started: {status}");
            }
            if began.elapsed() > READY_MAX {
                bail!("the node is not ready after {READY_MAX:?}");
            }
            sleep(POLL).await;
        }
        Ok(())
    }

    /// How the process ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// The same, waited for.
    pub(crate) async fn ended_within(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        Ok(tokio::time::timeout(limit, self.child.wait()).await.ok().transpose()?)
    }

    /// Ends the process as a power switch would, as far as one process can. An error if it was gone before.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the node ended by itself: {status}");
        }
        self.child.start_kill()?;
        self.child.wait().await?;
        Ok(())
    }

    /// Asks the process to stop and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus> {
        let pid = self.child.id().context("the node ended by itself")?;
        let asked = Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        if !asked.success() {
            bail!("send SIGTERM to the node: {asked}");
        }
        match tokio::time::timeout(READY_MAX, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("the node did not stop within {READY_MAX:?}"),
        }
    }
}
