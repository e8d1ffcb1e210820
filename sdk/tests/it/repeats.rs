//! Which calls are tried again, and which are not.

use std::time::Duration;

use everstep_sdk::{Client, Error, Retry, Submission};
use serde_json::json;

use crate::server::{Reply, Server};

fn unavailable() -> Reply {
    Reply::json(503, json!({"code": "unavailable", "detail": "no leader"}))
}

#[tokio::test]
async fn a_creation_is_repeated_with_the_same_key() {
    let server = Server::start(|number, _| match number {
        0 => unavailable(),
        1 => Reply::Cut("{\"id\":".to_owned()),
        _ => Reply::json(201, json!({"id": "e1"})),
    })
    .await;
    let execution = server.client().executions().submit(&Submission::text("steps: []")).await.unwrap();
    assert_eq!(execution.id, "e1");
    let keys: Vec<_> =
        server.asked().iter().map(|asked| asked.header("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "the server can tell a repeat: {keys:?}");
}

#[tokio::test]
async fn an_action_is_not_repeated_once_it_may_have_happened() {
    let server = Server::start(|_, _| unavailable()).await;
    let error = server.client().executions().cancel("e1", None).await.unwrap_err();
    assert!(error.is_unavailable());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn an_action_refused_for_load_is_repeated() {
    let server = Server::start(|number, _| match number {
        0 => Reply::json(429, json!({"code": "overloaded"})),
        _ => Reply::json(200, json!({"id": "e1", "status": "cancelled"})),
    })
    .await;
    let execution = server.client().executions().cancel("e1", Some("why")).await.unwrap();
    assert_eq!(execution.status.as_str(), "cancelled");
    assert_eq!(server.asked()[1].body, r#"{"reason":"why"}"#);
}

#[tokio::test]
async fn tries_are_counted() {
    let server = Server::start(|_, _| unavailable()).await;
    let error = server.client().executions().get("e1").await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn a_refusal_is_not_repeated() {
    let server = Server::start(|_, _| Reply::json(409, json!({"code": "not_allowed"}))).await;
    let error = server.client().executions().submit(&Submission::text("x")).await.unwrap_err();
    assert_eq!(error.status(), Some(409));
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_server_says_how_long_to_wait() {
    let server = Server::start(|number, _| match number {
        0 => Reply::Answer(503, vec![("retry-after", "1".to_owned())], String::new()),
        _ => Reply::json(200, json!({"id": "e1"})),
    })
    .await;
    let began = std::time::Instant::now();
    server.client().executions().get("e1").await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn silence_leaves_the_outcome_unknown() {
    let server = Server::start(|_, _| Reply::Silence).await;
    let client = Client::builder(&server.address)
        .timeout(Duration::from_millis(50))
        .retry(Retry::never())
        .build()
        .unwrap();
    let error = client.executions().cancel("e1", None).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let client = Client::builder(address).retry(Retry::never()).build().unwrap();
    let error = client.ready().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}
