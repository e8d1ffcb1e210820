//! `verify`: whether a data directory is whole.

use std::path::Path;

use super::args::{Globals, VerifyArgs};
use super::failure::{Exit, Failure};
use super::output::{self, Format};
use super::style::{Style, one_line};
use crate::node;
use crate::storage::VerifyReport;

pub(super) fn run(globals: &Globals, args: &VerifyArgs) -> Result<Exit, Failure> {
    if !args.dir.is_dir() {
        let message = format!("{} is not a directory", args.dir.display());
        return Err(Failure::new(Exit::NotFound, "not_found", message));
    }
    let report = node::verify(&args.dir)?;
    match globals.output {
        Format::Table => tell(&args.dir, &report)?,
        Format::Name => output::line(if report.ok { "whole" } else { "damaged" })?,
        format => output::document(format, &report)?,
    }
    Ok(if report.ok { Exit::Done } else { Exit::ExecutionFailed })
}

fn tell(dir: &Path, report: &VerifyReport) -> Result<(), Failure> {
    let style = Style::stdout();
    if report.ok {
        output::line(&format!("{} {} is whole", style.good("✓"), dir.display()))?;
        return match &report.refused {
            Some(why) => output::line(&format!(
                "{} its cluster does not take it any more: {}",
                style.warm("!"),
                one_line(why, 400)
            )),
            None => Ok(()),
        };
    }
    output::line(&format!("{} {} is damaged", style.bad("✗"), dir.display()))?;
    for problem in &report.problems {
        output::line(&format!("  {}: {}", problem.place, one_line(&problem.what, 400)))?;
    }
    if report.truncated { output::line("  … and more") } else { Ok(()) }
}
