//! `workflows`: saved definitions.

use clap::{Args, Subcommand};
use everstep_sdk::{Client, Text, Workflow, WorkflowFilter, WorkflowVersion};
use serde_json::json;

use super::args::Globals;
use super::connect::connect;
use super::failure::{Exit, Failure};
use super::output::{self, Format, Show};
use super::run::{self, conclude, follow};
use super::style::{Style, one_line};
use super::values::{read_input, read_text, show_time};

/// What to do with saved definitions.
#[derive(Debug, Subcommand)]
pub(super) enum WorkflowsCommand {
    /// List them, newest first
    List {
        /// Only those that are draft, active or archived
        #[arg(long)]
        status: Option<String>,
    },
    /// Show one
    Get {
        /// Its id
        id: String,
        /// This version instead of the latest
        #[arg(long)]
        version: Option<u32>,
    },
    /// Save a new one
    Create(FileArgs),
    /// Save a new version; running executions keep theirs
    Update {
        /// Its id
        id: String,
        #[command(flatten)]
        file: FileArgs,
    },
    /// Delete one; with running executions it is archived
    Delete {
        /// Its id
        id: String,
    },
    /// List the versions of one
    Versions {
        /// Its id
        id: String,
    },
    /// Check a definition without saving it
    Validate(FileArgs),
    /// Start an execution
    Trigger(TriggerArgs),
}

/// A definition in a file.
#[derive(Debug, Args)]
pub(super) struct FileArgs {
    /// The definition, as JSON or YAML; `-` reads it from stdin
    #[arg(value_name = "FILE", required_unless_present = "file_flag")]
    file: Option<String>,
    /// The same as FILE
    #[arg(short = 'f', long = "file", id = "file_flag", value_name = "FILE", conflicts_with = "file")]
    file_flag: Option<String>,
}

/// Arguments of `workflows trigger`.
#[derive(Debug, Args)]
pub(super) struct TriggerArgs {
    /// Its id
    id: String,
    /// What the execution is given, as JSON, or @FILE
    #[arg(short, long, value_name = "JSON|@FILE")]
    input: Option<String>,
    /// Show it live and wait for its end
    #[arg(short, long)]
    wait: bool,
    /// A second call with this key answers the first one's execution
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

pub(super) async fn run(globals: &Globals, command: WorkflowsCommand) -> Result<Exit, Failure> {
    let client = connect(globals)?;
    let format = globals.output;
    let workflows = client.workflows();
    match command {
        WorkflowsCommand::List { status } => {
            let filter = WorkflowFilter { status, ..WorkflowFilter::default() };
            output::show_all(format, workflows.list(filter)).await?;
        }
        WorkflowsCommand::Get { id, version: None } => output::show_one(format, &workflows.get(&id).await?)?,
        WorkflowsCommand::Get { id, version: Some(version) } => {
            output::show_one(format, &workflows.get_version(&id, version).await?)?;
        }
        WorkflowsCommand::Create(file) => save(format, &client, None, &file).await?,
        WorkflowsCommand::Update { id, file } => save(format, &client, Some(&id), &file).await?,
        WorkflowsCommand::Delete { id } => workflows.delete(&id).await?,
        WorkflowsCommand::Versions { id } => output::show_all(format, workflows.versions(&id)).await?,
        WorkflowsCommand::Validate(file) => validate(format, &client, &file).await?,
        WorkflowsCommand::Trigger(args) => return trigger(format, &client, args).await,
    }
    Ok(Exit::Done)
}

fn read(file: &FileArgs) -> Result<(String, String), Failure> {
    read_text(file.file.as_deref().or(file.file_flag.as_deref()).unwrap_or("-"))
}

async fn save(format: Format, client: &Client, id: Option<&str>, file: &FileArgs) -> Result<(), Failure> {
    let (text, name) = read(file)?;
    let saved = match id {
        None => client.workflows().create(Text(&text)).await,
        Some(id) => client.workflows().update(id, Text(&text)).await,
    };
    match saved {
        Ok(workflow) => output::show_one(format, &workflow),
        Err(error) => Err(run::refusal(client, &text, &name, error).await),
    }
}

async fn validate(format: Format, client: &Client, file: &FileArgs) -> Result<(), Failure> {
    let (text, name) = read(file)?;
    let validation = client.workflows().validate(Text(&text)).await?;
    if !validation.valid {
        return Err(run::wrong_definition(&text, &name, &validation.errors));
    }
    match format {
        Format::Table => output::line(&format!("{name} is a valid definition")),
        Format::Name => output::line("valid"),
        format => output::document(format, &json!({ "valid": true, "errors": [] })),
    }
}

async fn trigger(format: Format, client: &Client, args: TriggerArgs) -> Result<Exit, Failure> {
    let input = read_input(args.input.as_deref())?;
    let key = args.idempotency_key.as_deref();
    let execution = client.workflows().trigger(&args.id, input.as_ref(), key).await?;
    if !args.wait {
        output::show_one(format, &execution)?;
        return Ok(Exit::Done);
    }
    let finished = follow(client, &execution.id, format).await?;
    conclude(format, &finished)
}

impl Show for Workflow {
    const COLUMNS: &'static [&'static str] = &["id", "name", "version", "status", "updated"];

    fn cells(&self, style: Style) -> Vec<String> {
        vec![
            self.id.clone(),
            one_line(&self.name, 40),
            self.version.to_string(),
            style.status(&self.status),
            show_time(&self.updated_at),
        ]
    }

    fn name(&self) -> String {
        self.id.clone()
    }

    fn whole(&self, style: Style) -> String {
        let labels: Vec<_> = self.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let definition = self.definition.as_ref().and_then(|it| serde_saphyr::to_string(it).ok());
        output::pairs(&[
            ("id", self.id.clone()),
            ("name", one_line(&self.name, 200)),
            ("version", self.version.to_string()),
            ("status", style.status(&self.status)),
            ("labels", one_line(&labels.join(" "), 200)),
            ("created", show_time(&self.created_at)),
            ("updated", show_time(&self.updated_at)),
            ("definition", definition.unwrap_or_default().trim_end().to_owned()),
        ])
    }
}

impl Show for WorkflowVersion {
    const COLUMNS: &'static [&'static str] = &["version", "name", "created", "by", "hash"];

    fn cells(&self, _style: Style) -> Vec<String> {
        vec![
            self.version.to_string(),
            one_line(&self.name, 40),
            show_time(&self.created_at),
            one_line(&self.created_by, 30),
            self.hash.chars().take(12).collect(),
        ]
    }

    fn name(&self) -> String {
        self.version.to_string()
    }
}
