//! Confining a command with Landlock, which needs neither root nor a container.
//!
//! A Landlock domain belongs to a thread and is inherited by what the thread starts. So a confined
//! command is started by a thread of its own, which confines itself, starts the command and ends. The
//! node's other threads stay free, and no code runs between fork and exec.
//!
//! Inside, the command reads the system's programs and libraries, writes its fresh directory and the
//! places the node names, and sees nothing else of the file system: not the node's data, not its keys,
//! not home directories. It cannot gain rights through setuid programs, and cannot look into processes
//! outside. From Linux 6.12 on it cannot send them signals either.
//!
//! Caveats: the network stays open; system calls are not filtered, since a seccomp filter that is safe
//! for every program a person may run forbids next to nothing.

use std::io;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

/// The oldest Landlock that guards all ways to change a file, truncation included: Linux 6.2.
const FILES: ABI = ABI::V3;
/// The Landlock that guards signals, taken where it is there: Linux 6.12.
const SIGNALS: ABI = ABI::V6;

/// Where programs, libraries and their settings live. What is missing is left out.
const SYSTEM: [&str; 12] =
    ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/etc", "/dev", "/proc", "/sys"];

/// What programs write to as a matter of course.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/tty"];

/// What a confined command may reach besides the system.
#[derive(Debug, Clone)]
pub(super) struct Sandbox {
    /// Read only.
    pub(super) readable: Vec<PathBuf>,
    /// Read and written.
    pub(super) writable: Vec<PathBuf>,
}

/// Whether commands can be confined on this system. Errors: what is missing.
pub(super) fn available() -> Result<(), String> {
    ruleset().map(drop).map_err(|error| format!("Landlock of Linux 6.2 or later: {error}"))
}

impl Sandbox {
    /// Runs `start` on a thread that is confined, as will be what it starts. Errors: those of `start`,
    /// and what the system says if it cannot confine.
    pub(super) fn confine<T: Send>(&self, start: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let runtime = tokio::runtime::Handle::current();
        std::thread::scope(|scope| {
            let confined = scope.spawn(|| {
                let _entered = runtime.enter();
                self.enforce()?;
                start()
            });
            confined.join().unwrap_or_else(|_| Err(io::Error::other("the confined thread broke")))
        })
    }

    /// Confines the calling thread for the rest of its life.
    fn enforce(&self) -> io::Result<()> {
        let readable = SYSTEM.iter().map(Path::new).chain(self.readable.iter().map(PathBuf::as_path));
        let read = AccessFs::from_read(FILES);
        let all = AccessFs::from_all(FILES);
        ruleset()
            .and_then(|rules| rules.add_rules(path_beneath_rules(readable, read)))
            .and_then(|rules| rules.add_rules(path_beneath_rules(&self.writable, all)))
            .and_then(|rules| rules.add_rules(DEVICES.into_iter().filter_map(device)))
            .and_then(RulesetCreated::restrict_self)
            .map(drop)
            .map_err(|error| io::Error::other(format!("confine the command: {error}")))
    }
}

fn device(path: &str) -> Option<Result<PathBeneath<PathFd>, RulesetError>> {
    let device = PathFd::new(path).ok()?;
    Some(Ok(PathBeneath::new(device, AccessFs::ReadFile | AccessFs::WriteFile)))
}

/// Rules that forbid everything so far.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(FILES))?
        .set_compatibility(CompatLevel::BestEffort)
        .scope(Scope::from_all(SIGNALS))?
        .create()
}
