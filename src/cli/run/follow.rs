//! Following an execution to its end.

use std::io::IsTerminal;
use std::time::Duration;

use everstep_sdk::{Client, Execution, ExecutionStatus};
use futures_util::StreamExt;
use indicatif::{ProgressBar, ProgressStyle};

use super::super::failure::{Exit, Failure};
use super::super::output::{self, Format};
use super::super::step_view::StepView;
use super::super::style::{Style, one_line};
use super::super::values::{between, show_duration};

/// Shows an execution live, however long it takes, and answers it finished.
///
/// Under `-o table` a line for each thing that happens; under `-o jsonl` each event; otherwise nothing.
pub(in crate::cli) async fn follow(client: &Client, id: &str, format: Format) -> Result<Execution, Failure> {
    let mut view = StepView::new(Style::stdout());
    let spinner = spinner(format);
    let mut after = 0;
    loop {
        let mut events = std::pin::pin!(client.executions().watch(id, after));
        while let Some(event) = events.next().await {
            let event = event?;
            after = event.version;
            if format == Format::Jsonl {
                output::document(format, &event)?;
            }
            let told = view.hear(&event).filter(|_| format == Format::Table);
            if let Some(text) = told {
                spinner.suspend(|| output::line(&text))?;
            }
            spinner.set_message(view.now());
        }
        let execution = client.executions().get(id).await?;
        // A person may retry a finished execution between the two calls.
        if execution.status.is_finished() {
            spinner.finish_and_clear();
            return Ok(execution);
        }
    }
}

/// Shows how an execution ended; its exit code.
pub(in crate::cli) fn conclude(format: Format, execution: &Execution) -> Result<Exit, Failure> {
    match format {
        Format::Table => tell(execution)?,
        // Its events have been shown, the last of them its end.
        Format::Jsonl => {}
        _ => output::show_one(format, execution)?,
    }
    Ok(exit(execution.status))
}

/// The exit code that says how an execution ended.
pub(in crate::cli) const fn exit(status: ExecutionStatus) -> Exit {
    if matches!(status, ExecutionStatus::Completed) { Exit::Done } else { Exit::ExecutionFailed }
}

fn tell(execution: &Execution) -> Result<(), Failure> {
    let style = Style::stdout();
    let took = execution.finished_at.as_deref().and_then(|end| between(&execution.created_at, end));
    let took = took.map(|took| format!(" in {}", show_duration(took))).unwrap_or_default();
    output::line(&format!("{}{took}", style.status(execution.status.as_str())))?;
    if let Some(error) = &execution.error {
        let step = error.step.as_deref().map(|step| format!(" in step {}", one_line(step, 60)));
        let message = one_line(&error.message, 400);
        output::line(&format!("{}{}: {message}", error.code, step.unwrap_or_default()))?;
    }
    let result = execution.result.as_ref().and_then(|result| result.output.as_ref());
    if let Some(value) = result.filter(|value| !value.is_null()) {
        output::document(Format::Table, value)?;
    }
    Ok(())
}

fn spinner(format: Format) -> ProgressBar {
    if format != Format::Table || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
