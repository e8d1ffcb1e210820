//! Compiled definitions of workflows, kept so that a submission does not compile again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::definition::Spec;
use crate::engine::model::SpecHash;

/// Definitions kept. A compiled one is tens of kilobytes; the least useful one makes room.
const SPECS_MAX: usize = 512;

/// A bounded cache by content hash. Entries never go stale: the hash names the content.
#[derive(Debug, Default)]
pub(crate) struct Specs {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    uses: u64,
    specs: BTreeMap<SpecHash, (u64, Arc<Spec>)>,
}

impl Specs {
    /// The definition, from the cache or made now.
    pub(crate) fn get<E>(
        &self,
        hash: SpecHash,
        make: impl FnOnce() -> Result<Spec, E>,
    ) -> Result<Arc<Spec>, E> {
        if let Some(spec) = self.find(hash) {
            return Ok(spec);
        }
        let spec = Arc::new(make()?);
        self.keep(spec.clone());
        Ok(spec)
    }

    /// Keeps a definition.
    pub(crate) fn keep(&self, spec: Arc<Spec>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.specs.len() >= SPECS_MAX
            && let Some(oldest) = inner.specs.iter().min_by_key(|(_, (used, _))| *used).map(|(hash, _)| *hash)
        {
            inner.specs.remove(&oldest);
        }
        inner.uses += 1;
        let used = inner.uses;
        inner.specs.insert(spec.hash, (used, spec));
    }

    /// The definition, if it is in the cache.
    pub(crate) fn find(&self, hash: SpecHash) -> Option<Arc<Spec>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.uses += 1;
        let now = inner.uses;
        let (used, spec) = inner.specs.get_mut(&hash)?;
        *used = now;
        Some(spec.clone())
    }
}
