//! Finding executions over memory, rows and packs.

use crate::engine::model::Status;

use super::super::super::view::ListQuery;
use super::*;

/// The ids of a tenant, page by page.
pub(super) fn ids(machine: &Machine, name: &str) -> Vec<ExecutionId> {
    walk(machine, name, &ListQuery { limit: 3, ..ListQuery::default() })
}

fn walk(machine: &Machine, name: &str, query: &ListQuery) -> Vec<ExecutionId> {
    let mut query = query.clone();
    let mut ids = Vec::new();
    loop {
        let page = machine.list(&tenant(name), &query).unwrap();
        assert!(page.items.len() <= query.limit, "a page keeps its limit");
        ids.extend(page.items.iter().map(|record| record.execution.id));
        match page.next {
            None => return ids,
            Some(next) => {
                assert!(query.before.is_none_or(|before| next < before), "a walk goes on");
                query.before = Some(next);
            }
        }
    }
}

/// 400 executions over 40 windows: every second finished, every third parked.
fn crowd(bench: &mut Bench) -> Vec<ExecutionId> {
    let mut all = Vec::new();
    for number in 0..400_u16 {
        let id = id(START_MS + 64 * u64::from(number / 10), number);
        bench.now_ms = id.unix_ms();
        bench.start("acme", id);
        match number % 6 {
            0 | 2 | 4 => bench.go_on("acme", id, vec![done(0, 1), completed()]),
            3 => bench.go_on("acme", id, vec![backoff(0, 1, START_MS + 1_000_000)]),
            _ => {}
        }
        all.push(id);
        if number % 7 == 0 {
            bench.machine.checkpoint(&meta_at).unwrap();
        }
    }
    bench.start("zeta", id(START_MS, 1));
    all.sort_unstable_by(|one, other| other.cmp(one));
    all
}

#[test]
fn lists_are_whole_and_in_order_wherever_the_records_are() {
    for limits in [tight(), Limits { pack_bytes_max: 8_000, ..tight() }, Limits::default()] {
        let mut bench = Bench::new(limits);
        let all = crowd(&mut bench);
        assert_eq!(ids(&bench.machine, "acme"), all, "while partly written");
        bench.write_all();
        assert_eq!(ids(&bench.machine, "acme"), all, "when all is written");
        bench.restart();
        assert_eq!(ids(&bench.machine, "acme"), all, "after a start");
        assert_eq!(ids(&bench.machine, "zeta"), [id(START_MS, 1)]);
        assert!(ids(&bench.machine, "nobody").is_empty());
    }
}

#[test]
fn filters_hold_in_memory_and_in_packs() {
    let mut bench = Bench::new(tight());
    let all = crowd(&mut bench);
    for round in 0..2 {
        let with = |query: ListQuery| walk(&bench.machine, "acme", &ListQuery { limit: 50, ..query });
        let finished = with(ListQuery { statuses: vec![Status::Completed], ..ListQuery::default() });
        assert_eq!(finished.len(), 200, "round {round}");
        let running = with(ListQuery { statuses: vec![Status::Running], ..ListQuery::default() });
        assert_eq!(running.len(), 200, "round {round}");
        assert_eq!(with(ListQuery { workflow: Some(workflow_id(7)), ..ListQuery::default() }), all);
        assert!(with(ListQuery { workflow: Some(workflow_id(8)), ..ListQuery::default() }).is_empty());
        let labels = |value: &str| BTreeMap::from([("team".into(), value.into())]);
        assert_eq!(with(ListQuery { labels: labels("blue"), ..ListQuery::default() }), all);
        assert!(with(ListQuery { labels: labels("red"), ..ListQuery::default() }).is_empty());
        let (from, before) = (Some(at(START_MS + 640)), Some(at(START_MS + 1_280)));
        let some = with(ListQuery { created_from: from, created_before: before, ..ListQuery::default() });
        assert_eq!(some.len(), 100, "round {round}");
        bench.write_all();
        bench.restart();
    }
}

#[test]
fn a_window_with_many_packs_is_packed_anew() {
    let mut bench = Bench::new(Limits { finished_rounds: 0, ..Limits::default() });
    let many: Vec<_> = (0..30).map(|number| id(START_MS, number)).collect();
    for id in &many {
        bench.start("acme", *id);
        bench.go_on("acme", *id, vec![completed()]);
        bench.write_all();
    }
    let packs = || bench.store.keys().iter().filter(|key| key.get(3) == Some(&b'x')).count();
    assert!(packs() > 8, "each was written alone");
    for _ in 0..4 {
        bench.machine.checkpoint(&meta_at).unwrap();
    }
    assert!(packs() <= 8, "{} packs are left", packs());
    for id in &many {
        let record = bench.machine.record(&tenant("acme"), *id).unwrap().expect("it is kept");
        assert_eq!(record.execution.version, 3);
    }
}

/// The walk ends a step at the first id of a window, and the next one has to begin below that window.
#[test]
fn a_list_goes_on_below_windows_of_many_packs() {
    let mut bench = Bench::new(Limits { finished_rounds: 0, window_packs_max: 100, ..Limits::default() });
    let mut all: Vec<_> = (0..60).map(|number| id(START_MS + 64 * u64::from(number / 20), number)).collect();
    for id in &all {
        bench.start("acme", *id);
        bench.go_on("acme", *id, vec![completed()]);
        bench.write_all();
    }
    all.reverse();
    assert_eq!(ids(&bench.machine, "acme"), all);
}
