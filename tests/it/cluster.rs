//! Several nodes in one process, on ports of their own, as users of any of them see the cluster.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use everstep::node::{Error, ReadSpace};
use everstep::storage::Space;
use serde_json::{Value, json};

use crate::harness::{Server, Variables};

/// How long the cluster may take to become what it should be.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Nodes, and where each listens for the others.
struct Cluster {
    nodes: Vec<Server>,
    peers: Vec<String>,
}

/// Ports that nobody has now, from below those that the kernel gives to whoever asks for any one: none of these is
/// given away before its node takes it. Each process of the tests begins elsewhere.
fn free(count: usize) -> Vec<String> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id() % 500 * 40;
    let next = || 10_000 + (first + TRIED.fetch_add(1, Ordering::Relaxed)) % 20_000;
    let addresses = std::iter::repeat_with(|| format!("127.0.0.1:{}", next()));
    addresses.filter(|it| TcpListener::bind(it).is_ok()).take(count).collect()
}

fn variable(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

/// What every node of a test has in common. Two data partitions are enough, and quick.
fn common(peer: &str) -> Variables {
    vec![variable("CLUSTER__PLAIN", true), variable("CLUSTER__LISTEN", peer), variable("RAFT__PARTITIONS", 2)]
}

fn founding(peers: &[String], node: usize) -> Variables {
    let mut variables = common(&peers[node - 1]);
    variables.push(variable("CLUSTER__NODE", node));
    let members = peers.iter().zip(1..).map(|(at, id)| variable(&format!("CLUSTER__MEMBERS__{id}"), at));
    variables.extend(members);
    variables
}

fn home() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

impl Cluster {
    async fn of_three() -> Self {
        Self::on_disks(|_| None).await
    }

    /// Three nodes, of which some hear from elsewhere how much room they have.
    async fn on_disks(space: impl Fn(usize) -> Option<ReadSpace>) -> Self {
        let peers = free(3);
        let start = |node| Box::pin(Server::with(home(), founding(&peers, node), space(node)));
        // One that cannot start ends the test: the others would wait for it.
        let (one, two, three) = tokio::try_join!(start(1), start(2), start(3)).unwrap();
        Self { nodes: vec![one, two, three], peers }
    }

    /// Starts one more, which the first takes in.
    async fn join(&mut self) -> Result<(), Error> {
        let peer = free(1).remove(0);
        let mut variables = common(&peer);
        variables.push(variable("CLUSTER__JOIN", &self.peers[0]));
        self.nodes.push(Server::with(home(), variables, None).await?);
        self.peers.push(peer);
        Ok(())
    }

    /// Asks node `at` for the cluster until it is as it should be.
    async fn until(&self, at: usize, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let looking = async {
            loop {
                last = self.nodes[at].get("/api/cluster").await;
                if holds(&last) {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(PATIENCE, looking).await.is_err() {
            panic!("not in time: {last:#}");
        }
        last
    }
}

fn list<'a>(cluster: &'a Value, key: &str) -> &'a Vec<Value> {
    cluster[key].as_array().unwrap()
}

fn numbers(value: &Value) -> BTreeSet<u64> {
    value.as_array().unwrap().iter().filter_map(Value::as_u64).collect()
}

/// Null until the catalogue knows it.
fn node_of(cluster: &Value, id: u64) -> &Value {
    list(cluster, "nodes").iter().find(|node| node["id"] == id).unwrap_or(&Value::Null)
}

/// Every partition has so many voters and a leader, and nothing is being moved. Every node holds the catalogue.
fn is_settled(cluster: &Value, voters: usize) -> bool {
    let registered = list(cluster, "nodes").len() >= voters;
    registered
        && list(cluster, "partitions").iter().all(|it| {
            let moving = it["changing"] == true || (it["partition"] != 0 && it["learners"] != json!([]));
            !moving && it["leader"].is_u64() && numbers(&it["voters"]).len() == voters
        })
}

fn two_noops() -> Value {
    json!({"name": "pair", "status": "active", "steps": [
        {"id": "first", "type": "noop", "params": {"value": "${ input.n }"}},
        {"id": "second", "type": "noop", "params": {"value": "${ steps.first.output + 1 }"}},
    ]})
}

/// Triggers a workflow on a node and waits there for its end.
async fn execute(server: &Server, workflow: &str, n: usize) -> Value {
    let path = format!("/api/workflows/{workflow}/execute?wait=30s");
    let done = server.post(&path, json!({"input": {"n": n}})).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(done["result"]["results"]["second"], n + 1);
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_serves_and_the_loss_of_one_is_borne() {
    let mut cluster = Cluster::of_three().await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    let mut ids = BTreeSet::new();
    for (n, server) in cluster.nodes.iter().enumerate() {
        let done = execute(server, &workflow, n).await;
        ids.insert(done["id"].as_str().unwrap().to_owned());
    }
    for server in &cluster.nodes {
        let listed = server.get("/api/executions?limit=50").await;
        let seen: BTreeSet<_> =
            list(&listed, "items").iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(seen, ids, "what one node was told, all know");
    }

    let seen = cluster.until(1, |it| is_settled(it, 3)).await;
    assert_eq!((seen["name"].as_str(), seen["node"].as_u64()), (Some("everstep"), Some(2)));
    assert!(list(&seen, "nodes").iter().all(|node| node["reachable"] == true && node["status"] == "active"));

    // One that sleeps while its node goes.
    let nap = json!({"definition": {"name": "nap", "steps": [
        {"id": "nap", "type": "delay", "params": {"for": "1s"}}, {"id": "up", "type": "noop"}]}});
    let naps: Vec<_> =
        futures_util::future::join_all((0..8).map(|_| cluster.nodes[0].post("/api/executions", nap.clone())))
            .await;
    let mut gone = cluster.nodes.remove(0);
    gone.stop().await;
    for nap in naps {
        let done = cluster.nodes[0].finished(nap["execution_id"].as_str().unwrap()).await;
        assert_eq!(done["status"], "completed");
    }
    for (n, server) in cluster.nodes.iter().enumerate() {
        execute(server, &workflow, n).await;
    }
    let seen = cluster.until(0, |it| node_of(it, 1)["reachable"] == false).await;
    assert!(list(&seen, "partitions").iter().all(|it| it["leader"] != 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_join_drain_and_leave() {
    let mut cluster = Cluster::of_three().await;
    let workflow = cluster.nodes[2].workflow(two_noops()).await;
    let first = execute(&cluster.nodes[0], &workflow, 1).await;
    cluster.join().await.unwrap();
    cluster.join().await.unwrap();
    let four = node_of(&cluster.nodes[0].get("/api/cluster").await, 4)["status"].clone();
    assert_eq!(four, "active");
    // Five nodes, three replicas: some hold nothing of a partition, and serve all the same.
    for (n, server) in cluster.nodes.iter().enumerate() {
        execute(server, &workflow, n).await;
        let id = first["id"].as_str().unwrap();
        assert_eq!(server.get(&format!("/api/executions/{id}")).await["status"], "completed");
        let history = server.get(&format!("/api/executions/{id}/history")).await;
        assert_eq!(list(&history, "items").last().unwrap()["type"], "completed", "{history}");
        assert!(server.get("/api/executions?limit=100").await["items"].as_array().unwrap().len() > n);
    }

    let drained = cluster.nodes[4].post("/api/cluster/nodes/1/drain", json!({})).await;
    assert_eq!(drained["status"], "draining");
    let is_free = |it: &Value| {
        let node = node_of(it, 1);
        node["leads"] == 0 && node["votes"] == 0
    };
    cluster.until(3, |it| is_free(it) && is_settled(it, 3)).await;
    let removed = cluster.nodes[1].call("DELETE", "/api/cluster/nodes/1", None).await;
    assert_eq!((removed.status, removed.body["status"].as_str()), (200, Some("removed")), "{}", removed.text);
    let again = cluster.nodes[1].call("DELETE", "/api/cluster/nodes/77", None).await;
    assert_eq!((again.status, again.body["code"].as_str()), (404, Some("node_not_found")), "{}", again.text);
    for (n, server) in cluster.nodes.iter().enumerate().skip(1) {
        execute(server, &workflow, n).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_comes_back_into_a_cluster_that_is_led_by_nodes_that_joined_later() {
    let mut cluster = Cluster::of_three().await;
    cluster.join().await.unwrap();
    cluster.join().await.unwrap();
    for id in 1..=3 {
        cluster.nodes[4].post(&format!("/api/cluster/nodes/{id}/drain"), json!({})).await;
    }
    let moved = |it: &Value| list(it, "partitions").iter().all(|it| it["leader"].as_u64() > Some(3));
    cluster.until(4, |it| moved(it) && (1..=3).all(|id| node_of(it, id)["votes"] == 0)).await;
    let mut third = cluster.nodes.remove(2);
    third.stop().await;
    // Its settings name the first three; where the leaders listen, its own catalogue tells.
    let third = Server::with(third.dir, founding(&cluster.peers[..3], 3), None).await.unwrap();
    third.get("/api/executions").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_votes_is_not_removed() {
    let cluster = Cluster::of_three().await;
    cluster.until(0, |it| is_settled(it, 3)).await;
    let refused = cluster.nodes[0].call("DELETE", "/api/cluster/nodes/2", None).await;
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (409, Some("node_still_votes")),
        "{}",
        refused.text
    );
    let kept = cluster.nodes[0].post("/api/cluster/nodes", json!({})).await;
    assert_eq!((kept["id"].as_u64(), kept["status"].as_str()), (Some(4), Some("reserved")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_joined_and_lost_its_disk_is_refused_under_its_old_id() {
    let mut cluster = Cluster::of_three().await;
    cluster.join().await.unwrap();
    let mut gone = cluster.nodes.remove(3);
    gone.stop().await;
    let mut variables = common(&cluster.peers[3]);
    variables.push(variable("CLUSTER__NODE", 4));
    variables.push(variable("CLUSTER__JOIN", &cluster.peers[0]));
    let started = tokio::time::timeout(PATIENCE, Server::with(home(), variables, None)).await;
    let error = started.expect("it does not try for ever").err().expect("it is refused");
    assert!(error.to_string().contains("join under a new id"), "{error}");

    let mut variables = common(&cluster.peers[3]);
    variables.push(variable("CLUSTER__NODE", 4));
    let error = Server::with(home(), variables, None).await.err().expect("it is no cluster by itself");
    assert!(error.to_string().contains("serve --join"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_is_refused() {
    let mut cluster = Cluster::of_three().await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    let mut gone = cluster.nodes.remove(2);
    gone.stop().await;
    let started = Server::with(home(), founding(&cluster.peers, 3), None).await;
    let error = started.err().expect("an empty disk under an old id is refused");
    assert_eq!(error.code(), "refused_by_peer", "{error}");
    assert!(error.to_string().contains("join under a new id"), "{error}");
    // Under a new id it is welcome, and the old one can go.
    let removed = cluster.nodes[0].call("DELETE", "/api/cluster/nodes/3", None).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    cluster.join().await.unwrap();
    cluster.until(0, |it| is_settled(it, 3) && node_of(it, 4)["votes"] == 3).await;
    execute(&cluster.nodes[2], &workflow, 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_an_older_copy_of_its_disk_is_refused_and_ends() {
    let mut cluster = Cluster::of_three().await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    let mut third = cluster.nodes.remove(2);
    third.stop().await;
    let older = home();
    copy(&third.dir.path().join("data"), &older.path().join("data"));
    let mut third = Server::with(third.dir, founding(&cluster.peers, 3), None).await.unwrap();
    cluster.until(0, |it| node_of(it, 3)["starts"] == 2).await;
    third.stop().await;
    let back = Server::unready(older, founding(&cluster.peers, 3)).await.unwrap();
    let why = back.ended().await;
    assert_eq!((why.code(), why.to_string().contains("older copy")), ("storage_lost", true), "{why}");
    let older = back.dir_when_stopped().await;
    // It knows that now, whoever it meets.
    let again = Server::unready(older, founding(&cluster.peers, 3)).await;
    let error = again.err().expect("it does not start");
    assert_eq!((error.code(), error.to_string().contains("older copy")), ("storage_lost", true), "{error}");
    // The directory it has is as good as ever.
    let third = Server::with(third.dir, founding(&cluster.peers, 3), None).await.unwrap();
    execute(&third, &workflow, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_and_a_copy_of_it_that_start_together_one_ends() {
    let mut cluster = Cluster::of_three().await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    let mut third = cluster.nodes.remove(2);
    third.stop().await;
    let twin = home();
    copy(&third.dir.path().join("data"), &twin.path().join("data"));
    let mut elsewhere = founding(&cluster.peers, 3);
    elsewhere.push(variable("CLUSTER__LISTEN", free(1).remove(0)));
    let twin = Server::unready(twin, elsewhere).await.unwrap();
    let original = Server::unready(third.dir, founding(&cluster.peers, 3)).await.unwrap();
    let (why, goes, stays) = tokio::select! {
        why = twin.ended() => (why, twin, original),
        why = original.ended() => (why, original, twin),
    };
    assert_eq!((why.code(), why.to_string().contains("older copy")), ("storage_lost", true), "{why}");
    goes.dir_when_stopped().await;
    cluster.until(0, |it| node_of(it, 3)["reachable"] == true && is_settled(it, 3)).await;
    cluster.nodes.push(stays);
    cluster.until(2, |it| (1..=3).all(|id| node_of(it, id)["reachable"] == true)).await;
    for (n, server) in cluster.nodes.iter().enumerate() {
        execute(server, &workflow, n).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_removed_while_it_runs_is_told_and_ends() {
    let cluster = Cluster::of_three().await;
    cluster.until(0, |it| is_settled(it, 3)).await;
    let removed = cluster.nodes[0].call("DELETE", "/api/cluster/nodes/3?force=true", None).await;
    assert_eq!(removed.status, 200, "{}", removed.text);
    let why = cluster.nodes[2].ended().await;
    assert_eq!((why.code(), why.to_string().contains("was removed")), ("node_removed", true), "{why}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy(&from, &to) } else { std::fs::copy(&from, &to).map(drop).unwrap() }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_nearly_full_lets_those_with_room_lead() {
    let percent = [50, 50, 50].map(|it| Arc::new(AtomicU64::new(it)));
    let room = percent.clone();
    let space = |node: usize| -> ReadSpace {
        let free = room[node - 1].clone();
        Arc::new(move || Ok(Space { free_bytes: free.load(Ordering::Relaxed), total_bytes: 100 }))
    };
    let cluster = Cluster::on_disks(|node| Some(space(node))).await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    percent[0].store(3, Ordering::Relaxed);
    let scarce = |it: &Value, id| node_of(it, id)["unfit"] == json!(["disk_scarce"]);
    cluster.until(1, |it| scarce(it, 1) && node_of(it, 1)["leads"] == 0 && is_settled(it, 3)).await;
    for (n, server) in cluster.nodes.iter().enumerate() {
        execute(server, &workflow, n).await;
    }
    for (others, free) in [(1, 3), (2, 0)] {
        percent[others].store(free, Ordering::Relaxed);
    }
    let best = |it: &Value| scarce(it, 2) && node_of(it, 3)["leads"] == 0 && is_settled(it, 3);
    cluster.until(1, best).await;
    let path = format!("/api/workflows/{workflow}/execute");
    let refused = cluster.nodes[1].call("POST", &path, Some(json!({}))).await;
    assert_eq!(refused.status, 507, "nobody has room: {}", refused.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_disk_is_full_leads_nothing_until_it_has_room() {
    let percent = Arc::new(AtomicU64::new(50));
    let free = percent.clone();
    let space: ReadSpace =
        Arc::new(move || Ok(Space { free_bytes: free.load(Ordering::Relaxed), total_bytes: 100 }));
    let cluster = Cluster::on_disks(|node| (node == 1).then(|| space.clone())).await;
    let workflow = cluster.nodes[0].workflow(two_noops()).await;
    percent.store(0, Ordering::Relaxed);
    let gave_way = |it: &Value| {
        let node = node_of(it, 1);
        node["unfit"] == json!(["disk_full"]) && node["leads"] == 0 && is_settled(it, 3)
    };
    cluster.until(1, gave_way).await;
    assert_eq!(cluster.nodes[0].call("GET", "/readyz", None).await.status, 503);
    for (n, server) in cluster.nodes.iter().enumerate().skip(1) {
        execute(server, &workflow, n).await;
    }
    percent.store(50, Ordering::Relaxed);
    cluster.until(1, |it| node_of(it, 1)["unfit"] == json!([]) && node_of(it, 1)["leads"] == 1).await;
    execute(&cluster.nodes[0], &workflow, 9).await;
}
