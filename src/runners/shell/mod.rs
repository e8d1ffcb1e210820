//! `shell`: runs a command in a process group of its own.
//!
//! A step's command is the most dangerous thing a node can be asked to do, so it is off unless a node
//! enables it, and fenced when it is on: an empty environment plus an allow-list, a fresh directory that
//! is removed afterwards, resource limits, outputs that are cut, and a process group that dies with the
//! attempt however the attempt ends: exit, timeout, cancel, or the death of the node.
//!
//! Where a [`sandbox`] is required, the command also sees nothing of the file system but the system's
//! programs, its directory and the places the node names.
//!
//! Caveats: a process that makes a session of its own (`setsid`) leaves the group and is not hunted
//! down; the command runs as the node's user; without the sandbox it can read and write what that user
//! can. Whoever runs strangers' commands gives the node its own user, or a container.

mod capture;
mod process;
mod sandbox;
mod workspace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::written::{self, Written};
use super::{Attempt, Error, Outcome, Runner, Running, params};
use crate::engine::definition::{Misfit, RunnerShape};
use crate::engine::model::{Fault, Payload, codes};
use capture::Capture;
use process::{Ended, Order};
use sandbox::Sandbox;
use workspace::Workspaces;

/// What a node lets shell steps do.
#[derive(Debug, Clone)]
pub struct ShellSettings {
    /// Off unless a node is told otherwise.
    pub enabled: bool,
    /// Names of the variables that commands see, if the node has them.
    pub env_allow: Vec<String>,
    /// The node's environment, read by whoever builds these settings. Only what `env_allow` names is
    /// passed on.
    pub environment: BTreeMap<String, String>,
    /// Each attempt gets a fresh directory beneath it. What an earlier life of the node left there is
    /// removed at start, so no two nodes may share it.
    pub work_dir: PathBuf,
    /// What a relative `cwd` is relative to; without it, the attempt's fresh directory.
    pub base_dir: Option<PathBuf>,
    /// Refuse to start without a sandbox, and confine every command to it.
    pub require_sandbox: bool,
    /// Where commands may read besides the system's own directories, when the sandbox is required.
    pub readable: Vec<PathBuf>,
    /// Where commands may write besides their fresh directory, when the sandbox is required.
    pub writable: Vec<PathBuf>,
    /// Commands at the same time; others wait, within their deadlines. 64: each takes six of the node's
    /// file descriptors, and the node needs its own.
    pub concurrent_max: usize,
    /// Bytes kept of stdout, and of stderr. 1 MiB: it has to fit into a recorded output.
    pub output_bytes_max: usize,
    /// Limits of each process.
    pub limits: ShellLimits,
}

/// Resource limits of each process of a shell step; `None` keeps the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellLimits {
    /// Open files.
    pub open_files_max: Option<u64>,
    /// Bytes of a file it writes. A runaway log should not fill the node's disk.
    pub file_bytes_max: Option<u64>,
    /// Seconds of processor time.
    pub cpu_seconds_max: Option<u64>,
    /// Bytes of address space. Off by default: runtimes that reserve much and use little would fail.
    pub memory_bytes_max: Option<u64>,
}

impl Default for ShellLimits {
    fn default() -> Self {
        Self {
            open_files_max: Some(1_024),
            file_bytes_max: Some(4 << 30),
            cpu_seconds_max: None,
            memory_bytes_max: None,
        }
    }
}

impl Default for ShellSettings {
    fn default() -> Self {
        Self {
            enabled: false,
            env_allow: params::names(&["PATH", "HOME", "LANG", "LC_ALL", "TZ"]),
            environment: BTreeMap::new(),
            work_dir: PathBuf::from("everstep-work"),
            base_dir: None,
            require_sandbox: false,
            readable: Vec::new(),
            writable: Vec::new(),
            concurrent_max: 64,
            output_bytes_max: 1 << 20,
            limits: ShellLimits::default(),
        }
    }
}

/// The runner. See the module.
pub(super) struct Shell {
    settings: ShellSettings,
    workspaces: Workspaces,
    turns: Semaphore,
}

#[derive(Deserialize)]
struct Params {
    command: Option<String>,
    argv: Option<Vec<Value>>,
    #[serde(default)]
    env: BTreeMap<String, Value>,
    stdin: Option<Value>,
    cwd: Option<PathBuf>,
}

impl Shell {
    /// Errors: [`Error::WorkDir`], [`Error::Sandbox`]; none while shell steps are off.
    pub(super) fn new(settings: ShellSettings) -> Result<Self, Error> {
        if settings.enabled && settings.require_sandbox {
            sandbox::available().map_err(|reason| Error::Sandbox { reason })?;
        }
        let work_dir = settings.work_dir.clone();
        let workspaces = Workspaces::new(work_dir.clone());
        if settings.enabled {
            workspaces.prepare().map_err(|source| Error::WorkDir { path: work_dir, source })?;
        }
        let turns = Semaphore::new(settings.concurrent_max);
        Ok(Self { settings, workspaces, turns })
    }

    async fn attempt(&self, attempt: &Attempt) -> Outcome {
        if !self.settings.enabled {
            return Err(Fault::fatal(codes::REFUSED, DISABLED));
        }
        let params: Params = params::decode(&attempt.params)?;
        let _turn = self.turns.acquire().await.expect("the turns are never closed");
        // Dropped in reverse: the group is dead before its directory goes.
        let workspace = self.workspaces.fresh(attempt).map_err(|error| {
            Fault::retryable(codes::INTERNAL, format!("make a directory for the attempt: {error}"))
        })?;
        let order = self.order(attempt, params, workspace.path())?;
        let started = Instant::now();
        let mut process = process::start(&order)?;
        let ended = process.finish(order.stdin, self.settings.output_bytes_max).await?;
        drop(process);
        outcome(ended, started.elapsed().as_millis())
    }

    /// The command with all that surrounds it.
    fn order(&self, attempt: &Attempt, params: Params, fresh: &Path) -> Result<Order, Fault> {
        let base = self.settings.base_dir.as_deref().unwrap_or(fresh);
        let cwd = params.cwd.as_ref().map_or_else(|| fresh.to_path_buf(), |cwd| base.join(cwd));
        if !cwd.is_dir() {
            return Err(params::wrong(format!("`cwd` is no directory: {}", cwd.display())));
        }
        let mut env = self.environment(attempt, fresh);
        for (name, value) in &params.env {
            variable(name)?;
            env.insert(name.clone(), params::text(&format!("env.{name}"), value)?);
        }
        let stdin = params.stdin.map_or_else(String::new, |stdin| match stdin {
            Value::String(text) => text,
            other => other.to_string(),
        });
        let sandbox = self.settings.require_sandbox.then(|| self.sandbox(fresh));
        let argv = argv(params.command, params.argv)?;
        Ok(Order { argv, env, cwd, stdin, limits: self.settings.limits.clone(), sandbox })
    }

    fn sandbox(&self, fresh: &Path) -> Sandbox {
        let mut writable = self.settings.writable.clone();
        writable.push(fresh.to_path_buf());
        Sandbox { readable: self.settings.readable.clone(), writable }
    }

    /// The allowed part of the node's environment, and what tells the command who it works for.
    fn environment(&self, attempt: &Attempt, fresh: &Path) -> BTreeMap<String, String> {
        let fresh = fresh.display().to_string();
        let mut env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
            ("HOME".to_owned(), fresh.clone()),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ]);
        let allowed = self.settings.env_allow.iter();
        env.extend(
            allowed
                .filter_map(|name| self.settings.environment.get_key_value(name))
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        env.extend([
            ("TMPDIR".to_owned(), fresh),
            ("EVERSTEP_EXECUTION_ID".to_owned(), attempt.execution.to_string()),
            ("EVERSTEP_STEP".to_owned(), attempt.step.clone()),
            ("EVERSTEP_ATTEMPT".to_owned(), attempt.attempt.to_string()),
            ("EVERSTEP_IDEMPOTENCY_KEY".to_owned(), attempt.idempotency_key()),
        ]);
        env
    }
}

impl Runner for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn shape(&self) -> RunnerShape {
        RunnerShape {
            known: params::names(&["command", "argv", "env", "stdin", "cwd", "timeout"]),
            check: Some(check),
            ..RunnerShape::default()
        }
    }

    fn run<'a>(&'a self, attempt: &'a Attempt) -> Running<'a> {
        Box::pin(self.attempt(attempt))
    }
}

const DISABLED: &str = "shell steps are off on this node; `everstep dev` and `everstep run` allow them, \
                        a server does with `shell.enabled = true` in its configuration";

/// What a definition can be told before anything runs.
fn check(params: &Value) -> Vec<Misfit> {
    let mut written = Written::new(params);
    match *written.given(&["command", "argv"]) {
        [] => written.wrong("", "a shell step needs `command` or `argv`"),
        [_] => {}
        _ => written.wrong("/argv", "`command` and `argv` exclude each other"),
    }
    for name in ["command", "cwd"] {
        written.text(name);
    }
    match written.known("argv") {
        None => {}
        Some(Value::Array(words)) if words.is_empty() => written.wrong("/argv", "`argv` is empty"),
        Some(Value::Array(words)) => {
            for (at, word) in words.iter().enumerate() {
                written.judge(format!("/argv/{at}"), params::text("argv", word));
            }
        }
        Some(_) => written.wrong("/argv", "`argv` has to be a list"),
    }
    for name in written.keys("env") {
        written.judge(written::below("env", name), variable(name));
    }
    written.scalars("env");
    written.misfits()
}

/// Whether a name can be that of a variable. Errors: a `schema` fault.
fn variable(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(params::wrong(format!("`env` holds a name that is none: {name:?}")));
    }
    Ok(())
}

fn argv(command: Option<String>, argv: Option<Vec<Value>>) -> Result<Vec<String>, Fault> {
    match (command, argv) {
        (Some(command), None) => Ok(vec!["/bin/sh".into(), "-c".into(), command]),
        (None, Some(argv)) if !argv.is_empty() => {
            argv.iter().map(|word| params::text("argv", word)).collect()
        }
        (None, Some(_)) => Err(params::wrong("`argv` is empty")),
        (Some(_), Some(_)) => Err(params::wrong("`command` and `argv` exclude each other")),
        (None, None) => Err(params::wrong("a shell step needs `command` or `argv`")),
    }
}

fn outcome(ended: Ended, duration_ms: u128) -> Outcome {
    let Ended { status, stdout, stderr } = ended;
    let (stdout, stderr) = Capture::texts(stdout, stderr);
    let output = Payload::from_value(&json!({
        "stdout": stdout,
        "stderr": stderr,
        "exit_code": status.code(),
        "duration_ms": u64::try_from(duration_ms).unwrap_or(u64::MAX),
    }));
    match status.code() {
        Some(0) => Ok(output),
        Some(code) => {
            let message = format!("the command ended with exit code {code}{}", last_words(&stderr));
            Err(Fault::retryable(format!("exit_{code}"), message).with_details(output))
        }
        None => {
            let signal = process::signal_name(status);
            let message = format!("the command was killed by {signal}{}", last_words(&stderr));
            Err(Fault::retryable(codes::KILLED, message).with_details(output))
        }
    }
}

/// The last line of stderr, since it mostly says why.
fn last_words(stderr: &str) -> String {
    let line = stderr.trim_end().rsplit('\n').next().unwrap_or_default();
    if line.is_empty() { String::new() } else { format!(": {}", super::fit::cut(line.to_owned(), 200)) }
}

#[cfg(test)]
mod tests;
