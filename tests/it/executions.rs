//! Workflows and executions over HTTP, as a service developer meets them.

use serde_json::{Value, json};

use crate::harness::{Server, answer, web};

fn noops(name: &str, steps: usize) -> Value {
    let steps: Vec<_> =
        (0..steps).map(|n| json!({"id": format!("s{n}"), "type": "noop", "params": {"value": n}})).collect();
    json!({"name": name, "status": "active", "steps": steps})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hello_workflow_is_created_triggered_and_polled() {
    let web = web(|_| (200, r#"{"hello":"world"}"#.to_owned())).await;
    let server = Server::start().await;
    let id = server
        .workflow(json!({
            "name": "Hello Workflow", "description": "Demo multi-step workflow", "status": "active",
            "steps": [
                {"id": "hello", "type": "shell", "params": {"command": "echo 'Hello World ☺'", "timeout": 5}},
                {"id": "http_get", "type": "http", "params": {"url": format!("http://{web}/get"), "method": "GET"}},
            ],
        }))
        .await;
    let triggered = server.post(&format!("/api/workflows/{id}/trigger"), json!({})).await;
    assert!(["pending", "running"].contains(&triggered["status"].as_str().unwrap()), "{triggered}");
    let execution = server.finished(triggered["execution_id"].as_str().unwrap()).await;
    assert_eq!(execution["status"], "completed", "{execution}");
    assert_eq!(execution["result"]["results"]["hello"]["stdout"], "Hello World ☺\n");
    assert_eq!(execution["result"]["results"]["http_get"]["body"], json!({"hello": "world"}));
    assert_eq!(execution["workflow_id"], json!(id));
}

#[tokio::test(flavor = "multi_thread")]
async fn execute_waits_and_answers_the_result() {
    let server = Server::start().await;
    let mut definition = noops("waits", 3);
    definition["output"] = json!({"last": "${ steps.s2.output }", "who": "${ input.who }"});
    let id = server.workflow(definition).await;
    let path = format!("/api/workflows/{id}/execute?wait=30s");
    let done = server.call("POST", &path, Some(json!({"input": {"who": "me"}}))).await;
    assert_eq!(done.status, 200, "{}", done.text);
    assert_eq!(done.body["result"]["output"], json!({"last": 2, "who": "me"}));
    assert_eq!(done.body["result"]["results"], json!({"s0": 0, "s1": 1, "s2": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_runs_out_answers_202_and_the_execution_goes_on() {
    let server = Server::start().await;
    let definition =
        json!({"name": "sleeps", "steps": [{"id": "nap", "type": "delay", "params": {"for": "1h"}}]});
    let id = server.workflow(definition).await;
    let path = format!("/api/workflows/{id}/execute?wait=50ms");
    let waiting = server.call("POST", &path, Some(json!({}))).await;
    assert_eq!(waiting.status, 202, "{}", waiting.text);
    let execution_id = waiting.body["execution_id"].as_str().unwrap();
    let explained = server.get(&format!("/api/executions/{execution_id}/explain")).await;
    assert!(explained.to_string().contains("nap"), "{explained}");
    let cancelled =
        server.post(&format!("/api/executions/{execution_id}/cancel"), json!({"reason": "enough"})).await;
    assert_eq!(cancelled["status"], "cancelled");
    let again = server.call("POST", &format!("/api/executions/{execution_id}/cancel"), Some(json!({}))).await;
    assert_eq!((again.status, again.body["code"].as_str()), (409, Some("not_allowed")), "{}", again.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_makes_a_submission_happen_once() {
    let server = Server::start().await;
    let id = server.workflow(noops("once", 1)).await;
    let trigger = |input: Value| {
        server
            .request("POST", &format!("/api/workflows/{id}/trigger"))
            .header("Idempotency-Key", "order-7")
            .json(&json!({"input": input}))
    };
    let first = answer(trigger(json!({"n": 1}))).await;
    let second = answer(trigger(json!({"n": 1}))).await;
    assert_eq!(first.body["execution_id"], second.body["execution_id"], "{} {}", first.text, second.text);
    assert_eq!(second.headers["idempotent-replayed"], "true");
    let other = answer(trigger(json!({"n": 2}))).await;
    assert_eq!(
        (other.status, other.body["code"].as_str()),
        (422, Some("idempotency_key_reused")),
        "{}",
        other.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_answered_although_a_new_submission_would_be_refused() {
    let server = Server::start().await;
    let id = server.workflow(noops("kept", 1)).await;
    let trigger = |key: &str, n: u32| {
        server
            .request("POST", &format!("/api/workflows/{id}/trigger"))
            .header("Idempotency-Key", key)
            .json(&json!({"input": {"n": n}}))
    };
    let first = answer(trigger("order-7", 1)).await;
    server.finished(first.body["execution_id"].as_str().unwrap()).await;

    let mut stricter = noops("kept", 1);
    stricter["input"] = json!({"required": ["name"]});
    let updated = server.call("PUT", &format!("/api/workflows/{id}"), Some(stricter)).await;
    assert_eq!(updated.status, 200, "{}", updated.text);
    let repeat = answer(trigger("order-7", 1)).await;
    assert_eq!(repeat.body["execution_id"], first.body["execution_id"], "{}", repeat.text);
    assert_eq!(answer(trigger("order-8", 1)).await.status, 422);

    let deleted = server.call("DELETE", &format!("/api/workflows/{id}"), None).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    let repeat = answer(trigger("order-7", 1)).await;
    assert_eq!(repeat.body["execution_id"], first.body["execution_id"], "{}", repeat.text);
    assert_eq!(repeat.headers["idempotent-replayed"], "true");
    let refused = [answer(trigger("order-7", 2)).await.status, answer(trigger("order-8", 1)).await.status];
    assert_eq!(refused, [404, 404], "another request, and another key");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_starts_nothing_until_it_is_resumed() {
    let server = Server::start().await;
    let definition = json!({"name": "held", "steps": [
        {"id": "nap", "type": "delay", "params": {"for": "50ms"}},
        {"id": "after", "type": "noop", "params": {"value": 1}},
    ]});
    let submitted = server.post("/api/executions", json!({"definition": definition})).await;
    let id = submitted["execution_id"].as_str().unwrap().to_owned();
    let paused =
        server.call("POST", &format!("/api/executions/{id}/pause"), Some(json!({"reason": "look"}))).await;
    if paused.status == 200 {
        assert_eq!(paused.body["status"], "paused");
        let resumed = server.post(&format!("/api/executions/{id}/resume"), json!({})).await;
        assert_ne!(resumed["status"], "paused");
    }
    assert_eq!(server.finished(&id).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_retried_by_hand_from_where_it_failed() {
    let server = Server::start().await;
    let flag = server.dir.path().join("flag");
    let log = server.dir.path().join("log");
    let (flag_text, log_text) = (flag.display().to_string(), log.display().to_string());
    let definition = json!({"name": "repair", "steps": [
        {"id": "first", "type": "shell", "params": {"command": format!("echo first >> {log_text}")}},
        {"id": "second", "type": "shell", "params": {"command": format!("test -e {flag_text}")}},
    ]});
    let failed = server.run(definition, Value::Null).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(
        (failed["error"]["code"].as_str(), failed["error"]["step"].as_str()),
        (Some("exit_1"), Some("second"))
    );
    std::fs::write(&flag, "").unwrap();
    let id = failed["id"].as_str().unwrap();
    server.post(&format!("/api/executions/{id}/retry"), json!({"from": "failed"})).await;
    assert_eq!(server.finished(id).await["status"], "completed");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "first\n", "a completed step is never run again");
    let logs = server.get(&format!("/api/executions/{id}/logs")).await;
    let attempts: Vec<_> =
        logs.as_array().unwrap().iter().map(|it| (it["step_id"].clone(), it["attempt"].clone())).collect();
    assert_eq!(
        attempts,
        [(json!("first"), json!(1)), (json!("second"), json!(1)), (json!("second"), json!(2))]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_and_page() {
    let server = Server::start().await;
    let id = server.workflow(noops("listed", 1)).await;
    for _ in 0..7 {
        server.call("POST", &format!("/api/workflows/{id}/execute?wait=30s"), Some(json!({}))).await;
    }
    server.run(noops("other", 1), Value::Null).await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/executions?workflow_id={id}&status=completed&limit=3{cursor}");
        let page = server.get(&path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(seen, sorted, "newest first, none twice");
    assert_eq!(seen.len(), 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_for_one_decision_goes_on_by_itself() {
    let server = Server::start().await;
    let pure = (0..5).map(|n| {
        let params = json!({"that": true, "message": "${ input.ballast }"});
        json!({"id": format!("p{n}"), "type": "logic", "action": "assert", "needs": [], "params": params})
    });
    let effects = (0..10).map(|n| {
        let params = json!({"value": "${ input.ballast }"});
        json!({"id": format!("s{n}"), "type": "noop", "needs": ["p0"], "params": params, "output": {"n": n}})
    });
    let definition =
        json!({"name": "heavy", "status": "active", "steps": pure.chain(effects).collect::<Vec<_>>()});
    let id = server.workflow(definition).await;
    let input = json!({"input": {"ballast": "x".repeat(950_000)}});
    let done = server.post(&format!("/api/workflows/{id}/execute?wait=50s"), input).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["result"]["results"]["s9"], json!({"n": 9}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_everything_and_goes_on() {
    let mut server = Server::start().await;
    let id = server.workflow(noops("kept", 2)).await;
    let done = server.post(&format!("/api/workflows/{id}/execute?wait=30s"), json!({})).await;
    let sleeping = server
        .post(
            "/api/executions",
            json!({"definition": {"name": "naps", "steps": [
                {"id": "nap", "type": "delay", "params": {"for": "300ms"}},
                {"id": "after", "type": "noop", "params": {"value": "woken"}},
            ]}}),
        )
        .await;
    server.restart().await;
    assert_eq!(
        server.get(&format!("/api/executions/{}", done["id"].as_str().unwrap())).await,
        done_again(&done)
    );
    assert_eq!(server.get(&format!("/api/workflows/{id}")).await["name"], "kept");
    let woken = server.finished(sleeping["execution_id"].as_str().unwrap()).await;
    assert_eq!(woken["result"]["results"]["after"], "woken");
    let again = server.post(&format!("/api/workflows/{id}/execute?wait=30s"), json!({})).await;
    assert_eq!(again["status"], "completed");
}

/// The object as GET shows it: without what only a creation adds.
fn done_again(done: &Value) -> Value {
    let mut plain = done.clone();
    plain.as_object_mut().unwrap().remove("execution_id");
    plain
}
