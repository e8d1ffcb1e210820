//! Compiled definitions, by hash. A compiled definition never changes, so a small cache is all there is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use crate::engine::definition::Spec;
use crate::engine::model::SpecHash;

use super::error::{Error, Result};

const NOT_POISONED: &str = "nobody panics while changing the cache of definitions";

/// The definitions compiled last.
pub(super) struct Specs {
    compiled: Mutex<Compiled>,
    len_max: usize,
}

#[derive(Default)]
struct Compiled {
    by_hash: BTreeMap<SpecHash, Arc<Spec>>,
    order: VecDeque<SpecHash>,
}

impl Specs {
    pub(super) fn new(len_max: usize) -> Self {
        Self { compiled: Mutex::default(), len_max }
    }

    pub(super) fn get(&self, hash: SpecHash) -> Option<Arc<Spec>> {
        self.compiled.lock().expect(NOT_POISONED).by_hash.get(&hash).cloned()
    }

    /// Compiles a pinned text and remembers it.
    pub(super) fn load(&self, hash: SpecHash, text: &str) -> Result<Arc<Spec>> {
        let spec = Spec::load(text).map_err(|findings| {
            let first = findings.into_iter().next();
            let message = first.map_or_else(|| "no reason given".into(), |finding| finding.message);
            Error::Definition { hash, message }
        })?;
        let spec = Arc::new(spec);
        let mut compiled = self.compiled.lock().expect(NOT_POISONED);
        if compiled.by_hash.insert(hash, Arc::clone(&spec)).is_none() {
            compiled.order.push_back(hash);
        }
        while compiled.order.len() > self.len_max {
            let oldest = compiled.order.pop_front().expect("it is longer than its limit");
            compiled.by_hash.remove(&oldest);
        }
        Ok(spec)
    }
}
