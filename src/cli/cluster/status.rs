//! The cluster as tables.

use everstep_sdk::{ClusterNode, ClusterPartition, ClusterStatus, Node};
use serde::Serialize;

use super::super::output::{self, Show};
use super::super::style::{Style, one_line};
use super::super::values::show_time;
use super::words::{Tone, behind, grouped, is_led, words};

/// Who leads a partition.
#[derive(Debug, Serialize)]
pub(super) struct Leader {
    partition: u16,
    leader: Option<u64>,
    /// Where users reach that node.
    address: Option<String>,
    epoch: u64,
}

/// Who leads each partition, the catalogue first.
pub(super) fn leaders(status: &ClusterStatus) -> Vec<Leader> {
    let address = |id: u64| status.nodes.iter().find(|node| node.id == id)?.public.clone();
    let rows = partitions(status).into_iter().map(|it| Leader {
        partition: it.partition,
        leader: it.leader,
        address: it.leader.and_then(address),
        epoch: it.epoch,
    });
    rows.collect()
}

/// The partitions, without leaders that do not answer: they lead nobody.
pub(super) fn partitions(status: &ClusterStatus) -> Vec<ClusterPartition> {
    let led = |it: &ClusterPartition| it.leader.filter(|_| is_led(status, it));
    let seen = |it: &ClusterPartition| {
        let mut seen = it.clone();
        seen.leader = led(it);
        seen
    };
    status.partitions.iter().map(seen).collect()
}

impl Show for ClusterStatus {
    const COLUMNS: &'static [&'static str] =
        &["node", "address", "status", "reachable", "leads", "votes", "behind"];

    fn cells(&self, _style: Style) -> Vec<String> {
        Vec::new()
    }

    /// The ids of its nodes.
    fn name(&self) -> String {
        let ids: Vec<_> = self.nodes.iter().map(|node| node.id.to_string()).collect();
        ids.join("\n")
    }

    fn whole(&self, style: Style) -> String {
        let nodes = self.nodes.iter().map(|node| row(self, node, style));
        let partitions = partitions(self).into_iter().map(|partition| partition.cells(style));
        let said = words(self).into_iter().map(|(tone, text)| match tone {
            Tone::Good => format!("{} {text}", style.good("✓")),
            Tone::Warning => format!("{} {text}", style.warm("!")),
            Tone::Bad => format!("{} {text}", style.bad("✗")),
        });
        let head = format!("cluster {}, as node {} sees it", one_line(&self.name, 64), self.node);
        let parts = [
            style.dim(&head),
            output::table(Self::COLUMNS, nodes),
            output::table(ClusterPartition::COLUMNS, partitions),
            said.collect::<Vec<_>>().join("\n"),
        ];
        parts.join("\n\n")
    }
}

fn row(status: &ClusterStatus, node: &ClusterNode, style: Style) -> Vec<String> {
    let reachable = match (node.status.as_str(), node.reachable) {
        ("reserved", _) => "-".to_owned(),
        (_, true) => "yes".to_owned(),
        (_, false) => style.bad("no"),
    };
    vec![
        node.id.to_string(),
        shown(node.public.as_deref()),
        node_status(&node.status, style),
        reachable,
        // What it led before it fell silent it does not lead.
        if node.reachable { node.leads.to_string() } else { "-".to_owned() },
        node.votes.to_string(),
        if node.reachable { grouped(behind(status, node.id)) } else { "-".to_owned() },
    ]
}

fn shown(address: Option<&str>) -> String {
    address.map_or_else(|| "-".to_owned(), |address| one_line(address, 60))
}

fn node_status(status: &str, style: Style) -> String {
    if status == "draining" { style.warm(status) } else { style.status(status) }
}

impl Show for Node {
    const COLUMNS: &'static [&'static str] = &["node", "address", "peer", "status", "added"];

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.id.to_string(),
            shown(self.public.as_deref()),
            shown(self.peer.as_deref()),
            node_status(&self.status, style),
            show_time(&self.added_at),
        ]
    }

    fn name(&self) -> String {
        self.id.to_string()
    }
}

impl Show for ClusterPartition {
    const COLUMNS: &'static [&'static str] =
        &["partition", "leader", "voters", "learners", "epoch", "last", "applied", "behind"];

    fn cells(&self, style: Style) -> Vec<String> {
        let voters = ids(&self.voters);
        let most = self.behind.iter().max_by_key(|(_, entries)| **entries);
        vec![
            if self.partition == 0 { "0 catalogue".to_owned() } else { self.partition.to_string() },
            self.leader.map_or_else(|| style.bad("none"), |id| id.to_string()),
            if self.changing { format!("{voters} changing") } else { voters },
            ids(&self.learners),
            epoch(self.epoch),
            self.last.to_string(),
            self.applied.to_string(),
            match most {
                None => "-".to_owned(),
                Some((_, 0)) => "0".to_owned(),
                Some((node, entries)) => format!("{} (node {node})", grouped(*entries)),
            },
        ]
    }

    fn name(&self) -> String {
        self.partition.to_string()
    }
}

/// Only a leader knows it.
fn epoch(epoch: u64) -> String {
    if epoch == 0 { "-".to_owned() } else { epoch.to_string() }
}

fn ids(ids: &[u64]) -> String {
    if ids.is_empty() {
        return "-".to_owned();
    }
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

impl Show for Leader {
    const COLUMNS: &'static [&'static str] = &["partition", "leader", "address", "epoch"];

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.partition.to_string(),
            self.leader.map_or_else(|| style.bad("none"), |id| id.to_string()),
            shown(self.address.as_deref()),
            epoch(self.epoch),
        ]
    }

    fn name(&self) -> String {
        self.leader.map_or_else(|| "none".to_owned(), |id| id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_whole_cluster_fits_on_a_screen() {
        let status: ClusterStatus = serde_json::from_value(json!({
            "name": "dev", "node": 1,
            "nodes": [
                {"id": 1, "public": "http://a", "status": "active", "reachable": true, "leads": 1, "votes": 1},
                {"id": 2, "public": "http://b", "status": "active", "reachable": false, "votes": 1},
                {"id": 3, "public": null, "status": "reserved"},
            ],
            "partitions": [{
                "partition": 0, "leader": 1, "epoch": 7, "voters": [1, 2], "learners": [], "last": 9000,
                "applied": 8999, "behind": {"1": 0, "2": 1234},
            }],
        }))
        .unwrap();
        let text = status.whole(Style::none());
        let expected = "cluster dev, as node 1 sees it

NODE  ADDRESS   STATUS    REACHABLE  LEADS  VOTES  BEHIND
1     http://a  active    yes        1      1      0
2     http://b  active    no         -      1      -
3     -         reserved  -          -      0      -

PARTITION    LEADER  VOTERS  LEARNERS  EPOCH  LAST  APPLIED  BEHIND
0 catalogue  1       1,2     -         7      9000  8999     1,234 (node 2)
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("\n\n! 1 of 2 nodes reachable;"), "{text}");
        assert_eq!(status.name(), "1\n2\n3");
        assert_eq!(leaders(&status)[0].cells(Style::none()), ["0", "1", "http://a", "7"]);
    }
}
