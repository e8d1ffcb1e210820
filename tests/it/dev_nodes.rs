//! `dev --nodes`: several real processes, one of which is killed.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::harness::answer;

/// How long anything may take. Generous: the machine may be busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

struct Nodes {
    parent: Child,
    /// What it said when all nodes were ready.
    banner: Value,
    http: reqwest::Client,
}

impl Nodes {
    async fn start(dir: &Path) -> Self {
        let mut parent = Command::new(env!("CARGO_BIN_EXE_everstep"))
            .args(["dev", "--nodes", "3", "--listen", "127.0.0.1:0", "--data-dir", "data", "-o", "json"])
            .current_dir(dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it says when it is ready");
        let line = line.unwrap().expect("it says where the nodes are");
        let banner = serde_json::from_str(&line).unwrap();
        Self { parent, banner, http: reqwest::Client::new() }
    }

    fn url(&self, node: usize, path: &str) -> String {
        format!("{}{path}", self.banner["nodes"][node - 1]["address"].as_str().unwrap())
    }

    fn pid(&self, node: usize) -> Pid {
        let pid = self.banner["nodes"][node - 1]["pid"].as_i64().unwrap();
        Pid::from_raw(i32::try_from(pid).unwrap())
    }

    /// Asks a node until it answers with 200.
    async fn get(&self, node: usize, path: &str) -> Value {
        let asked = async {
            loop {
                let sent = self.http.get(self.url(node, path)).send().await;
                if let Ok(response) = sent
                    && response.status() == 200
                {
                    return response.json().await.unwrap_or(Value::Null);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("the node answers in time")
    }
}

#[tokio::test]
async fn one_of_three_processes_is_killed_and_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let mut nodes = Nodes::start(home.path()).await;
    assert_eq!(nodes.banner["nodes"].as_array().unwrap().len(), 3);
    let definition = json!({"name": "pair", "steps": [
        {"id": "nap", "type": "delay", "params": {"for": "1s"}},
        {"id": "say", "type": "shell", "params": {"command": "echo up"}},
    ]});
    let submit = nodes.http.post(nodes.url(1, "/api/executions")).json(&json!({"definition": definition}));
    let submitted = answer(submit).await;
    assert_eq!(submitted.status, 201, "{}", submitted.text);
    let id = submitted.body["execution_id"].as_str().unwrap().to_owned();

    kill(nodes.pid(1), Signal::SIGKILL).unwrap();
    let done = async {
        loop {
            let seen = nodes.get(3, &format!("/api/executions/{id}")).await;
            if seen["status"] == "completed" {
                return seen;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let done = tokio::time::timeout(PATIENCE, done).await.expect("the others finish it");
    assert_eq!(done["result"]["results"]["say"]["stdout"], "up\n");

    nodes.get(1, "/readyz").await;
    assert_eq!(nodes.get(1, &format!("/api/executions/{id}")).await["status"], "completed");
    for node in 1..=3 {
        assert!(home.path().join(format!("data/node{node}")).is_dir());
    }

    let (second, parent) = (nodes.pid(2), Pid::from_raw(i32::try_from(nodes.parent.id().unwrap()).unwrap()));
    kill(parent, Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(PATIENCE, nodes.parent.wait()).await.expect("it stops").unwrap();
    assert_eq!(ended.code(), Some(0));
    assert!(kill(second, None).is_err(), "its nodes stopped with it");
}
