//! One node in a process of its own, kept running.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader, Lines};
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::super::output;
use super::News;
use super::place::Place;

/// The name of a cluster on one machine, so that no other takes its nodes for its own.
const CLUSTER: &str = "dev";
/// What settings of the environment mean the cluster; here the parent decides them.
const CLUSTER_VARIABLES: &str = "EVERSTEP_CLUSTER__";
/// The pause before a node that died is started again, the first time.
const PAUSE_MIN: Duration = Duration::from_millis(500);
/// The longest pause: it doubles each time.
const PAUSE_MAX: Duration = Duration::from_secs(15);
/// A node that ran so long begins with the shortest pause again.
const STEADY: Duration = Duration::from_secs(30);
/// How long a node may take to stop before it is killed; a little more than it takes for itself.
const STOP_MAX: Duration = Duration::from_secs(12);
/// How long the last words of a node that has ended are waited for.
const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

/// Keeps a node running until `stopping` says so, then stops it in order.
pub(super) async fn keep(
    place: Place,
    all: Vec<Place>,
    news: mpsc::Sender<News>,
    mut stopping: watch::Receiver<bool>,
) {
    let node = place.node;
    let mut pause = PAUSE_MIN;
    loop {
        let began = Instant::now();
        let how = match start(&place, &all) {
            Err(error) => {
                let _nobody_listens = news.send(News::Failed { node, error }).await;
                return;
            }
            Ok(child) => follow(node, child, &news, &mut stopping).await,
        };
        let Some(how) = how else { return };
        if began.elapsed() >= STEADY {
            pause = PAUSE_MIN;
        }
        let _nobody_listens = news.send(News::Died { node, how, pause }).await;
        if tokio::time::timeout(pause, asked(&mut stopping)).await.is_ok() {
            return;
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Waits for a request to stop. A sender that is gone is one too.
async fn asked(stopping: &mut watch::Receiver<bool>) {
    let _gone = stopping.wait_for(|stop| *stop).await;
}

fn start(place: &Place, all: &[Place]) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with(CLUSTER_VARIABLES) {
            command.env_remove(name);
        }
    }
    let setting = |name: &str| format!("{CLUSTER_VARIABLES}{name}");
    command
        .args(["dev", "--lifeline", "--output", "name", "--listen"])
        .arg(place.public.to_string())
        .arg("--data-dir")
        .arg(&place.data_dir)
        .env(setting("NAME"), CLUSTER)
        .env(setting("NODE"), place.node.to_string())
        .env(setting("LISTEN"), place.peer.to_string())
        .env(setting("PLAIN"), "true")
        .envs(all.iter().map(|it| (setting(&format!("MEMBERS__{}", it.node)), it.peer.to_string())))
        // Ctrl-C in a terminal reaches a whole process group, and the order of the stop is the parent's.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command.spawn()
}

/// Passes on what a node says until it ends. Gives how it ended, or nothing if it was asked to.
async fn follow(
    node: u16,
    mut child: Child,
    news: &mpsc::Sender<News>,
    stopping: &mut watch::Receiver<bool>,
) -> Option<String> {
    // Closed, by us or by the kernel, it ends the child.
    let mut lifeline = child.stdin.take();
    let pid = child.id().unwrap_or_default();
    let mut out = lines(child.stdout.take());
    let mut err = lines(child.stderr.take());
    let mut deadline = None;
    let ended = loop {
        let kill_at = deadline.unwrap_or_else(Instant::now);
        tokio::select! {
            ended = child.wait() => break ended,
            line = next(&mut out) => if line.is_some() {
                let _nobody_listens = news.send(News::Ready { node, pid }).await;
            },
            line = next(&mut err) => if let Some(line) = line {
                say(node, &line);
            },
            () = asked(stopping), if lifeline.is_some() => {
                lifeline = None;
                deadline = Some(Instant::now() + STOP_MAX);
            }
            () = tokio::time::sleep_until(kill_at), if deadline.is_some() => {
                say(node, "does not stop; it is killed");
                deadline = None;
                if let Err(error) = child.start_kill() {
                    say(node, &format!("kill it: {error}"));
                }
            }
        }
    };
    let last_words = async {
        while let Some(lines) = &mut err {
            match lines.next_line().await {
                Ok(Some(line)) => say(node, &line),
                Ok(None) | Err(_) => return,
            }
        }
    };
    // A process that the node started may hold the pipe open.
    let _late = tokio::time::timeout(LAST_WORDS_MAX, last_words).await;
    lifeline?;
    Some(match ended {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    })
}

fn lines<R: AsyncRead + Unpin>(pipe: Option<R>) -> Option<Lines<BufReader<R>>> {
    pipe.map(|pipe| BufReader::new(pipe).lines())
}

/// The next line; waits for ever once there are none. May be dropped while it waits: nothing is lost.
async fn next<R: AsyncRead + Unpin>(pipe: &mut Option<Lines<BufReader<R>>>) -> Option<String> {
    let Some(lines) = pipe else { return std::future::pending().await };
    match lines.next_line().await {
        Ok(Some(line)) => Some(line),
        Ok(None) | Err(_) => {
            *pipe = None;
            None
        }
    }
}

fn say(node: u16, line: &str) {
    output::note(&format!("node {node}: {line}"));
}
