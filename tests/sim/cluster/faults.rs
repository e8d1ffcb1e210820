//! What can go wrong.

use crate::world::Dice;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Kill,
    PowerCut,
    PowerCutAll,
    LogDisk,
    StateDisk,
    SlowDisk,
    Restart,
    Cut,
    OneWay,
    Isolate,
    Hold,
    Loss,
    Latency,
    ClockStep,
    ClockDrift,
    Drain,
    Join,
}

impl Kind {
    pub(crate) const ALL: [Self; 17] = [
        Self::Kill,
        Self::PowerCut,
        Self::PowerCutAll,
        Self::LogDisk,
        Self::StateDisk,
        Self::SlowDisk,
        Self::Restart,
        Self::Cut,
        Self::OneWay,
        Self::Isolate,
        Self::Hold,
        Self::Loss,
        Self::Latency,
        Self::ClockStep,
        Self::ClockDrift,
        Self::Drain,
        Self::Join,
    ];

    /// It happens between nodes.
    pub(crate) const fn needs_others(self) -> bool {
        match self {
            Self::Cut
            | Self::OneWay
            | Self::Isolate
            | Self::Hold
            | Self::Loss
            | Self::Latency
            | Self::Drain
            | Self::Join => true,
            Self::Kill
            | Self::PowerCut
            | Self::PowerCutAll
            | Self::LogDisk
            | Self::StateDisk
            | Self::SlowDisk
            | Self::Restart
            | Self::ClockStep
            | Self::ClockDrift => false,
        }
    }
}

/// A fault: whom it hits, and how hard. Times are in milliseconds.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The process is killed; what the kernel has is written.
    Kill { node: u64, down: u64 },
    /// The machine is off at once: nothing is sent any more, and what was not synced is lost.
    PowerCut { node: u64, down: u64 },
    /// All of them.
    PowerCutAll { down: u64 },
    /// After so many more operations the log cannot be written, and the node ends with the power.
    LogDisk { node: u64, after: u64, down: u64 },
    /// As `LogDisk`, for the state.
    StateDisk { node: u64, after: u64, down: u64 },
    /// Commits take up to so long.
    SlowDisk { node: u64, commit: u64, lasts: u64 },
    /// Stopped in good order, and started again.
    Restart { node: u64, down: u64 },
    /// Two nodes do not reach each other.
    Cut { one: u64, other: u64, lasts: u64 },
    /// One does not reach the other.
    OneWay { from: u64, to: u64, lasts: u64 },
    /// One reaches nobody.
    Isolate { node: u64, lasts: u64 },
    /// What one sends and is sent is held back, as if it were paused, and delivered later.
    Hold { node: u64, lasts: u64 },
    /// So many of a hundred thousand messages are lost, which stalls their connections.
    Loss { rate: u64, lasts: u64 },
    /// Messages take up to so long.
    Latency { message: u64, lasts: u64 },
    /// A clock jumps.
    ClockStep { node: u64, micros: i64 },
    /// A clock goes at its own rate.
    ClockDrift { node: u64, micros_per_second: i64 },
    /// Everything is moved off a node, and later it takes part again.
    Drain { node: u64, lasts: u64 },
    /// One more node asks for a place in the cluster.
    Join { node: u64 },
}

impl Fault {
    pub(crate) fn draw(kind: Kind, nodes: u64, dice: &Dice) -> Self {
        let node = dice.between(1, nodes);
        let other = if nodes == 1 { 1 } else { 1 + (node + dice.below(nodes - 1)) % nodes };
        let (down, lasts) = (dice.between(20, 2_500), dice.between(50, 3_000));
        let signed = |largest: u64| i64::try_from(dice.below(2 * largest)).unwrap() - largest as i64;
        match kind {
            Kind::Kill => Self::Kill { node, down },
            Kind::PowerCut => Self::PowerCut { node, down },
            Kind::PowerCutAll => Self::PowerCutAll { down: down.min(800) },
            Kind::LogDisk => Self::LogDisk { node, after: dice.below(30), down },
            Kind::StateDisk => Self::StateDisk { node, after: dice.below(10), down },
            Kind::SlowDisk => Self::SlowDisk { node, commit: dice.between(10, 200), lasts },
            Kind::Restart => Self::Restart { node, down: down / 4 },
            Kind::Cut => Self::Cut { one: node, other, lasts },
            Kind::OneWay => Self::OneWay { from: node, to: other, lasts },
            Kind::Isolate => Self::Isolate { node, lasts },
            Kind::Hold => Self::Hold { node, lasts },
            Kind::Loss => Self::Loss { rate: dice.between(50, 3_000), lasts },
            Kind::Latency => Self::Latency { message: dice.between(20, 250), lasts },
            Kind::ClockStep => Self::ClockStep { node, micros: signed(1_500_000) },
            Kind::ClockDrift => Self::ClockDrift { node, micros_per_second: signed(100_000) },
            Kind::Drain => Self::Drain { node, lasts: 1_000 + 2 * lasts },
            Kind::Join => Self::Join { node: nodes + 1 },
        }
    }

    /// A disk that fails after so many operations.
    pub(crate) fn of_disk(kind: Kind, node: u64, after: u64, down: u64) -> Self {
        if kind == Kind::LogDisk {
            Self::LogDisk { node, after, down }
        } else {
            Self::StateDisk { node, after, down }
        }
    }

    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::PowerCut { .. } => Kind::PowerCut,
            Self::PowerCutAll { .. } => Kind::PowerCutAll,
            Self::LogDisk { .. } => Kind::LogDisk,
            Self::StateDisk { .. } => Kind::StateDisk,
            Self::SlowDisk { .. } => Kind::SlowDisk,
            Self::Restart { .. } => Kind::Restart,
            Self::Cut { .. } => Kind::Cut,
            Self::OneWay { .. } => Kind::OneWay,
            Self::Isolate { .. } => Kind::Isolate,
            Self::Hold { .. } => Kind::Hold,
            Self::Loss { .. } => Kind::Loss,
            Self::Latency { .. } => Kind::Latency,
            Self::ClockStep { .. } => Kind::ClockStep,
            Self::ClockDrift { .. } => Kind::ClockDrift,
            Self::Drain { .. } => Kind::Drain,
            Self::Join { .. } => Kind::Join,
        }
    }
}
