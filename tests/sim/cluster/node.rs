//! One node: what it is made of, its life, and the door to it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use everstep::actors;
use everstep::consensus::peer::{self, Dial, Incarnation, Me, PeerStream, Peers};
use everstep::consensus::{self, BoxFuture};
use everstep::node::{Core, Parts};
use everstep::runners::Registry;
use everstep::storage::{Driver, Log, LogOptions, Marks};
use everstep::world::{Entropy, World};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{mpsc, oneshot, watch};
use turmoil::net::{TcpListener, TcpStream};

use super::disk::Disk;
use crate::effects::Outside;
use crate::journal::Journal;
use crate::world::{Dice, SimClock};

/// Where nodes listen for each other.
const PORT: u16 = 7_000;
/// Before a node asks again for a place.
const JOIN_AGAIN: Duration = Duration::from_millis(200);

/// What a node keeps over all its lives.
pub(crate) struct Seat {
    pub(crate) node: u64,
    pub(crate) disk: Disk,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) entropy: Arc<Dice>,
    pub(crate) consensus: consensus::Config,
    /// Where to ask for a place in the cluster.
    pub(crate) join: String,
    /// The node has its place; its disk knows.
    pub(crate) formed: AtomicBool,
    /// The marks on its disk.
    pub(crate) marks: Arc<Mutex<Marks>>,
    pub(crate) roster: actors::Roster,
    pub(crate) runners: Registry,
    pub(crate) journal: Journal,
}

/// Something to be done within the node.
type Errand = Box<dyn FnOnce(actors::Handle) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// The way into a node that runs.
#[derive(Clone)]
pub(crate) struct Door {
    errands: mpsc::UnboundedSender<Errand>,
    pub(crate) stop: Arc<Mutex<Option<oneshot::Sender<()>>>>,
    pub(crate) consensus: consensus::Handle,
    pub(crate) actors: actors::Handle,
    /// By partition, the catalogue first.
    pub(crate) leadership: Vec<watch::Receiver<consensus::Leadership>>,
}

/// The doors of all nodes that run. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Doors {
    open: Arc<Mutex<BTreeMap<u64, Door>>>,
    ghosts: Arc<Mutex<BTreeSet<u64>>>,
}

impl Doors {
    pub(crate) fn of(&self, node: u64) -> Option<Door> {
        self.open.lock().unwrap().get(&node).cloned()
    }

    pub(crate) fn open(&self) -> Vec<(u64, Door)> {
        self.open.lock().unwrap().iter().map(|(node, door)| (*node, door.clone())).collect()
    }

    pub(crate) fn each(&self, mut look: impl FnMut(u64, &Door)) {
        self.open.lock().unwrap().iter().for_each(|(node, door)| look(*node, door));
    }

    pub(crate) fn close(&self, node: u64) {
        let door = self.open.lock().unwrap().remove(&node);
        drop(door);
    }

    /// A node has died in the middle of a millisecond and goes on to the end of it: nobody notices.
    pub(crate) fn haunt(&self, node: u64) {
        self.ghosts.lock().unwrap().insert(node);
    }

    /// The millisecond is over.
    pub(crate) fn lay(&self, node: u64) {
        self.ghosts.lock().unwrap().remove(&node);
    }

    pub(crate) fn is_ghost(&self, node: u64) -> bool {
        self.ghosts.lock().unwrap().contains(&node)
    }

    fn put(&self, node: u64, door: Door) {
        self.open.lock().unwrap().insert(node, door);
    }

    /// Has something done within a node. None if it does not run, or stops running before it has answered.
    pub(crate) async fn ask<T, F>(
        &self,
        node: u64,
        what: impl FnOnce(actors::Handle) -> F + Send + 'static,
    ) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let asked = self.of(node)?.errands;
        let (reply, answer) = oneshot::channel();
        let errand: Errand = Box::new(move |handle| {
            Box::pin(async move {
                let _asker_left = reply.send(what(handle).await);
            })
        });
        asked.send(errand).ok()?;
        let answer = answer.await.ok()?;
        let alive = self.of(node).is_some_and(|door| door.errands.same_channel(&asked));
        (alive && !self.is_ghost(node)).then_some(answer)
    }
}

/// The name of a node's machine.
pub(crate) fn host(node: u64) -> String {
    format!("n{node}")
}

/// Where a node listens.
pub(crate) fn address(node: u64) -> String {
    format!("{}:{PORT}", host(node))
}

/// Reaches other nodes over the simulated network.
struct SimDial {
    node: u64,
    doors: Doors,
}

impl Dial for SimDial {
    fn dial<'a>(&'a self, address: &'a str, _node: u64) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            let (node, doors) = (self.node, self.doors.clone());
            Ok(Box::new(Wire { stream, node, doors }) as Box<dyn PeerStream>)
        })
    }
}

/// A connection as a node holds it: what its ghost writes goes nowhere.
struct Wire {
    stream: TcpStream,
    node: u64,
    doors: Doors,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.doors.is_ghost(self.node) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// One life of a node: it ends with an order to stop, or with a part the node cannot go on without.
pub(crate) async fn live(seat: Arc<Seat>, doors: Doors) {
    let (core, log) = match start(&seat, &doors).await {
        Ok(started) => started,
        Err(why) => return seat.journal.died(seat.node, &why),
    };
    let (errands, mut asked) = mpsc::unbounded_channel::<Errand>();
    let (stop, mut stopped) = oneshot::channel();
    let consensus = core.consensus();
    let partitions = (0..=seat.consensus.partitions).map(everstep::engine::model::PartitionId);
    let door = Door {
        errands,
        stop: Arc::new(Mutex::new(Some(stop))),
        leadership: partitions.map(|partition| consensus.leadership(partition)).collect(),
        consensus,
        actors: core.handle(),
    };
    doors.put(seat.node, door);
    loop {
        tokio::select! {
            biased;
            why = core.fatal() => {
                seat.journal.died(seat.node, &why.to_string());
                return;
            }
            _ = &mut stopped => break,
            Some(errand) = asked.recv() => {
                tokio::spawn(errand(core.handle()));
            }
        }
    }
    core.handle().leave().await;
    if let Err(error) = core.stop().await {
        seat.journal.died(seat.node, &format!("while stopping: {error}"));
    }
    log.shutdown();
    doors.close(seat.node);
    seat.journal.say(&format!("node {} has stopped", seat.node));
}

async fn start(seat: &Seat, doors: &Doors) -> Result<(Core, Log), String> {
    let Seat { node, disk, journal, .. } = seat;
    let options = LogOptions::new(Arc::new(disk.log.clone()), Arc::new(disk.hard_state.clone()), *node);
    let (told, me) = (journal.clone(), *node);
    let options = LogOptions {
        driver: Driver::Task,
        pace: Some(disk.pace(seat.entropy.clone())),
        on_fatal: Arc::new(move |why| told.died(me, why)),
        ..options
    };
    let (log, recovered) = Log::open(options).map_err(|error| format!("open the log: {error}"))?;
    if recovered.storage_lost {
        return Err(format!("storage lost: {:?}", recovered.losses));
    }
    let peers = peers(seat, doors);
    let listener = TcpListener::bind(("0.0.0.0", PORT)).await.map_err(|error| error.to_string())?;
    tokio::spawn(accept(peers.clone(), listener, *node, doors.clone()));
    if !seat.formed.load(Ordering::Relaxed) {
        join(seat, &peers).await?;
    }
    begin(seat, &peers);
    let parts = Parts {
        consensus: seat.consensus.clone(),
        world: World { clock: seat.clock.clone(), entropy: seat.entropy.clone() },
        log: (log.clone(), recovered),
        state: Arc::new(disk.state.clone()),
        runners: seat.runners.clone(),
        peers: Some(peers),
        roster: seat.roster.clone(),
    };
    let core = Core::start(parts).await.map_err(|error| format!("start: {error}"))?;
    journal.say(&format!("node {node} has started"));
    Ok((core, log))
}

fn peers(seat: &Seat, doors: &Doors) -> Peers {
    let members = &seat.consensus.members;
    let me = Me {
        cluster: "simulated".to_owned(),
        node: seat.node,
        partitions: seat.consensus.partitions,
        lease_ms: seat.consensus.election_ms.1,
        incarnation: Incarnation(seat.node.into()),
        marks: seat.marks.lock().unwrap().clone(),
        marked: false,
        formed: seat.formed.load(Ordering::Relaxed),
    };
    let dial = SimDial { node: seat.node, doors: doors.clone() };
    let peers = Peers::new(me, Arc::new(dial), seat.entropy.clone(), true);
    peers.set_addresses(members.clone());
    let disk = |node: u64| peer::Disk { incarnation: Incarnation(node.into()), ..peer::Disk::default() };
    peers.set_known(members.keys().map(|node| (*node, disk(*node))).collect());
    peers
}

/// The node makes a mark for this life, and others while it lasts.
fn begin(seat: &Seat, peers: &Peers) {
    let mut marks = seat.marks.lock().unwrap();
    marks.begin(seat.entropy.bits() as u64);
    let kept = seat.marks.clone();
    let keep = move |marks: &Marks| {
        marks.clone_into(&mut kept.lock().unwrap());
        Ok(())
    };
    peers.set_marks(marks.clone(), Arc::new(keep));
}

/// Asks for a place in the cluster until somebody decides.
async fn join(seat: &Seat, peers: &Peers) -> Result<(), String> {
    loop {
        match actors::join(peers, &seat.join, &seat.roster).await {
            Ok(Ok(record)) if record.id == seat.node => break,
            Ok(Ok(record)) => return Err(format!("it was taken as node {}", record.id)),
            Ok(Err(why)) => return Err(format!("it was not taken: {why}")),
            Err(_) => tokio::time::sleep(JOIN_AGAIN).await,
        }
    }
    peers.form(seat.node);
    seat.formed.store(true, Ordering::Relaxed);
    seat.journal.say(&format!("node {} has joined", seat.node));
    Ok(())
}

async fn accept(peers: Peers, listener: TcpListener, node: u64, doors: Doors) {
    while let Ok((stream, _)) = listener.accept().await {
        let (peers, wire) = (peers.clone(), Wire { stream, node, doors: doors.clone() });
        tokio::spawn(async move { peers.host(Box::new(wire), |_| true).await });
    }
}

/// The runners of a node: the simulated outside world in place of `noop`.
pub(crate) fn runners(
    node: u64,
    all: &Registry,
    dice: Arc<Dice>,
    journal: Journal,
    doors: Doors,
) -> Registry {
    all.clone().with(Arc::new(Outside { node, dice, journal, doors }))
}
