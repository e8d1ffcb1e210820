//! One execution from its first event to its last, and what its partition keeps of it meanwhile.

use crate::engine::model::Status;

use super::*;

#[test]
fn a_short_execution_is_written_once() {
    let mut bench = Bench::new(Limits::default());
    bench.machine.checkpoint(&meta_at).unwrap();
    let id = id(START_MS, 1);
    bench.start("acme", id);
    let done = bench.machine.checkpoint(&meta_at).unwrap();
    assert_eq!((done.written, done.index), (0, 1), "what is at work is left alone");
    bench.go_on("acme", id, vec![super::done(0, 1), completed()]);
    bench.now_ms += 100;
    bench.lead();
    let done = bench.machine.checkpoint(&meta_at).unwrap();
    assert_eq!((done.written, done.index), (1, bench.index), "its window is over");
    assert_eq!(bench.machine.counts().dirty, 0);
    assert!(!bench.store.keys().iter().any(|key| key.get(3) == Some(&b'l')), "it never had a row of its own");
    bench.restart();
    let record = bench.machine.record(&tenant("acme"), id).unwrap().expect("it is kept");
    assert_eq!(record.execution.status, Status::Completed);
    assert_eq!(record.tail.len(), 4);
}

#[test]
fn a_parked_execution_is_a_row() {
    let mut bench = Bench::new(Limits::default());
    let id = id(START_MS, 1);
    bench.start("acme", id);
    assert!(bench.machine.live()[0].runnable, "an attempt is in flight");
    bench.go_on("acme", id, vec![backoff(0, 1, START_MS + 5_000)]);
    bench.write_all();
    for _ in 0..2 {
        let rows = bench.machine.live();
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].runnable, "it waits");
        assert_eq!(rows[0].due, Some(at(START_MS + 5_000)));
        assert_eq!(bench.machine.running_of(&tenant("acme"), workflow_id(7)), 1);
        bench.restart();
    }
    bench.go_on("acme", id, vec![completed()]);
    bench.write_all();
    assert!(bench.machine.live().is_empty(), "it is over");
    assert!(!bench.store.keys().iter().any(|key| key.get(3) == Some(&b'l')), "its row is gone");
    assert_eq!(bench.machine.running_of(&tenant("acme"), workflow_id(7)), 0);
}

#[test]
fn a_finished_execution_can_be_retried_and_is_found_as_it_is() {
    let mut bench = Bench::new(tight());
    let id = id(START_MS, 1);
    bench.start("acme", id);
    bench.go_on("acme", id, vec![completed()]);
    for round in 0..3 {
        bench.write_all();
        bench.restart();
        bench.go_on("acme", id, vec![retried()]);
        assert_eq!(bench.machine.counts().live, 1, "round {round}");
        bench.write_all();
        bench.restart();
        let record = bench.machine.record(&tenant("acme"), id).unwrap().expect("it is kept");
        assert_eq!(record.execution.retries, round + 1);
        bench.go_on("acme", id, vec![completed()]);
    }
    let history = bench.machine.history(&tenant("acme"), id, 0, 100).unwrap().expect("it has one");
    assert_eq!(history.len(), 9);
}

#[test]
fn nobody_sees_what_belongs_to_another_tenant() {
    let mut bench = Bench::new(tight());
    let id = id(START_MS, 1);
    bench.start("acme", id);
    for _ in 0..2 {
        assert!(bench.machine.record(&tenant("zeta"), id).unwrap().is_none());
        assert!(bench.machine.history(&tenant("zeta"), id, 0, 9).unwrap().is_none());
        let foreign = append("zeta", id, 2, vec![completed()]);
        assert_eq!(bench.append(foreign).unwrap_err(), Conflict::Version { current: 0 });
        bench.write_all();
        bench.restart();
    }
    let mixed = append("zeta", id, 0, vec![created("acme")]);
    assert_eq!(
        bench.append(mixed).unwrap_err(),
        Conflict::Version { current: 0 },
        "the key names the tenant"
    );
}

#[test]
fn a_long_history_is_sealed_and_read_whole() {
    let mut bench = Bench::new(tight());
    let id = id(START_MS, 1);
    bench.start("acme", id);
    for attempt in 2..40 {
        bench.go_on("acme", id, vec![backoff(0, attempt - 1, START_MS), started(0, attempt)]);
        if attempt % 3 == 0 {
            bench.write_all();
        }
        if attempt % 7 == 0 {
            bench.write_all();
            bench.restart();
        }
    }
    let record = bench.machine.record(&tenant("acme"), id).unwrap().expect("it is there");
    assert!(record.tail_from > 0, "some of it is sealed");
    let whole = bench.machine.history(&tenant("acme"), id, 0, usize::MAX).unwrap().unwrap();
    assert_eq!(whole.len() as u64, record.execution.version);
    for from in 0..=whole.len() {
        for limit in [0, 1, 5, 100] {
            let part = bench.machine.history(&tenant("acme"), id, from as u64, limit).unwrap().unwrap();
            let until = whole.len().min(from + limit);
            assert_eq!(part, whole[from..until], "{limit} events from {from} on");
        }
    }
}

#[test]
fn an_append_in_pieces_that_do_not_fit_changes_nothing() {
    let mut bench = Bench::new(Limits::default());
    let id = id(START_MS, 1);
    let refused = [
        append("acme", id, 0, vec![]),
        append("acme", id, 0, vec![completed()]),
        append("acme", id, 0, vec![created("acme"), created("acme")]),
        append("acme", id, 1, vec![created("acme")]),
    ];
    for append in refused {
        assert_eq!(bench.append(append).unwrap_err(), Conflict::Version { current: 0 });
    }
    bench.start("acme", id);
    let again = append("acme", id, 2, vec![created("acme")]);
    assert_eq!(bench.append(again).unwrap_err(), Conflict::Version { current: 2 });
    let epoch = bench.lead();
    let stale = Batch {
        epoch: Epoch(1),
        at: at(START_MS),
        pins: vec![],
        appends: vec![append("acme", id, 2, vec![completed()])],
    };
    let refused = bench.batch(stale).remove(0).unwrap_err();
    assert_eq!(refused, Conflict::StaleEpoch { current: epoch });
}

#[test]
fn time_never_runs_back() {
    let mut bench = Bench::new(Limits::default());
    bench.start("acme", id(START_MS, 1));
    bench.now_ms -= 1_000;
    bench.start("acme", id(START_MS, 2));
    assert_eq!(bench.machine.at(), at(START_MS));
    let record = bench.machine.record(&tenant("acme"), id(START_MS, 2)).unwrap().unwrap();
    assert_eq!(record.tail[0].at, at(START_MS));
}
