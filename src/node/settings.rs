//! What can be set about a node: defaults, then a file, then `EVERSTEP_SECTION__KEY`, then flags.

mod cluster;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::model::limits::NAME_BYTES_MAX;
use crate::storage::{LOG_CACHE_BYTES, STATE_CACHE_BYTES};

pub(super) use cluster::ClusterSettings;

/// Mebibytes of a cache: a tebibyte, which no machine has to spare; more is a mistake in the unit.
const CACHE_MIB_MAX: u64 = 1 << 20;
/// Connections at the same time: beyond the descriptors that a process can have.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Everything that can be set about a node. Unknown names are refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The node itself.
    pub node: NodeSettings,
    /// The public port.
    pub api: ApiSettings,
    /// The other nodes.
    pub cluster: ClusterSettings,
    /// Consensus.
    pub raft: RaftSettings,
    /// The disk.
    pub storage: StorageSettings,
    /// The `shell` runner.
    pub shell: ShellSettings,
    /// The `http` and `webhook` runners.
    pub http: HttpSettings,
    /// What the node says of itself.
    pub log: LogSettings,
}

/// The node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Where it keeps everything.
    pub data_dir: PathBuf,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self { data_dir: "everstep-data".into() }
    }
}

/// The public port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// Where users reach this node, as an URL, if it differs from `listen`.
    pub advertise: String,
    /// Who a caller without a token is. Empty: such a caller is refused.
    pub anonymous_user: String,
    /// Origins that browsers may call from.
    pub cors_origins: Vec<String>,
    /// Connections at the same time.
    pub connections_max: usize,
    /// Answers on other addresses than loopback although nobody has to log in.
    pub insecure: bool,
}

impl Default for ApiSettings {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8000".to_owned(),
            advertise: String::new(),
            anonymous_user: "operator".to_owned(),
            cors_origins: Vec::new(),
            connections_max: 16_384,
            insecure: false,
        }
    }
}

impl ApiSettings {
    fn check(&self) -> Result<(), SettingsError> {
        let wrong = |name, value: String, message| Err(SettingsError::Range { name, value, message });
        let port = self.listen.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
        if port.is_none_or(|port| port.parse::<u16>().is_err()) {
            return wrong("api.listen", self.listen.clone(), "an address and a port, such as 127.0.0.1:8000");
        }
        if !(1..=CONNECTIONS_MAX).contains(&self.connections_max) {
            return wrong("api.connections_max", self.connections_max.to_string(), "1 to 1000000");
        }
        if self.anonymous_user.len() > NAME_BYTES_MAX {
            return wrong("api.anonymous_user", self.anonymous_user.clone(), "a name of at most 256 bytes");
        }
        let origin = |text: &&String| {
            let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
            host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']))
        };
        match self.cors_origins.iter().find(|text| !origin(text)) {
            Some(text) => {
                wrong("api.cors_origins", text.clone(), "origins such as https://ui.example, without a path")
            }
            None => Ok(()),
        }
    }
}

/// Consensus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RaftSettings {
    /// Data partitions, 1 to 32. Fixed when a data directory is made.
    pub partitions: u16,
    /// Milliseconds between heartbeats.
    pub heartbeat_ms: u64,
    /// The shortest election timeout in milliseconds.
    pub election_min_ms: u64,
    /// The longest election timeout in milliseconds, and the lease: the same on all nodes.
    pub election_max_ms: u64,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self { partitions: 4, heartbeat_ms: 50, election_min_ms: 150, election_max_ms: 300 }
    }
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageSettings {
    /// Mebibytes of cache of the log database; the memory in use is up to twice as much.
    pub log_cache_mib: u64,
    /// Mebibytes of cache of the state database; the memory in use is up to twice as much.
    pub state_cache_mib: u64,
}

impl Default for StorageSettings {
    fn default() -> Self {
        Self { log_cache_mib: LOG_CACHE_BYTES >> 20, state_cache_mib: STATE_CACHE_BYTES >> 20 }
    }
}

/// The `shell` runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShellSettings {
    /// Whether this node runs commands at all. A command can do whatever the node's user can.
    pub enabled: bool,
    /// Variables of the node's environment that a command sees.
    pub env_allow: Vec<String>,
    /// Refuse to run commands unless the kernel can confine them.
    pub require_sandbox: bool,
}

impl Default for ShellSettings {
    fn default() -> Self {
        let env_allow = ["PATH", "HOME", "LANG", "LC_ALL", "TZ"].map(str::to_owned).to_vec();
        Self { enabled: false, env_allow, require_sandbox: false }
    }
}

/// The `http` and `webhook` runners.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Whether steps may call this machine.
    pub allow_loopback: bool,
    /// Whether steps may call private addresses.
    pub allow_private: bool,
    /// Hosts that may be called wherever they are.
    pub allow_hosts: Vec<String>,
    /// Certificate authorities, as PEM, that are trusted beside the system's. Empty: none.
    pub authority: PathBuf,
}

/// What the node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// A filter such as `info` or `everstep=debug,warn`.
    pub level: String,
    /// `text` or `json`.
    pub format: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: "info,openraft=warn".to_owned(), format: "text".to_owned() }
    }
}

/// What flags set, over everything else.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--insecure`.
    pub insecure: bool,
    /// `--join`.
    pub join: Option<String>,
    /// `--node`.
    pub node: Option<u64>,
    /// `--peer`.
    pub peer: Option<String>,
}

/// A setting that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file or a variable does not fit.
    #[error("settings: {0}")]
    Invalid(#[from] config::ConfigError),
    /// A value is out of its range.
    #[error("settings: {name} = {value:?} does not do: {message}; set it in the file, by the variable {}, or by a flag if there is one", variable(.name))]
    Range {
        /// Which setting.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be.
        message: &'static str,
    },
}

/// The variable that sets a setting.
fn variable(name: &str) -> String {
    format!("EVERSTEP_{}", name.replace('.', "__").to_uppercase())
}

impl Settings {
    /// Defaults, then `file`, then the variables, then flags.
    ///
    /// # Errors
    /// Names the setting, the file or the variable that does not fit.
    pub fn load(
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, SettingsError> {
        Self::default().overlay(file, variables, overrides)
    }

    /// One node for a person at a desk: shell and loopback allowed, callers act as `dev`.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn dev(
        variables: impl Iterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, SettingsError> {
        let mut settings = Self::default();
        settings.shell.enabled = true;
        settings.http.allow_loopback = true;
        "dev".clone_into(&mut settings.api.anonymous_user);
        settings.node.data_dir = ".everstep".into();
        // Elections at a start are no news to a person at a desk.
        "warn,openraft=error,everstep::access=error".clone_into(&mut settings.log.level);
        settings.overlay(None, variables, overrides)
    }

    fn overlay(
        self,
        file: Option<&Path>,
        variables: impl Iterator<Item = (String, String)>,
        overrides: Overrides,
    ) -> Result<Self, SettingsError> {
        let mut builder = config::Config::builder().add_source(config::Config::try_from(&self)?);
        if let Some(file) = file {
            builder = builder.add_source(config::File::from(file).format(config::FileFormat::Toml));
        }
        // Other variables with the prefix, such as EVERSTEP_TOKEN, belong to the command line.
        let sections: BTreeMap<_, _> =
            variables.filter(|(name, _)| name.starts_with("EVERSTEP_") && name.contains("__")).collect();
        let environment = config::Environment::with_prefix("EVERSTEP")
            .prefix_separator("_")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("api.cors_origins")
            .with_list_parse_key("shell.env_allow")
            .with_list_parse_key("http.allow_hosts")
            .source(Some(sections.into_iter().collect()));
        let mut settings: Self = builder.add_source(environment).build()?.try_deserialize()?;
        if let Some(listen) = overrides.listen {
            settings.api.listen = listen;
        }
        settings.api.insecure |= overrides.insecure;
        if let Some(join) = overrides.join {
            settings.cluster.join = join;
            settings.cluster.members.clear();
        }
        if let Some(node) = overrides.node {
            settings.cluster.node = node;
        }
        if let Some(peer) = overrides.peer {
            settings.cluster.listen = peer;
        }
        if let Some(data_dir) = overrides.data_dir {
            settings.node.data_dir = data_dir;
        }
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), SettingsError> {
        self.cluster.check()?;
        let raft = &self.raft;
        let range =
            |name, value: u64, message| SettingsError::Range { name, value: value.to_string(), message };
        if !(1..=32).contains(&raft.partitions) {
            return Err(range("raft.partitions", raft.partitions.into(), "1 to 32"));
        }
        if raft.heartbeat_ms == 0 || raft.heartbeat_ms > raft.election_min_ms / 2 {
            return Err(range(
                "raft.heartbeat_ms",
                raft.heartbeat_ms,
                "at least 1, at most half of election_min_ms",
            ));
        }
        if raft.election_min_ms >= raft.election_max_ms {
            return Err(range("raft.election_min_ms", raft.election_min_ms, "below election_max_ms"));
        }
        for (name, mib) in [
            ("storage.log_cache_mib", self.storage.log_cache_mib),
            ("storage.state_cache_mib", self.storage.state_cache_mib),
        ] {
            if !(1..=CACHE_MIB_MAX).contains(&mib) {
                return Err(range(name, mib, "1 to 1048576 mebibytes"));
            }
        }
        self.api.check()?;
        let text =
            |name, value: &str, message| SettingsError::Range { name, value: value.to_owned(), message };
        if !matches!(self.log.format.as_str(), "text" | "json") {
            return Err(text("log.format", &self.log.format, "text or json"));
        }
        if !super::observe::is_filter(&self.log.level) {
            return Err(text("log.level", &self.log.level, "a filter such as info or everstep=debug,warn"));
        }
        Ok(())
    }

    /// The settings as a TOML file would say them.
    #[must_use]
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("settings are a TOML document")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> + use<> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn later_sources_win() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("node.toml");
        std::fs::write(&file, "[api]\nlisten = \"127.0.0.1:1\"\n[raft]\npartitions = 2\n").unwrap();
        let env = variables(&[
            ("EVERSTEP_RAFT__PARTITIONS", "3"),
            ("EVERSTEP_SHELL__ENABLED", "true"),
            ("EVERSTEP_HTTP__ALLOW_HOSTS", "a.example,b.example"),
            ("EVERSTEP_TOKEN", "not a setting"),
            ("PATH", "/bin"),
        ]);
        let flags = Overrides { listen: Some("127.0.0.1:0".to_owned()), ..Overrides::default() };
        let settings = Settings::load(Some(&file), env, flags).unwrap();
        assert_eq!(settings.api.listen, "127.0.0.1:0");
        assert_eq!(settings.raft.partitions, 3);
        assert!(settings.shell.enabled);
        assert_eq!(settings.http.allow_hosts, ["a.example", "b.example"]);
        assert_eq!(toml::from_str::<Settings>(&settings.to_toml()).unwrap(), settings);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let unknown =
            Settings::load(None, variables(&[("EVERSTEP_RAFT__PARTITION", "3")]), Overrides::default());
        assert!(unknown.unwrap_err().to_string().contains("partition"));
        let range =
            Settings::load(None, variables(&[("EVERSTEP_RAFT__PARTITIONS", "0")]), Overrides::default());
        assert!(range.unwrap_err().to_string().contains("raft.partitions"));
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_name_and_how_to_mend_it() {
        for (name, value) in [
            ("EVERSTEP_API__LISTEN", "8000"),
            ("EVERSTEP_API__LISTEN", "127.0.0.1"),
            ("EVERSTEP_API__LISTEN", "localhost:http"),
            ("EVERSTEP_API__LISTEN", ":8000"),
            ("EVERSTEP_API__LISTEN", "127.0.0.1:65536"),
            ("EVERSTEP_API__CONNECTIONS_MAX", "0"),
            ("EVERSTEP_API__CORS_ORIGINS", "https://a.example,b.example"),
            ("EVERSTEP_API__ANONYMOUS_USER", &"x".repeat(257)),
            ("EVERSTEP_STORAGE__STATE_CACHE_MIB", "0"),
            ("EVERSTEP_STORAGE__LOG_CACHE_MIB", "99999999999"),
            ("EVERSTEP_RAFT__HEARTBEAT_MS", "9223372036854775807"),
            ("EVERSTEP_LOG__FORMAT", "xml"),
            ("EVERSTEP_LOG__LEVEL", "everstep=loud"),
        ] {
            let refused = Settings::load(None, variables(&[(name, value)]), Overrides::default());
            let text = refused.expect_err(name).to_string();
            let setting = name.trim_start_matches("EVERSTEP_").replace("__", ".").to_lowercase();
            assert!(text.contains(&setting) && text.contains(name), "{value}: {text}");
        }
        for listen in ["[::1]:0", "localhost:8000", "0.0.0.0:1"] {
            let env = variables(&[("EVERSTEP_API__LISTEN", listen)]);
            assert!(Settings::load(None, env, Overrides::default()).is_ok(), "{listen}");
        }
    }
}
