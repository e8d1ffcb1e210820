//! What a shell step promises, against real processes.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::testing::{attempt, registry};
use super::super::{Registry, Settings};
use super::*;

fn allowed(work_dir: &Path) -> ShellSettings {
    ShellSettings { enabled: true, work_dir: work_dir.to_path_buf(), ..ShellSettings::default() }
}

fn shell(settings: ShellSettings) -> Registry {
    registry(Settings { shell: settings, ..Settings::default() })
}

struct Bench {
    registry: Registry,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(change: impl FnOnce(&mut ShellSettings)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut settings = allowed(&dir.path().join("work"));
        change(&mut settings);
        Self { registry: shell(settings), dir }
    }

    async fn run(&self, params: Value) -> Result<Value, Fault> {
        self.registry.run(&attempt(params), "shell").await.map(|output| output.value())
    }

    async fn fault(&self, params: Value) -> Fault {
        self.run(params).await.expect_err("this command fails")
    }
}

fn plain() -> Bench {
    Bench::new(|_| {})
}

#[tokio::test]
async fn a_command_answers_what_it_said() {
    let output = plain().run(json!({"command": "echo 'Hello World ☺'; echo oh >&2"})).await.expect("it runs");
    assert_eq!(output["stdout"], "Hello World ☺\n");
    assert_eq!(output["stderr"], "oh\n");
    assert_eq!(output["exit_code"], 0);
    assert!(output["duration_ms"].is_u64());
}

#[tokio::test]
async fn words_are_passed_as_they_are() {
    let output =
        plain().run(json!({"argv": ["printf", "%s|", "a b", "$HOME", 7, ""]})).await.expect("it runs");
    assert_eq!(output["stdout"], "a b|$HOME|7||");
}

#[tokio::test]
async fn an_exit_code_is_a_fault_that_may_pass() {
    let fault = plain().fault(json!({"command": "echo so; echo why >&2; exit 3"})).await;
    assert_eq!((fault.code.as_str(), fault.retryable), ("exit_3", true));
    assert!(fault.message.ends_with("exit code 3: why"), "{fault}");
    let details = fault.details.expect("the output is kept").value();
    assert_eq!((&details["stdout"], &details["exit_code"]), (&json!("so\n"), &json!(3)));
}

#[tokio::test]
async fn a_command_that_does_not_exist_says_so() {
    let fault = plain().fault(json!({"argv": ["no-such-command"]})).await;
    assert_eq!(fault.code, "exit_127");
    assert!(fault.message.contains("no-such-command"), "{fault}");
}

#[tokio::test]
async fn death_by_signal_is_named() {
    let fault = plain().fault(json!({"command": "kill -9 $$"})).await;
    assert_eq!((fault.code.as_str(), fault.retryable), ("killed", true));
    assert!(fault.message.contains("SIGKILL"), "{fault}");
    assert_eq!(plain().fault(json!({"command": "kill -9 0"})).await.code, "killed", "its own group");
}

#[tokio::test]
async fn it_is_off_unless_enabled_and_says_how() {
    let fault = shell(ShellSettings::default()).run(&attempt(json!({"command": "true"})), "shell").await;
    let fault = fault.expect_err("shell is off");
    assert_eq!((fault.code.as_str(), fault.retryable), ("refused", false));
    assert!(fault.message.contains("shell.enabled = true"), "{fault}");
}

#[tokio::test]
async fn the_environment_is_empty_but_for_the_allowed() {
    let bench = Bench::new(|settings| {
        settings.environment =
            [("LANG", "de_DE.UTF-8"), ("AWS_SECRET", "planted"), ("PATH", "/usr/bin:/bin")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
    });
    let output = bench.run(json!({"command": "env", "env": {"MINE": 1}})).await.expect("it runs");
    let text = output["stdout"].as_str().expect("text");
    let mut names: Vec<_> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.retain(|name| *name != "_");
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "EVERSTEP_ATTEMPT",
            "EVERSTEP_EXECUTION_ID",
            "EVERSTEP_IDEMPOTENCY_KEY",
            "EVERSTEP_STEP",
            "HOME",
            "LANG",
            "MINE",
            "PATH",
            "PWD",
            "TMPDIR"
        ]
    );
    assert!(text.contains("LANG=de_DE.UTF-8") && !text.contains("planted"));
    assert!(text.contains("EVERSTEP_ATTEMPT=2") && text.contains("/a-step\n"));
}

#[tokio::test]
async fn it_starts_in_a_fresh_directory_that_goes_with_it() {
    let bench = plain();
    let command = "pwd; ls -A; touch mine; mkdir -p deep/er; echo x > deep/er/file";
    for _ in 0..2 {
        let output = bench.run(json!({"command": command})).await.expect("it runs");
        let stdout = output["stdout"].as_str().expect("text");
        assert_eq!(stdout.lines().count(), 1, "the directory is empty: {stdout}");
        let path = Path::new(stdout.trim());
        assert!(path.is_absolute() && !path.exists(), "{stdout} is gone");
    }
}

#[tokio::test]
async fn what_an_earlier_life_left_is_swept_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for left in ["attempt-old/deep", "kept"] {
        std::fs::create_dir_all(dir.path().join(left)).expect("make it");
    }
    let _registry = shell(allowed(dir.path()));
    assert!(!dir.path().join("attempt-old").exists());
    assert!(dir.path().join("kept").exists());
}

#[tokio::test]
async fn cwd_is_relative_to_the_base_and_must_exist() {
    let base = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(base.path().join("data")).expect("make it");
    std::fs::write(base.path().join("data/file"), "content").expect("write it");
    let bench = Bench::new(|settings| settings.base_dir = Some(base.path().to_path_buf()));
    let output = bench.run(json!({"command": "cat file", "cwd": "data"})).await.expect("it runs");
    assert_eq!(output["stdout"], "content");
    assert_eq!(bench.fault(json!({"command": "true", "cwd": "missing"})).await.code, "schema");
}

#[tokio::test]
async fn stdin_is_fed_and_need_not_be_read() {
    let big = "0123456789".repeat(50_000);
    let output = plain().run(json!({"command": "wc -c", "stdin": big})).await.expect("it runs");
    assert_eq!(output["stdout"].as_str().map(str::trim), Some("500000"));
    plain().run(json!({"command": "true", "stdin": big})).await.expect("unread input is no fault");
    let output = plain().run(json!({"command": "cat", "stdin": {"a": 1}})).await.expect("it runs");
    assert_eq!(output["stdout"], r#"{"a":1}"#);
    let output = plain().run(json!({"command": "cat"})).await.expect("no input ends at once");
    assert_eq!(output["stdout"], "");
}

#[tokio::test]
async fn parameters_of_the_wrong_shape_are_faults_that_stay() {
    for params in [
        json!({}),
        json!({"command": 7}),
        json!({"command": "a", "argv": ["b"]}),
        json!({"argv": []}),
        json!({"argv": [["x"]]}),
        json!({"command": "true", "env": {"A=B": "x"}}),
        json!({"command": "true", "env": {"A": null}}),
        json!({"command": "true\u{0}"}),
        json!([1]),
    ] {
        let fault = plain().fault(params.clone()).await;
        assert_eq!((fault.code.as_str(), fault.retryable), ("schema", false), "{params}: {fault}");
    }
}

#[tokio::test]
async fn a_flood_is_cut_and_marked_and_does_not_block() {
    let bench = Bench::new(|settings| settings.output_bytes_max = 1_000);
    let output =
        bench.run(json!({"command": "head -c 3000000 /dev/zero | tr '\\0' x"})).await.expect("it runs");
    let stdout = output["stdout"].as_str().expect("text");
    assert!(stdout.starts_with(&"x".repeat(1_000)));
    assert!(stdout.ends_with("[cut by everstep: 2999000 more bytes]\n"), "{}", &stdout[990..]);
}

#[tokio::test]
async fn a_flood_at_the_default_cap_can_be_recorded() {
    let output =
        plain().run(json!({"command": "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2"})).await;
    let output = output.expect("it runs, and its output is below the limit of outputs");
    assert!(output["stderr"].as_str().is_some_and(|text| text.contains("[cut by everstep")));
}

#[tokio::test]
async fn limits_hold_from_the_first_instant() {
    let bench = Bench::new(|settings| {
        settings.limits.open_files_max = Some(64);
        settings.limits.file_bytes_max = Some(4_096);
    });
    let output = bench.run(json!({"command": "ulimit -n; ulimit -c; ulimit -f"})).await.expect("it runs");
    assert_eq!(output["stdout"], "64\n0\n8\n");
    let fault = bench.fault(json!({"command": "exec head -c 100000 /dev/zero > big"})).await;
    assert!(fault.code == "killed" || fault.code.starts_with("exit_"), "{fault}");
}

/// A command whose grandchild connects to us: the connection lives as long as the grandchild.
struct Alive {
    listener: TcpListener,
    port: u16,
}

impl Alive {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        Self { listener, port }
    }

    /// A shell command: a grandchild in the background holds a connection for an hour and tells its
    /// process id; then `then` runs.
    fn command(&self, then: &str) -> String {
        let port = self.port;
        format!(
            "bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; echo $$ >&3; exec sleep 3600' >/dev/null 2>&1 & \
             {then}"
        )
    }

    async fn connected(&self) -> (tokio::net::TcpStream, Pid) {
        let (mut stream, _) = self.listener.accept().await.expect("the grandchild connects");
        let mut text = Vec::new();
        while !text.ends_with(b"\n") {
            text.push(stream.read_u8().await.expect("it tells its id"));
        }
        let pid = String::from_utf8_lossy(&text).trim().parse().expect("a process id");
        (stream, Pid::from_raw(pid))
    }
}

async fn gone(mut stream: tokio::net::TcpStream, pid: Pid) {
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut [0; 8])).await;
    assert!(matches!(end, Ok(Ok(0) | Err(_))), "the connection closes when its holder dies: {end:?}");
    // The kernel may list the dead for an instant, until its new parent has taken note.
    let _ = kill(pid, None);
    let _ = stream.shutdown().await;
}

#[tokio::test]
async fn dropping_the_attempt_kills_its_whole_family() {
    let bench = plain();
    let alive = Alive::new().await;
    let attempt = attempt(json!({"command": alive.command("sleep 3600")}));
    let mut running = Box::pin(bench.registry.run(&attempt, "shell"));
    let (stream, pid) = tokio::select! {
        connected = alive.connected() => connected,
        outcome = &mut running => panic!("it sleeps for an hour, but: {outcome:?}"),
    };
    assert!(kill(pid, None).is_ok(), "the grandchild lives");
    drop(running);
    gone(stream, pid).await;
    let left = std::fs::read_dir(bench.dir.path().join("work")).expect("it is there").count();
    assert_eq!(left, 0, "the directory is gone");
}

#[tokio::test]
async fn what_a_command_leaves_behind_dies_with_it() {
    let bench = plain();
    let alive = Alive::new().await;
    // The command ends only after its grandchild has connected: `read` waits for a line of ours.
    let port = alive.port;
    let then =
        format!("exec bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}; echo $$ >&3; read -r _ <&3; echo done'");
    let attempt = attempt(json!({"command": alive.command(&then)}));
    let watch = async {
        let (mut first, first_pid) = alive.connected().await;
        let (mut second, second_pid) = alive.connected().await;
        // One of the two waits for a line and ends; the other sleeps and has to be killed.
        let _ = first.write_all(b"go\n").await;
        let _ = second.write_all(b"go\n").await;
        gone(first, first_pid).await;
        gone(second, second_pid).await;
    };
    let (outcome, ()) = tokio::join!(bench.registry.run(&attempt, "shell"), watch);
    assert_eq!(outcome.expect("it ends well").value()["stdout"], "done\n");
}

#[tokio::test]
async fn the_keeper_kills_the_group_when_the_node_is_gone() {
    let bench = plain();
    let alive = Alive::new().await;
    let fresh = bench.dir.path().to_path_buf();
    let order = Order {
        argv: vec!["/bin/sh".into(), "-c".into(), alive.command("sleep 3600")],
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        cwd: fresh,
        stdin: String::new(),
        limits: ShellLimits::default(),
        sandbox: None,
    };
    let mut process = process::start(&order).expect("it starts");
    let (stream, pid) = alive.connected().await;
    // What the kernel does for a node that dies: it closes the pipe.
    process.close_lifeline();
    gone(stream, pid).await;
    let ended = process.finish(String::new(), 10).await.expect("it was killed");
    assert_eq!(process::signal_name(ended.status), "SIGKILL");
}

#[test]
fn a_required_sandbox_that_is_missing_stops_the_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let settings = ShellSettings { require_sandbox: true, ..allowed(dir.path()) };
    let started = Shell::new(settings);
    assert_eq!(started.is_ok(), sandbox::available().is_ok());
    assert!(
        Shell::new(ShellSettings { require_sandbox: true, ..ShellSettings::default() }).is_ok(),
        "it is off"
    );
}

#[tokio::test]
async fn a_confined_command_reaches_its_own_directory_and_little_else() {
    if let Err(reason) = sandbox::available() {
        tracing::warn!(reason, "this kernel cannot confine, so there is nothing to see");
        return;
    }
    let secret = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(secret.path().join("key"), "planted").expect("write it");
    let open = tempfile::tempdir().expect("a temporary directory");
    let bench = Bench::new(|settings| {
        settings.require_sandbox = true;
        settings.writable = vec![open.path().to_path_buf()];
    });
    let command = format!(
        "echo mine > own && cat own; echo gone > /dev/null; echo out > {open}/file; \
         cat {secret}/key; echo no > {secret}/new; true > {secret}/key; ls {secret}; kill -0 {me} && echo seen-us",
        open = open.path().display(),
        secret = secret.path().display(),
        me = std::process::id(),
    );
    let output = bench.run(json!({"command": format!("{command}; true")})).await.expect("it runs");
    assert!(output["stdout"].as_str().is_some_and(|text| text.starts_with("mine\n")), "{output}");
    assert!(!output.to_string().contains("planted"), "{output}");
    assert_eq!(std::fs::read_to_string(open.path().join("file")).expect("it may"), "out\n");
    assert_eq!(std::fs::read_to_string(secret.path().join("key")).expect("it is ours"), "planted");
    assert!(!secret.path().join("new").exists());
    assert_eq!(std::fs::read_dir(secret.path()).expect("we stay free").count(), 1);
}
