//! One execution that is as large as one may be.

use serde_json::{Value, json};

use crate::harness::Server;

/// Bytes of the text that every step repeats. With quotes and keys it stays below the limit of a document, a MiB.
const BALLAST_BYTES: usize = 1_000_000;

/// Steps that each keep the input twice, as parameters and as output, and more of them than there is room for.
fn greedy() -> Value {
    let step = |n: usize| json!({"id": format!("s{n}"), "type": "noop", "params": {"value": "${ input }"}});
    json!({"name": "greedy", "steps": (0..20).map(step).collect::<Vec<_>>()})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_that_keeps_too_much_ends_and_nobody_else_notices() {
    let mut server = Server::start().await;
    let naps = json!({"name": "naps", "steps": [
        {"id": "nap", "type": "delay", "params": {"for": "500ms"}},
        {"id": "after", "type": "noop", "params": {"value": "woken"}}]});
    let beside = server.post("/api/executions", json!({"definition": naps})).await;
    let input = "x".repeat(BALLAST_BYTES);
    let done = server.run(greedy(), json!(input)).await;
    assert_eq!((done["status"].as_str(), &done["error"]["code"]), (Some("failed"), &json!("limit")));
    let message = done["error"]["message"].as_str().unwrap();
    assert!(message.contains("the limit is 33554432"), "{message}");
    assert_eq!(done["error"]["step"], "s16", "the first for which there was no room");
    let results = done["result"]["results"].as_object().unwrap();
    assert_eq!(results["s15"], json!(input), "the last that had room");

    let beside = server.finished(beside["execution_id"].as_str().unwrap()).await;
    assert_eq!(beside["result"]["results"]["after"], "woken");
    let id = done["id"].as_str().unwrap();
    server.restart().await;
    assert!(server.get(&format!("/api/executions/{id}")).await == done, "a restart keeps it as it is");
    let history = server.get(&format!("/api/executions/{id}/history?limit=1000")).await;
    assert!(!history["items"].as_array().unwrap().is_empty());
    let logs = server.get(&format!("/api/executions/{id}/logs")).await;
    assert_eq!(logs[0]["step_id"], "s0");
    let small = server.run(json!({"name": "one", "steps": [{"id": "a", "type": "noop"}]}), json!(1)).await;
    assert_eq!(small["status"], "completed");
}
