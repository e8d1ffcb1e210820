//! Both front ends from outside, over a node in memory.

mod behind;
mod calls;
mod connections;
mod contract;
mod refusals;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use super::{Access, ApiSettings};
use crate::actors::Tree;
use crate::consensus::{Config, Consensus, Machine, MachineOptions, Nowhere, StateLimits};
use crate::engine::model::{PartitionId, TenantId, Timestamp};
use crate::runners::{Registry, Settings};
use crate::storage::{Driver, Log, LogOptions, MemoryHardState, MemoryStore, Store};
use crate::world::{Clock, Entropy, World};

/// An id that nothing has.
const ID: &str = "01939c00-0000-7000-8000-000000000000";

/// A clock and an entropy that only count.
#[derive(Default)]
struct Counter(AtomicU64);

impl Clock for Counter {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_767_225_600_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl Entropy for Counter {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
    }
}

/// A node in memory with its router.
struct Node {
    router: Router,
    _consensus: Consensus,
    _tree: Tree,
}

impl Node {
    async fn start() -> Self {
        let runners =
            |world: &World| Registry::new(Settings::default(), world.clock.clone()).expect("runners");
        Self::start_on(Arc::new(MemoryStore::new()), StateLimits::default(), runners).await
    }

    /// A node with that state database, with that much room in memory, and with those runners.
    async fn start_on(
        state: Arc<dyn Store>,
        limits: StateLimits,
        runners: impl FnOnce(&World) -> Registry,
    ) -> Self {
        let world = World { clock: Arc::new(Counter::default()), entropy: Arc::new(Counter::default()) };
        let options = LogOptions::new(Arc::new(MemoryStore::new()), Arc::new(MemoryHardState::default()), 1);
        let (log, recovered) = Log::open(LogOptions { driver: Driver::Task, ..options }).expect("a log");
        let config = Config { partitions: 1, ..Config::single(1) };
        let machine = |id| {
            let (partition, limits) = (PartitionId(id), limits.clone());
            Machine::open(MachineOptions { partition, store: state.clone(), limits }).expect("a state")
        };
        let machines = vec![machine(0), machine(1)];
        let consensus =
            Consensus::start(config, world.clone(), log, recovered, machines, Arc::new(Nowhere)).await;
        let consensus = consensus.expect("consensus");
        let runners = runners(&world);
        let tree = Tree::start(
            consensus.handle(),
            Arc::new(runners),
            world.clone(),
            None,
            crate::actors::Roster::default(),
        );
        let tree = tree.await.expect("actors");
        tree.handle().ready().await;
        let tenant = TenantId::new("default").expect("a slug");
        let mut settings =
            ApiSettings::new(Access::Anonymous { tenant, user: "dev".to_owned() }, "0.0.0-test");
        settings.origins.push("https://ui.example".to_owned());
        let router = super::router(tree.handle(), settings, world, || "up 1\n".to_owned());
        Self { router, _consensus: consensus, _tree: tree }
    }

    async fn call(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.expect("the router never fails")
    }

    /// Sends JSON and reads JSON.
    async fn json(&self, method: &str, path: &str, text: &str) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let response = self.call(request.body(Body::from(text.to_owned())).expect("a request")).await;
        let status = response.status().as_u16();
        let bytes = body(response).await;
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }
}

async fn body(response: Response) -> Vec<u8> {
    response.into_body().collect().await.expect("a body").to_bytes().to_vec()
}
