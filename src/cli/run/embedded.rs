//! A node inside this process.

use std::path::{Path, PathBuf};

use everstep_sdk::{Client, ExecutionFilter};
use futures_util::StreamExt;

use crate::storage;

use super::super::args::Globals;
use super::super::connect;
use super::super::failure::Failure;
use super::super::node::{self, Node, Overrides, Settings};
use super::super::output;
use super::super::stop::Stop;
use super::super::style::one_line;

/// Unfinished executions that are named; more are counted.
const NAMED_MAX: usize = 5;
/// Unfinished executions that are counted; more are "at least".
const COUNTED_MAX: usize = 1_000;

/// A node inside this process, and a client of it.
pub(in crate::cli) struct Embedded {
    node: Node,
    data_dir: PathBuf,
    pub(in crate::cli) client: Client,
}

impl Embedded {
    /// Starts the node and waits until it is ready to work.
    pub(in crate::cli) async fn start(globals: &Globals, data_dir: &Path) -> Result<Self, Failure> {
        let overrides = Overrides {
            listen: Some("127.0.0.1:0".to_owned()),
            data_dir: Some(data_dir.to_owned()),
            ..Overrides::default()
        };
        let settings = Settings::dev(std::env::vars(), overrides).map_err(node::Error::from)?;
        node::log_to_stderr(&settings.log.level, settings.log.format == "json");
        let node = Node::start(settings).await.map_err(|error| {
            let locked = matches!(error, node::Error::Storage(storage::Error::Locked { .. }));
            let failure = Failure::from(error);
            let hint = "to run this on the node that works there: everstep run --server URL FILE";
            if locked { failure.with_hint(hint) } else { failure }
        })?;
        tokio::select! {
            () = node.ready() => {}
            why = node.fatal() => return Err(why.into()),
        }
        let client = connect::connect_to(globals, &format!("http://{}", node.address()))?;
        Ok(Self { node, data_dir: data_dir.to_owned(), client })
    }

    /// Ends with the node, if it dies.
    pub(in crate::cli) async fn died(&self) -> Failure {
        self.node.fatal().await.into()
    }

    /// Stops the node in order; who asks again does not want to wait, and loses nothing by it.
    pub(in crate::cli) async fn stop(self, stop: &mut Stop) -> Result<(), Failure> {
        tokio::select! {
            stopped = self.node.stop() => Ok(stopped?),
            () = stop.asked() => Ok(()),
        }
    }

    /// Says which executions of earlier runs go on now, apart from the one that is shown anyway.
    pub(super) async fn tell_of_unfinished(&self, shown: Option<&str>) -> Result<(), Failure> {
        let status = ["pending", "running", "paused", "compensating"].map(str::to_owned).to_vec();
        let filter = ExecutionFilter { status, limit: Some(200), ..ExecutionFilter::default() };
        let mut unfinished = std::pin::pin!(self.client.executions().list(filter).take(COUNTED_MAX));
        let mut count = 0;
        let mut lines = Vec::new();
        while let Some(execution) = unfinished.next().await {
            let execution = execution?;
            if shown == Some(execution.id.as_str()) {
                continue;
            }
            count += 1;
            if lines.len() < NAMED_MAX {
                let name = one_line(&execution.workflow_name, 40);
                lines.push(format!("  {}  {name}  {}", execution.id, execution.status));
            }
        }
        if count > 0 {
            let at_least = if count == COUNTED_MAX { "at least " } else { "" };
            let dir = self.data_dir.display();
            output::note(&format!("{at_least}{count} unfinished in {dir}, going on beside this one:"));
            lines.iter().for_each(|line| output::note(line));
        }
        Ok(())
    }

    /// Says what becomes of an execution when this process stops now.
    pub(super) fn tell_how_to_go_on(&self, id: &str) {
        let dir = self.data_dir.display();
        output::note(&format!(
            "\nstopped; execution {id} is kept in {dir} and goes on with the next start there:"
        ));
        let option = match self.data_dir.to_str() {
            Some(".everstep") => String::new(),
            _ => format!(" --data-dir {dir}"),
        };
        output::note(&format!("  everstep run --resume {id}{option}"));
    }
}
