//! One command in a process group that cannot outlive its attempt.
//!
//! The group is led by a *keeper*, a shell that waits on a pipe whose other end only the node holds. When
//! the node dies, however it dies, the kernel closes that end, and the keeper kills the group with
//! itself in it. The command joins the keeper's group. While the keeper has not been reaped its process
//! id cannot be given to anyone else, so a kill of the group never hits a stranger.
//!
//! Why not the kernel's parent-death signal: it needs code between fork and exec, which is `unsafe`; it
//! reaches the command but not the command's children; and it fires when the *thread* that forked ends.
//!
//! Resource limits are set by a line of shell in front of the command, in the same process, before it
//! becomes the command: there is no instant at which it runs without them.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};

use super::ShellLimits;
use super::capture::Capture;
use super::sandbox::Sandbox;
use crate::engine::model::{Fault, codes};

/// How long a dead group's pipes may stay open. Only a process that left the group can hold them.
const DRAIN_GRACE: Duration = Duration::from_millis(500);

/// Waits for the pipe to close, then kills its group.
const KEEPER: &str = "read -r _; kill -KILL 0";

/// What to start.
pub(super) struct Order {
    /// Program and arguments; at least one.
    pub(super) argv: Vec<String>,
    /// The whole environment.
    pub(super) env: BTreeMap<String, String>,
    /// Where.
    pub(super) cwd: PathBuf,
    /// What it reads.
    pub(super) stdin: String,
    /// Of each process.
    pub(super) limits: ShellLimits,
    /// What confines it, if anything.
    pub(super) sandbox: Option<Sandbox>,
}

/// A command that came to its end.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
}

/// A command in flight. Dropping it kills the group.
pub(super) struct Process {
    keeper: Child,
    command: Child,
    group: Pid,
}

/// Starts a command. Errors: a fault that says what the system refused.
pub(super) fn start(order: &Order) -> Result<Process, Fault> {
    let keeper = keeper().map_err(|error| refused("start the keeper of the process group", &error))?;
    let group = keeper.id().expect("a child that was not waited for has an id");
    let group = Pid::from_raw(i32::try_from(group).expect("process ids are positive"));
    let command = command(order, group).map_err(|error| {
        // The keeper dies with its handle; nobody else is in the group.
        refused("start the command", &error)
    })?;
    Ok(Process { keeper, command, group })
}

impl Process {
    /// Feeds the command, waits for its end, kills what it left behind and returns what it said.
    /// Errors: an `internal` fault if the system cannot tell how it ended.
    pub(super) async fn finish(&mut self, stdin: String, output_bytes_max: usize) -> Result<Ended, Fault> {
        let (mut stdout, mut stderr) = (Capture::default(), Capture::default());
        let feed = feed(self.command.stdin.take(), stdin);
        let (out, err) = (self.command.stdout.take(), self.command.stderr.take());
        let drains = async {
            tokio::join!(
                async {
                    if let Some(out) = out {
                        stdout.drain(out, output_bytes_max).await;
                    }
                },
                async {
                    if let Some(err) = err {
                        stderr.drain(err, output_bytes_max).await;
                    }
                }
            );
        };
        let status = {
            tokio::pin!(feed, drains);
            let (mut fed, mut drained) = (false, false);
            let status = loop {
                tokio::select! {
                    status = self.command.wait() => break status,
                    () = &mut feed, if !fed => fed = true,
                    () = &mut drains, if !drained => drained = true,
                }
            };
            kill(self.group);
            if !drained {
                // A timeout here loses nothing: the captures keep what they have.
                let _ = tokio::time::timeout(DRAIN_GRACE, drains).await;
            }
            status
        };
        let status = status.map_err(|error| refused("wait for the command", &error))?;
        Ok(Ended { status, stdout, stderr })
    }

    /// Closes the node's end of the keeper's pipe, as the kernel does when the node dies.
    #[cfg(test)]
    pub(super) fn close_lifeline(&mut self) {
        self.keeper.stdin = None;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Before the keeper's handle goes and tokio may reap it: until then the id is ours.
        kill(self.group);
        let _ = self.keeper.start_kill();
    }
}

/// A signal's name, as in `SIGKILL`.
pub(super) fn signal_name(status: ExitStatus) -> String {
    let signal = status.signal().and_then(|number| Signal::try_from(number).ok());
    signal.map_or_else(|| status.to_string(), |signal| signal.to_string())
}

fn keeper() -> std::io::Result<Child> {
    Command::new("/bin/sh")
        .args(["-c", KEEPER])
        .env_clear()
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn command(order: &Order, group: Pid) -> std::io::Result<Child> {
    assert!(!order.argv.is_empty(), "an order names a program");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &limited(&order.limits), "sh"])
        .args(&order.argv)
        .env_clear()
        .envs(&order.env)
        .current_dir(&order.cwd)
        .process_group(group.as_raw())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    match &order.sandbox {
        None => command.spawn(),
        Some(sandbox) => sandbox.confine(|| command.spawn()),
    }
}

/// A line of shell that sets the limits and becomes the command. A limit that cannot be set is already
/// lower, which is as good.
fn limited(limits: &ShellLimits) -> String {
    let set = [
        ("c", Some(0)),
        ("n", limits.open_files_max),
        // In blocks of 512 bytes.
        ("f", limits.file_bytes_max.map(|bytes| bytes.div_ceil(512))),
        ("t", limits.cpu_seconds_max),
        // In KiB.
        ("v", limits.memory_bytes_max.map(|bytes| bytes.div_ceil(1_024))),
    ];
    let lines: String = set
        .iter()
        .filter_map(|(flag, value)| value.map(|value| format!("ulimit -{flag} {value} 2>/dev/null || :; ")))
        .collect();
    format!("{lines}exec \"$@\"")
}

async fn feed(pipe: Option<ChildStdin>, text: String) {
    if let Some(mut pipe) = pipe {
        // A command that does not read its input is no fault.
        let _ = pipe.write_all(text.as_bytes()).await;
    }
}

fn kill(group: Pid) {
    // "No such process" is what we want; nothing else can be done about any other answer.
    let _ = killpg(group, Signal::SIGKILL);
}

fn refused(what: &str, error: &std::io::Error) -> Fault {
    let message = format!("{what}: {error}");
    match error.kind() {
        // A NUL byte in an argument or a variable; arguments that are too long.
        std::io::ErrorKind::InvalidInput | std::io::ErrorKind::ArgumentListTooLong => {
            Fault::fatal(codes::SCHEMA, message)
        }
        _ => Fault::retryable(codes::INTERNAL, message),
    }
}
