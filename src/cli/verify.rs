//! `verify`: whether a data directory is whole.

use serde_json::json;

use super::args::{Globals, VerifyArgs};
use super::failure::{Exit, Failure};
use super::node;
use super::output::{self, Format};

pub(super) fn run(globals: &Globals, args: &VerifyArgs) -> Result<Exit, Failure> {
    if !args.dir.is_dir() {
        let message = format!("{} is not a directory", args.dir.display());
        return Err(Failure::new(Exit::NotFound, "not_found", message));
    }
    let report = node::verify(&args.dir)?;
    let whole = report.is_whole();
    match globals.output {
        Format::Table => output::line(report.to_string().trim_end())?,
        Format::Name => output::line(if whole { "whole" } else { "damaged" })?,
        format => output::document(format, &json!({ "whole": whole, "report": report }))?,
    }
    Ok(if whole { Exit::Done } else { Exit::ExecutionFailed })
}
