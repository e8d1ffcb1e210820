//! Small rows that wait to be written as they are: claims, pins, workflows.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::keys::Suffix;

/// Rows that the store does not have yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Loose {
    rows: BTreeMap<Suffix, (u64, Option<Bytes>)>,
    /// Every change in order; a row that was changed twice is here twice.
    order: VecDeque<(u64, Suffix)>,
    bytes: usize,
}

/// A row on its way into the store, and the entry that changed it.
pub(super) struct Leaving {
    pub index: u64,
    pub suffix: Suffix,
    pub value: Option<Bytes>,
}

impl Loose {
    /// Changes a row; `None` removes it.
    pub(super) fn set(&mut self, index: u64, suffix: Suffix, value: Option<Vec<u8>>) {
        let value = value.map(Bytes::from);
        self.bytes += value.as_ref().map_or(0, Bytes::len);
        self.order.push_back((index, suffix.clone()));
        if let Some((_, Some(replaced))) = self.rows.insert(suffix, (index, value)) {
            self.bytes -= replaced.len();
        }
    }

    /// What a row will be; `None` if it is not waiting, `Some(None)` if it will be gone.
    pub(super) fn get(&self, suffix: &[u8]) -> Option<Option<&Bytes>> {
        self.rows.get(suffix).map(|(_, value)| value.as_ref())
    }

    /// A row that has to leave now, whatever its age. It stays readable here.
    pub(super) fn pick_row(&self, suffix: &Suffix) -> Option<Leaving> {
        let (index, value) = self.rows.get(suffix)?;
        Some(Leaving { index: *index, suffix: suffix.clone(), value: value.clone() })
    }

    /// The oldest rows, up to a number and about a size, but at least one. They stay readable here.
    ///
    /// What one entry changed leaves together, so that a replay of the entry finds all of it or nothing. A row
    /// leaves as it is now; if a later entry gave it its value, everything up to that entry leaves with it.
    pub(super) fn pick(&mut self, rows_max: usize, bytes_max: usize) -> Vec<Leaving> {
        let mut picked: Vec<Leaving> = Vec::new();
        let mut bytes = 0;
        let mut until = 0;
        while let Some((changed, _)) = self.order.front() {
            if *changed > until && (picked.len() >= rows_max || bytes >= bytes_max) {
                break;
            }
            let (_, suffix) = self.order.pop_front().expect("it has a front");
            let Some((index, value)) = self.rows.get(&suffix) else { continue };
            until = until.max(*index);
            bytes += suffix.len() + value.as_ref().map_or(0, Bytes::len);
            picked.push(Leaving { index: *index, suffix, value: value.clone() });
        }
        picked
    }

    /// Forgets picked rows that have not changed since.
    pub(super) fn written(&mut self, picked: &[Leaving]) {
        for leaving in picked {
            if self.rows.get(&leaving.suffix).is_some_and(|(index, _)| *index == leaving.index) {
                let (_, value) = self.rows.remove(&leaving.suffix).expect("it was just there");
                self.bytes -= value.map_or(0, |value| value.len());
            }
        }
    }

    /// All rows that wait, in order of their keys.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Suffix, Option<&Bytes>)> {
        self.rows.iter().map(|(suffix, (_, value))| (suffix, value.as_ref()))
    }

    /// The first entry whose row has not been picked.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.order.front().map(|(index, _)| *index)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
