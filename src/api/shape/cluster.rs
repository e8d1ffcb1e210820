//! The cluster, its nodes and its partitions.

use crate::actors::{ClusterView, NodeView};
use crate::consensus::{GroupView, NodeRecord};

use super::write::{Object, write_text};

/// Writes the cluster as one node sees it.
pub(in crate::api) fn write_cluster(out: &mut Vec<u8>, view: &ClusterView) {
    let mut object = Object::new(out);
    object.text("name", &view.name);
    object.number("node", view.node);
    object.number("replicas", view.replicas as u64);
    object.list("nodes", &view.nodes, write_standing);
    object.list("partitions", &view.partitions, write_partition);
    object.end();
}

/// Writes a node as the cluster has recorded it.
pub(in crate::api) fn write_node(out: &mut Vec<u8>, node: &NodeRecord) {
    let mut object = Object::new(out);
    record(&mut object, node);
    object.end();
}

fn write_standing(out: &mut Vec<u8>, node: &NodeView) {
    let mut object = Object::new(out);
    record(&mut object, &node.record);
    object.truth("reachable", node.reachable);
    match &node.unreachable_reason {
        Some(why) => object.text("unreachable_reason", why),
        None => object.null("unreachable_reason"),
    }
    object.number("leads", node.leads as u64);
    object.number("votes", node.votes as u64);
    object.list("unfit", &node.unfit, |out, why| write_text(out, why.as_str()));
    match node.clock_ahead_ms {
        Some(ms) => object.number("clock_ahead_ms", ms),
        None => object.null("clock_ahead_ms"),
    }
    object.end();
}

fn record(object: &mut Object<'_>, node: &NodeRecord) {
    object.number("id", node.id);
    address(object, "peer", &node.peer);
    address(object, "public", &node.public);
    object.text("status", node.membership.as_str());
    object.time("added_at", Some(node.added_at));
    object.number("starts", node.mark.start);
}

/// An address, or null while nobody has told it.
fn address(object: &mut Object<'_>, key: &str, address: &str) {
    if address.is_empty() {
        object.null(key);
    } else {
        object.text(key, address);
    }
}

fn write_partition(out: &mut Vec<u8>, group: &GroupView) {
    let mut object = Object::new(out);
    object.number("partition", u64::from(group.partition));
    match group.leader {
        Some(leader) => object.number("leader", leader),
        None => object.null("leader"),
    }
    object.number("epoch", group.epoch);
    object.list("voters", &group.voters, write_id);
    object.list("learners", &group.learners, write_id);
    object.truth("changing", group.changing);
    object.number("last", group.last);
    object.number("applied", group.applied);
    let mut behind = Object::new(object.key("behind"));
    for (node, entries) in &group.behind {
        behind.number(&node.to_string(), *entries);
    }
    behind.end();
    object.end();
}

fn write_id(out: &mut Vec<u8>, id: &u64) {
    out.extend_from_slice(id.to_string().as_bytes());
}
