//! What every request shares: the door to the actors, the settings, the world.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::actors::{Caller, Handle};
use crate::world::World;

use super::problem::Problem;
use super::settings::{Access, ApiSettings};

/// Writes the metrics of the process as Prometheus text.
pub(super) type Metrics = dyn Fn() -> String + Send + Sync;

/// Shared by all requests; cheap to clone.
#[derive(Clone)]
pub(super) struct Front(Arc<Shared>);

/// What a [`Front`] shares.
pub(super) struct Shared {
    pub(super) handle: Handle,
    pub(super) settings: ApiSettings,
    pub(super) world: World,
    pub(super) metrics: Box<Metrics>,
}

impl Front {
    pub(super) fn new(handle: Handle, settings: ApiSettings, world: World, metrics: Box<Metrics>) -> Self {
        Self(Arc::new(Shared { handle, settings, world, metrics }))
    }

    /// Who a request without credentials acts as.
    pub(super) fn caller(&self) -> Caller {
        match &self.settings.access {
            Access::Anonymous { tenant, user } => Caller { tenant: tenant.clone(), user: user.clone() },
        }
    }
}

impl std::ops::Deref for Front {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The caller of a request, as its credentials say.
pub(super) struct Who(pub(super) Caller);

impl FromRequestParts<Front> for Who {
    type Rejection = Problem;
    async fn from_request_parts(_parts: &mut Parts, front: &Front) -> Result<Self, Problem> {
        Ok(Self(front.caller()))
    }
}
