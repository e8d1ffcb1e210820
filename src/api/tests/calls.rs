//! What is answered, read through the schemas of the contract.

use axum::body::Body;
use axum::http::Request;
use everstep_proto::v1;
use everstep_proto::v1::execution_service_client::ExecutionServiceClient;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{ID, Node, body};
use crate::api::docs::schema;

const HELLO: &str = r#"{"name":"hello","steps":[{"id":"say","type":"noop","params":{"value":"${ input }"}},
    {"id":"then","type":"logic","action":"set","params":{"x":1}}],"output":{"said":"${ steps.say.output }"}}"#;

/// Reads an answer as the contract describes it; unknown and missing fields fail.
fn lawful<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

async fn workflow(node: &Node) -> String {
    let (status, created) = node.json("POST", "/api/workflows", HELLO).await;
    assert_eq!(status, 201, "{created}");
    lawful::<schema::Workflow>(&created);
    created["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_execution_from_beginning_to_end() {
    let node = Node::start().await;
    let id = workflow(&node).await;
    let path = format!("/api/workflows/{id}/execute?wait=30s");
    let (status, done) = node.json("POST", &path, r#"{"input": 7, "labels": {"team": "shop"}}"#).await;
    assert_eq!(status, 200, "{done}");
    let execution: schema::Execution = lawful(&done);
    assert_eq!(execution.execution_id, Some(execution.id));
    assert_eq!(done["result"], json!({"results": {"say": 7, "then": {"x": 1}}, "output": {"said": 7}}));

    let path = format!("/api/executions/{}", execution.id);
    let (_, logs) = node.json("GET", &format!("{path}/logs"), "").await;
    let lines: Vec<schema::LogLine> = lawful(&logs);
    assert_eq!(lines.len(), 2, "{logs}");
    let (_, first) = node.json("GET", &format!("{path}/history?limit=2"), "").await;
    lawful::<schema::EventPage>(&first);
    let cursor = first["next_cursor"].as_str().expect("there are more than two events");
    let (_, rest) = node.json("GET", &format!("{path}/history?cursor={cursor}"), "").await;
    assert_eq!(rest["items"][0]["version"], 3);
    let (_, explained) = node.json("GET", &format!("{path}/explain"), "").await;
    lawful::<schema::Explanation>(&explained);
    let (_, page) = node.json("GET", "/runs?status=completed&label=team:shop", "").await;
    lawful::<schema::ExecutionPage>(&page);
    assert_eq!(page["items"][0]["id"], done["id"]);
    let (status, refused) = node.json("POST", &format!("{path}/pause"), "").await;
    assert_eq!((status, refused["code"].as_str()), (409, Some("not_allowed")), "{refused}");
}

#[tokio::test]
async fn a_key_makes_it_happen_once() {
    let node = Node::start().await;
    let id = workflow(&node).await;
    let send = |text: &'static str| {
        let path = format!("/api/workflows/{id}/trigger");
        let request = Request::builder().method("POST").uri(path).header("idempotency-key", "k-1");
        node.call(request.body(Body::from(text)).unwrap())
    };
    let first = send("").await;
    assert_eq!(first.status(), 201);
    assert!(first.headers().contains_key("location"));
    let again = send("").await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    let ids = [body(first).await, body(again).await]
        .map(|it| serde_json::from_slice::<Value>(&it).unwrap()["execution_id"].clone());
    assert_eq!(ids[0], ids[1]);
    assert_eq!(send(r#"{"input": 1}"#).await.status(), 422);
}

#[tokio::test]
async fn the_stream_ends_after_the_last_event() {
    let node = Node::start().await;
    let (_, begun) = node.json("POST", "/api/executions", &format!("{{\"definition\": {HELLO}}}")).await;
    let path = format!("/api/executions/{}/stream", begun["id"].as_str().unwrap());
    let whole = node.call(Request::builder().uri(&path).body(Body::empty()).unwrap()).await;
    assert_eq!(whole.headers()["content-type"], "text/event-stream");
    let text = String::from_utf8(body(whole).await).unwrap();
    let ids: Vec<u64> =
        text.lines().filter_map(|line| line.strip_prefix("id: ")).map(|id| id.parse().unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains("\"type\":\"completed\""), "{text}");

    let resumed = |after: u64| {
        let request = Request::builder().uri(&path).header("last-event-id", after.to_string());
        node.call(request.body(Body::empty()).unwrap())
    };
    let last = ids.len() as u64;
    let text = String::from_utf8(body(resumed(last - 1).await).await).unwrap();
    assert_eq!(text.matches("id: ").count(), 1, "{text}");
    assert_eq!(resumed(last).await.status(), 204);
}

#[tokio::test]
async fn a_workflow_has_versions() {
    let node = Node::start().await;
    let id = workflow(&node).await;
    let path = format!("/api/workflows/{id}");
    let put = |tag: &'static str| {
        let request = Request::builder().method("PUT").uri(&path).header("if-match", tag);
        node.call(request.body(Body::from(HELLO.replace("\"x\":1", "\"x\":2"))).unwrap())
    };
    assert_eq!(put("\"1\"").await.headers()["etag"], "\"2\"");
    assert_eq!(put("\"1\"").await.status(), 412);
    let (_, page) = node.json("GET", &format!("{path}/versions?limit=1"), "").await;
    lawful::<schema::VersionPage>(&page);
    assert_eq!(page["items"][0]["version"], 2);
    assert!(page["next_cursor"].is_string());
    let (status, missing) = node.json("GET", &format!("{path}?version=3"), "").await;
    assert_eq!((status, missing["code"].as_str()), (404, Some("version_not_found")));
    let (_, list) = node.json("GET", "/api/workflows", "").await;
    lawful::<schema::WorkflowPage>(&list);
    let (_, said) = node.json("POST", "/api/workflows/validate", "{\"steps\": []}").await;
    lawful::<schema::Validation>(&said);
    assert_eq!(said["valid"], false);
    let gone = node.json("DELETE", &path, "").await.0;
    assert_eq!(gone, 204);
    assert_eq!(node.json("GET", &path, "").await.0, 404);
}

#[tokio::test]
async fn the_same_over_grpc() {
    let node = Node::start().await;
    let mut client = ExecutionServiceClient::new(node.router.clone());
    let what = Some(v1::submit_request::What::Definition(HELLO.to_owned()));
    let input_json = "9007199254740993".to_owned();
    let submission = Some(v1::SubmitRequest { what, input_json, ..v1::SubmitRequest::default() });
    let done = client.execute(v1::ExecuteRequest { submission, wait: None }).await.unwrap().into_inner();
    assert!(done.finished);
    let execution = done.execution.unwrap();
    assert_eq!(execution.status(), v1::ExecutionStatus::Completed);
    assert_eq!(execution.results_json["say"], "9007199254740993", "numbers keep their digits");

    let request = v1::WatchRequest { id: execution.id.clone(), after_version: 0 };
    let mut events = client.watch(request).await.unwrap().into_inner();
    let mut last = v1::Event::default();
    while let Some(answer) = events.message().await.unwrap() {
        last = answer.event.unwrap();
    }
    assert_eq!((last.version, last.r#type.as_str()), (execution.version, "completed"));

    let status = client.get(v1::GetExecutionRequest { id: ID.to_owned() }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
    assert_eq!(status.metadata().get("everstep-code").unwrap(), "execution_not_found");
}

#[tokio::test]
async fn every_mistake_of_an_input_is_named() {
    let node = Node::start().await;
    let definition = json!({"name": "strict", "steps": [{"type": "noop"}], "input": {"type": "object",
        "required": ["a"], "properties": {"b": {"type": "integer"}, "c": {"items": {"type": "string"}}}}});
    let refused = async |input: Value| {
        let wish = json!({"definition": definition, "input": input}).to_string();
        let (status, problem) = node.json("POST", "/api/executions", &wish).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some("invalid_input")), "{problem}");
        problem
    };
    let problem = refused(json!({"b": "x", "c": [1]})).await;
    let errors = problem["errors"].as_array().expect("a list");
    let mut pointers: Vec<_> = errors.iter().map(|it| it["pointer"].as_str().unwrap()).collect();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/input", "/input/b", "/input/c/0"], "{problem}");
    assert_eq!(problem["pointer"], problem["errors"][0]["pointer"]);
    let many = refused(json!({"a": 1, "c": vec![1; 1_000]})).await;
    assert_eq!(many["errors"].as_array().map(Vec::len), Some(20), "the list has an end");
}

#[tokio::test]
async fn who_cancelled_an_execution_and_why_is_its_error() {
    let node = Node::start().await;
    let nap = r#"{"definition": {"name": "nap", "steps": [{"type": "delay", "params": {"for": "1h"}}]}}"#;
    let (_, begun) = node.json("POST", "/api/executions", nap).await;
    let path = format!("/api/executions/{}", begun["id"].as_str().unwrap());
    let (status, cancelled) =
        node.json("POST", &format!("{path}/cancel"), r#"{"reason": "the customer left"}"#).await;
    assert_eq!(status, 200, "{cancelled}");
    lawful::<schema::Execution>(&cancelled);
    assert_eq!(cancelled["error"]["code"], "cancelled");
    assert_eq!(cancelled["error"]["message"], "cancelled by dev: the customer left");
    let (_, history) = node.json("GET", &format!("{path}/history"), "").await;
    assert_eq!(history["items"][0]["workflow_version"], Value::Null, "an inline definition has no version");
    assert_eq!(begun["workflow_version"], Value::Null);
}

#[tokio::test]
async fn a_step_that_never_got_to_an_attempt_failed_in_its_first() {
    let node = Node::start().await;
    let wish = r#"{"definition": {"name": "no", "steps": [
        {"type": "noop", "params": {"value": "${ input.missing }"}, "on_error": "continue"},
        {"type": "logic", "action": "set", "params": {"n": "${ steps.0.error.attempt }"}},
        {"type": "noop", "params": {"value": "${ input.missing }"}}]}, "input": {}}"#;
    let (_, failed) = node.json("POST", "/api/executions?wait=30s", wish).await;
    assert_eq!((&failed["status"], &failed["error"]["attempt"]), (&json!("failed"), &json!(1)), "{failed}");
    assert_eq!(failed["result"]["results"]["step1"]["n"], 1);
    let (_, logs) =
        node.json("GET", &format!("/api/executions/{}/logs", failed["id"].as_str().unwrap()), "").await;
    assert!(logs.as_array().unwrap().iter().all(|line| line["attempt"] == 1), "{logs}");
}

#[tokio::test]
async fn a_reader_ahead_of_the_history_is_told_so() {
    let node = Node::start().await;
    let nap = r#"{"definition": {"name": "nap", "steps": [{"type": "delay", "params": {"for": "1h"}}]}}"#;
    let (_, begun) = node.json("POST", "/api/executions", nap).await;
    let path = format!("/api/executions/{}", begun["id"].as_str().unwrap());
    for query in ["history?cursor=hffffffffffffffff", "stream?last_event_id=18446744073709551615"] {
        let (status, problem) = node.json("GET", &format!("{path}/{query}"), "").await;
        assert_eq!(
            (status, problem["code"].as_str()),
            (400, Some("invalid_parameter")),
            "{query}: {problem}"
        );
    }
    let noop = r#"{"definition": {"name": "done", "steps": [{"type": "noop"}]}}"#;
    let (_, done) = node.json("POST", "/api/executions?wait=10s", noop).await;
    let beyond = format!("/api/executions/{}/stream?last_event_id=4294967295", done["id"].as_str().unwrap());
    assert_eq!(node.json("GET", &beyond, "").await.0, 400, "also when nothing can come any more");
    let (status, page) = node.json("GET", &format!("{path}/history?cursor=hffffffff"), "").await;
    assert_eq!((status, &page["items"]), (200, &json!([])));
    let mut client = ExecutionServiceClient::new(node.router.clone());
    let id = begun["id"].as_str().unwrap().to_owned();
    let status = client.watch(v1::WatchRequest { id, after_version: u64::MAX }).await.err().unwrap();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn what_the_grpc_library_refuses_has_a_code_too() {
    let node = Node::start().await;
    let mut client = ExecutionServiceClient::new(node.router.clone());
    let what = Some(v1::submit_request::What::Definition("x".repeat(5 << 20)));
    let status = client.submit(v1::SubmitRequest { what, ..v1::SubmitRequest::default() }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    assert_eq!(status.metadata().get("everstep-code").unwrap(), "body_too_large");
    let call = |path: &str, bytes: &'static [u8]| {
        let request = Request::builder().method("POST").uri(path).header("content-type", "application/grpc");
        node.call(request.body(Body::from(bytes)).unwrap())
    };
    let broken = call("/everstep.v1.ExecutionService/Get", b"\0\0\0\0\x02\xff\xff").await;
    assert_eq!(broken.headers()["everstep-code"], "invalid_message", "{:?}", broken.headers());
    assert_eq!(broken.headers()["grpc-status"], "3");
    let unknown = call("/everstep.v1.ExecutionService/Nothing", b"").await;
    assert!(unknown.headers().contains_key("everstep-code"), "{:?}", unknown.headers());
}
