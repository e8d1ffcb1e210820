//! Watching an execution.

use std::time::Duration;

use super::*;

/// Long enough for anything that will come; a test waits for it only to see that nothing does.
const NEVER: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_watch_wakes_for_its_execution_and_misses_nothing() {
    let mut bench = Bench::new(Limits::default());
    let (one, other) = (id(START_MS, 1), id(START_MS, 2));
    let mut watch = bench.machine.watch(one);
    let mut second = bench.machine.watch(one);
    bench.start("acme", other);
    assert!(tokio::time::timeout(NEVER, watch.changed()).await.is_err(), "that was another");
    // The change comes before anybody waits for it.
    bench.start("acme", one);
    watch.changed().await;
    second.changed().await;
    assert!(tokio::time::timeout(NEVER, watch.changed()).await.is_err(), "once is once");
    drop(second);
    bench.go_on("acme", one, vec![completed()]);
    watch.changed().await;
    drop(watch);
    assert!(!bench.machine.watches.any(), "nobody watches any more");
}

#[tokio::test]
async fn a_refused_append_wakes_nobody() {
    let mut bench = Bench::new(Limits::default());
    let id = id(START_MS, 1);
    let mut watch = bench.machine.watch(id);
    bench.append(append("acme", id, 5, vec![completed()])).unwrap_err();
    assert!(tokio::time::timeout(NEVER, watch.changed()).await.is_err(), "nothing changed");
}
