//! Watching survives its connections.

use everstep_sdk::Error;
use futures_util::TryStreamExt;
use serde_json::json;

use crate::server::{Asked, Reply, Server};

/// Events with these versions, as the server sends them.
fn events(versions: impl IntoIterator<Item = u64>) -> String {
    let event = |version| {
        format!("id: {version}\ndata: {{\"version\":{version},\"type\":\"t{version}\",\"at\":\"x\"}}\n\n")
    };
    versions.into_iter().map(event).collect()
}

fn is_stream(asked: &Asked) -> bool {
    asked.path.ends_with("/stream")
}

#[tokio::test]
async fn a_broken_stream_is_taken_up_where_it_broke() {
    let server = Server::start(|_, asked| match (is_stream(asked), asked.header("last-event-id")) {
        (true, None) => Reply::Cut(events(1..=2) + "id: 3\ndata: {\"ver"),
        // A server that tells an event twice is no reason to hear it twice.
        (true, Some("2")) => Reply::Cut(events(2..=3)),
        (true, Some("3")) => Reply::Answer(200, Vec::new(), events(4..=4)),
        (true, after) => panic!("asked for what comes after {after:?}"),
        (false, _) => Reply::json(200, json!({"id": "e1", "status": "completed"})),
    })
    .await;
    let heard: Vec<_> = server.client().executions().watch("e1", 0).try_collect().await.unwrap();
    let versions: Vec<_> = heard.iter().map(|event| event.version).collect();
    assert_eq!(versions, [1, 2, 3, 4]);
    assert_eq!(heard[3].kind, "t4");
}

#[tokio::test]
async fn an_end_of_the_stream_is_not_the_end_of_the_execution() {
    let server = Server::start(|number, asked| match (is_stream(asked), number) {
        (true, 0) => Reply::Answer(200, Vec::new(), events(1..=1)),
        (true, _) => Reply::Answer(200, Vec::new(), events(2..=2)),
        (false, 1) => Reply::json(200, json!({"id": "e1", "status": "running"})),
        (false, _) => Reply::json(200, json!({"id": "e1", "status": "failed", "version": 2})),
    })
    .await;
    let finished = server.client().executions().wait("e1").await.unwrap();
    assert_eq!(finished.status.as_str(), "failed");
    assert_eq!(server.asked().iter().filter(|asked| is_stream(asked)).count(), 2);
}

#[tokio::test]
async fn the_last_events_are_heard_though_the_stream_broke_before_them() {
    let server = Server::start(|_, asked| match (is_stream(asked), asked.header("last-event-id")) {
        (true, None) => Reply::Answer(200, Vec::new(), events(1..=1)),
        (true, _) => Reply::Answer(200, Vec::new(), events(2..=2)),
        (false, _) => Reply::json(200, json!({"id": "e1", "status": "completed", "version": 2})),
    })
    .await;
    let heard: Vec<_> = server.client().executions().watch("e1", 0).try_collect().await.unwrap();
    assert_eq!(heard.len(), 2);
}

#[tokio::test]
async fn a_finished_execution_with_nothing_new_has_no_stream() {
    let server = Server::start(|_, asked| match is_stream(asked) {
        true => Reply::Answer(204, Vec::new(), String::new()),
        false => Reply::json(200, json!({"id": "e1", "status": "completed"})),
    })
    .await;
    let heard: Vec<_> = server.client().executions().watch("e1", 7).try_collect().await.unwrap();
    assert!(heard.is_empty());
    assert_eq!(server.asked()[0].header("last-event-id"), Some("7"));
}

#[tokio::test]
async fn an_unknown_execution_cannot_be_watched() {
    let server = Server::start(|_, _| Reply::json(404, json!({"code": "execution_not_found"}))).await;
    let heard: Result<Vec<_>, Error> = server.client().executions().watch("e1", 0).try_collect().await;
    assert!(heard.unwrap_err().is_not_found());
    assert_eq!(server.asked().len(), 1);
}
