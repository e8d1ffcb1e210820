//! `run`: a cluster under load, with faults one after the other, and afterwards the reckoning.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::time::sleep;

use crate::client::{self, Clients, Ledger};
use crate::cluster::{self, Cluster, Ground};
use crate::fault::{Account, Kind, Stage};
use crate::net::{Net, Wire};
use crate::policy::Policies;
use crate::ports::Ports;
use crate::probe::{self, Probe};
use crate::recorder::Recorder;
use crate::scenario::{Deck, Scenario};
use crate::seed::{self, Random};
use crate::summary::Summary;
use crate::verdict;
use crate::{clock, counts, eio, report, site};

/// The longest an election may take with the settings nodes have by default, and thereby a lease.
const LEASE: Duration = Duration::from_millis(300);
/// How long an effect lingers, so that faults find attempts in flight.
const LINGER: Duration = Duration::from_millis(20);
/// Executions that have to go on after each fault.
const WITNESSES: usize = 20;

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Scenarios, one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Chooses faults and instants; printed with the result
    #[arg(long)]
    seed: Option<u64>,
    /// How long faults go on, over what the scenario says
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// The binary to break
    #[arg(long, default_value = "target/release/everstep", value_name = "PATH")]
    binary: PathBuf,
    /// Where to keep everything; a fresh directory that is removed after a good run if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The first port to take
    #[arg(long, value_name = "PORT")]
    first_port: Option<u16>,
    /// Also write the summary as JSON here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// What nodes log, as a filter
    #[arg(long, default_value = "info,openraft=error,everstep::access=error", value_name = "FILTER")]
    log: String,
    /// Give each node a network namespace of its own, and break the network in the kernel: takes root, ip and nft
    #[arg(long)]
    netns: bool,
    /// Keep everything even if nothing is wrong
    #[arg(long)]
    keep: bool,
    /// End at the first violation, and compare nothing more
    #[arg(long)]
    first: bool,
}

/// Runs all scenarios; whether every promise was kept.
pub(crate) async fn run(args: RunArgs) -> Result<bool> {
    let mut good = true;
    for file in &args.files {
        good &= run_one(&args, file).await?;
    }
    Ok(good)
}

async fn run_one(args: &RunArgs, file: &Path) -> Result<bool> {
    let mut scenario = Scenario::read(file)?;
    scenario.shorten(args.seconds.unwrap_or(scenario.seconds));
    let seed = args.seed.unwrap_or_else(seed::fresh);
    let (dir, temporary) = site::directory(args.dir.as_deref())?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    report::say(&format!("{name}: seed {seed}, {} s, in {}", scenario.seconds, dir.display()));
    report::say(&format!("  {}", scenario.about));
    let ran = Box::pin(break_and_check(args, &scenario, seed, &dir)).await;
    let kept = match &ran {
        Ok(summary) => {
            summary.tell();
            summary.violations.is_empty()
        }
        Err(_) => false,
    };
    if let Ok(summary) = &ran {
        let text = serde_json::to_string_pretty(&json!({"scenario": name, "summary": summary}))?;
        std::fs::write(dir.join("summary.json"), &text)?;
        if let Some(at) = &args.json {
            std::fs::write(at, text).with_context(|| format!("write {}", at.display()))?;
        }
    }
    if !kept {
        report::say(&format!("everything is kept in {}", dir.display()));
        report::say(&format!(
            "again: everstep-chaos run {} --seed {seed} --seconds {} --binary {}",
            file.display(),
            scenario.seconds,
            args.binary.display()
        ));
    } else if temporary && !args.keep {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    ran.map(|_| kept)
}

async fn break_and_check(args: &RunArgs, scenario: &Scenario, seed: u64, dir: &Path) -> Result<Summary> {
    let (ground, unfit) = ground(args, scenario, dir)?;
    let effects = dir.join("effects");
    let mut recorder_at = ground.ports.take()?;
    if let Some(wire) = ground.net.wire() {
        recorder_at.set_ip(wire.here().into());
    }
    let _recorder = Recorder::start(recorder_at, &effects, LINGER).await?;
    let cluster = Cluster::found(ground, scenario.nodes).await?;
    let door = cluster.nodes.first().context("there is a node")?.door.clone();
    let definition = client::definition(&effects, recorder_at);
    let workflow = site::create(&door, &definition).await?;
    let probed = site::create(&door, &probe::definition()).await?;
    let sleepers = counts::Sleepers::submit(&door, seed).await?;
    let heal = Duration::from_secs(scenario.heal_s);

    let began = Instant::now();
    let clients = Clients::start(cluster.doors.clone(), &workflow, &scenario.plan(), seed);
    let checked = Arc::<AtomicU64>::default();
    let ledger = clients.ledger.clone();
    let watching = tokio::spawn(client::watch_effects(
        effects.clone(),
        cluster.doors.clone(),
        ledger.clone(),
        Random::new(seed ^ 0xeffec7),
        checked.clone(),
    ));
    let stage = Stage {
        cluster,
        probe: Probe::new(probed, scenario.partitions, heal),
        random: Random::new(seed),
        nodes: usize::try_from(scenario.nodes)?,
        at_once: scenario.at_once,
        lease: LEASE,
        ledger,
        unfit,
    };
    let mut summary = Summary::new(seed, scenario);
    let mut nemesis =
        Nemesis { stage, scenario, deck: Deck::default(), dir, heal, began, detail: String::new() };
    let broken = nemesis.go_on(&mut summary, args.first).await;
    summary.seconds = began.elapsed().as_secs_f64();
    if let Err(error) = broken {
        nemesis.stage.cluster.keep_disks()?;
        return Err(error);
    }
    let seen = nemesis.stage.ledger.violations();
    if args.first && !(summary.violations.is_empty() && seen.is_empty()) {
        watching.abort();
        nemesis.stage.cluster.keep_disks()?;
        summary.violations.extend(seen);
        return Ok(summary);
    }
    let ledger = clients.finish().await?;
    watching.abort();
    summary.effects_checked = checked.load(Ordering::Relaxed);
    let work = verdict::Work {
        ledger: &ledger,
        workflow: &workflow,
        policies: &Policies::of(&definition),
        sleepers: &sleepers,
        seed,
        effects: &effects,
    };
    verdict::reckon(&mut nemesis.stage.cluster, &work, &mut summary).await?;
    summary.judge(scenario, &nemesis.stage.unfit);
    if !summary.violations.is_empty() {
        nemesis.stage.cluster.keep_disks()?;
    }
    Ok(summary)
}

/// What nodes stand on, and the kinds of faults that cannot be tried on it.
fn ground(args: &RunArgs, scenario: &Scenario, dir: &Path) -> Result<(Ground, BTreeMap<Kind, String>)> {
    let mut unfit = BTreeMap::new();
    let mut disk_mib = scenario.disk_mib;
    if disk_mib == 0 {
        unfit.insert(Kind::DiskFull, "the scenario gives nodes no disk of their own".to_owned());
    } else if let Some(why) = cluster::why_no_disks(dir) {
        disk_mib = 0;
        unfit.insert(Kind::DiskFull, why);
    }
    let clock = if !scenario.faults.contains_key(&Kind::ClockStep) {
        None
    } else if scenario.power_loss {
        unfit.insert(Kind::ClockStep, "clocks are not moved under the model of a power cut".to_owned());
        None
    } else {
        match clock::build(dir) {
            Ok(library) => Some(library),
            Err(error) => {
                unfit.insert(Kind::ClockStep, format!("{error:#}"));
                None
            }
        }
    };
    let net = network(args, &mut unfit);
    let binary = args.binary.canonicalize().with_context(|| format!("find {}", args.binary.display()))?;
    let mut eio_library = None;
    if scenario.faults.contains_key(&Kind::DiskError) {
        match eio::build(dir) {
            Ok(library) => eio_library = Some(library),
            Err(error) => drop(unfit.insert(Kind::DiskError, format!("{error:#}"))),
        }
    }
    let ground = Ground {
        binary,
        dir: dir.to_owned(),
        proxied: net.wire().is_none(),
        net,
        ports: Arc::new(Ports::new(args.first_port)),
        partitions: scenario.partitions,
        power_loss: scenario.power_loss,
        disk_mib,
        replicas: scenario.replicas,
        clock,
        eio: eio_library,
        log: args.log.clone(),
    };
    Ok((ground, unfit))
}

/// The network: that of the kernel if it is wanted and can be had, else proxies.
fn network(args: &RunArgs, unfit: &mut BTreeMap<Kind, String>) -> Net {
    if args.netns {
        match Wire::lay() {
            Ok(wire) => {
                for kind in [Kind::Delay, Kind::HalfOpen] {
                    unfit.insert(kind, "the rules of the kernel's network cannot do it".to_owned());
                }
                return Net::of(Arc::new(wire));
            }
            Err(error) => report::say(&format!("  no network namespaces, proxies in their place: {error:#}")),
        }
    }
    unfit.insert(Kind::Loss, "proxies carry bytes, and lose none: it takes --netns".to_owned());
    Net::default()
}

/// What breaks things.
struct Nemesis<'a> {
    stage: Stage,
    scenario: &'a Scenario,
    deck: Deck,
    dir: &'a Path,
    heal: Duration,
    began: Instant,
    /// How the last recovery went.
    detail: String,
}

impl Nemesis<'_> {
    /// One fault after the other, until the time is over.
    async fn go_on(&mut self, summary: &mut Summary, first: bool) -> Result<()> {
        let time = Duration::from_secs(self.scenario.seconds);
        let mut schedule = std::fs::File::create(self.dir.join("schedule.jsonl"))?;
        self.stage.probe.through(&self.doors()).await.context("before anything breaks")?;
        while self.began.elapsed() < time {
            let pause = self.stage.random.duration(Duration::from_millis(self.scenario.pause_ms));
            let drawn = self.deck.draw(self.scenario, &mut self.stage.random, &self.stage.unfit);
            let Some((kind, last)) = drawn else {
                anyhow::bail!("none of the kinds can be tried here: {:?}", self.stage.unfit);
            };
            sleep(pause).await;
            let at = self.began.elapsed();
            let account = self.stage.inflict(kind, last).await;
            let ended = self.began.elapsed();
            let entry = json!({"at_ms": at.as_millis(), "kind": kind, "ms": last.as_millis(), "until_ms": ended.as_millis()});
            let account = match account {
                Ok(account) => account,
                Err(error) => {
                    writeln!(schedule, "{}", json!({"fault": entry, "error": format!("{error:#}")}))?;
                    return Err(error);
                }
            };
            let healed = self.recover().await;
            let recovered_ms = healed.as_ref().ok().map(Duration::as_millis);
            writeln!(
                schedule,
                "{}",
                json!({"fault": entry, "account": account, "recovered_ms": recovered_ms, "recovery": self.detail})
            )?;
            self.enter(summary, kind, account, healed);
            let found = summary.violations.len() + self.stage.ledger.violations().len();
            if found > 100 || first && found > 0 {
                break;
            }
        }
        Ok(())
    }

    fn enter(&self, summary: &mut Summary, kind: Kind, account: Account, healed: Result<Duration>) {
        let healed = healed.map_err(|error| {
            format!("W19: after {kind} of {:?} at {:?}: {error:#}", account.nodes, self.began.elapsed())
        });
        summary.enter(kind, account, healed);
    }

    fn doors(&self) -> Vec<crate::door::Door> {
        self.stage.cluster.nodes.iter().map(|node| node.door.clone()).collect()
    }

    /// Waits until everything is as it was: all nodes are ready and serve, and what was under way goes on.
    async fn recover(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let witnesses = self.stage.ledger.some_open(&mut self.stage.random, WITNESSES);
        for node in &mut self.stage.cluster.nodes {
            node.ready().await?;
        }
        let ready = began.elapsed();
        let last = self.stage.probe.through(&self.doors()).await?;
        let served = began.elapsed();
        self.witness(witnesses, began).await?;
        let took = began.elapsed();
        self.detail = format!("ready {ready:?}, served {served:?}, {last}, went on {took:?}");
        anyhow::ensure!(took <= self.heal, "it took {took:?} until everything went on");
        Ok(took)
    }

    /// Waits until each of these executions has gone on.
    async fn witness(&mut self, mut witnesses: Vec<(String, u64)>, began: Instant) -> Result<()> {
        let ledger: Ledger = self.stage.ledger.clone();
        loop {
            // Readers learn of progress anyway; whatever they have not looked at is looked at here.
            let mut still = Vec::new();
            for (id, version) in witnesses {
                if ledger.floor(&id) > version {
                    continue;
                }
                let doors = self.doors();
                let door = self.stage.random.choice(&doors);
                match door.get(&format!("/api/executions/{id}")).await {
                    crate::door::Reply::Done(execution)
                        if client::is_over(&execution["status"])
                            || execution["version"].as_u64().unwrap_or(0) > version => {}
                    _ => still.push((id, version)),
                }
            }
            if still.is_empty() {
                return Ok(());
            }
            anyhow::ensure!(began.elapsed() < self.heal, "executions do not go on: {still:?}");
            witnesses = still;
            sleep(cluster::POLL).await;
        }
    }
}
