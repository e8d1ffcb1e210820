//! `config`: the settings a node here would start with.

use super::args::{ConfigCommand, Globals};
use super::failure::{Exit, Failure};
use super::node::{self, Settings};
use super::output::{self, Format};

pub(super) fn run(globals: &Globals, command: &ConfigCommand) -> Result<Exit, Failure> {
    let ConfigCommand::View(args) = command;
    let settings = Settings::load(args.config.as_deref(), std::env::vars(), args.overrides())
        .map_err(node::Error::from)?;
    match globals.output {
        Format::Table | Format::Name => output::line(settings.to_toml().trim_end())?,
        format => output::document(format, &settings)?,
    }
    Ok(Exit::Done)
}
