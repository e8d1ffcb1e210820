//! What the tests of the runners share.

use std::sync::Arc;

use serde_json::Value;

use super::{Attempt, Registry, Settings};
use crate::engine::model::{ExecutionId, Payload, TenantId, Timestamp};
use crate::world::Clock;

/// The second the tests live in.
pub(super) const NOW_UNIX_S: u64 = 1_700_000_000;

struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(NOW_UNIX_S * 1_000_000)
    }
}

/// A clock that stands still.
pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(Stopped)
}

/// All runners under these settings.
pub(super) fn registry(settings: Settings) -> Registry {
    Registry::new(settings, clock()).expect("the runners start")
}

/// The second attempt of the step `a-step`.
pub(super) fn attempt(params: Value) -> Attempt {
    Attempt {
        tenant: TenantId::new("default").expect("a slug"),
        execution: ExecutionId::new(NOW_UNIX_S * 1_000, 7, 9),
        step: "a-step".into(),
        attempt: 2,
        action: String::new(),
        params: Payload::from_value(&params),
        deadline: None,
    }
}
