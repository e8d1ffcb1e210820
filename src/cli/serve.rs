//! `dev` and `serve`: a node, until it is asked to stop.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::args::{DevArgs, Globals, ServeArgs};
use super::failure::{Exit, Failure};
use super::node::{self, Node, Overrides, Settings};
use super::nodes;
use super::output::{self, Format};
use super::stop::Stop;
use super::style::Style;

/// What `dev` allows that `serve` does not.
pub(super) const DEV_NOTES: [&str; 2] = [
    "shell    steps may run commands on this machine",
    "callers  nobody has to log in; whoever calls acts as the user `dev`",
];

/// How long a node whose parent is gone may take to stop. Nothing is lost by ending sooner.
const ORPHAN_STOP_MAX: Duration = Duration::from_secs(10);

pub(super) async fn dev(globals: &Globals, args: DevArgs) -> Result<Exit, Failure> {
    let overrides = Overrides { listen: args.listen, data_dir: args.data_dir, ..Overrides::default() };
    let settings = Settings::dev(std::env::vars(), overrides).map_err(node::Error::from)?;
    if args.nodes > 1 {
        return Box::pin(nodes::run(globals, &settings, args.nodes)).await;
    }
    let stop = if args.lifeline { Stop::listen()?.or_stdin_closed() } else { Stop::listen()? };
    serve_until_stopped(globals, settings, stop, &DEV_NOTES).await
}

pub(super) async fn serve(globals: &Globals, args: ServeArgs) -> Result<Exit, Failure> {
    let settings = Settings::load(args.config.as_deref(), std::env::vars(), args.overrides())
        .map_err(node::Error::from)?;
    serve_until_stopped(globals, settings, Stop::listen()?, &[]).await
}

async fn serve_until_stopped(
    globals: &Globals,
    settings: Settings,
    mut stop: Stop,
    notes: &[&str],
) -> Result<Exit, Failure> {
    node::log_to_stderr(&settings.log.level, settings.log.format == "json");
    let data_dir = settings.node.data_dir.clone();
    let node = tokio::select! {
        node = Node::start(settings) => node?,
        () = stop.asked() => return Ok(Exit::Interrupted),
    };
    tokio::select! {
        () = node.ready() => {}
        why = node.fatal() => return Err(why.into()),
        () = stop.asked() => return finish(node, &mut stop).await,
    }
    announce(globals.output, &node, &data_dir, notes)?;
    tokio::select! {
        why = node.fatal() => Err(why.into()),
        () = stop.asked() => finish(node, &mut stop).await,
    }
}

/// Stops the node in order; who asks twice does not want to wait, and loses nothing by it.
async fn finish(node: Node, stop: &mut Stop) -> Result<Exit, Failure> {
    tokio::select! {
        stopped = node.stop() => stopped?,
        () = stop.asked() => {}
        () = tokio::time::sleep(ORPHAN_STOP_MAX), if stop.is_orphan() => {}
    }
    Ok(Exit::Done)
}

fn announce(format: Format, node: &Node, data_dir: &Path, notes: &[&str]) -> Result<(), Failure> {
    let address = format!("http://{}", node.address());
    let data_dir = std::path::absolute(data_dir)?;
    match format {
        Format::Table => {
            let style = Style::stdout();
            output::line(&format!("{} {}", style.bold("everstep"), env!("CARGO_PKG_VERSION")))?;
            output::line(&format!("  address  {address}   (API at /docs)"))?;
            output::line(&format!("  data     {}", data_dir.display()))?;
            notes.iter().try_for_each(|note| output::line(&format!("  {note}")))?;
            output::line(&style.dim("  Ctrl-C stops it; unfinished executions go on at the next start"))
        }
        Format::Name => output::line(&address),
        Format::Json | Format::Jsonl | Format::Yaml => {
            let format = if format == Format::Json { Format::Jsonl } else { format };
            let pid = std::process::id();
            let version = env!("CARGO_PKG_VERSION");
            let banner = json!({ "address": address, "data_dir": data_dir, "pid": pid, "version": version });
            output::document(format, &banner)
        }
    }
}
