//! Stands in for the node until the floors below it are there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Settings {
    pub(super) node: NodeSettings,
    pub(super) api: ApiSettings,
    pub(super) log: LogSettings,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct NodeSettings {
    pub(super) data_dir: PathBuf,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ApiSettings {
    pub(super) listen: String,
    pub(super) anonymous_user: String,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct LogSettings {
    pub(super) level: String,
    pub(super) format: String,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Overrides {
    pub(super) listen: Option<String>,
    pub(super) data_dir: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("settings")]
pub(super) struct SettingsError;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("this build has no node yet")]
    Absent,
}

impl Settings {
    pub(super) fn load(
        _file: Option<&Path>,
        _variables: impl Iterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.log.level = "info".to_owned();
        settings.api.listen = overrides.listen.unwrap_or_else(|| "127.0.0.1:8000".to_owned());
        settings.node.data_dir = overrides.data_dir.unwrap_or_else(|| "everstep-data".into());
        Ok(settings)
    }

    pub(super) fn dev(
        variables: impl Iterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, SettingsError> {
        Self::load(None, variables, overrides)
    }

    pub(super) fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

pub(super) struct Node {
    address: SocketAddr,
}

impl Node {
    pub(super) async fn start(settings: Settings) -> Result<Self, Error> {
        match std::env::var("EVERSTEP_SHIM_ADDRESS").ok().and_then(|address| address.parse().ok()) {
            Some(address) => Ok(Self { address }),
            None => {
                drop(settings);
                Err(Error::Absent)
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn ready(&self) {}

    pub(super) async fn fatal(&self) -> String {
        std::future::pending().await
    }

    pub(super) async fn stop(self) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Debug, Serialize)]
pub(super) struct VerifyReport {
    pub(super) ok: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) truncated: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Problem {
    pub(super) place: String,
    pub(super) what: String,
}

pub(super) fn verify(_dir: &Path) -> Result<VerifyReport, Error> {
    Err(Error::Absent)
}

pub(super) fn log_to_stderr(_level: &str, _json: bool) {}
