//! This node's side of all connections: whom it asks, and who it answers as.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::storage::Marks;
use crate::world::Entropy;

use super::super::network::{Address, BoxFuture, Chunks, Transport};
use super::super::{Receiver, Request, Response, SnapshotHead, Unanswered};
use super::acquaintances::{Acquaintances, Disk, Dismissal, Introduction};
use super::dial::{Dial, PeerStream};
use super::hello::{self, Heard, Me, Welcome};
use super::host::{self, Desk, Host, Offices};
use super::hush::Hush;
use super::link::Link;
use super::request::{Call, Errand};

/// How long a connection may take to come about, hello and all.
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);

/// How long a new connection has for its hello. Afterwards it may be silent.
const HELLO_DEADLINE: Duration = Duration::from_secs(5);

/// How long a node may take to put a snapshot that has arrived in the place of its state: it syncs and reads all of
/// it. A node that dies meanwhile is noticed by its connection.
const INSTALL_DEADLINE: Duration = Duration::from_secs(600);

/// After a failure nobody dials again for so long. Raft's own pauses come on top.
const DIAL_AGAIN: Duration = Duration::from_millis(50);

/// Bytes of a snapshot sent in a second: an eighth of what a gigabit network carries. The receiver's disk writes four
/// times as many. Of the rate of a busy cluster on two processors twice as much leaves little more than half, this much
/// three quarters and more. Much less would keep the log of the sender long, which forgets nothing until the last is
/// read.
const SNAPSHOT_BYTES_PER_SECOND: u64 = 16 << 20;

/// Times a chunk is sent before the snapshot is given up, each with its own deadline.
const CHUNK_TRIES_MAX: u32 = 5;

/// The wait before a chunk is sent again.
const CHUNK_AGAIN: Duration = Duration::from_millis(200);

/// Which of the two connections to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Raft,
    Bulk,
}

/// Keeps the marks of this node's disk, durably.
pub type KeepMarks = Arc<dyn Fn(&Marks) -> io::Result<()> + Send + Sync>;

/// Connections to all other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    me: RwLock<Me>,
    dial: Arc<dyn Dial>,
    entropy: Arc<dyn Entropy>,
    known: Acquaintances,
    offices: Arc<Offices>,
    places: Mutex<BTreeMap<(u64, Lane), SharedPlace>>,
    /// Where nodes listen that no membership names.
    book: RwLock<BTreeMap<u64, String>>,
    hush: Hush,
    keeper: RwLock<Option<KeepMarks>>,
    inline_io: bool,
}

/// Whoever needs the connection waits for the one who is making it.
type SharedPlace = Arc<tokio::sync::Mutex<Place>>;

/// A connection, or the last failure to make one.
#[derive(Default)]
struct Place {
    link: Option<(Arc<Link>, Introduction)>,
    address: String,
    failed: Option<(Instant, Unanswered)>,
}

impl Peers {
    /// Nothing is dialled before it is needed.
    #[must_use]
    pub fn new(me: Me, dial: Arc<dyn Dial>, entropy: Arc<dyn Entropy>, inline_io: bool) -> Self {
        let inner = Inner {
            me: RwLock::new(me),
            dial,
            entropy,
            known: Acquaintances::default(),
            offices: Arc::default(),
            places: Mutex::default(),
            book: RwLock::default(),
            hush: Hush::default(),
            keeper: RwLock::default(),
            inline_io,
        };
        Self { inner: Arc::new(inner) }
    }

    /// Who this node is.
    #[must_use]
    pub fn me(&self) -> Me {
        self.inner.me.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The node has found its place in the cluster, under this id.
    pub fn form(&self, node: u64) {
        let mut me = self.inner.me.write().unwrap_or_else(PoisonError::into_inner);
        me.node = node;
        me.formed = true;
    }

    /// Where nodes listen, over what was known before.
    pub fn learn(&self, book: BTreeMap<u64, String>) {
        self.inner.book.write().unwrap_or_else(PoisonError::into_inner).extend(book);
    }

    /// The disks of nodes, over what was known before.
    pub fn learn_disks(&self, known: BTreeMap<u64, Disk>) {
        self.inner.known.learn(known);
    }

    /// The marks of this node's disk, and who keeps those that are made from now on.
    pub fn set_marks(&self, marks: Marks, keeper: KeepMarks) {
        let mut me = self.inner.me.write().unwrap_or_else(PoisonError::into_inner);
        (me.marks, me.marked) = (marks, true);
        *self.inner.keeper.write().unwrap_or_else(PoisonError::into_inner) = Some(keeper);
    }

    /// Makes a mark: from now on the node shows it. None if nobody keeps marks.
    ///
    /// # Errors
    /// What the disk said. The node shows the marks it had then.
    pub async fn make_mark(&self) -> io::Result<Option<Marks>> {
        let keeper = self.inner.keeper.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(keeper) = keeper else { return Ok(None) };
        let mut marks = self.me().marks;
        marks.go_on(self.inner.entropy.bits() as u64);
        let made = marks.clone();
        if self.inner.inline_io {
            keeper(&made)?;
        } else {
            tokio::task::spawn_blocking(move || keeper(&made)).await.map_err(io::Error::other)??;
        }
        self.inner.me.write().unwrap_or_else(PoisonError::into_inner).marks = marks.clone();
        Ok(Some(marks))
    }

    /// Why the cluster does not talk to this node any more, once it is told so.
    #[must_use]
    pub fn dismissed(&self) -> watch::Receiver<Option<Dismissal>> {
        self.inner.known.dismissed()
    }

    /// These were removed from the cluster: nothing of them is answered any more.
    pub fn expel(&self, removed: BTreeSet<u64>) {
        self.inner.known.expel(removed);
    }

    /// Where nodes listen that no membership names yet.
    pub fn set_addresses(&self, book: BTreeMap<u64, String>) {
        *self.inner.book.write().unwrap_or_else(PoisonError::into_inner) = book;
    }

    /// Where a node listens, as far as this one was told.
    #[must_use]
    pub fn address_of(&self, node: u64) -> Option<String> {
        self.inner.book.read().unwrap_or_else(PoisonError::into_inner).get(&node).cloned()
    }

    /// The disks of the nodes this one knows. A node that comes with another one is refused.
    pub fn set_known(&self, known: BTreeMap<u64, Disk>) {
        self.inner.known.set(known);
    }

    /// From now on questions of Raft are answered.
    pub fn open(&self, receiver: Receiver) {
        self.inner.offices.set_receiver(Some(receiver));
    }

    /// From now on questions of the floors above are answered.
    pub fn open_desk(&self, desk: Arc<dyn Desk>) {
        self.inner.offices.set_desk(Some(desk));
    }

    /// From now on nothing is answered, and whoever answered is let go. Returns when nobody answers for Raft any more, or
    /// after a second.
    pub async fn close(&self) {
        self.inner.offices.close().await;
    }

    /// Says hello to whoever listens at an address, and hangs up. `node` is 0 if anybody is meant.
    ///
    /// # Errors
    /// `Refused` with the reason, or `Unreachable`.
    pub async fn probe(&self, address: &str, node: u64) -> Result<Welcome, Unanswered> {
        let late = |_| Unanswered::Unreachable("it did not answer in time".to_owned());
        let greet = self.inner.greet(address, node);
        tokio::time::timeout(CONNECT_DEADLINE, greet).await.map_err(late)?.map(|(_, welcome)| welcome)
    }

    /// Asks another node's desk.
    ///
    /// # Errors
    /// `Unreachable` if nothing was asked, `Lost` if it is unknown whether it was.
    pub async fn ask(&self, node: u64, ask: Vec<u8>, deadline: Duration) -> Result<Bytes, Unanswered> {
        let to = Address { node, address: String::new(), group: 0 };
        self.inner.call(&to, Lane::Bulk, Errand::Ask, ask.into(), deadline).await
    }

    /// Asks the desk of whoever listens at an address.
    ///
    /// # Errors
    /// As for `ask`.
    pub async fn ask_at(&self, address: &str, ask: Vec<u8>, deadline: Duration) -> Result<Bytes, Unanswered> {
        let late = |_| Unanswered::Unreachable("it did not answer in time".to_owned());
        let greet = tokio::time::timeout(CONNECT_DEADLINE, self.inner.greet(address, 0));
        let (stream, welcome) = greet.await.map_err(late)??;
        let link = Link::start(stream);
        let call = self.inner.request(welcome.who.node, Errand::Ask, 0, ask.into(), deadline);
        link.ask(call.encode(), deadline).await
    }

    /// Whether a complaint may be made now: how often it was not since the last time.
    pub(super) fn may_say(&self, what: &str) -> Option<u64> {
        self.inner.hush.may_say(what)
    }

    /// Serves a connection that was accepted, until it ends. `named` tells whether its certificate is for a node.
    pub async fn host(&self, mut stream: Box<dyn PeerStream>, named: impl Fn(u64) -> bool) {
        let me = self.me();
        let hello = hello::receive(&me, &self.inner.known, named, &mut stream);
        let who = match tokio::time::timeout(HELLO_DEADLINE, hello).await {
            Ok(Ok(Heard::Welcome(who))) => who,
            Ok(Ok(Heard::Refused { node, why })) => {
                if let Some(unsaid) = self.may_say(&format!("{node}: {why}")) {
                    tracing::warn!(node, why, unsaid, "a connection was refused");
                }
                return;
            }
            Ok(Ok(Heard::Nothing)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::debug!(%error, "a connection did not begin well");
                return;
            }
        };
        let (offices, known) = (self.inner.offices.clone(), self.inner.known.clone());
        Host { cluster: me.cluster_hash(), node: me.node, offices, known }.serve(who, stream).await;
    }
}

impl Inner {
    /// Connects and says hello.
    async fn greet(&self, address: &str, node: u64) -> Result<(Box<dyn PeerStream>, Welcome), Unanswered> {
        let unreachable =
            |error: std::io::Error| Unanswered::Unreachable(format!("connect to {address}: {error}"));
        let mut stream = self.dial.dial(address, node).await.map_err(unreachable)?;
        let me = self.me.read().unwrap_or_else(PoisonError::into_inner).clone();
        let welcome = hello::introduce(&me, &self.known, node, &mut stream).await?;
        Ok((stream, welcome))
    }

    fn request(&self, to: u64, errand: Errand, group: u16, payload: Bytes, deadline: Duration) -> Call {
        let cluster = self.me.read().unwrap_or_else(PoisonError::into_inner).cluster_hash();
        Call { cluster, to, deadline, errand, group, payload }
    }

    async fn call(
        self: &Arc<Self>,
        to: &Address,
        lane: Lane,
        errand: Errand,
        payload: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, Unanswered> {
        let begun = Instant::now();
        let late = |_| Unanswered::Unreachable("no connection in time".to_owned());
        let link = tokio::time::timeout(deadline, self.link(to, lane)).await.map_err(late)??;
        let left = deadline.saturating_sub(begun.elapsed());
        let call = self.request(to.node, errand, to.group, payload, left);
        link.ask(call.encode(), left).await
    }

    /// The connection to a node, made now if there is none.
    async fn link(self: &Arc<Self>, to: &Address, lane: Lane) -> Result<Arc<Link>, Unanswered> {
        let address = whereabouts(&self.book.read().unwrap_or_else(PoisonError::into_inner), to)?;
        let place = {
            let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
            places.entry((to.node, lane)).or_default().clone()
        };
        let mut place = place.lock_owned().await;
        if place.address != address {
            *place = Place { address: address.clone(), ..Place::default() };
        }
        if let Some((link, who)) = place.link.as_ref().filter(|(link, _)| link.is_open()) {
            if self.known.check(who).is_ok() {
                return Ok(link.clone());
            }
            place.link = None;
        }
        if let Some((at, why)) = place.failed.as_ref().filter(|(at, _)| at.elapsed() < DIAL_AGAIN) {
            tracing::trace!(node = to.node, ?at, "not dialled again yet");
            return Err(why.clone());
        }
        // By itself, so that a caller with little time does not cut it off again and again.
        let (inner, node) = (self.clone(), to.node);
        let dialled = tokio::spawn(async move {
            let late = |_| Unanswered::Unreachable("it did not answer in time".to_owned());
            let greet = tokio::time::timeout(CONNECT_DEADLINE, inner.greet(&address, node));
            let greeted = greet.await.map_err(late).and_then(std::convert::identity);
            let failed_before = place.failed.is_some();
            *place = match greeted {
                Ok((stream, welcome)) => {
                    if failed_before && lane == Lane::Raft {
                        tracing::info!(node, address, "another node is in reach again");
                    }
                    let link = Arc::new(Link::start(stream));
                    inner.known.reached(&welcome.who, &link);
                    Place { link: Some((link, welcome.who)), address, failed: None }
                }
                Err(why) => {
                    if !failed_before && lane == Lane::Raft {
                        tracing::warn!(node, address, %why, "another node is out of reach");
                    }
                    Place { link: None, address, failed: Some((Instant::now(), why)) }
                }
            };
            match (&place.link, &place.failed) {
                (Some((link, _)), _) => Ok(link.clone()),
                (None, Some((_, why))) => Err(why.clone()),
                (None, None) => unreachable!("it was made or it failed"),
            }
        });
        dialled.await.map_err(|error| Unanswered::Unreachable(error.to_string()))?
    }

    async fn send_snapshot(
        self: &Arc<Self>,
        to: &Address,
        head: SnapshotHead,
        chunks: Chunks,
        deadline: Duration,
    ) -> Result<Response, Unanswered> {
        let session = self.entropy.bits() as u64;
        let mut begin = BytesMut::from(&host::encode_number(session)[..]);
        begin.put_slice(&head.encode());
        let begin = begin.freeze();
        self.patiently(to, Errand::SnapshotBegin, &begin, deadline).await?;
        let mut chunks = Some(chunks);
        let (begun, mut sent) = (Instant::now(), 0_u64);
        for number in 0_u64.. {
            let Some(chunk) = self.next_chunk(&mut chunks).await? else { break };
            sent += chunk.len() as u64;
            let mut payload = BytesMut::with_capacity(16 + chunk.len());
            payload.put_u64_le(session);
            payload.put_u64_le(number);
            payload.put_slice(&chunk);
            self.patiently(to, Errand::SnapshotChunk, &payload.freeze(), deadline).await?;
            let due = Duration::from_millis(sent * 1_000 / SNAPSHOT_BYTES_PER_SECOND);
            tokio::time::sleep_until(begun + due).await;
        }
        tracing::info!(node = to.node, group = to.group, bytes = sent, "a snapshot was sent");
        let finish = host::encode_number(session);
        let answer = self.call(to, Lane::Bulk, Errand::SnapshotFinish, finish, INSTALL_DEADLINE).await?;
        Response::decode(&answer).map_err(|error| Unanswered::Lost(error.to_string()))
    }

    /// Asks again over a new connection if one is lost: the other end keeps what has arrived.
    async fn patiently(
        self: &Arc<Self>,
        to: &Address,
        errand: Errand,
        payload: &Bytes,
        deadline: Duration,
    ) -> Result<Bytes, Unanswered> {
        let mut tries = 1;
        loop {
            match self.call(to, Lane::Bulk, errand, payload.clone(), deadline).await {
                Err(why) if tries < CHUNK_TRIES_MAX => {
                    tracing::debug!(node = to.node, group = to.group, %why, "part of a snapshot is sent again");
                    tries += 1;
                    tokio::time::sleep(CHUNK_AGAIN).await;
                }
                decided => return decided,
            }
        }
    }

    async fn next_chunk(&self, chunks: &mut Option<Chunks>) -> Result<Option<Vec<u8>>, Unanswered> {
        let Some(mut reading) = chunks.take() else { return Ok(None) };
        let (reading, next) = if self.inline_io {
            let next = reading.next();
            (reading, next)
        } else {
            let read = tokio::task::spawn_blocking(move || {
                let next = reading.next();
                (reading, next)
            });
            read.await.map_err(|error| Unanswered::Lost(error.to_string()))?
        };
        *chunks = Some(reading);
        next.transpose().map_err(|error| Unanswered::Lost(error.to_string()))
    }
}

/// Where a node listens, as it said last. Raft goes on with the address that it had when Raft began to talk to it.
pub(super) fn whereabouts(book: &BTreeMap<u64, String>, to: &Address) -> Result<String, Unanswered> {
    let told = || Some(to.address.clone()).filter(|address| !address.is_empty());
    let unknown = || Unanswered::Unreachable(format!("nobody knows where node {} listens", to.node));
    book.get(&to.node).cloned().or_else(told).ok_or_else(unknown)
}

impl Transport for Peers {
    fn call<'a>(
        &'a self,
        to: &'a Address,
        request: Request,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(async move {
            let payload = request.encode().into();
            let answer = self.inner.call(to, Lane::Raft, Errand::Raft, payload, deadline).await?;
            Response::decode(&answer).map_err(|error| Unanswered::Lost(error.to_string()))
        })
    }

    fn snapshot<'a>(
        &'a self,
        to: &'a Address,
        head: SnapshotHead,
        chunks: Chunks,
        deadline: Duration,
    ) -> BoxFuture<'a, Result<Response, Unanswered>> {
        Box::pin(self.inner.send_snapshot(to, head, chunks, deadline))
    }

    fn went_back(&self, node: u64) {
        let places = self.inner.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.get(&(node, Lane::Raft)).cloned();
        drop(places);
        // It was heard on the connection that there is. If somebody makes another now, it will be noticed there.
        if let Some(place) = &place
            && let Ok(place) = place.try_lock()
            && let Some((_, who)) = &place.link
        {
            self.inner.known.went_back(who);
        }
    }
}
