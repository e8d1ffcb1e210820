//! A disk that takes the log and not the state.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Node, body};
use crate::consensus::StateLimits;
use crate::engine::definition::RunnerShape;
use crate::engine::model::Payload;
use crate::runners::{Attempt, Registry, Runner, Running, Settings};
use crate::storage::{Direction, MemoryStore, Result, Store, WriteBatch};

/// The state that may wait for the disk in these tests.
const DIRTY_BYTES_MAX: usize = 256 << 10;

/// A store whose writes wait while it is shut.
#[derive(Debug)]
struct Gate {
    store: MemoryStore,
    shut: std::sync::Mutex<bool>,
    opened: std::sync::Condvar,
}

impl Gate {
    fn new() -> Arc<Self> {
        let (shut, opened) = (std::sync::Mutex::new(false), std::sync::Condvar::new());
        Arc::new(Self { store: MemoryStore::new(), shut, opened })
    }

    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Store for Gate {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.store.get(key)
    }

    fn scan(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        self.store.scan(from, to, direction, limit)
    }

    fn write(&self, batch: WriteBatch) -> Result<()> {
        let shut = self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap();
        drop(shut);
        self.store.write(batch)
    }

    fn sync(&self) -> Result<()> {
        self.store.sync()
    }
}

/// A runner whose attempts end when the test says so.
struct Held {
    begun: watch::Sender<bool>,
    may_end: watch::Sender<bool>,
}

impl Runner for Held {
    fn name(&self) -> &'static str {
        "held"
    }

    fn shape(&self) -> RunnerShape {
        RunnerShape::default()
    }

    fn run<'a>(&'a self, _: &'a Attempt) -> Running<'a> {
        Box::pin(async {
            self.begun.send_replace(true);
            self.may_end.subscribe().wait_for(|may| *may).await.expect("the runner is there");
            Ok(Payload::null())
        })
    }
}

fn submission(input: &str) -> String {
    let definition = json!({"name": "one", "steps": [{"id": "a", "type": "noop"}]});
    json!({"definition": definition, "input": input}).to_string()
}

async fn finished(node: &Node, id: &str) -> Value {
    loop {
        let (_, execution) = node.json("GET", &format!("/api/executions/{id}"), "").await;
        if !["pending", "running"].contains(&execution["status"].as_str().unwrap()) {
            return execution;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_does_not_keep_up_refuses_new_executions_and_loses_none() {
    let gate = Gate::new();
    let limits = StateLimits { dirty_bytes_max: DIRTY_BYTES_MAX, ..StateLimits::default() };
    let (begun, may_end) = (watch::Sender::new(false), watch::Sender::new(false));
    let held = Held { begun: begun.clone(), may_end: may_end.clone() };
    let runners = |world: &super::World| {
        let built_in = Registry::new(Settings::default(), world.clock.clone()).expect("runners");
        built_in.with(Arc::new(held))
    };
    let node = Node::start_on(gate.clone(), limits, runners).await;
    let steps = json!([{"id": "hold", "type": "held"}, {"id": "after", "type": "noop"}]);
    let text = json!({"definition": {"name": "held", "steps": steps}}).to_string();
    let (status, running) = node.json("POST", "/api/executions", &text).await;
    assert_eq!(status, 201, "{running}");
    begun.subscribe().wait_for(|begun| *begun).await.unwrap();

    gate.shut(true);
    let large = submission(&"x".repeat(20 << 10));
    let mut accepted = BTreeSet::new();
    let refused = loop {
        let request = Request::builder().method("POST").uri("/api/executions");
        let request = request.header("content-type", "application/json").body(Body::from(large.clone()));
        let response = node.call(request.unwrap()).await;
        if response.status() != 201 {
            break response;
        }
        let begun: Value = serde_json::from_slice(&body(response).await).unwrap();
        accepted.insert(begun["id"].as_str().unwrap().to_owned());
        assert!(accepted.len() < 100, "it takes more than there is room for");
    };
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    let problem: Value = serde_json::from_slice(&body(refused).await).unwrap();
    assert_eq!(problem["code"], "overloaded", "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("waits for the disk"), "{problem}");
    assert!(accepted.len() >= 5, "{} were taken", accepted.len());

    may_end.send_replace(true);
    let done = finished(&node, running["id"].as_str().unwrap()).await;
    assert_eq!(done["status"], "completed", "what runs goes on: {done}");
    for id in &accepted {
        assert_eq!(finished(&node, id).await["status"], "completed");
    }
    assert_eq!(node.json("POST", "/api/executions", &large).await.0, 429, "the disk still waits");

    gate.shut(false);
    while node.json("POST", "/api/executions", &large).await.0 != 201 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for id in &accepted {
        assert_eq!(finished(&node, id).await["status"], "completed", "nothing is lost");
    }
}
