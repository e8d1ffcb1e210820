//! From settings to parts.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::actors::Roster;
use crate::api::{Access, ApiSettings, ConnectionLimits};
use crate::consensus;
use crate::consensus::peer::Peers;
use crate::engine::model::TenantId;
use crate::runners::{self, Registry};
use crate::storage::{self, CacheBytes, DataDir, Driver, Identity, Log, LogOptions, Marks};

use super::core::Parts;
use super::error::Error;
use super::settings::Settings;
use super::space::ReadSpace;
use super::world;

/// How often an address is tried that is in use, and the pause between: longer than the kernel needs to clear away a
/// process that was just killed.
const LISTEN_ATTEMPTS_MAX: usize = 20;
const LISTEN_PAUSE: Duration = Duration::from_millis(100);

/// Listens on an address.
pub(super) async fn listen(address: &str) -> std::io::Result<TcpListener> {
    for _ in 1..LISTEN_ATTEMPTS_MAX {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(LISTEN_PAUSE).await
            }
            outcome => return outcome,
        }
    }
    TcpListener::bind(address).await
}

/// Takes the public port. Without login it has to be on loopback.
pub(super) async fn bind(settings: &Settings) -> Result<TcpListener, Error> {
    let address = &settings.api.listen;
    let listener = listen(address).await.map_err(|source| {
        let path = &settings.node.data_dir;
        // The address is that of the same node, started before.
        if source.kind() == io::ErrorKind::AddrInUse && storage::is_in_use(path) {
            return storage::Error::Locked { path: path.clone() }.into();
        }
        listen_error(settings, source)
    })?;
    let bound = listener.local_addr().map_err(|source| listen_error(settings, source))?;
    if !bound.ip().is_loopback() && !settings.api.insecure {
        return Err(Error::Exposed { address: address.clone() });
    }
    Ok(listener)
}

pub(super) fn listen_error(settings: &Settings, source: std::io::Error) -> Error {
    Error::Listen { address: settings.api.listen.clone(), source }
}

/// Opens the data directory.
pub(super) fn open_disk(settings: &Settings) -> Result<DataDir, Error> {
    let storage = &settings.storage;
    let caches = CacheBytes { log: storage.log_cache_mib << 20, state: storage.state_cache_mib << 20 };
    Ok(DataDir::open(&settings.node.data_dir, caches)?)
}

/// Asks a directory for its room, as long as somebody else keeps it open.
pub(super) fn space_of(disk: &Arc<DataDir>) -> ReadSpace {
    let disk = Arc::downgrade(disk);
    Arc::new(move || match disk.upgrade() {
        Some(disk) => disk.space(),
        None => Err(storage::Error::io("ask for the free space")(std::io::ErrorKind::NotFound.into())),
    })
}

/// Opens the log and gathers what a core is made of.
pub(super) fn parts(
    settings: &Settings,
    disk: &Arc<DataDir>,
    identity: &mut Identity,
    address: SocketAddr,
    (peers, roster): (Peers, Roster),
) -> Result<Parts, Error> {
    let node = identity.node;
    let log = Log::open(LogOptions {
        store: disk.log.clone(),
        hard_state: disk.hard_state.clone(),
        node,
        driver: Driver::Thread,
        pace: None,
        on_fatal: Arc::new(abort),
    })?;
    if log.1.storage_lost {
        let what = log.1.losses.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(Error::StorageLost { path: disk.path.clone(), what });
    }
    begin(disk, identity, log.1.boot, &peers)?;
    let raft = &settings.raft;
    let consensus = consensus::Config {
        partitions: raft.partitions,
        heartbeat_ms: raft.heartbeat_ms,
        election_ms: (raft.election_min_ms, raft.election_max_ms),
        node,
        members: founders(settings, identity, &roster),
        ..consensus::Config::default()
    };
    let world = world::real();
    let runners = Registry::new(runner_settings(settings, disk, address), world.clock.clone())?;
    Ok(Parts { consensus, world, log, state: disk.state.clone(), runners, peers: Some(peers), roster })
}

/// The node starts on what it has found: that is noted, and shown to the others. A log that was opened less often than
/// the identity remembers is not the one that belongs to it.
fn begin(disk: &Arc<DataDir>, identity: &mut Identity, boot: u64, peers: &Peers) -> Result<(), Error> {
    if boot <= identity.boot {
        let what = format!(
            "the log was opened {boot} times with this one, and the identity file remembers {} times before: the log is missing or older",
            identity.boot
        );
        return Err(Error::StorageLost { path: disk.path.clone(), what });
    }
    identity.boot = boot;
    identity.marks.begin(world::real().entropy.bits() as u64);
    disk.keep_identity(identity)?;
    let (disk, kept) = (Arc::downgrade(disk), identity.clone());
    let keep = move |marks: &Marks| match disk.upgrade() {
        Some(disk) => {
            disk.keep_identity(&Identity { marks: marks.clone(), ..kept.clone() }).map_err(io::Error::other)
        }
        None => Err(io::ErrorKind::NotFound.into()),
    };
    peers.set_marks(identity.marks.clone(), Arc::new(keep));
    Ok(())
}

/// Who begins the cluster, if this node is one of them.
fn founders(settings: &Settings, identity: &Identity, roster: &Roster) -> BTreeMap<u64, String> {
    let mut addresses = settings.cluster.addresses();
    addresses.entry(identity.node).or_insert_with(|| roster.peer.clone());
    // One that joined is told who the members are.
    addresses.retain(|node, _| identity.members.contains_key(node));
    addresses
}

/// How this node wants to be known.
pub(super) fn roster(settings: &Settings, address: SocketAddr) -> Roster {
    let (api, cluster) = (&settings.api, &settings.cluster);
    let or = |set: &String, other: String| if set.is_empty() { other } else { set.clone() };
    Roster {
        peer: or(&cluster.advertise, cluster.listen.clone()),
        public: or(&api.advertise, format!("http://{address}")),
        replicas: cluster.replicas,
    }
}

/// A failed sync leaves nothing that can be known about the disk: the process must not go on.
fn abort(reason: &str) {
    tracing::error!(reason, "the log cannot be trusted any more");
    std::process::abort();
}

fn runner_settings(settings: &Settings, disk: &DataDir, address: SocketAddr) -> runners::Settings {
    let defaults = runners::Settings::default();
    let shell = &settings.shell;
    let http = &settings.http;
    runners::Settings {
        shell: runners::ShellSettings {
            enabled: shell.enabled,
            env_allow: shell.env_allow.clone(),
            environment: environment(),
            work_dir: disk.path.join("work"),
            base_dir: std::env::current_dir().ok(),
            require_sandbox: shell.require_sandbox,
            ..defaults.shell
        },
        http: runners::HttpSettings {
            allow_loopback: http.allow_loopback,
            allow_private: http.allow_private,
            allow_hosts: http.allow_hosts.clone(),
            authority: Some(http.authority.clone()).filter(|path| !path.as_os_str().is_empty()),
            own_listeners: vec![address],
            ..defaults.http
        },
    }
}

/// The variables of this process that are text.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// What the front ends are told.
pub(super) fn api(settings: &Settings) -> ApiSettings {
    let tenant = TenantId::new("default").expect("`default` is a slug");
    let access = Access::Anonymous { tenant, user: settings.api.anonymous_user.clone() };
    let api = ApiSettings::new(access, env!("CARGO_PKG_VERSION"));
    ApiSettings { origins: settings.api.cors_origins.clone(), ..api }
}

/// How many connections, and how slow they may be.
pub(super) fn connections(settings: &Settings) -> ConnectionLimits {
    ConnectionLimits { connections_max: settings.api.connections_max, ..ConnectionLimits::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_that_is_given_up_in_a_moment_is_waited_for() {
        let before = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = before.local_addr().unwrap().to_string();
        let leaving = async {
            tokio::time::sleep(LISTEN_PAUSE).await;
            drop(before);
        };
        let (listening, ()) = tokio::join!(listen(&address), leaving);
        assert_eq!(listening.unwrap().local_addr().unwrap().to_string(), address);
    }
}
