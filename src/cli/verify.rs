//! `verify`: whether a data directory is whole.

use serde_json::json;

use crate::node;
use crate::storage::VerifyReport;

use super::args::{Globals, VerifyArgs};
use super::failure::{Exit, Failure};
use super::output::{self, Format};

pub(super) fn run(globals: &Globals, args: &VerifyArgs) -> Result<Exit, Failure> {
    if !args.dir.is_dir() {
        let message = format!("{} is not a directory", args.dir.display());
        return Err(Failure::new(Exit::NotFound, "not_found", message));
    }
    let report = node::verify(&args.dir)?;
    let whole = report.ok;
    match globals.output {
        Format::Table => table(&report)?,
        Format::Name => output::line(if whole { "whole" } else { "damaged" })?,
        format => output::document(format, &json!({ "whole": whole, "report": report }))?,
    }
    Ok(if whole { Exit::Done } else { Exit::ExecutionFailed })
}

fn table(report: &VerifyReport) -> Result<(), Failure> {
    for (group, found) in &report.groups {
        let known = |index: Option<u64>| index.map_or_else(|| "-".to_owned(), |index| index.to_string());
        let (first, last, durable) = (known(found.first), known(found.last), known(found.durable));
        output::line(&format!("log group {group}: entries {first} to {last}, durable through {durable}"))?;
        if let Some(torn) = found.torn_from {
            let note = "an end that was never acknowledged; the next start cuts it";
            output::line(&format!("log group {group}: from {torn} on, {note}"))?;
        }
    }
    output::line(&format!("state: {} values, {} bytes", report.state_values, report.state_bytes))?;
    for problem in &report.problems {
        output::line(&format!("problem in {}: {}", problem.place, problem.what))?;
    }
    if report.truncated {
        output::line("… and more problems than are listed")?;
    }
    output::line(if report.ok { "whole" } else { "damaged: restore a backup, or let the node rejoin as a new one" })
}
