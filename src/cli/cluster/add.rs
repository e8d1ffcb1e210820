//! `cluster add`: an id for a new node, and the command that starts it.

use everstep_sdk::{Cluster, ClusterStatus, Node};
use serde_json::Value;

use super::super::failure::{Exit, Failure};
use super::super::output::{self, Format};
use super::super::style::Style;

/// What a node is given unless its settings say otherwise.
const NAME_DEFAULT: &str = "everstep";
/// As above: data partitions.
const PARTITIONS_DEFAULT: usize = 4;

pub(super) async fn add(format: Format, cluster: Cluster<'_>) -> Result<(), Failure> {
    let status = cluster.status().await?;
    let Some(door) = door(&status) else {
        let message = "no node of this cluster listens for other nodes";
        return Err(Failure::new(Exit::Refused, "cluster_is_closed", message)
            .with_hint("start it with cluster.listen set, such as cluster.listen = \"10.0.0.1:9000\""));
    };
    let node = cluster.reserve_node().await?;
    let command = command(&status, door, node.id);
    match format {
        Format::Table => tell(&node, &command),
        Format::Name => output::line(&node.id.to_string()),
        Format::Json | Format::Jsonl | Format::Yaml => {
            let mut document = serde_json::to_value(&node).unwrap_or_default();
            document["command"] = Value::from(command);
            output::document(format, &document)
        }
    }
}

fn tell(node: &Node, command: &str) -> Result<(), Failure> {
    let style = Style::stdout();
    let id = node.id;
    output::line(&format!("the id {id} is kept for a new node; on its machine:"))?;
    output::line(&format!("\n  {}\n", style.bold(command)))?;
    output::line(
        "HOST:PORT is where the other nodes will reach it. Its settings name its certificate, which is",
    )?;
    output::line(&format!(
        "valid for node-{id}.everstep; without certificates, cluster.plain = true on loopback."
    ))
}

/// Where a new node may knock: a node that answers and takes part, the asked one if it does.
fn door(status: &ClusterStatus) -> Option<&str> {
    let open = status.nodes.iter().filter(|node| node.reachable && node.status == "active");
    let open = open.filter_map(|node| Some((node.id != status.node, node.id, node.peer.as_deref()?)));
    open.min().map(|(.., peer)| peer)
}

fn command(status: &ClusterStatus, door: &str, id: u64) -> String {
    let mut command = String::new();
    if status.name != NAME_DEFAULT {
        command.push_str(&format!("EVERSTEP_CLUSTER__NAME={} ", status.name));
    }
    let partitions = status.partitions.iter().filter(|it| it.partition > 0).count();
    if partitions != PARTITIONS_DEFAULT {
        command.push_str(&format!("EVERSTEP_RAFT__PARTITIONS={partitions} "));
    }
    command.push_str(&format!("everstep serve --join {door} --node {id} --peer HOST:PORT"));
    command
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(name: &str, partitions: u16) -> ClusterStatus {
        let partitions: Vec<_> = (0..=partitions).map(|number| json!({"partition": number})).collect();
        serde_json::from_value(json!({
            "name": name, "node": 2, "partitions": partitions,
            "nodes": [
                {"id": 1, "peer": "10.0.0.1:9000", "status": "active", "reachable": true},
                {"id": 2, "peer": "10.0.0.2:9000", "status": "active", "reachable": true},
                {"id": 3, "peer": "10.0.0.3:9000", "status": "active", "reachable": false},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn the_command_says_what_differs_from_the_defaults() {
        let plain = status("everstep", 4);
        let door = door(&plain).unwrap();
        assert_eq!(command(&plain, door, 4), "everstep serve --join 10.0.0.2:9000 --node 4 --peer HOST:PORT");
        assert!(
            command(&status("dev", 2), door, 4)
                .starts_with("EVERSTEP_CLUSTER__NAME=dev EVERSTEP_RAFT__PARTITIONS=2 everstep serve")
        );
    }

    #[test]
    fn a_node_that_is_going_is_no_door() {
        let mut status = status("everstep", 4);
        status.nodes[1].status = "draining".to_owned();
        assert_eq!(door(&status), Some("10.0.0.1:9000"));
        status.nodes.truncate(0);
        assert_eq!(door(&status), None);
    }
}
