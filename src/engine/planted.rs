//! Bugs that are planted on purpose, to see whether the tests find them.
//!
//! Nothing that is released has one: without the feature `planted-bugs` every question here is a constant no, and
//! what it guards is compiled away. With it at most one bug lives in a process, the one that `EVERSTEP_PLANTED`
//! names. `make mutants` plants each in turn and says which tests find it, and how soon; the table is in
//! `docs/reliability.md`.
//!
//! Reading the code, pass over `planted::is(…)`: it is never true.

/// A bug, named by what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A commit of the log is not synced.
    LogNotSynced,
    /// An entry counts as durable before it is written.
    AcknowledgedEarly,
    /// A vote is not written.
    VoteLost,
    /// The checksum of a record is not compared.
    ChecksumSkipped,
    /// A batch of an older leadership is applied.
    FenceIgnored,
    /// The appends of a batch are applied in the order of a hash map.
    AppliedUnordered,
    /// The time of a partition follows a clock that goes back.
    TimeRunsBack,
    /// A checkpoint claims to have all that is applied, and the log is replayed from there.
    CheckpointAhead,
    /// What finishes stays in the number of those that can move.
    CounterDrifts,
    /// The last event of a page of a history is left out.
    HistoryEndLost,
    /// A snapshot has no idempotency claims.
    ClaimsForgotten,
    /// What is read from the disk, as after a snapshot, has no timers.
    TimersForgotten,
    /// Half of a snapshot is installed.
    SnapshotHalved,
    /// A read does not ask the leader.
    ReadUnconfirmed,
    /// A leader that hears of no quorum goes on.
    LeaseUnchecked,
    /// A node that is started again votes at once, whatever it has told a leader before.
    PromiseForgotten,
    /// An outcome counts for whatever attempt is in flight.
    StaleOutcomeTaken,
    /// An effect begins before its start is recorded.
    EffectBeforeCommit,
    /// After a take-over what is completed runs again.
    CompletedRunsAgain,
    /// Nobody is woken after a take-over.
    WakeLost,
    /// What is due within a few milliseconds counts as due.
    TimerEarly,
    /// There is one attempt more than the policy allows.
    OneTryTooMany,
    /// A retry does not wait.
    BackoffIgnored,
    /// A cancel lets one more step begin.
    CancelledGoesOn,
    /// `on_lost: uncertain` is not looked at.
    LostIgnored,
    /// A submission that is passed on again begins another execution.
    SubmittedTwice,
}

/// Whether a bug is planted.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn is(_bug: Bug) -> bool {
    false
}

/// Whether a bug is planted.
///
/// Panics if `EVERSTEP_PLANTED` names no bug.
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn is(bug: Bug) -> bool {
    *PLANTED == Some(bug)
}

#[cfg(feature = "planted-bugs")]
static PLANTED: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(|| {
    let name = std::env::var("EVERSTEP_PLANTED").ok()?;
    let found = ALL.into_iter().find(|bug| format!("{bug:?}") == name);
    Some(found.unwrap_or_else(|| panic!("EVERSTEP_PLANTED names no bug: {name}; there are {ALL:?}")))
});

/// All bugs.
pub const ALL: [Bug; 26] = [
    Bug::LogNotSynced,
    Bug::AcknowledgedEarly,
    Bug::VoteLost,
    Bug::ChecksumSkipped,
    Bug::FenceIgnored,
    Bug::AppliedUnordered,
    Bug::TimeRunsBack,
    Bug::CheckpointAhead,
    Bug::CounterDrifts,
    Bug::HistoryEndLost,
    Bug::ClaimsForgotten,
    Bug::TimersForgotten,
    Bug::SnapshotHalved,
    Bug::ReadUnconfirmed,
    Bug::LeaseUnchecked,
    Bug::PromiseForgotten,
    Bug::StaleOutcomeTaken,
    Bug::EffectBeforeCommit,
    Bug::CompletedRunsAgain,
    Bug::WakeLost,
    Bug::TimerEarly,
    Bug::OneTryTooMany,
    Bug::BackoffIgnored,
    Bug::CancelledGoesOn,
    Bug::LostIgnored,
    Bug::SubmittedTwice,
];

#[cfg(not(feature = "planted-bugs"))]
#[test]
fn what_is_built_without_the_feature_has_no_bug() {
    assert!(ALL.into_iter().all(|bug| !is(bug)));
}
