//! `flips`: a data directory is damaged in one place after the other, and nothing wrong may ever come out of it.
//!
//! A real node does real work and is stopped, and another is killed. Then, again and again: a copy of one of their
//! directories, one file of it changed, `everstep verify` asked, a node started on it and everything read. Every damage has
//! to be noticed (`verify` names the part, the node refuses to start, or an answer is an error), or to be harmless:
//! everything is served as it was, and new work is done. Never is anything served that is not so, never does a node panic,
//! and never does it hang.
//!
//! Half of the time `verify` looks at a copy of the damage, because the database tidies its file when it is opened.
//!
//! Caveat: what a directory lacks that is damaged in two files at the same time is not looked for.

pub(crate) mod damage;
mod served;
mod sound;
mod tally;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::sys::signal::Signal;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::door::{Door, Reply};
use crate::ports::Ports;
use crate::process::{Launch, POLL, Process};
use crate::seed::{self, Random};
use crate::{files, report, site};
use damage::Damage;
use sound::Sound;
use tally::{Outcome, Tally};

/// A node that neither starts nor ends, or does not answer, hangs.
const HANGS_AFTER: Duration = Duration::from_secs(40);
/// How a process ends whose main thread has panicked.
const PANIC: i32 = 101;
/// A node that cannot go on ends soon.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// How much of a log is shown.
const SHOWN_CHARS: usize = 600;

/// Arguments of `flips`.
#[derive(Debug, Args)]
pub(crate) struct FlipsArgs {
    /// The binary whose files are damaged
    #[arg(long, default_value = "target/release/everstep", value_name = "PATH")]
    binary: PathBuf,
    /// How many damages
    #[arg(long, default_value_t = 1000, value_name = "N")]
    count: u64,
    /// Only this one of them
    #[arg(long, value_name = "N")]
    only: Option<u64>,
    /// Chooses the damages; printed with the result
    #[arg(long)]
    seed: Option<u64>,
    /// Executions of each kind of work
    #[arg(long, default_value_t = 20, value_name = "N")]
    executions: u64,
    /// Damages that are looked at at the same time
    #[arg(long, default_value_t = 2, value_name = "N")]
    jobs: u64,
    /// Where to keep everything; a fresh directory that is removed after a good run if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The first port to take
    #[arg(long, value_name = "PORT")]
    first_port: Option<u16>,
    /// Also write the figures as JSON here
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What all cases share.
#[derive(Debug)]
struct Ground {
    binary: PathBuf,
    dir: PathBuf,
    seed: u64,
    sound: [Sound; 2],
}

/// Runs the campaign; whether nothing wrong was served.
pub(crate) async fn run(args: FlipsArgs) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(seed::fresh);
    let (dir, temporary) = site::directory(args.dir.as_deref())?;
    report::say(&format!("flips: seed {seed}, {} damages, in {}", args.count, dir.display()));
    let ports = Ports::new(args.first_port);
    let binary = args.binary.canonicalize().with_context(|| format!("find {}", args.binary.display()))?;
    let mut sound = Vec::new();
    for (name, killed) in [("stopped", false), ("killed", true)] {
        let launch = Launch::at(&binary, &fresh(&dir.join(name))?, ports.take()?.port());
        sound.push(
            sound::make(&launch, args.executions, killed).await.with_context(|| format!("make {name}"))?,
        );
    }
    let sound = sound.try_into().ok().context("two directories")?;
    let ground = Arc::new(Ground { binary, dir: dir.clone(), seed, sound });
    let mut tally = campaign(&args, &ground, &ports).await?;
    tally.tell(seed);
    if let Some(at) = &args.json {
        let text = serde_json::to_string_pretty(&json!({"seed": seed, "count": args.count, "table": tally}))?;
        std::fs::write(at, text).with_context(|| format!("write {}", at.display()))?;
    }
    let good = tally.violations.is_empty();
    if !good {
        report::say(&format!("everything is kept in {}", dir.display()));
        let (binary, executions) = (args.binary.display(), args.executions);
        tally.wrong.truncate(1);
        for case in &tally.wrong {
            report::say(&format!(
                "again: everstep-chaos flips --binary {binary} --executions {executions} --seed {seed} --only {case}"
            ));
        }
    } else if temporary {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(good)
}

fn fresh(dir: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(dir)?;
    Ok(dir.to_owned())
}

/// Looks at all damages, some at the same time.
async fn campaign(args: &FlipsArgs, ground: &Arc<Ground>, ports: &Ports) -> Result<Tally> {
    let (cases, next) = match args.only {
        Some(only) => (only + 1, only),
        None => (args.count, 0),
    };
    let next = Arc::new(AtomicU64::new(next));
    let mut working = JoinSet::new();
    for _ in 0..args.jobs {
        let (ground, next, port) = (ground.clone(), next.clone(), ports.take()?.port());
        working.spawn(async move {
            let mut tally = Tally::default();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= cases {
                    return anyhow::Ok(tally);
                }
                let case = Case { ground: &ground, number, port };
                let (damage, outcome) = case.run().await.with_context(|| format!("damage {number}"))?;
                tally.enter(number, &damage, outcome);
            }
        });
    }
    let mut tally = Tally::default();
    while let Some(worked) = working.join_next().await {
        tally.add(worked??);
    }
    Ok(tally)
}

/// One damage.
struct Case<'a> {
    ground: &'a Ground,
    number: u64,
    port: u16,
}

/// How a start on damaged files came out.
enum Start {
    Ready(Process),
    Ended(ExitStatus),
    Hangs,
}

impl Case<'_> {
    async fn run(&self) -> Result<(Damage, Outcome)> {
        // Spread, so that neighbours have nothing in common.
        let mut random =
            Random::new(self.ground.seed ^ (self.number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let sound = random.choice(&self.ground.sound);
        let dir = fresh(&self.ground.dir.join(format!("case{}", self.number)))?;
        let launch = Launch::at(&self.ground.binary, &dir, self.port);
        files::copy(&sound.dir, &launch.data_dir())?;
        let damage = damage::inflict(&launch.data_dir(), &mut random)?;
        let mut outcome = Outcome::default();
        let looked_at = if random.once_in(2) {
            let copy = dir.join("looked-at");
            files::copy(&launch.data_dir(), &copy)?;
            copy
        } else {
            launch.data_dir()
        };
        self.verify(&launch, &looked_at, &damage, &mut outcome).await?;
        self.start_and_read(&launch, sound, &mut outcome).await?;
        self.scan(&launch, &mut outcome)?;
        if !outcome.verified && (outcome.refused || outcome.errors > 0) {
            outcome.violations.push("verify finds nothing, and the node does".to_owned());
        }
        if outcome.violations.is_empty() {
            std::fs::remove_dir_all(&dir)?;
        } else {
            outcome
                .violations
                .iter_mut()
                .for_each(|text| *text = format!("{}: {damage}: {text}", self.number));
        }
        Ok((damage, outcome))
    }

    /// Asks `verify`, which has to say where the damage is, if it says that there is one.
    async fn verify(&self, launch: &Launch, at: &Path, damage: &Damage, outcome: &mut Outcome) -> Result<()> {
        let Ok(verified) = timeout(HANGS_AFTER, launch.verify_at(at)).await else {
            outcome.violations.push("verify hangs".to_owned());
            return Ok(());
        };
        let Some(said) = verified? else { return Ok(()) };
        outcome.verified = true;
        let part = damage.file.components().next().context("a file has a name")?;
        let part = part.as_os_str().to_string_lossy().into_owned();
        let places = said.lines().skip(1);
        if !places.into_iter().any(|line| line.trim_start().starts_with(&part)) {
            outcome.violations.push(format!("verify does not name {part}: {said}"));
        }
        Ok(())
    }

    async fn start_and_read(&self, launch: &Launch, sound: &Sound, outcome: &mut Outcome) -> Result<()> {
        let door = Door::new(launch.address())?;
        let mut process = match self.start(launch, &door).await? {
            Start::Ready(process) => process,
            Start::Ended(status) => return self.judge_refusal(launch, status, outcome),
            Start::Hangs => {
                outcome.violations.push("the node neither starts nor ends".to_owned());
                return Ok(());
            }
        };
        let mut broken = None;
        match timeout(HANGS_AFTER, served::everything(&door)).await {
            Ok(Ok(read)) => {
                let wrong = read.differs(&sound.truth);
                outcome.violations.extend(wrong.into_iter().map(|text| format!("served wrong: {text}")));
                outcome.errors = read.errors.len() as u64;
                if outcome.errors == 0 && outcome.violations.is_empty() {
                    broken = self.new_work(&door, sound).await.err();
                }
            }
            Ok(Err(error)) => broken = Some(error),
            Err(_) => outcome.violations.push("the node does not answer".to_owned()),
        }
        if let Some(error) = broken {
            // It may have noticed the damage by now, and ended.
            match process.ended_within(ENDS_WITHIN).await? {
                Some(status) => return self.judge_refusal(launch, status, outcome),
                None => outcome.violations.push(format!("{error:#}")),
            }
        }
        match process.ended()? {
            Some(status) => self.judge_refusal(launch, status, outcome),
            None => process.kill().await,
        }
    }

    async fn start(&self, launch: &Launch, door: &Door) -> Result<Start> {
        let (mut process, began) = (launch.start()?, Instant::now());
        while began.elapsed() < HANGS_AFTER {
            if let Some(status) = process.ended()? {
                return Ok(Start::Ended(status));
            }
            if door.ready().await {
                return Ok(Start::Ready(process));
            }
            sleep(POLL).await;
        }
        process.kill().await?;
        Ok(Start::Hangs)
    }

    /// A node that does not start says why, and does not fall over.
    fn judge_refusal(&self, launch: &Launch, status: ExitStatus, outcome: &mut Outcome) -> Result<()> {
        outcome.refused = true;
        let said = std::fs::read(launch.log())?;
        let said = String::from_utf8_lossy(&said);
        let names = said.contains("storage_lost") || said.contains(&*launch.data_dir().to_string_lossy());
        // An abort is in order for a node that runs already: whatever it did, it might not be as it was.
        let fell_over = match status.code() {
            Some(code) => code == 0 || code == PANIC,
            None => status.signal() != Some(Signal::SIGABRT as i32),
        };
        if fell_over || !names {
            let from = said.len().saturating_sub(SHOWN_CHARS);
            let tail = said.get(from..).unwrap_or(&said);
            outcome.violations.push(format!("it ended with {status} and said: {tail}"));
        }
        Ok(())
    }

    /// A node that serves everything as it was also takes something new, and does it.
    async fn new_work(&self, door: &Door, sound: &Sound) -> Result<()> {
        let id = sound::submit(door, &sound.workflow, &format!("after-{}", self.number), 0).await?;
        let began = Instant::now();
        loop {
            match door.get(&format!("/api/executions/{id}")).await {
                Reply::Done(execution) if execution["status"] == "completed" => return Ok(()),
                Reply::Done(_) if began.elapsed() < HANGS_AFTER => sleep(POLL).await,
                other => bail!("new work does not come to its end: {other:?}"),
            }
        }
    }

    /// The database panics on some damage, which the node catches. No other panic is in order.
    fn scan(&self, launch: &Launch, outcome: &mut Outcome) -> Result<()> {
        let said = std::fs::read(launch.log())?;
        let said = String::from_utf8_lossy(&said);
        let foreign = said.lines().filter(|line| line.contains("panicked at") && !line.contains("/sled-"));
        outcome.violations.extend(foreign.map(|line| format!("a panic: {line}")));
        Ok(())
    }
}
