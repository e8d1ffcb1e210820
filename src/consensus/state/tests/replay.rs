//! A machine that crashes at any moment and replays its log ends as one that never did.

use proptest::prelude::*;
use proptest::sample::select;

use crate::engine::model::{Event, SpecHash};

use super::*;

/// What happens next. Numbers choose from what is there.
#[derive(Debug, Clone)]
enum Act {
    Append {
        who: u8,
        what: u8,
        more: u8,
        off: bool,
        claim: Option<u8>,
        twice: bool,
    },
    Lead,
    Stale {
        who: u8,
    },
    Blank,
    Pin {
        text: u8,
    },
    Later {
        ms: u16,
    },
    Checkpoint,
    /// An entry is applied while a checkpoint writes.
    Between {
        who: u8,
        what: u8,
    },
    /// The store fails after so many operations, then the power is cut; so many unsynced batches survive.
    Crash {
        fail_after: Option<u8>,
        survive: u8,
    },
    /// Another replica takes over from a snapshot.
    Move,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let append = (
        0..12_u8,
        0..10_u8,
        0..6_u8,
        prop::bool::weighted(0.1),
        prop::option::weighted(0.3, 0..4_u8),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(who, what, more, off, claim, twice)| Act::Append {
            who,
            what,
            more,
            off,
            claim,
            twice,
        });
    let act = prop_oneof![
        12 => append,
        1 => Just(Act::Lead),
        1 => (0..12_u8).prop_map(|who| Act::Stale { who }),
        1 => Just(Act::Blank),
        1 => (0..3_u8).prop_map(|text| Act::Pin { text }),
        2 => select(vec![1_u16, 40, 70, 700]).prop_map(|ms| Act::Later { ms }),
        5 => Just(Act::Checkpoint),
        3 => (0..12_u8, 0..10_u8).prop_map(|(who, what)| Act::Between { who, what }),
        2 => (prop::option::of(0..2_u8), 0..2_u8).prop_map(|(fail_after, survive)| Act::Crash { fail_after, survive }),
        1 => Just(Act::Move),
    ];
    prop::collection::vec(act, 1..120)
}

/// Twelve executions: two tenants share half of the ids, in three windows.
fn who(number: u8) -> (&'static str, ExecutionId) {
    let tenant = if number.is_multiple_of(2) { "acme" } else { "zeta" };
    (tenant, id(START_MS + 64 * u64::from(number % 3), u16::from(number / 4)))
}

fn events(tenant: &str, version: Version, what: u8, more: u8, now_ms: u64) -> Vec<Event> {
    let mut events = if version == 0 { vec![created(tenant)] } else { vec![] };
    events.push(match what {
        0..3 => started(0, 1),
        3 => done(0, 1),
        4 => backoff(1, 1, now_ms + 1_000),
        5 => waiting(1, now_ms + 500),
        6 => Event::Paused { by: "ada".into(), reason: "lunch".into() },
        7 => retried(),
        _ => completed(),
    });
    events.extend((0..more).map(|round| started(1, u32::from(round))));
    if what >= 8 {
        events.push(completed());
    }
    events
}

/// What a reply says, without how much of a history is in memory.
fn said(reply: &Reply) -> String {
    match reply {
        Reply::None => "none".into(),
        Reply::Epoch(epoch) => format!("{epoch:?}"),
        Reply::Batch(replies) => {
            let one = |reply: &Result<Arc<Record>, Conflict>| match reply {
                Ok(record) => format!("{:?} changed {}", record.execution, record.changed),
                Err(conflict) => format!("{conflict:?}"),
            };
            replies.iter().map(one).collect::<Vec<_>>().join(" | ")
        }
        Reply::Catalogue(reply) => format!("{reply:?}"),
        Reply::Node(reply) => format!("{reply:?}"),
    }
}

/// A machine that never stops and never writes, and one that suffers.
struct Pair {
    calm: Bench,
    store: MemoryStore,
    subject: Arc<Machine>,
    limits: Limits,
    /// Entry `n` at `n - 1`; none for a blank one.
    log: Vec<Option<Command>>,
}

impl Pair {
    fn entry(&mut self, command: Command) {
        self.calm.index += 1;
        let index = self.calm.index;
        let (calm, subject) = (self.calm.machine.apply(index, &command), self.subject.apply(index, &command));
        assert_eq!(said(&calm), said(&subject), "entry {index}: {command:?}");
        self.log.push(Some(command));
    }

    fn batch(&mut self, epoch: Epoch, pins: Vec<(SpecHash, Arc<str>)>, appends: Vec<Append>) {
        let at = at(self.calm.now_ms);
        self.entry(Command::Batch(Batch { epoch, at, pins, appends }));
    }

    fn act(&mut self, act: Act) {
        let epoch = self.calm.machine.epoch();
        match act {
            Act::Append { who: number, what, more, off, claim: key, twice } => {
                let (tenant, id) = who(number);
                let record = self.calm.machine.record(&super::tenant(tenant), id).unwrap();
                let version = record.map_or(0, |record| record.execution.version);
                let events = events(tenant, version, what, more, self.calm.now_ms);
                let mut append = append(tenant, id, version + Version::from(off), events);
                append.claim = key.filter(|_| version == 0).map(|key| claim(key, more));
                let mut appends = vec![append.clone()];
                if twice {
                    let expected = append.expected + append.events.len() as u64;
                    appends.push(Append {
                        expected,
                        events: vec![started(0, 9)],
                        claim: None,
                        ..append.clone()
                    });
                    appends.push(Append { claim: Some(claim(what, 0)), ..append });
                }
                self.batch(epoch, vec![], appends);
            }
            Act::Lead => {
                let at = at(self.calm.now_ms);
                self.entry(Command::LeaderEpoch { node: 1, boot: 2, at });
            }
            Act::Stale { who: number } => {
                let (tenant, id) = who(number);
                self.batch(Epoch(0), vec![], vec![append(tenant, id, 0, vec![created(tenant)])]);
            }
            Act::Blank => {
                self.calm.index += 1;
                self.calm.machine.pass(self.calm.index);
                self.subject.pass(self.calm.index);
                self.log.push(None);
            }
            Act::Pin { text } => {
                let pin = (SpecHash([text; 32]), format!("definition {text}").into());
                self.batch(epoch, vec![pin], vec![]);
            }
            Act::Later { ms } => self.calm.now_ms += u64::from(ms),
            Act::Checkpoint => {
                let done = self.subject.checkpoint(&meta_at).unwrap();
                assert!(done.index <= self.calm.index, "durable beyond the log");
            }
            Act::Between { who: number, what } => self.between(number, what),
            Act::Crash { fail_after, survive } => {
                if let Some(operations) = fail_after {
                    self.store.fail_after(Some(operations.into()));
                    let _ = self.subject.checkpoint(&meta_at);
                }
                self.store.lose_unsynced_after(survive.into());
                self.subject = open(&self.store, 1, &self.limits);
                self.replay();
            }
            Act::Move => self.move_to_another(),
        }
    }

    fn between(&mut self, number: u8, what: u8) {
        let (tenant, id) = who(number);
        let record = self.calm.machine.record(&super::tenant(tenant), id).unwrap();
        let version = record.map_or(0, |record| record.execution.version);
        let events = events(tenant, version, what, 1, self.calm.now_ms);
        let (epoch, at) = (self.calm.machine.epoch(), at(self.calm.now_ms));
        let appends = vec![append(tenant, id, version, events)];
        let command = Command::Batch(Batch { epoch, at, pins: vec![], appends });
        self.calm.index += 1;
        let index = self.calm.index;
        self.calm.machine.apply(index, &command);
        // The meta is asked for when the slice is picked and before it is written.
        let during = |durable| {
            self.subject.apply(index, &command);
            meta_at(durable)
        };
        self.subject.checkpoint(&during).unwrap();
        self.subject.apply(index, &command);
        self.log.push(Some(command));
    }

    fn replay(&mut self) {
        let applied = self.subject.applied();
        assert_eq!(applied.meta, if applied.index == 0 { None } else { meta_at(applied.index) });
        let durable = usize::try_from(applied.index).unwrap();
        for (index, command) in (applied.index + 1..).zip(&self.log[durable..]) {
            match command {
                Some(command) => drop(self.subject.apply(index, command)),
                None => self.subject.pass(index),
            }
        }
    }

    fn move_to_another(&mut self) {
        let mut reader = self.subject.snapshot().unwrap();
        let store = MemoryStore::new();
        let other = open(&store, 1, &self.limits);
        let mut chunks = Vec::new();
        while let Some(chunk) = reader.next_chunk().unwrap() {
            chunks.push(chunk);
        }
        other.install(reader.index(), &mut chunks.into_iter()).unwrap();
        (self.store, self.subject) = (store, other);
        self.replay();
    }

    fn compare(&self) {
        let (calm, subject) = (&self.calm.machine, &self.subject);
        assert_eq!(calm.applied().index, subject.applied().index);
        let mut lives = [calm.live(), subject.live()];
        lives.iter_mut().for_each(|rows| rows.sort_by_key(|row| (row.tenant.clone(), row.id)));
        assert_eq!(lives[0], lives[1], "the live rows differ");
        for name in ["acme", "zeta"] {
            let tenant = tenant(name);
            assert_eq!(lists::ids(calm, name), lists::ids(subject, name), "the lists of {name} differ");
            let running = |machine: &Machine| machine.running_of(&tenant, workflow_id(7));
            assert_eq!(running(calm), running(subject), "the counts of {name} differ");
        }
        for text in 0..3 {
            let hash = SpecHash([text; 32]);
            assert_eq!(calm.is_pinned(hash), subject.is_pinned(hash), "pin {text} differs");
        }
        assert_eq!(calm.digest().unwrap(), subject.digest().unwrap(), "the digests differ");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn crashes_and_moves_leave_no_trace(acts in acts()) {
        let limits = tight();
        let store = MemoryStore::new();
        let subject = open(&store, 1, &limits);
        let calm = Bench::new(Limits::default());
        let lead = Command::LeaderEpoch { node: 1, boot: 1, at: at(START_MS) };
        subject.apply(1, &lead);
        let mut pair = Pair { calm, store, subject, limits, log: vec![Some(lead)] };
        for act in acts {
            pair.act(act);
        }
        pair.compare();
        pair.act(Act::Crash { fail_after: None, survive: 0 });
        pair.compare();
    }
}
