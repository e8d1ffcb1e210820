//! `executions`: runs of workflows.

mod show;

use clap::{Args, Subcommand};
use everstep_sdk::{Client, ExecutionFilter, Submission};
use futures_util::StreamExt;

use super::args::Globals;
use super::connect::connect;
use super::failure::{Exit, Failure};
use super::output::{self, Format};
use super::run::{self, conclude, follow};
use super::values::{parse_label, read_input, read_text};

/// What to do with runs of workflows.
#[derive(Debug, Subcommand)]
pub(super) enum ExecutionsCommand {
    /// List them, newest first
    List(ListArgs),
    /// Show one
    Get {
        /// Its id
        id: String,
    },
    /// Show one live until it is finished; the exit code is its outcome
    Watch {
        /// Its id
        id: String,
    },
    /// Show one line per attempt
    Logs {
        /// Its id
        id: String,
    },
    /// Show every recorded event
    History {
        /// Its id
        id: String,
    },
    /// Say why one is not further
    Explain {
        /// Its id
        id: String,
    },
    /// End one
    Cancel(ReasonArgs),
    /// Hold one: attempts in flight end, none start
    Pause(ReasonArgs),
    /// Let a held one go on
    Resume {
        /// Its id
        id: String,
    },
    /// Run one again from the step that failed
    Retry {
        /// Its id
        id: String,
        /// From the start instead
        #[arg(long)]
        whole: bool,
    },
    /// Submit a definition, or a saved workflow
    Submit(SubmitArgs),
}

/// Arguments of `executions list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only in this status; may be repeated, or several with commas
    #[arg(long, value_delimiter = ',')]
    status: Vec<String>,
    /// Only of this workflow
    #[arg(long, value_name = "ID")]
    workflow: Option<String>,
    /// Only with this label; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Only created at or after this time, such as 2026-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only created before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// At most so many; 0 means all
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// An execution, and why.
#[derive(Debug, Args)]
pub(super) struct ReasonArgs {
    /// Its id
    id: String,
    /// Why, for the history
    #[arg(long)]
    reason: Option<String>,
}

/// Arguments of `executions submit`.
#[derive(Debug, Args)]
pub(super) struct SubmitArgs {
    /// The definition, as JSON or YAML; `-` reads it from stdin
    #[arg(value_name = "FILE", required_unless_present = "workflow")]
    file: Option<String>,
    /// A saved workflow instead
    #[arg(long, value_name = "ID", conflicts_with = "file")]
    workflow: Option<String>,
    /// This version of it instead of the latest
    #[arg(long, requires = "workflow")]
    version: Option<u32>,
    /// What the execution is given, as JSON, or @FILE
    #[arg(short, long, value_name = "JSON|@FILE")]
    input: Option<String>,
    /// A label of the execution; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// A second submission with this key answers the first one's execution
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Show it live and wait for its end
    #[arg(short, long)]
    wait: bool,
}

pub(super) async fn run(globals: &Globals, command: ExecutionsCommand) -> Result<Exit, Failure> {
    let client = connect(globals)?;
    let format = globals.output;
    let executions = client.executions();
    match command {
        ExecutionsCommand::List(args) => list(format, &client, args).await?,
        ExecutionsCommand::Get { id } => output::show_one(format, &executions.get(&id).await?)?,
        ExecutionsCommand::Watch { id } => return watch(format, &client, &id).await,
        ExecutionsCommand::Logs { id } => logs(format, &client, &id).await?,
        ExecutionsCommand::History { id } => output::show_all(format, executions.history(&id)).await?,
        ExecutionsCommand::Explain { id } => output::show_one(format, &executions.explain(&id).await?)?,
        ExecutionsCommand::Cancel(args) => {
            output::show_one(format, &executions.cancel(&args.id, args.reason.as_deref()).await?)?;
        }
        ExecutionsCommand::Pause(args) => {
            output::show_one(format, &executions.pause(&args.id, args.reason.as_deref()).await?)?;
        }
        ExecutionsCommand::Resume { id } => output::show_one(format, &executions.resume(&id).await?)?,
        ExecutionsCommand::Retry { id, whole } => {
            output::show_one(format, &executions.retry(&id, whole).await?)?;
        }
        ExecutionsCommand::Submit(args) => return submit(format, &client, args).await,
    }
    Ok(Exit::Done)
}

async fn list(format: Format, client: &Client, args: ListArgs) -> Result<(), Failure> {
    let wanted = if args.limit == 0 { usize::MAX } else { args.limit };
    let filter = ExecutionFilter {
        status: args.status,
        workflow_id: args.workflow,
        labels: args.label.into_iter().collect(),
        created_from: args.since,
        created_before: args.until,
        // A page holds at most 200; asking for more is an error.
        limit: u32::try_from(wanted.min(200)).ok(),
    };
    output::show_all(format, client.executions().list(filter).take(wanted)).await
}

async fn logs(format: Format, client: &Client, id: &str) -> Result<(), Failure> {
    let lines = client.executions().logs(id).await?;
    output::show_all(format, futures_util::stream::iter(lines).map(Ok)).await
}

async fn watch(format: Format, client: &Client, id: &str) -> Result<Exit, Failure> {
    let finished = follow(client, id, format).await?;
    conclude(format, &finished)
}

async fn submit(format: Format, client: &Client, args: SubmitArgs) -> Result<Exit, Failure> {
    let (text, name) = match &args.file {
        Some(file) => read_text(file)?,
        None => (String::new(), String::new()),
    };
    let mut submission = match args.workflow {
        Some(workflow) => Submission::workflow(workflow),
        None => Submission::text(text.clone()),
    };
    if let Some(version) = args.version {
        submission = submission.version(version);
    }
    if let Some(input) = read_input(args.input.as_deref())? {
        submission = submission.input(input);
    }
    for (name, value) in args.label {
        submission = submission.label(name, value);
    }
    if let Some(key) = args.idempotency_key {
        submission = submission.idempotency_key(key);
    }
    let execution = match client.executions().submit(&submission).await {
        Ok(execution) => execution,
        Err(error) => return Err(run::refusal(client, &text, &name, error).await),
    };
    if args.wait {
        return watch(format, client, &execution.id).await;
    }
    output::show_one(format, &execution)?;
    Ok(Exit::Done)
}
