//! `cluster drain`: everything moves off a node.

use std::time::Duration;

use everstep_sdk::{Cluster, ClusterNode};
use tokio::time::Instant;

use super::super::failure::{Exit, Failure};
use super::super::output::{self, Format};
use super::super::values::show_duration;
use super::{DrainArgs, words};

/// Between two looks at how far it is.
const LOOK_AGAIN: Duration = Duration::from_millis(300);

pub(super) async fn drain(format: Format, cluster: Cluster<'_>, args: &DrainArgs) -> Result<(), Failure> {
    let node = cluster.drain_node(args.id).await?;
    // It drains, whether or not what that means can be told.
    if let Ok(status) = cluster.status().await
        && let Some(few) = words::few(&status, Some(args.id))
    {
        output::note(&format!("{few}, and `everstep cluster undrain {}` takes this one back", args.id));
    }
    if args.wait {
        wait(cluster, args).await?;
    }
    output::show_one(format, &node)
}

/// Waits until the node neither leads nor votes, and says how far it is whenever that changes.
async fn wait(cluster: Cluster<'_>, args: &DrainArgs) -> Result<(), Failure> {
    let deadline = Instant::now() + args.timeout;
    let (mut said, mut heard) = (String::new(), false);
    loop {
        let status = cluster.status().await?;
        let node = status.nodes.iter().find(|node| node.id == args.id);
        // One that is gone holds nothing.
        let Some(node) = node else { return Ok(()) };
        if is_undone(node, &mut heard) {
            let message = format!("node {} does not drain any more: somebody undid it", args.id);
            return Err(Failure::new(Exit::Refused, "drain_undone", message));
        }
        // Without a leader the partition cannot say who votes.
        let known = status.partitions.iter().all(|partition| partition.leader.is_some());
        if heard && known && node.leads == 0 && node.votes == 0 {
            output::note(&format!("node {} has drained: it can be stopped and removed", args.id));
            return Ok(());
        }
        let now = format!("{} left", words::holds(node));
        if now != said {
            output::note(&format!("node {}: {now}", args.id));
            said = now;
        }
        if Instant::now() >= deadline {
            let waited = show_duration(args.timeout);
            let message = format!("node {} has not drained in {waited}: {said}", args.id);
            return Err(Failure::new(Exit::Unavailable, "drain_timeout", message)
                .with_hint("it goes on draining; `everstep cluster status` says what is in the way"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Whether the node drained and does not any more. Who answers may not have `heard` of it at first: its copy of the
/// catalogue follows behind.
fn is_undone(node: &ClusterNode, heard: &mut bool) -> bool {
    let drains = node.status == "draining";
    *heard |= drains;
    *heard && !drains
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_that_was_not_heard_of_yet_is_not_undone() {
        let mut node = ClusterNode::default();
        let mut heard = false;
        for (status, undone) in
            [("active", false), ("draining", false), ("draining", false), ("active", true)]
        {
            status.clone_into(&mut node.status);
            assert_eq!(is_undone(&node, &mut heard), undone, "{status}");
        }
    }
}
