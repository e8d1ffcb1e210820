use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use crate::storage::Marks;
use crate::world::Entropy;

use super::super::Unanswered;
use super::super::network::{Address, BoxFuture};
use super::acquaintances::{Acquaintances, Disk, Dismissal, Incarnation, Known};
use super::dial::{Dial, PeerStream};
use super::frame::{FRAME_BYTES_MAX, Frame, Kind};
use super::hello::{self, Heard, Me, Welcome};
use super::host::Desk;
use super::link::Link;
use super::peers::{Peers, whereabouts};
use super::request::{Call, Errand};
use super::tls::{TlsError, TlsFiles, TlsSettings};

fn node(id: u64) -> Me {
    let incarnation = Incarnation(u128::from(id) + 100);
    let (cluster, marks) = ("blue".to_owned(), marks(&[1]));
    Me { cluster, node: id, partitions: 4, lease_ms: 300, incarnation, marks, marked: true, formed: true }
}

/// Those of a disk that was started on so often; these numbers were drawn.
fn marks(drawn: &[u64]) -> Marks {
    let mut marks = Marks::default();
    drawn.iter().for_each(|drawn| marks.begin(*drawn));
    marks
}

/// What others know of the disk of a node.
fn disk(me: &Me) -> BTreeMap<u64, Disk> {
    BTreeMap::from([(me.node, Disk { incarnation: me.incarnation, mark: me.marks.last() })])
}

#[test]
fn a_node_is_called_where_it_said_last_that_it_listens() {
    let address = |address: &str| Address { node: 3, address: address.to_owned(), group: 1 };
    let book = BTreeMap::from([(3, "new:1".to_owned())]);
    assert_eq!(whereabouts(&book, &address("old:1")).unwrap(), "new:1", "Raft still has the old one");
    assert_eq!(whereabouts(&BTreeMap::new(), &address("old:1")).unwrap(), "old:1");
    assert!(whereabouts(&BTreeMap::new(), &address("")).is_err());
}

/// One dials, the other answers, and knows `known`.
async fn meet(one: Me, to: u64, other: Me, known: &Acquaintances) -> Result<Welcome, Unanswered> {
    meet_knowing(&one, &Acquaintances::default(), to, other, known).await
}

/// As `meet`, and whoever dials knows somebody too.
async fn meet_knowing(
    one: &Me,
    knows: &Acquaintances,
    to: u64,
    other: Me,
    known: &Acquaintances,
) -> Result<Welcome, Unanswered> {
    let (mut near, mut far) = duplex(4096);
    let answering = hello::receive(&other, known, |_| true, &mut far);
    let (welcome, received) = tokio::join!(hello::introduce(one, knows, to, &mut near), answering);
    assert_eq!(matches!(received.unwrap(), Heard::Welcome(_)), welcome.is_ok(), "both ends know how it went");
    welcome
}

fn reason(met: Result<Welcome, Unanswered>) -> String {
    match met {
        Err(Unanswered::Refused(why)) => why,
        other => panic!("it should be refused: {other:?}"),
    }
}

#[tokio::test]
async fn nodes_of_one_cluster_meet() {
    let known = Acquaintances::default();
    let welcome = meet(node(1), 2, node(2), &known).await.unwrap();
    assert_eq!((welcome.who.node, welcome.known, welcome.formed), (2, Known::Stranger, true));
    known.learn(disk(&node(1)));
    assert_eq!(meet(node(1), 0, node(2), &known).await.unwrap().known, Known::Same);
}

#[tokio::test]
async fn who_does_not_belong_is_refused_and_told_why() {
    let known = Acquaintances::default();
    known.learn(disk(&node(1)));
    let starting = meet(node(1), 2, Me { marked: false, ..node(2) }, &known).await;
    assert!(matches!(starting, Err(Unanswered::Unreachable(why)) if why == "node 2 is starting"));
    let green = Me { cluster: "green".to_owned(), ..node(1) };
    assert_eq!(reason(meet(green, 2, node(2), &known).await), "this is cluster `blue`, not `green`");
    assert_eq!(reason(meet(node(1), 3, node(2), &known).await), "this is node 2, not node 3");
    let halved = Me { partitions: 2, ..node(1) };
    assert!(reason(meet(halved, 2, node(2), &known).await).contains("raft.partitions"));
    let hasty = Me { lease_ms: 200, ..node(1) };
    assert!(reason(meet(hasty, 2, node(2), &known).await).contains("raft.election_max_ms"));
    let empty = Me { incarnation: Incarnation(7), ..node(1) };
    assert!(reason(meet(empty, 2, node(2), &known).await).contains("another disk"));
    let twin = Me { incarnation: Incarnation(7), ..node(2) };
    assert!(reason(meet(twin, 2, node(2), &known).await).contains("each node has its own id"));
    known.expel(BTreeSet::from([1]));
    assert!(reason(meet(node(1), 2, node(2), &known).await).contains("was removed"));
}

#[tokio::test]
async fn a_node_whose_disk_went_back_is_dismissed_and_believes_whom_it_knows() {
    let known = Acquaintances::default();
    known.learn(disk(&Me { marks: marks(&[1, 2]), ..node(1) }));
    let knows = Acquaintances::default();
    for drawn in [&[1][..], &[1, 9], &[1, 9, 3]] {
        let one = Me { marks: marks(drawn), ..node(1) };
        assert!(reason(meet_knowing(&one, &knows, 2, node(2), &known).await).contains("older copy"));
        assert_eq!(*knows.dismissed().borrow(), None, "anybody may say that");
    }
    knows.learn(disk(&node(2)));
    let one = Me { marks: marks(&[1, 2, 3]), ..node(1) };
    assert_eq!(meet_knowing(&one, &knows, 2, node(2), &known).await.unwrap().known, Known::Same);
    assert_eq!(*knows.dismissed().borrow(), None);
    assert!(reason(meet_knowing(&node(1), &knows, 2, node(2), &known).await).contains("older copy"));
    assert_eq!(*knows.dismissed().borrow(), Some(Dismissal::OlderCopy { node: 1 }));
    known.went_back(&one.introduction());
    assert!(reason(meet_knowing(&one, &knows, 2, node(2), &known).await).contains("older copy"));
    let original = Me { marks: marks(&[1, 2]), ..node(1) };
    assert_eq!(meet_knowing(&original, &knows, 2, node(2), &known).await.unwrap().known, Known::Same);
}

#[tokio::test(start_paused = true)]
async fn a_copy_is_turned_away_as_long_as_the_original_is_heard() {
    let known = Acquaintances::default();
    let original = node(1).introduction();
    let presence = known.connected(&original);
    let copy = Me { marks: marks(&[1, 2]), ..node(1) };
    let refused = meet(copy.clone(), 2, node(2), &known).await;
    let again = matches!(&refused, Err(Unanswered::Unreachable(why)) if why.contains("another process"));
    assert!(again, "it may ask again: {refused:?}");
    assert!(meet(node(1), 2, node(2), &known).await.is_ok(), "it may have several connections");
    tokio::time::advance(Duration::from_secs(2)).await;
    presence.heard();
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(meet(copy.clone(), 2, node(2), &known).await.is_err());
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(meet(copy.clone(), 2, node(2), &known).await.is_ok(), "its machine has died without a word");
    presence.heard();
    drop(presence);
    assert!(meet(copy, 2, node(2), &known).await.is_ok(), "it has hung up");
}

#[tokio::test(start_paused = true)]
async fn of_two_that_run_as_one_node_the_one_at_its_address_is_the_node() {
    let known = Acquaintances::default();
    let (original, copy) = (node(1), Me { marks: marks(&[1, 2]), ..node(1) });
    let asks = |me: &Me| meet(me.clone(), 2, node(2), &known);
    let copys = known.connected(&copy.introduction());
    assert!(asks(&original).await.is_err(), "the copy came first");
    let (near, _far) = duplex(4096);
    let link = Arc::new(Link::start(near));
    known.reached(&original.introduction(), &link);
    assert!(copys.is_displaced());
    assert!(asks(&copy).await.is_err(), "the original answers");
    assert!(asks(&original).await.is_ok());
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(link.is_open());
    assert!(asks(&copy).await.is_ok(), "nothing was heard of it: its machine may have died");
    let (near, far) = duplex(4096);
    let link = Arc::new(Link::start(near));
    known.reached(&original.introduction(), &link);
    assert!(asks(&copy).await.is_err());
    drop(far);
    while link.is_open() {
        tokio::task::yield_now().await;
    }
    assert!(asks(&copy).await.is_ok(), "nobody answers there any more");
    let unformed = Me { marks: Marks::default(), ..node(3) };
    let (near, _far) = duplex(4096);
    let link = Arc::new(Link::start(near));
    known.reached(&unformed.introduction(), &link);
    assert!(asks(&node(3)).await.is_ok(), "it had no marks when it was reached, and is the same");
}

/// Where everybody listens.
#[derive(Clone, Default)]
struct Wires(Arc<Mutex<BTreeMap<String, Peers>>>);

impl Dial for Wires {
    fn dial<'a>(&'a self, address: &'a str, _: u64) -> BoxFuture<'a, io::Result<Box<dyn PeerStream>>> {
        let peers = self.0.lock().unwrap().get(address).cloned();
        Box::pin(async move {
            let peers = peers.ok_or(io::ErrorKind::ConnectionRefused)?;
            let (near, far) = duplex(4096);
            tokio::spawn(async move { peers.host(Box::new(far), |_| true).await });
            Ok(Box::new(near) as Box<dyn PeerStream>)
        })
    }
}

struct Nothing;

impl Entropy for Nothing {
    fn bits(&self) -> u128 {
        0
    }
}

impl Desk for Nothing {
    fn answer(&self, _: u64, _: Bytes) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(async { Vec::new() })
    }
}

impl Wires {
    /// A process that runs as a node, and listens somewhere.
    fn process(&self, me: Me, address: &str) -> Peers {
        let peers = Peers::new(me, Arc::new(self.clone()), Arc::new(Nothing), true);
        peers.open_desk(Arc::new(Nothing));
        self.0.lock().unwrap().insert(address.to_owned(), peers.clone());
        peers
    }
}

#[tokio::test(start_paused = true)]
async fn who_calls_as_a_node_that_answers_elsewhere_is_not_listened_to() {
    let wires = Wires::default();
    let copy = wires.process(Me { marks: marks(&[1, 2]), ..node(1) }, "copy");
    let original = wires.process(Me { marks: marks(&[1, 3]), ..node(1) }, "original");
    let other = wires.process(node(2), "other");
    other.learn(BTreeMap::from([(1, "original".to_owned())]));
    for one in [&copy, &original] {
        one.learn(BTreeMap::from([(2, "other".to_owned())]));
    }
    let ask = async |one: &Peers, to| one.ask(to, Vec::new(), Duration::from_secs(5)).await;
    assert!(ask(&copy, 2).await.is_ok(), "nobody else is there");
    assert!(ask(&original, 2).await.is_err(), "the copy came first");
    assert!(ask(&other, 1).await.is_ok(), "the original answers");
    assert!(ask(&copy, 2).await.is_err(), "on the connection that it has");
    // Nobody dials again at once.
    tokio::time::advance(Duration::from_millis(100)).await;
    assert!(ask(&copy, 2).await.is_err(), "on another one");
    assert!(ask(&original, 2).await.is_ok());
}

#[tokio::test]
async fn a_certificate_for_another_node_is_refused() {
    let (mut near, mut far) = duplex(4096);
    let (one, two, nobody) = (node(1), node(2), Acquaintances::default());
    let answering = hello::receive(&two, &nobody, |id| id == 3, &mut far);
    let (met, _) = tokio::join!(hello::introduce(&one, &nobody, 2, &mut near), answering);
    assert_eq!(reason(met), "the certificate is not for node 1");
}

#[tokio::test]
async fn a_node_that_was_replaced_is_not_trusted_by_who_dials_it() {
    let known = Acquaintances::default();
    known.learn(disk(&Me { incarnation: Incarnation(1), ..node(2) }));
    let (mut near, mut far) = duplex(4096);
    let (one, two, nobody) = (node(1), node(2), Acquaintances::default());
    let answering = hello::receive(&two, &nobody, |_| true, &mut far);
    let (met, _) = tokio::join!(hello::introduce(&one, &known, 2, &mut near), answering);
    assert!(matches!(met, Err(Unanswered::Unreachable(why)) if why.contains("another disk")));
}

#[tokio::test]
async fn frames_arrive_as_they_were_sent() {
    let (mut near, mut far) = duplex(64);
    let frames = [
        Frame::new(Kind::Request, 7, vec![1; 1_000]),
        Frame::new(Kind::Answer, u64::MAX, Bytes::new()),
        Frame::new(Kind::Failure, 0, &b"why"[..]),
    ];
    let sent = frames.clone();
    let writing = async move {
        for frame in &sent {
            frame.write(&mut near).await.unwrap();
        }
    };
    let reading = async {
        let mut read = Vec::new();
        while let Some(frame) = Frame::read(&mut far).await.unwrap() {
            read.push(frame);
        }
        read
    };
    let ((), read) = tokio::join!(writing, reading);
    assert_eq!(read, frames);
}

#[tokio::test]
async fn what_is_no_frame_ends_the_connection() {
    let long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_le_bytes();
    let mut wrong_kind = vec![9, 0, 0, 0, 99];
    wrong_kind.extend([0; 8]);
    let cases: [&[u8]; 4] = [&long, &[3, 0, 0, 0, 1, 1, 1], &wrong_kind, &[20, 0, 0, 0, 4, 1, 2]];
    for bytes in cases {
        let mut from = bytes;
        assert!(Frame::read(&mut from).await.is_err(), "{bytes:?}");
    }
    assert!(Frame::read(&mut &b"GET"[..]).await.unwrap().is_none(), "less than a length is the end");
    let (mut near, mut far) = duplex(64);
    near.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert!(hello::receive(&node(1), &Acquaintances::default(), |_| true, &mut far).await.is_err());
    drop(far);
    assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0, "nobody answers rubbish");
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nobody_is_there_is_given_up_early() {
    let (near, _far) = duplex(4096);
    let link = Link::start(near);
    let asked = tokio::time::Instant::now();
    let answer = link.ask(Bytes::from_static(b"?"), Duration::from_secs(30)).await;
    assert!(matches!(answer, Err(Unanswered::Lost(_))), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(2), "it took {:?}", asked.elapsed());
    assert!(!link.is_open());
}

#[tokio::test(start_paused = true)]
async fn an_answer_may_take_long_if_somebody_is_there() {
    let (near, far) = duplex(4096);
    let link = Link::start(near);
    let answering = async move {
        let (mut reader, mut writer) = tokio::io::split(far);
        let begun = tokio::time::Instant::now();
        let mut pings = 0;
        let request = Frame::read(&mut reader).await.unwrap().unwrap();
        while begun.elapsed() < Duration::from_secs(20) {
            let frame = Frame::read(&mut reader).await.unwrap().unwrap();
            assert_eq!(frame.kind, Kind::Ping);
            Frame::new(Kind::Pong, frame.id, Bytes::new()).write(&mut writer).await.unwrap();
            pings += 1;
        }
        Frame::new(Kind::Answer, request.id, &b"!"[..]).write(&mut writer).await.unwrap();
        pings
    };
    let (answer, pings) =
        tokio::join!(link.ask(Bytes::from_static(b"?"), Duration::from_secs(30)), answering);
    assert_eq!(answer.unwrap(), &b"!"[..]);
    assert!(pings > 10, "{pings} pings");
}

#[test]
fn a_request_names_cluster_and_node() {
    let call = Call {
        cluster: node(1).cluster_hash(),
        to: 3,
        deadline: Duration::from_millis(250),
        errand: Errand::SnapshotChunk,
        group: 4,
        payload: Bytes::from_static(b"chunk"),
    };
    let read = Call::decode(call.encode()).unwrap();
    assert_eq!((read.cluster, read.to, read.group), (call.cluster, 3, 4));
    assert_eq!((read.deadline, read.errand, read.payload), (call.deadline, call.errand, call.payload));
    assert!(Call::decode(Bytes::from_static(b"short")).is_none());
}

/// An authority and a certificate for a node, as files.
fn certificate(dir: &std::path::Path, authority: &Authority, id: u64) -> TlsFiles {
    let key = rcgen::KeyPair::generate().unwrap();
    let names = vec![format!("node-{id}.everstep"), "cluster.everstep".to_owned()];
    let params = rcgen::CertificateParams::new(names).unwrap();
    let signed = params.signed_by(&key, &authority.issuer).unwrap();
    let write = |name: &str, text: String| {
        let path = dir.join(format!("{id}-{name}"));
        std::fs::write(&path, text).unwrap();
        path
    };
    TlsFiles {
        authority: write("authority.pem", authority.pem.clone()),
        certificate: write("node.pem", signed.pem()),
        key: write("node.key", key.serialize_pem()),
    }
}

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }
}

/// Node 1 dials whoever holds `far`, and means node `to`.
async fn handshake(near: &TlsSettings, far: &TlsSettings, to: u64) -> Option<bool> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let dialling = async {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut stream = near.connect(stream, to).await.ok()?;
        // A refused certificate of this end is told with the first bytes.
        stream.read_u8().await.ok()
    };
    let accepting = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (mut stream, certificate) = far.accept(stream).await.ok()?;
        stream.write_u8(1).await.ok()?;
        stream.flush().await.ok()?;
        Some(certificate.is_for(1) && !certificate.is_for(2))
    };
    let (dialled, accepted) = tokio::join!(dialling, accepting);
    dialled.and(accepted)
}

#[tokio::test]
async fn both_ends_prove_who_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(), Authority::new());
    let settings = |authority: &Authority, id| TlsSettings::read(&certificate(dir.path(), authority, id), id);
    let (one, two, stranger) =
        (settings(&ours, 1).unwrap(), settings(&ours, 2).unwrap(), settings(&theirs, 2).unwrap());
    assert_eq!(handshake(&one, &two, 2).await, Some(true), "the other end sees which node dialled");
    assert_eq!(handshake(&one, &two, 0).await, Some(true), "any node of the cluster will do");
    assert_eq!(handshake(&one, &two, 3).await, None, "another node was meant");
    assert_eq!(handshake(&one, &stranger, 2).await, None, "of another authority");
    assert_eq!(handshake(&stranger, &one, 1).await, None, "the other way round");
}

#[test]
fn files_that_do_not_do_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let files = certificate(dir.path(), &Authority::new(), 1);
    let wrong = |files: &TlsFiles, id| TlsSettings::read(files, id).err().unwrap();
    assert!(matches!(wrong(&files, 2), TlsError::Name { path, .. } if path == files.certificate));
    let missing = TlsFiles { key: dir.path().join("none"), ..files.clone() };
    assert!(matches!(wrong(&missing, 1), TlsError::File { path, .. } if path == missing.key));
    let empty = TlsFiles { authority: files.key.clone(), ..files.clone() };
    assert!(matches!(wrong(&empty, 1), TlsError::File { path, .. } if path == empty.authority));
}
