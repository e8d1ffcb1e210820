//! `cluster`: the nodes, who holds what, and what is going on.
//!
//! `status` is for whoever is woken by an alarm: tables of the nodes and of the partitions, then what follows from
//! them in words (`words`). The words are derived from the answer of one node, and so only as true as its view: a
//! node that is cut off says that all the others do not answer.

mod add;
mod drain;
mod status;
mod words;

use std::time::Duration;

use clap::{Args, Subcommand};
use futures_util::stream;

use super::args::Globals;
use super::connect::connect_for;
use super::failure::{Exit, Failure};
use super::output::{self, Show};
use super::values::parse_duration;

/// How long a node may take to answer. The slowest question takes a second; a node that hangs should be known soon.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub(super) enum ClusterCommand {
    /// Show the nodes, the partitions, and what is going on; ends with 5 while it sees a partition without a leader
    Status,
    /// Keep an id for a new node, and show the command that starts it
    Add,
    /// Move everything off a node
    Drain(DrainArgs),
    /// Let a node that drains hold partitions again
    Undrain {
        /// Its id
        id: u64,
    },
    /// Remove a node for good; its id is never used again
    Remove {
        /// Its id
        id: u64,
        /// Although it votes and answers
        #[arg(long)]
        force: bool,
    },
    /// Show who leads each partition
    Leaders,
    /// Show who holds each partition
    Partitions,
}

/// Arguments of `cluster drain`.
#[derive(Debug, Args)]
pub(super) struct DrainArgs {
    /// Its id
    pub(super) id: u64,
    /// Wait until it neither leads nor votes
    #[arg(short, long)]
    pub(super) wait: bool,
    /// How long to wait; it goes on draining afterwards
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = parse_duration, requires = "wait")]
    pub(super) timeout: Duration,
}

pub(super) async fn run(globals: &Globals, command: ClusterCommand) -> Result<Exit, Failure> {
    let client = connect_for(globals, ANSWER_MAX)?;
    let format = globals.output;
    let cluster = client.cluster();
    match command {
        ClusterCommand::Status => {
            let status = cluster.status().await?;
            output::show_one(format, &status)?;
            if !status.partitions.iter().all(|partition| words::is_led(&status, partition)) {
                return Ok(Exit::Unavailable);
            }
        }
        ClusterCommand::Add => add::add(format, cluster).await?,
        ClusterCommand::Drain(args) => drain::drain(format, cluster, &args).await?,
        ClusterCommand::Undrain { id } => output::show_one(format, &cluster.undrain_node(id).await?)?,
        ClusterCommand::Remove { id, force } => {
            let node = cluster.remove_node(id, force).await?;
            // It is removed, whether or not what that means can be told.
            if let Ok(status) = cluster.status().await
                && let Some(few) = words::few(&status, Some(id))
            {
                output::note(&few);
            }
            output::show_one(format, &node)?;
        }
        ClusterCommand::Leaders => {
            let status = cluster.status().await?;
            list(globals, status::leaders(&status)).await?;
        }
        ClusterCommand::Partitions => {
            list(globals, status::partitions(&cluster.status().await?)).await?;
        }
    }
    Ok(Exit::Done)
}

async fn list<T: Show>(globals: &Globals, items: Vec<T>) -> Result<(), Failure> {
    output::show_all(globals.output, stream::iter(items.into_iter().map(Ok))).await
}
