//! A hash of everything that replicas have in common, to compare them with.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::engine::model::{ExecutionId, TenantId};
use crate::storage::codec::{self, Kind};

use super::error::Result;
use super::machine::{Machine, damaged};
use super::{keys, stored};

/// Never stored: only hashed.
const HASHED: Kind = Kind(0x4f);

impl Machine {
    /// A hash of the whole state: every execution with its history, claims, pins, workflows, epoch and time. Two
    /// replicas that applied the same entries have the same. Reads everything; meant for tests and checks while
    /// nothing is applied.
    ///
    /// Errors: the store fails or is damaged.
    pub fn digest(&self) -> Result<u64> {
        let mut hash = Sha256::new();
        let mut add = |bytes: &[u8]| {
            hash.update(bytes.len().to_le_bytes());
            hash.update(bytes);
        };
        {
            let state = self.state();
            add(&plain(&(state.applied, state.epoch, state.at)));
            for slot in state.catalogue.all() {
                add(&plain(&(slot.changed, &*slot.workflow)));
            }
            for slot in state.nodes.all() {
                add(&plain(&(slot.changed, slot.born, &slot.node)));
            }
        }
        for (tenant, id) in self.all_ids()? {
            let record = self.record(&tenant, id)?.ok_or_else(|| damaged("an execution"))?;
            let history = self.history(&tenant, id, 0, usize::MAX)?.ok_or_else(|| damaged("a history"))?;
            assert_eq!(history.len() as u64, record.execution.version, "a history has no gap");
            add(&plain(&(&tenant, id, record.changed, &record.execution, history)));
        }
        for kind in [keys::CLAIM, keys::PIN] {
            for (suffix, value) in self.loose_rows(kind)? {
                add(&suffix);
                add(&value);
            }
        }
        let digest = hash.finalize();
        Ok(u64::from_le_bytes(digest[..8].try_into().expect("a hash has 32 bytes")))
    }

    fn all_ids(&self) -> Result<BTreeSet<(TenantId, ExecutionId)>> {
        let mut ids = BTreeSet::new();
        {
            let state = self.state();
            let keys = state.live.all().map(|(key, _)| key).chain(state.overlay.by_age().map(|(_, key)| key));
            ids.extend(keys.map(|key| (state.tenants.name(key.tenant).clone(), key.id)));
        }
        let reading = self.disk.reading();
        reading.each(&[keys::PACK], |suffix, row| {
            let (tenant, ..) = keys::split_pack(&suffix).ok_or_else(|| damaged("a pack's key"))?;
            ids.extend(stored::decode_pack(&row)?.headers.iter().map(|header| (tenant.clone(), header.id)));
            Ok(())
        })?;
        Ok(ids)
    }

    /// All rows of a kind that is written as it is, whether they wait or not.
    fn loose_rows(&self, kind: u8) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let mut rows = BTreeMap::new();
        self.disk.reading().each(&[kind], |suffix, value| {
            rows.insert(suffix, value);
            Ok(())
        })?;
        for (suffix, value) in self.state().loose.all().filter(|(suffix, _)| suffix[0] == kind) {
            match value {
                Some(value) => rows.insert(suffix.clone(), value.to_vec()),
                None => rows.remove(suffix),
            };
        }
        Ok(rows)
    }
}

fn plain<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(HASHED, 1, value)
}
