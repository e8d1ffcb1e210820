//! `run`: a definition, run and shown live.
//!
//! Without a server the node is embedded: it starts in this process on a free loopback port, keeps its
//! data in `./.everstep`, and is talked to like any other. What is unfinished when it stops goes on the
//! next time a node starts there.

mod definition;
mod embedded;
mod follow;

pub(super) use definition::{refusal, wrong_definition};
pub(super) use embedded::Embedded;
pub(super) use follow::{conclude, follow};

use std::path::PathBuf;

use clap::Args;
use everstep_sdk::{Client, Execution, Submission};

use super::args::Globals;
use super::connect;
use super::failure::{Exit, Failure};
use super::output::{self, Format};
use super::stop::Stop;
use super::values::{parse_label, read_input, read_text};

/// Arguments of `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The definition, as JSON or YAML; `-` reads it from stdin
    #[arg(value_name = "FILE", required_unless_present = "resume", conflicts_with = "resume")]
    file: Option<String>,
    /// What the execution is given, as JSON, or @FILE
    #[arg(short, long, value_name = "JSON|@FILE")]
    input: Option<String>,
    /// A label of the execution; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = parse_label)]
    label: Vec<(String, String)>,
    /// Show an execution that was submitted before, instead of submitting
    #[arg(long, value_name = "ID", conflicts_with_all = ["input", "label"])]
    resume: Option<String>,
    /// Wait for the end; this is the default
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Do not wait for the end; needs --server
    #[arg(long)]
    no_wait: bool,
    /// Where the embedded node keeps everything
    #[arg(long, value_name = "DIR", default_value = ".everstep")]
    data_dir: PathBuf,
}

/// What a `run` is about.
enum Subject {
    /// A definition to submit: its text, and the name to call it by.
    Definition { text: String, name: String, submission: Box<Submission> },
    /// An execution that was submitted before.
    Known { id: String },
}

pub(super) async fn run(globals: &Globals, args: RunArgs) -> Result<Exit, Failure> {
    let subject = subject(&args)?;
    let mut stop = Stop::listen()?;
    if let Some(server) = &globals.server {
        let client = connect::connect_to(globals, server)?;
        return tokio::select! {
            exit = remote(globals.output, &client, &subject, args.no_wait) => exit,
            () = stop.asked() => Ok(Exit::Interrupted),
        };
    }
    if args.no_wait {
        let message = "--no-wait needs --server: an embedded node stops with this command";
        return Err(Failure::usage("usage", message));
    }
    let embedded = tokio::select! {
        embedded = Embedded::start(globals, &args.data_dir) => embedded?,
        () = stop.asked() => return Ok(Exit::Interrupted),
    };
    let ended = local(globals.output, &embedded, &subject, &mut stop).await;
    let stopped = embedded.stop(&mut stop).await;
    let exit = ended?;
    stopped?;
    Ok(exit)
}

fn subject(args: &RunArgs) -> Result<Subject, Failure> {
    if let Some(id) = &args.resume {
        return Ok(Subject::Known { id: id.clone() });
    }
    let (text, name) = read_text(args.file.as_deref().unwrap_or("-"))?;
    let mut submission = Submission::text(text.clone());
    if let Some(input) = read_input(args.input.as_deref())? {
        submission = submission.input(input);
    }
    for (name, value) in &args.label {
        submission = submission.label(name, value);
    }
    Ok(Subject::Definition { text, name, submission: Box::new(submission) })
}

async fn remote(format: Format, client: &Client, subject: &Subject, no_wait: bool) -> Result<Exit, Failure> {
    let execution = start(client, subject).await?;
    if no_wait {
        output::show_one(format, &execution)?;
        return Ok(Exit::Done);
    }
    announce(format, &execution);
    let finished = follow(client, &execution.id, format).await?;
    conclude(format, &finished)
}

async fn local(
    format: Format,
    embedded: &Embedded,
    subject: &Subject,
    stop: &mut Stop,
) -> Result<Exit, Failure> {
    let known = if let Subject::Known { id } = subject { Some(id.as_str()) } else { None };
    embedded.tell_of_unfinished(known).await?;
    let execution = tokio::select! {
        execution = start(&embedded.client, subject) => execution?,
        () = stop.asked() => return Ok(Exit::Interrupted),
        died = embedded.died() => return Err(died),
    };
    announce(format, &execution);
    let finished = tokio::select! {
        finished = follow(&embedded.client, &execution.id, format) => finished?,
        died = embedded.died() => return Err(died),
        () = stop.asked() => {
            embedded.tell_how_to_go_on(&execution.id);
            return Ok(Exit::Interrupted);
        }
    };
    conclude(format, &finished)
}

async fn start(client: &Client, subject: &Subject) -> Result<Execution, Failure> {
    match subject {
        Subject::Known { id } => Ok(client.executions().get(id).await?),
        Subject::Definition { text, name, submission } => {
            match client.executions().submit(submission).await {
                Ok(execution) => Ok(execution),
                Err(error) => Err(refusal(client, text, name, error).await),
            }
        }
    }
}

fn announce(format: Format, execution: &Execution) {
    if format == Format::Table {
        let name = super::style::one_line(&execution.workflow_name, 60);
        output::note(&format!("{name}  execution {}", execution.id));
    }
}
