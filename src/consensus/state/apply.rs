//! Folding entries. This is the only thing that changes the replicated state.
//!
//! It is total: every entry has a reply, and what is wrong with one is refused in the reply. It is a function of
//! the entries alone: what happens to be in memory never shows in a reply to a fresh entry.
//!
//! After a restart entries are folded again whose effect the store may have in part. A record, a workflow and a
//! claim each know the entry that changed them last, and a checkpoint runs between entries: so what comes from
//! the store and is as new as the entry has all of the entry, and is left as it is.

use std::sync::Arc;

use crate::engine::evolve;
use crate::engine::model::{Epoch, Event, Execution, ExecutionId, Recorded, TenantId, Timestamp, Version};
use crate::engine::planted::{self, Bug};
use crate::storage::told;

use super::super::command::{Append, Batch, Claim, Command, Conflict, Reply};
use super::super::view::Record;
use super::disk::Disk;
use super::error::Result;
use super::keys::{self, Domain};
use super::live::Facts;
use super::machine::{Machine, State};
use super::stored::{self, StoredClaim};
use super::tenants::Key;
use super::{lookup, weight};

/// What was read for an entry. A replica that cannot read its own state must not guess, and must not answer anybody either:
/// the process ends at once, before any other task sees a state that is changed in part.
fn readable<T, E: std::error::Error>(read: std::result::Result<T, E>) -> T {
    read.unwrap_or_else(|error| {
        let reason = told(&error);
        tracing::error!(
            reason,
            "storage_lost: the state cannot be read any more; run `everstep verify` on the data directory; replace a \
             node of a cluster (`everstep cluster add`, then `serve --join`), restore a backup only of a node alone"
        );
        std::process::abort()
    })
}

impl Machine {
    /// Folds the entry at `index` and answers what its proposer gets. Entries come in order, each once; an older
    /// one changes nothing.
    ///
    /// Ends the process if the store cannot be read: then this replica cannot go on.
    pub fn apply(&self, index: u64, command: &Command) -> Reply {
        let mut state = self.state();
        if index <= state.applied {
            return Reply::None;
        }
        let mut fold = Fold {
            state: &mut state,
            disk: &self.disk,
            index,
            touched: Vec::new(),
            watched: self.watches.any(),
        };
        let reply = match command {
            Command::LeaderEpoch { at, .. } => fold.epoch(*at),
            Command::Batch(batch) => fold.batch(batch),
            Command::Catalogue { at, change } => fold.change(self.partition, *at, change),
            Command::Node { at, change } => fold.node(self.partition, *at, change),
        };
        let touched = fold.touched;
        state.applied = index;
        drop(state);
        self.watches.ring(&touched);
        if matches!(command, Command::Node { .. }) {
            self.watches.ring_nodes();
        }
        reply
    }

    /// Notes an entry that changes nothing here: a blank one, a membership.
    pub fn pass(&self, index: u64) {
        let mut state = self.state();
        state.applied = state.applied.max(index);
    }
}

/// One entry being folded.
pub(super) struct Fold<'a> {
    pub state: &'a mut State,
    pub disk: &'a Disk,
    pub index: u64,
    /// Executions that changed; only filled while somebody watches.
    touched: Vec<ExecutionId>,
    watched: bool,
}

impl Fold<'_> {
    fn epoch(&mut self, at: Timestamp) -> Reply {
        let epoch = Epoch(self.index);
        self.state.tick(self.index, epoch, at.max(self.state.at));
        Reply::Epoch(epoch)
    }

    fn batch(&mut self, batch: &Batch) -> Reply {
        let current = self.state.epoch;
        if batch.epoch != current && !planted::is(Bug::FenceIgnored) {
            return Reply::Batch(vec![Err(Conflict::StaleEpoch { current }); batch.appends.len()]);
        }
        let at = self.advance(batch.at);
        for (hash, text) in &batch.pins {
            let suffix = keys::pin(*hash);
            self.state.loose.set(self.index, suffix, Some(stored::encode_pin(text)));
        }
        if planted::is(Bug::AppliedUnordered) {
            return Reply::Batch(self.unordered(at, &batch.appends));
        }
        Reply::Batch(batch.appends.iter().map(|append| self.append(at, append)).collect())
    }

    /// The time of this entry: the proposer's, unless the partition is later already.
    pub(super) fn advance(&mut self, at: Timestamp) -> Timestamp {
        let at = if planted::is(Bug::TimeRunsBack) { at } else { at.max(self.state.at) };
        self.state.tick(self.index, self.state.epoch, at);
        at
    }

    /// Only for [`Bug::AppliedUnordered`].
    fn unordered(
        &mut self,
        at: Timestamp,
        appends: &[Append],
    ) -> Vec<std::result::Result<Arc<Record>, Conflict>> {
        use std::hash::BuildHasher;
        let chance = std::hash::RandomState::new();
        let mut places: Vec<usize> = (0..appends.len()).collect();
        places.sort_by_key(|place| chance.hash_one(place));
        let mut replies: Vec<_> =
            places.into_iter().map(|place| (place, self.append(at, &appends[place]))).collect();
        replies.sort_by_key(|(place, _)| *place);
        replies.into_iter().map(|(_, reply)| reply).collect()
    }

    fn append(&mut self, at: Timestamp, append: &Append) -> std::result::Result<Arc<Record>, Conflict> {
        if let Some(claim) = &append.claim
            && let Some(held) =
                self.claimed(&append.tenant, Domain::Execution, claim, append.execution.uuid())
        {
            let same_request = held.request == claim.request;
            return Err(Conflict::Claimed { execution: ExecutionId::from_uuid(held.owner), same_request });
        }
        let key = Key { tenant: self.state.tenants.intern(&append.tenant), id: append.execution };
        match self.state.overlay.get(key) {
            Some(dirty) => check(append, dirty.record.execution.version)?,
            None => {
                if let Some(folded) = self.wake(key, append)? {
                    return Ok(folded);
                }
            }
        }
        if self.watched {
            self.touched.push(append.execution);
        }
        Ok(self.fold(key, at, append))
    }

    /// Makes a clean record, or a new one, dirty, if the append fits it. Answers it if it has this entry already.
    fn wake(&mut self, key: Key, append: &Append) -> std::result::Result<Option<Arc<Record>>, Conflict> {
        let row_stored = self.state.live.is_stored(key);
        let found = self.state.cache.take(key).or_else(|| {
            let record = readable(self.fetch(key, append, row_stored))?;
            let bytes = weight::of_record(&record);
            Some((Arc::new(record), bytes))
        });
        let Some((record, bytes)) = found else {
            check(append, 0)?;
            let execution = Execution::unborn(append.execution, append.tenant.clone());
            let record = Record { execution, tail: Vec::new(), tail_from: 0, changed: self.index };
            self.state.overlay.insert(key, Arc::new(record), size_of::<Record>(), self.index, false);
            return Ok(None);
        };
        let verdict = check(append, record.execution.version);
        if record.changed >= self.index || verdict.is_err() {
            let folded = (record.changed >= self.index).then(|| Arc::clone(&record));
            self.state.cache.put(key, record, bytes);
            return folded.map_or_else(|| verdict.map(|()| None), |folded| Ok(Some(folded)));
        }
        self.state.overlay.insert(key, record, bytes, self.index, row_stored);
        Ok(None)
    }

    /// Reads a clean record. A fresh id needs no look: its window has no pack yet.
    fn fetch(&self, key: Key, append: &Append, row_stored: bool) -> Result<Option<Record>> {
        let reading = || self.disk.reading();
        if row_stored {
            return lookup::live_record(&reading(), &append.tenant, key.id);
        }
        if keys::window_of(key.id) > self.state.packed_max {
            return Ok(None);
        }
        lookup::packed_record(&reading(), &append.tenant, key.id)
    }

    /// Folds the events of an append that fits.
    fn fold(&mut self, key: Key, at: Timestamp, append: &Append) -> Arc<Record> {
        let added = append.events.iter().map(weight::of_event).sum();
        let dirty = self.state.overlay.change(key, self.index, added).expect("it was made dirty");
        let record = Arc::make_mut(&mut dirty.record);
        for event in &append.events {
            let recorded = Recorded { at, event: event.clone() };
            evolve(&mut record.execution, &recorded);
            record.tail.push(recorded);
        }
        record.execution.version = record.tail_from + record.tail.len() as Version;
        record.changed = self.index;
        if let Some(claim) = &append.claim {
            let suffix = keys::claim(&append.tenant, Domain::Execution, &claim.key);
            dirty.claim = Some(suffix.clone());
            let owner = append.execution.uuid();
            let claim = StoredClaim { owner, request: claim.request, index: self.index };
            self.state.loose.set(self.index, suffix, Some(stored::encode_claim(&claim)));
        }
        let record = Arc::clone(&dirty.record);
        if record.execution.status.is_finished() {
            self.state.live.remove(key);
        } else {
            self.state.live.set(key, Facts::of(&record.execution), record.execution.workflow);
        }
        record
    }

    /// Who holds an idempotency key against this entry, if anyone does.
    pub(super) fn claimed(
        &self,
        tenant: &TenantId,
        domain: Domain,
        claim: &Claim,
        owner: uuid::Uuid,
    ) -> Option<StoredClaim> {
        let suffix = keys::claim(tenant, domain, &claim.key);
        let held = match self.state.loose.get(&suffix) {
            Some(row) => row.map(|row| stored::decode_claim(row)),
            None => readable(self.disk.reading().get(&suffix)).map(|row| stored::decode_claim(&row)),
        };
        let held = readable(held?);
        // A claim of this very entry by this very owner, and one of a later entry, were read from a store that
        // is ahead of this replay.
        let against = held.index < self.index || (held.index == self.index && held.owner != owner);
        against.then_some(held)
    }
}

/// Whether an append fits an execution of `current` events.
///
/// `Created` is the first event and only the first, and speaks of the tenant that the key names: nothing else
/// may decide whose an execution is.
fn check(append: &Append, current: Version) -> std::result::Result<(), Conflict> {
    let born = |event: &Event| matches!(event, Event::Created(_));
    let lawful = match append.events.split_first() {
        None => false,
        Some((Event::Created(created), rest)) => {
            current == 0 && created.tenant == append.tenant && !rest.iter().any(born)
        }
        Some((_, rest)) => current > 0 && !rest.iter().any(born),
    };
    if lawful && append.expected == current { Ok(()) } else { Err(Conflict::Version { current }) }
}
