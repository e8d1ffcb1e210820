//! One node: its settings, its process, its directory.

use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

use super::Ground;
use super::disk::OwnDisk;
use crate::clock::Clock;
use crate::door::Door;
use crate::eio::Medium;
use crate::net::Place;
use crate::power::Power;
use crate::preload;

/// Between two looks at a condition.
pub(crate) const POLL: Duration = Duration::from_millis(10);
/// A node that is not ready after this long will not be: debug builds on a busy machine take their time.
const READY_MAX: Duration = Duration::from_secs(60);
/// A node that has been asked to stop hands over, finishes its answers and closes its files.
const STOP_MAX: Duration = Duration::from_secs(30);

/// The mark of a node whose files were damaged on purpose.
pub(super) const DAMAGED: &str = "damaged";

/// One node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// Its id in the cluster.
    pub(crate) id: u64,
    pub(crate) door: Door,
    pub(super) addresses: Addresses,
    pub(super) dir: PathBuf,
    ground: Ground,
    power: Option<Power>,
    process: Option<Child>,
    paused: bool,
    pub(crate) clock: Option<Clock>,
    pub(crate) medium: Option<Medium>,
    // Last: the process ends before its disk is gone.
    _own_disk: Option<OwnDisk>,
}

/// Where a node listens, and where others believe it does.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    pub(super) public: SocketAddr,
    pub(super) peer: SocketAddr,
    /// The proxy, or `peer` without one.
    pub(super) front: SocketAddr,
}

/// How a node comes into its cluster.
#[derive(Debug, Clone)]
pub(super) enum Entry {
    /// It is one of those the cluster begins with: id and address of all.
    Founds(Vec<(u64, SocketAddr)>),
    /// It asks whoever listens there.
    Joins(SocketAddr),
}

impl Node {
    pub(super) fn new(
        ground: &Ground,
        place: Place,
        id: u64,
        addresses: Addresses,
        entry: &Entry,
    ) -> Result<Self> {
        let dir = ground.dir.join(format!("node{id}"));
        std::fs::create_dir_all(&dir)?;
        let data = dir.join("disk").join("data");
        let disk = data.parent().context("a directory of a directory")?;
        std::fs::create_dir_all(disk)?;
        let own_disk = (ground.disk_mib > 0).then(|| OwnDisk::mount(disk, ground.disk_mib)).transpose()?;
        let clock =
            ground.clock.as_ref().map(|library| Clock::new(library, dir.join("clock"))).transpose()?;
        let medium = ground.eio.as_ref().map(|library| Medium::new(library, &data, dir.join("eio")));
        let medium = medium.transpose()?;
        std::fs::write(dir.join("node.toml"), settings(ground, id, &addresses, entry, &data)?)?;
        let power = ground.power_loss.then(|| Power::new(&dir, &data)).transpose()?;
        let door = Door::new(format!("http://{}", addresses.public))?;
        let ground = ground.clone();
        let (process, paused) = (None, false);
        Ok(Self {
            place,
            id,
            door,
            addresses,
            dir,
            ground,
            power,
            clock,
            medium,
            process,
            paused,
            _own_disk: own_disk,
        })
    }

    /// Where the disk of the node is; `data` lies in it.
    pub(crate) fn disk(&self) -> PathBuf {
        self.dir.join("disk")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.disk().join("data")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    /// What it has logged so far.
    pub(crate) fn said(&self) -> Result<String> {
        let log = std::fs::read(self.log()).with_context(|| format!("read {}", self.log().display()))?;
        Ok(String::from_utf8_lossy(&log).into_owned())
    }

    /// Its files are no more what it wrote: what it says about that is no fault of its own.
    pub(crate) fn mark_damaged(&self) -> Result<()> {
        Ok(std::fs::write(self.dir.join(DAMAGED), "")?)
    }

    pub(crate) fn start(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "node {} runs already", self.id);
        let log = OpenOptions::new().create(true).append(true).open(self.log())?;
        let mut command = self.ground.command(self.place);
        command.arg("serve").arg("--config").arg(self.dir.join("node.toml")).current_dir(&self.dir);
        // Settings of the person who runs this must not change what is tested; a bug that is planted may.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("EVERSTEP_") && name != "EVERSTEP_PLANTED" {
                command.env_remove(name);
            }
        }
        let power = self.power.iter().flat_map(Power::environment);
        let clock = self.clock.iter().flat_map(Clock::environment);
        let medium = self.medium.iter().flat_map(Medium::environment);
        command.envs(preload::together(power.chain(clock).chain(medium)));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("start {}", self.ground.binary.display()))?;
        self.ground.net.know(child.id().context("it was started")?, self.place);
        self.process = Some(child);
        Ok(())
    }

    pub(crate) fn runs(&self) -> bool {
        self.process.is_some() && !self.paused
    }

    /// The process, if the node runs or is frozen.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.as_ref().and_then(Child::id)
    }

    /// How the process ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.process else { return Ok(None) };
        let Some(status) = child.try_wait()? else { return Ok(None) };
        self.process = None;
        Ok(Some(status))
    }

    /// Waits until the node takes work; how long that took.
    pub(crate) async fn ready(&mut self) -> Result<Duration> {
        let began = Instant::now();
        while !self.door.ready().await {
            if let Some(status) = self.ended()? {
                bail!(
                    "node {} ended by itself while it started: {status}; see {}",
                    self.id,
                    self.log().display()
                );
            }
            ensure!(began.elapsed() < READY_MAX, "node {} is not ready after {READY_MAX:?}", self.id);
            sleep(POLL).await;
        }
        Ok(began.elapsed())
    }

    /// Waits for the end of a node that is not expected to live.
    pub(crate) async fn wait_for_end(&mut self, limit: Duration) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.process else { bail!("node {} does not run", self.id) };
        let Ok(status) = timeout(limit, child.wait()).await else { return Ok(None) };
        self.process = None;
        Ok(Some(status?))
    }

    /// Kills the process. An error if it was gone before: then it was not the kill that ended it.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("node {} ended by itself: {status}; see {}", self.id, self.log().display());
        }
        let child = self.process.as_mut().with_context(|| format!("node {} does not run", self.id))?;
        let id = child.id();
        child.start_kill()?;
        child.wait().await?;
        id.into_iter().for_each(|id| self.ground.net.forget(id));
        (self.process, self.paused) = (None, false);
        Ok(())
    }

    /// What the kill of the node did to its disk, if the power failed: how many bytes are gone.
    pub(crate) fn cut_power(&self) -> Result<u64> {
        self.power.as_ref().map_or(Ok(0), Power::cut)
    }

    /// Asks the process to stop and waits for it.
    pub(crate) async fn stop(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        let ended = self.wait_for_end(STOP_MAX).await?;
        ended.with_context(|| format!("node {} did not stop within {STOP_MAX:?}", self.id))
    }

    /// Freezes the process, and makes sure of it.
    pub(crate) async fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        self.paused = true;
        self.until_state('T', true).await
    }

    /// Lets it go on, and makes sure of it.
    pub(crate) async fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)?;
        self.paused = false;
        self.until_state('T', false).await
    }

    async fn until_state(&self, state: char, wanted: bool) -> Result<()> {
        let id = self.process().context("it runs")?;
        for _ in 0..200 {
            // The state is the first word behind the name, which stands in brackets.
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
            let after = stat.rsplit(')').next().unwrap_or_default();
            if after.trim_start().starts_with(state) == wanted {
                return Ok(());
            }
            sleep(Duration::from_millis(1)).await;
        }
        bail!("the state of node {} does not change", self.id)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.ended()? {
            bail!("node {} ended by itself: {status}; see {}", self.id, self.log().display());
        }
        let id = self.process().with_context(|| format!("node {} does not run", self.id))?;
        kill(Pid::from_raw(i32::try_from(id)?), signal).with_context(|| format!("send {signal}"))
    }

    /// Asks the binary itself whether the data directory is whole; what it says if not.
    pub(crate) async fn verify(&self) -> Result<Option<String>> {
        let output = Command::new(&self.ground.binary).arg("verify").arg(self.data()).output().await?;
        let text = [output.stdout, output.stderr].concat();
        Ok((!output.status.success()).then(|| String::from_utf8_lossy(&text).trim().to_owned()))
    }
}

impl Ground {
    /// The binary, in the namespace of its node if there are namespaces. `ip` becomes the node, so it is one process.
    fn command(&self, place: Place) -> Command {
        let Some(wire) = self.net.wire() else { return Command::new(&self.binary) };
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &wire.namespace(place)]).arg(&self.binary);
        command
    }

    /// How the node trusts others: certificates on a real wire, none on loopback.
    fn trust(&self, id: u64) -> Result<String> {
        if self.net.wire().is_none() {
            return Ok("plain = true\n".to_owned());
        }
        let tls = certificates(&self.dir, id)?;
        let of = |file: &str| tls.join(file);
        Ok(format!(
            "authority = {:?}\ncertificate = {:?}\nkey = {:?}\n",
            of("authority.pem"),
            of("node.pem"),
            of("node.key")
        ))
    }
}

/// What makes certificates, as operators use it.
const CERTIFICATES: &str = include_str!("../../../cluster/certs.sh");

/// Makes the certificate of a node, and the authority if there is none; where its files are.
fn certificates(dir: &Path, id: u64) -> Result<PathBuf> {
    let (script, tls) = (dir.join("certs.sh"), dir.join("tls"));
    std::fs::write(&script, CERTIFICATES)?;
    let made = std::process::Command::new("bash").arg(script).arg(&tls).arg(id.to_string()).output()?;
    ensure!(made.status.success(), "make a certificate: {}", String::from_utf8_lossy(&made.stderr));
    Ok(tls.join(format!("node{id}")))
}

fn settings(ground: &Ground, id: u64, addresses: &Addresses, entry: &Entry, data: &Path) -> Result<String> {
    let Addresses { public, peer, front } = addresses;
    let mut text = format!(
        "[node]\ndata_dir = {data:?}\n\n[api]\nlisten = \"{public}\"\ninsecure = {real}\n\n\
         [cluster]\nname = \"chaos\"\nnode = {id}\nlisten = \"{peer}\"\nadvertise = \"{front}\"\n\
         replicas = {replicas}\n{trust}",
        replicas = ground.replicas,
        trust = ground.trust(id)?,
        real = ground.net.wire().is_some()
    );
    if let Entry::Joins(at) = entry {
        text += &format!("join = \"{at}\"\n");
    }
    if let Entry::Founds(members) = entry {
        text += "\n[cluster.members]\n";
        members.iter().for_each(|(id, at)| text += &format!("{id} = \"{at}\"\n"));
    }
    text += &format!(
        "\n[raft]\npartitions = {}\n\n[shell]\nenabled = true\n\n[http]\nallow_loopback = true\nallow_private = true\n\n\
         [log]\nlevel = {:?}\n",
        ground.partitions, ground.log
    );
    Ok(text)
}
