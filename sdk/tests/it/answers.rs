//! What is sent, and how answers are read.

use everstep_sdk::{Error, ExecutionFilter, ExecutionStatus, Submission, Text};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::server::{Reply, Server};

#[tokio::test]
async fn a_submission_carries_token_key_and_labels() {
    let server =
        Server::start(|_, _| Reply::json(201, json!({"id": "e1", "status": "pending", "new": 1}))).await;
    let submission = Submission::workflow("w1").version(2).input(json!({"a": 1})).label("team", "shop");
    let execution = server.client().executions().submit(&submission).await.unwrap();
    assert_eq!((execution.id.as_str(), execution.status), ("e1", ExecutionStatus::Pending));
    assert_eq!(execution.extra["new"], 1, "unknown fields are kept");
    let asked = server.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/api/executions"));
    assert_eq!(asked.header("authorization"), Some("Bearer secret"));
    assert!(asked.header("idempotency-key").is_some());
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    let expected = json!({"workflow_id": "w1", "version": 2, "input": {"a": 1}, "labels": {"team": "shop"}});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_refusal_keeps_what_the_server_said() {
    let document = json!({
        "type": "about:blank", "title": "Bad", "status": 422, "code": "invalid_definition", "detail": "no steps",
        "pointer": "/steps", "trace_id": "t1",
        "errors": [{"pointer": "/steps", "code": "missing", "message": "no steps", "line": 3, "column": 1}],
    });
    let server = Server::start(move |_, _| Reply::json(422, document.clone())).await;
    let error = server.client().workflows().create(Text("name: x")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.pointer(), error.trace_id()),
        ("invalid_definition", Some("/steps"), Some("t1"))
    );
    assert_eq!(error.to_string(), "no steps");
    assert_eq!(error.problem().unwrap().errors[0].line, Some(3));
    assert_eq!(server.asked()[0].header("content-type"), Some("application/yaml"));
    let validation = server.client().workflows().validate(Text("{}")).await.unwrap();
    assert!(!validation.valid && validation.errors.len() == 1, "a wrong definition is an answer to a check");
}

#[tokio::test]
async fn an_answer_of_a_proxy_is_a_problem_too() {
    let server = Server::start(|_, _| Reply::Answer(404, Vec::new(), "<html>".to_owned())).await;
    let error = server.client().executions().get("e1").await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.code(), "http_404");
}

#[tokio::test]
async fn an_answer_that_is_not_json_is_malformed() {
    let server = Server::start(|_, _| Reply::Answer(200, Vec::new(), "<html>".to_owned())).await;
    let error = server.client().executions().get("e1").await.unwrap_err();
    assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
}

#[tokio::test]
async fn lists_are_read_page_after_page() {
    let server = Server::start(|_, asked| {
        let second = asked.path.contains("cursor=c1");
        let (items, next) = if second {
            (json!([{"id": "e3"}]), None)
        } else {
            (json!([{"id": "e1"}, {"id": "e2"}]), Some("c1"))
        };
        Reply::json(200, json!({"items": items, "next_cursor": next}))
    })
    .await;
    let filter = ExecutionFilter {
        status: vec!["failed".to_owned(), "running".to_owned()],
        labels: [("team".to_owned(), "a&b".to_owned())].into(),
        ..ExecutionFilter::default()
    };
    let found: Vec<_> = server.client().executions().list(filter).try_collect().await.unwrap();
    let ids: Vec<_> = found.iter().map(|execution| execution.id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2", "e3"]);
    let asked = server.asked();
    assert_eq!(asked[0].path, "/api/executions?status=failed%2Crunning&label=team%3Aa%26b");
    assert_eq!(asked[1].path, "/api/executions?status=failed%2Crunning&label=team%3Aa%26b&cursor=c1");
}

#[tokio::test]
async fn an_id_cannot_leave_its_place_in_the_path() {
    let server = Server::start(|_, _| Reply::json(404, json!({"code": "execution_not_found"}))).await;
    let error = server.client().executions().get("a/../b?c#d").await.unwrap_err();
    assert_eq!(error.code(), "execution_not_found");
    assert_eq!(server.asked()[0].path, "/api/executions/a%2F..%2Fb%3Fc%23d");
}
