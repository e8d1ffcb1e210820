//! One seed, a few of them, or many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::cluster::{Outcome, Plan, simulate};
use crate::tally::Tally;

/// How long things go wrong in a simulation, in seconds, unless `SIM_SECONDS` says so.
const SECONDS: u64 = 60;
/// The same for those that run with every test.
const SECONDS_SHORT: u64 = 20;

/// A simulation that takes longer than this hangs; the slowest take a tenth of it on a busy machine.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(600);

/// So many seeds come to every point, however seldom that is.
const SEEDS_MANY: u64 = 100;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Runs a seed and says how to repeat it if something is wrong.
fn hold(seed: u64, seconds: u64) {
    let begun = std::time::Instant::now();
    std::thread::spawn(move || watch_over(seed));
    log_if_wanted();
    let outcome = simulate(Plan::draw(seed, seconds * 1_000));
    say(&outcome, begun.elapsed().as_secs_f64());
    keep_trace(seed, &outcome);
    let first: Vec<_> = outcome.wrong.iter().take(20).collect();
    assert!(first.is_empty(), "repeat with `make sim SEED={seed} SIM_SECONDS={seconds}`: {first:#?}");
}

/// `RUST_LOG=everstep=debug` shows what the nodes say.
fn log_if_wanted() {
    if std::env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time();
        let _before = log.with_writer(std::io::stderr).try_init();
    }
}

/// Ends the process if the simulation does not come to an end: somewhere something is repeated without a pause.
#[expect(clippy::print_stderr, reason = "nobody else can say it")]
fn watch_over(seed: u64) {
    std::thread::sleep(LONGEST);
    eprintln!("seed {seed} does not come to an end");
    std::process::abort();
}

#[expect(clippy::print_stdout, reason = "whoever runs seeds wants to know what they were")]
fn say(outcome: &Outcome, seconds: f64) {
    println!("{outcome}, {seconds:.1} s\n{}", outcome.tally());
}

/// With `SIM_TRACE` set the trace is written to that folder.
#[expect(clippy::print_stdout, reason = "whoever repeats a seed wants to read it")]
fn keep_trace(seed: u64, outcome: &Outcome) {
    if let Some(folder) = std::env::var_os("SIM_TRACE") {
        let path = Path::new(&folder).join(format!("{seed}.trace"));
        let wrong = outcome.wrong.join("\n");
        println!("its trace is in {}", path.display());
        std::fs::write(path, format!("{outcome}\n{wrong}\n{}\n", outcome.trace.join("\n"))).unwrap();
    }
}

/// Each run in a process of its own: the numbers that processes count up by are part of a run.
#[test]
fn the_same_seed_gives_the_same_trace_of_a_cluster() {
    let seed = number("SEED", 3);
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        let Run { good, text, .. } = in_a_process(seed, 10, Some(folder.path()));
        let trace = std::fs::read_to_string(folder.path().join(format!("{seed}.trace")));
        trace.unwrap_or_else(|_| panic!("no trace, good: {good}, {text}"))
    };
    let (first, second) = (run(), run());
    assert!(first.lines().count() > 200, "the simulation did too little: {first}");
    for (line, (a, b)) in first.lines().zip(second.lines()).enumerate() {
        assert_eq!(a, b, "the traces part at line {line}; repeat with SEED={seed}");
    }
    assert_eq!(first, second, "one trace is longer; repeat with SEED={seed}");
}

/// The seed in `SEED`, for `SIM_SECONDS` seconds.
#[test]
fn a_seed_holds() {
    hold(number("SEED", 1), number("SIM_SECONDS", SECONDS_SHORT));
}

/// As many seeds as `SEEDS` says, from `FIRST` on, each in a process of its own and as many at a time as there are
/// processors. Of many seeds some have to come to each point of the code.
#[test]
#[expect(clippy::print_stdout, reason = "it is a report")]
fn seeds_hold_each_in_a_process_of_its_own() {
    let (first, count) = (number("FIRST", 101), number("SEEDS", 2));
    let seconds = if count == 2 { SECONDS_SHORT } else { number("SIM_SECONDS", SECONDS) };
    println!("seeds {first} to {}, {seconds} s each", first + count - 1);
    let (next, begun) = (AtomicU64::new(first), std::time::Instant::now());
    let said: Mutex<BTreeMap<u64, Run>> = Mutex::default();
    let at_once = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let run = in_a_process(seed, seconds, None);
                    println!("{}", run.text.trim_end());
                    said.lock().unwrap().insert(seed, run);
                }
            });
        }
    });
    let said = said.into_inner().unwrap();
    let mut tally = Tally::default();
    said.values().for_each(|run| tally.add_all(&run.tally));
    println!("{}", report(&tally));
    let bad: Vec<u64> = said.iter().filter(|(_, run)| !run.good).map(|(seed, _)| *seed).collect();
    println!("{count} seeds of {seconds} s in {:.0} s, {} wrong", begun.elapsed().as_secs_f64(), bad.len());
    assert!(bad.is_empty(), "these do not hold: {bad:?}; repeat one with `make sim SEED=…`");
    if count >= SEEDS_MANY {
        let missed: Vec<&str> = tally.below(HITS).filter(|(_, hits)| *hits == 0).map(|it| it.0).collect();
        assert!(missed.is_empty(), "no node came to these points: {missed:?}");
    }
}

/// How often each point was come to.
const HITS: &str = "hits.";

/// What many seeds came to, as tables of Markdown.
fn report(tally: &Tally) -> String {
    let mut text = String::new();
    let (mut deaths, mut delays) = (0, 0);
    writeln!(text, "| point | hit | died there | late there |\n|---|---|---|---|").unwrap();
    for (point, hits) in tally.below(HITS) {
        let [died, late] = ["deaths", "delays"].map(|what| tally.of(&format!("{what}.{point}")));
        (deaths, delays) = (deaths + died, delays + late);
        writeln!(text, "| {point} | {hits} | {died} | {late} |").unwrap();
    }
    let faults: Vec<_> = tally.below("fault.").collect();
    let kinds: Vec<String> = faults.iter().map(|(kind, times)| format!("{kind} {times}")).collect();
    write!(
        text,
        "{:.1} simulated hours, {} requests, {} executions, {} effects, {} lost writes; {} faults of {} kinds: {}; \
         {deaths} deaths and {delays} delays at {} points",
        tally.of("seconds") as f64 / 3_600.0,
        tally.of("requests"),
        tally.of("executions"),
        tally.of("effects"),
        tally.of("lost_writes"),
        faults.iter().map(|(_, times)| times).sum::<u64>(),
        faults.len(),
        kinds.join(", "),
        tally.below(HITS).filter(|(_, hits)| *hits > 0).count(),
    )
    .unwrap();
    text
}

/// What a seed came to.
struct Run {
    good: bool,
    /// Its line if it holds, everything it said if not.
    text: String,
    tally: Tally,
}

/// Runs one seed by itself.
fn in_a_process(seed: u64, seconds: u64, trace: Option<&Path>) -> Run {
    let mut run = Command::new(std::env::current_exe().unwrap());
    run.args(["--exact", "seeds::a_seed_holds", "--nocapture"]);
    run.env("SEED", seed.to_string()).env("SIM_SECONDS", seconds.to_string());
    if let Some(folder) = trace {
        run.env("SIM_TRACE", folder);
    }
    let run = run.output().unwrap();
    let stdout = String::from_utf8_lossy(&run.stdout);
    let line = stdout.lines().find(|line| line.contains("seed ")).unwrap_or_default().to_owned();
    let good = run.status.success() && !line.is_empty();
    let all = || format!("seed {seed} FAILED\n{stdout}\n{}", String::from_utf8_lossy(&run.stderr));
    Run { good, text: if good { line } else { all() }, tally: Tally::parse(&stdout) }
}

/// With every test run: these seeds, in parallel.
macro_rules! seeds {
    ($($name:ident = $seed:literal),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let Run { good, text, .. } = in_a_process($seed, SECONDS_SHORT, None);
            assert!(good, "{text}");
        })+
    };
}

seeds!(
    seed_2_holds = 2,
    seed_3_holds = 3,
    seed_4_holds = 4,
    seed_5_holds = 5,
    seed_6_holds = 6,
    seed_7_holds = 7,
    seed_8_holds = 8,
    seed_9_holds = 9,
    seed_10_holds = 10,
);
