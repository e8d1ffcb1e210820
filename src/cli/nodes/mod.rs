//! `dev --nodes`: a cluster on this machine, each node a process of its own.
//!
//! The parent runs no node. It gives each child its place (`place`), starts it, passes on what it says, starts it
//! again when it dies (`child`), and stops all of them, the last one first, each after it handed its leaderships
//! over.
//!
//! Caveats: a child ends when its stdin is closed, which the kernel does however the parent ends. The addresses are
//! kept in the data directory, because nodes that all moved at once would not find each other again.

mod child;
mod place;

use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::args::Globals;
use super::failure::{Exit, Failure};
use super::node::Settings;
use super::output::{self, Format};
use super::serve::DEV_NOTES;
use super::stop::Stop;
use super::style::Style;
use super::values::show_duration;
use place::Place;

/// Words of the children that wait to be read.
const NEWS_MAX: usize = 64;

/// What is heard of a child.
#[derive(Debug)]
enum News {
    /// It takes work.
    Ready { node: u16, pid: u32 },
    /// It ended without being asked to; it is started again after the pause.
    Died { node: u16, how: String, pause: Duration },
    /// It could not be started.
    Failed { node: u16, error: std::io::Error },
}

/// A child, kept running.
struct Kept {
    stop: watch::Sender<bool>,
    keeping: JoinHandle<()>,
}

pub(super) async fn run(globals: &Globals, settings: &Settings, count: u16) -> Result<Exit, Failure> {
    let mut stop = Stop::listen()?;
    let places = place::places(settings, count)?;
    let (tell, mut news) = mpsc::channel(NEWS_MAX);
    let mut kept = Vec::new();
    for place in &places {
        let (stop, stopping) = watch::channel(false);
        let keeping = tokio::spawn(child::keep(place.clone(), places.clone(), tell.clone(), stopping));
        kept.push(Kept { stop, keeping });
    }
    let ended = tokio::select! {
        failure = work(globals, settings, &places, &mut news) => failure.map(|never| match never {}),
        () = stop.asked() => Ok(Exit::Done),
    };
    tokio::select! {
        () = stop_all(kept, &mut news) => {}
        // The children end with this process.
        () = stop.asked() => {}
    }
    ended
}

/// Waits until all are ready, says where they are, and then says what happens to them.
async fn work(
    globals: &Globals,
    settings: &Settings,
    places: &[Place],
    news: &mut mpsc::Receiver<News>,
) -> Result<std::convert::Infallible, Failure> {
    let mut pids = vec![None; places.len()];
    let mut announced = false;
    loop {
        match news.recv().await.expect("this function's caller keeps a sender") {
            News::Ready { node, pid } => {
                if announced {
                    output::note(&format!("node {node} is back, as process {pid}"));
                }
                pids[usize::from(node) - 1] = Some(pid);
                if !announced && pids.iter().all(Option::is_some) {
                    announced = true;
                    let pids: Vec<u32> = pids.iter().copied().flatten().collect();
                    announce(globals.output, &settings.node.data_dir, places, &pids)?;
                }
            }
            News::Died { node, how, .. } if !announced => {
                let message = format!("node {node} did not start: {how}");
                return Err(Failure::new(Exit::Unavailable, "node_died", message));
            }
            News::Died { node, how, pause } => {
                let pause = show_duration(pause);
                output::note(&format!("node {node} died ({how}); it is started again in {pause}"));
            }
            News::Failed { node, error } => {
                let message = format!("start node {node}: {error}");
                return Err(Failure::new(Exit::Unavailable, "node_died", message));
            }
        }
    }
}

/// Stops one after the other, the last one first.
async fn stop_all(kept: Vec<Kept>, news: &mut mpsc::Receiver<News>) {
    // Nobody reads the news any more, and nobody has to wait for that.
    news.close();
    for Kept { stop, keeping } in kept.into_iter().rev() {
        let _ended_before = stop.send(true);
        if let Err(panic) = keeping.await {
            output::note(&format!("the keeper of a node crashed: {panic}"));
        }
    }
}

fn announce(format: Format, data_dir: &Path, places: &[Place], pids: &[u32]) -> Result<(), Failure> {
    let data_dir = std::path::absolute(data_dir)?;
    let rows = places.iter().zip(pids);
    match format {
        Format::Table => {
            let style = Style::stdout();
            let (name, version) = (style.bold("everstep"), env!("CARGO_PKG_VERSION"));
            output::line(&format!("{name} {version}, {} nodes", places.len()))?;
            for (place, pid) in rows {
                output::line(&format!("  node {}   {}   (process {pid})", place.node, place.url()))?;
            }
            output::line(&format!("  data     {}", data_dir.display()))?;
            DEV_NOTES.iter().try_for_each(|note| output::line(&format!("  {note}")))?;
            output::line(&style.dim("  Ctrl-C stops all; kill one and the others go on"))
        }
        Format::Name => places.iter().try_for_each(|place| output::line(&place.url())),
        Format::Json | Format::Jsonl | Format::Yaml => {
            let format = if format == Format::Json { Format::Jsonl } else { format };
            let nodes: Vec<_> = rows
                .map(|(place, pid)| {
                    json!({ "node": place.node, "address": place.url(), "peer": place.peer, "pid": pid })
                })
                .collect();
            let (pid, version) = (std::process::id(), env!("CARGO_PKG_VERSION"));
            let banner = json!({ "nodes": nodes, "data_dir": data_dir, "pid": pid, "version": version });
            output::document(format, &banner)
        }
    }
}
