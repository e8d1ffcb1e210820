//! One node, killed with SIGKILL at random instants while it works.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use tokio::time::sleep;

use crate::api::Api;
use crate::effects;
use crate::history::{self, Told};
use crate::process::{Launch, POLL, Process};
use crate::seed::{self, Random};
use crate::work::{Work, definition};
use crate::{report, site};

/// Arguments of `kill`.
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The binary to break
    #[arg(long, default_value = "target/release/everstep", value_name = "PATH")]
    binary: PathBuf,
    /// How often to kill it
    #[arg(long, default_value_t = 50, value_name = "N")]
    kills: u32,
    /// How many executions to submit, spread over the kills
    #[arg(long, default_value_t = 200, value_name = "M")]
    executions: u64,
    /// Steps of each execution
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=100))]
    steps: u32,
    /// Let each kill take with it what was not synced, as a power cut does
    #[arg(long)]
    power_loss: bool,
    /// Chooses the instants; printed with the result
    #[arg(long)]
    seed: Option<u64>,
    /// The longest a node works before it is killed, in milliseconds
    #[arg(long, default_value_t = 400, value_name = "MS")]
    window_ms: u64,
    /// The longest the work may take once nothing breaks any more, in seconds
    #[arg(long, default_value_t = 60, value_name = "S")]
    heal_s: u64,
    /// Where to keep everything; a fresh directory that is removed after a good run if not given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What a run has found.
#[derive(Debug, Default)]
struct Found {
    kills: u32,
    kills_while_starting: u32,
    ready_max: Duration,
    histories_read: usize,
    heal: Duration,
    started: usize,
    lost: usize,
    effects: usize,
    violations: Vec<String>,
}

/// A run while it goes on.
struct Run<'a> {
    args: &'a KillArgs,
    launch: Launch,
    work: Work,
    /// The longest that was read of each history so far.
    earlier: BTreeMap<String, Vec<Value>>,
    found: Found,
}

/// Runs the scenario; whether every promise was kept.
pub(crate) async fn run(args: KillArgs) -> Result<bool> {
    let seed = args.seed.unwrap_or_else(seed::fresh);
    let (dir, temporary) = site::directory(args.dir.as_deref())?;
    report::say(&format!(
        "kill: seed {seed}, {} kills, {} executions, in {}",
        args.kills,
        args.executions,
        dir.display()
    ));
    let found = break_and_check(&args, seed, &dir).await;
    let kept = match &found {
        Ok(found) => found.violations.is_empty(),
        Err(_) => false,
    };
    if !kept {
        report::say(&format!("everything is kept in {}", dir.display()));
        let (kills, executions, steps, window) = (args.kills, args.executions, args.steps, args.window_ms);
        report::say(&format!(
            "again: everstep-chaos kill --binary {} --kills {kills} --executions {executions} --steps {steps} \
             --window-ms {window} --seed {seed}{}",
            args.binary.display(),
            if args.power_loss { " --power-loss" } else { "" }
        ));
    } else if temporary {
        std::fs::remove_dir_all(&dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    found.map(|_| kept)
}

async fn break_and_check(args: &KillArgs, seed: u64, dir: &Path) -> Result<Found> {
    let effects = dir.join("effects");
    let launch = Launch::new(&args.binary, dir, args.power_loss)?;
    let api = Api::new(launch.address())?;
    let steps: Vec<String> = (1..=args.steps).map(|step| format!("s{step}")).collect();

    let mut process = launch.start()?;
    process.ready(&api).await?;
    let workflow = api.create_workflow(&definition(&steps, &effects)).await?;
    let work = Work::new(api, workflow, seed);
    let submitting = tokio::spawn(work.clone().submit(args.executions));

    let mut run = Run { args, launch, work, earlier: BTreeMap::new(), found: Found::default() };
    let mut random = Random::new(seed);
    for round in 0..args.kills {
        run.work.release(share(args.executions, args.kills, round));
        process = run.one_kill(process, &mut random).await?;
    }
    process.ready(&run.work.api).await?;
    submitting.await??;
    run.heal().await?;
    run.check(&steps, &effects).await?;
    run.stop(process).await?;
    run.demand_worth();
    run.tell(seed);
    Ok(run.found)
}

/// The submissions of a round: all rounds together make all of them due.
fn share(executions: u64, kills: u32, round: u32) -> usize {
    let (kills, round) = (u64::from(kills.max(1)), u64::from(round));
    usize::try_from(executions * (round + 1) / kills - executions * round / kills).unwrap_or(usize::MAX)
}

impl Run<'_> {
    /// Lets the node work for a moment, kills it, and starts it again. One in five is killed while it starts.
    async fn one_kill(&mut self, mut process: Process, random: &mut Random) -> Result<Process> {
        let kills = self.found.kills;
        if random.once_in(5) {
            self.found.kills_while_starting += 1;
        } else {
            let ready =
                process.ready(&self.work.api).await.with_context(|| format!("after {kills} kills"))?;
            self.found.ready_max = self.found.ready_max.max(ready);
            self.read_some(random).await?;
        }
        // The instant of the fault, not a wait for anything.
        sleep(random.duration(Duration::from_millis(self.args.window_ms))).await;
        process.kill().await.with_context(|| format!("after {kills} kills"))?;
        self.found.kills += 1;
        self.launch.after_kill()?;
        self.launch.start()
    }

    /// Reads some histories while they grow; what is read now must stay true.
    async fn read_some(&mut self, random: &mut Random) -> Result<()> {
        for (id, events) in self.work.sample(random, 3).await? {
            self.found.histories_read += 1;
            if let Some(before) = self.earlier.get(&id) {
                self.found.violations.extend(history::extends(&id, before, &events));
            }
            self.earlier.insert(id, events);
        }
        Ok(())
    }

    /// Waits until every execution is finished.
    async fn heal(&mut self) -> Result<()> {
        let (began, limit) = (Instant::now(), Duration::from_secs(self.args.heal_s));
        loop {
            let mut unfinished = self.work.listed().await?;
            unfinished.retain(|execution| {
                !matches!(execution["status"].as_str(), Some("completed" | "failed" | "cancelled"))
            });
            self.found.heal = began.elapsed();
            if unfinished.is_empty() {
                return Ok(());
            }
            if began.elapsed() > limit {
                let stuck = unfinished.iter().map(|execution| {
                    format!(
                        "W19: {} is still {} after {limit:?} of peace",
                        execution["id"], execution["status"]
                    )
                });
                self.found.violations.extend(stuck);
                return Ok(());
            }
            sleep(POLL * 10).await;
        }
    }

    /// Compares the three accounts.
    async fn check(&mut self, steps: &[String], effects: &Path) -> Result<()> {
        let (effects, strange) = effects::read(effects)?;
        self.found.effects = effects.values().sum();
        self.found.violations.extend(strange.iter().map(|line| format!("W6: strange effect {line:?}")));
        let acknowledged = self.work.acknowledged();
        self.check_existence(&acknowledged).await?;
        for id in acknowledged.values() {
            let Some(events) = self.work.history(id).await? else {
                bail!("the node is gone though nothing broke it")
            };
            let (told, violations) = history::check(id, &events, steps);
            let earlier = self.earlier.get(id).and_then(|before| history::extends(id, before, &events));
            let compared = told.compare(id, &effects);
            self.found.violations.extend(violations.into_iter().chain(compared).chain(earlier));
            let Told { lost, started, .. } = told;
            self.found.lost += lost;
            self.found.started += started;
        }
        let known: BTreeSet<_> = acknowledged.values().collect();
        let foreign = effects.keys().filter(|attempt| !known.contains(&attempt.execution));
        self.found.violations.extend(foreign.map(|attempt| format!("W1: an effect of unknown {attempt:?}")));
        Ok(())
    }

    /// W1: each acknowledged submission is there once, under its id, completed; and nothing else is.
    async fn check_existence(&mut self, acknowledged: &BTreeMap<u64, String>) -> Result<()> {
        let listed = self.work.listed().await?;
        let violations = &mut self.found.violations;
        let mut statuses = BTreeMap::new();
        for execution in &listed {
            let id = execution["id"].as_str().context("an execution has an id")?;
            let status = execution["status"].as_str().unwrap_or_default();
            if statuses.insert(id, status).is_some() {
                violations.push(format!("W1: {id} is listed twice"));
            }
        }
        for (number, id) in acknowledged {
            match statuses.remove(id.as_str()) {
                None => violations.push(format!("W1: submission {number}, acknowledged as {id}, is lost")),
                Some("completed") => {}
                Some(status) => violations.push(format!("W19: {id} is {status}")),
            }
            let again = self.work.submit_one(*number).await?;
            if again != *id {
                violations.push(format!("W1: submission {number} was {id} and is now {again}"));
            }
        }
        violations.extend(statuses.keys().map(|id| format!("W1: {id} exists and nobody was told")));
        Ok(())
    }

    /// Stops the node as an operator would, and asks it whether what it leaves is whole.
    async fn stop(&mut self, mut process: Process) -> Result<()> {
        let stopped = process.stop().await?;
        if !stopped.success() {
            self.found.violations.push(format!("the node stopped with {stopped}"));
        }
        if let Some(damage) = self.launch.verify().await? {
            self.found.violations.push(format!("verify: {damage}"));
        }
        Ok(())
    }

    /// A run that proves nothing is no good run.
    fn demand_worth(&mut self) {
        // Fewer kills may all have missed.
        const KILLS_TELLING: u32 = 20;
        let telling = self.found.kills >= KILLS_TELLING && self.args.executions >= u64::from(self.args.kills);
        if telling && self.found.lost == 0 {
            let reason = "no kill hit an attempt in flight: the run proves nothing";
            self.found.violations.push(reason.to_owned());
        }
    }

    fn tell(&self, seed: u64) {
        let found = &self.found;
        report::table(&[
            ("seed", seed.to_string()),
            ("kills", format!("{} ({} while starting)", found.kills, found.kills_while_starting)),
            ("acknowledged", self.work.acknowledged().len().to_string()),
            ("attempts started", found.started.to_string()),
            ("attempts lost", found.lost.to_string()),
            ("effects outside", found.effects.to_string()),
            ("histories read early", found.histories_read.to_string()),
            ("longest start", format!("{} ms", found.ready_max.as_millis())),
            ("healed in", format!("{} ms", found.heal.as_millis())),
            ("violations", found.violations.len().to_string()),
        ]);
        report::violations(&found.violations);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rounds_share_all_submissions() {
        for (executions, kills) in [(200, 50), (7, 3), (3, 7), (0, 5)] {
            let total: usize = (0..kills).map(|round| share(executions, kills, round)).sum();
            assert_eq!(total as u64, executions, "{executions} over {kills}");
        }
    }
}
