//! `config`: the settings a node here would start with.

use super::args::{ConfigCommand, Globals};
use super::failure::{Exit, Failure};
use super::node::{self, Overrides, Settings};
use super::output::{self, Format};

pub(super) fn run(globals: &Globals, command: &ConfigCommand) -> Result<Exit, Failure> {
    let ConfigCommand::View(args) = command;
    let overrides = Overrides {
        listen: args.listen.clone(),
        data_dir: args.data_dir.clone(),
        insecure: args.insecure,
        join: args.join.clone(),
    };
    let settings =
        Settings::load(args.config.as_deref(), std::env::vars(), overrides).map_err(node::Error::from)?;
    match globals.output {
        Format::Table | Format::Name => output::line(settings.to_toml().trim_end())?,
        format => output::document(format, &settings)?,
    }
    Ok(Exit::Done)
}
