//! What can be asked on the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::bench::BenchArgs;
use super::cluster::ClusterCommand;
use super::executions::ExecutionsCommand;
use super::node::Overrides;
use super::output::Format;
use super::run::RunArgs;
use super::workflows::WorkflowsCommand;

/// A durable orchestration cluster in one binary.
#[derive(Debug, Parser)]
#[command(name = "everstep", version, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 the execution failed, 2 usage or a bad definition, 3 not found, \
                        4 refused, 5 unavailable."
)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) globals: Globals,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Globals {
    /// How to show what was asked for.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(super) output: Format,
    /// The server to talk to, such as http://127.0.0.1:8000.
    #[arg(long, global = true, env = "EVERSTEP_ADDRESS", value_name = "URL")]
    pub(super) server: Option<String>,
    /// The token to show to the server.
    #[arg(long, global = true, env = "EVERSTEP_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub(super) token: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a definition and show it live: here, or on --server
    Run(RunArgs),
    /// One node or several for a person at a desk: shell steps allowed, no login
    Dev(DevArgs),
    /// A node with settings from a file
    Serve(ServeArgs),
    /// Saved definitions
    #[command(subcommand, visible_alias = "workflow")]
    Workflows(WorkflowsCommand),
    /// Runs of workflows
    #[command(subcommand, visible_alias = "execution")]
    Executions(ExecutionsCommand),
    /// The nodes: who holds what, and how they come and go
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Say whether a data directory is whole, and what is wrong where
    Verify(VerifyArgs),
    /// Measure a node under load
    Bench(BenchArgs),
    /// The settings of a node
    #[command(subcommand)]
    Config(ConfigCommand),
    /// A completion script for a shell
    Completions(CompletionsArgs),
}

/// Arguments of `dev`.
#[derive(Debug, Args)]
pub(super) struct DevArgs {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Where to keep everything [default: .everstep]
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// So many nodes, each a process of its own, on this port and those above it
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    pub(super) nodes: u16,
    /// Stop when stdin is closed: this is one of several nodes, and whoever started it is gone
    #[arg(long, hide = true, conflicts_with = "nodes")]
    pub(super) lifeline: bool,
}

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// The settings, as TOML
    #[arg(short, long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address and port to listen on, over what the file says
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<String>,
    /// Where to keep everything, over what the file says
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,
    /// Answer on addresses that others can reach although nobody has to log in
    #[arg(long)]
    pub(super) insecure: bool,
    /// Join the cluster of the node that listens for others here; only a node without a place does
    #[arg(long, value_name = "ADDR")]
    pub(super) join: Option<String>,
    /// This node's id in the cluster, over what the file says
    #[arg(long, value_name = "ID", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) node: Option<u64>,
    /// Where the other nodes reach this one, over what the file says
    #[arg(long, value_name = "ADDR")]
    pub(super) peer: Option<String>,
}

impl ServeArgs {
    /// What these flags set, over everything else.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            listen: self.listen.clone(),
            data_dir: self.data_dir.clone(),
            insecure: self.insecure,
            join: self.join.clone(),
            node: self.node,
            peer: self.peer.clone(),
        }
    }
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The data directory of a node that does not run
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
}

/// What to do about settings.
#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Show the settings that a node here would start with, wherever each comes from
    View(ServeArgs),
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    pub(super) shell: Shell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn no_two_arguments_claim_one_name() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_comes_from_one_place() {
        assert!(Cli::try_parse_from(["everstep", "run"]).is_err());
        assert!(Cli::try_parse_from(["everstep", "run", "a.yaml", "--resume", "e1"]).is_err());
        assert!(Cli::try_parse_from(["everstep", "workflows", "create", "-f", "a.yaml"]).is_ok());
        assert!(Cli::try_parse_from(["everstep", "workflows", "create", "a.yaml"]).is_ok());
        assert!(Cli::try_parse_from(["everstep", "workflows", "create"]).is_err());
        assert!(
            Cli::try_parse_from(["everstep", "bench", "--mode", "open"]).is_err(),
            "an open loop has a rate"
        );
    }
}
