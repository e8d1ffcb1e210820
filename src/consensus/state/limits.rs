//! How much a machine holds and how it paces its writes.

use crate::storage::PIECE_BYTES_MAX;

/// The limits of one machine.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Clean records kept in memory: what people look at right now. Fewer cost nothing measurable, because what has
    /// just finished is still dirty, and what wakes after a long wait is never among them.
    pub cache_records_max: usize,
    /// Bytes of them, about.
    pub cache_bytes_max: usize,
    /// Compiled definitions kept in memory.
    pub specs_max: usize,
    /// Bytes that the store may lack before nothing new should begin. They are in memory until a checkpoint has
    /// written them, and a start replays them; more means that the disk does not keep up.
    pub dirty_bytes_max: usize,
    /// Records one checkpoint writes. A slice should stay near a millisecond of disk.
    pub slice_records_max: usize,
    /// Bytes one checkpoint writes, about; a single larger record still goes.
    pub slice_bytes_max: usize,
    /// Dirty records one checkpoint looks at, while it holds the state.
    pub slice_looks_max: usize,
    /// A finished record is packed when its window is over, or after so many rounds if time stands still.
    pub finished_rounds: u32,
    /// A parked record is written after so many rounds: a short wait ends without a write.
    pub parked_rounds: u32,
    /// A record at work is written after so many rounds, so that the log can be purged.
    pub moving_rounds: u32,
    /// A record is written when so many entries have passed since the store saw it.
    pub behind_entries_max: u64,
    /// Bytes of a pack, about; a larger record gets one for itself. What fits into one piece of the store is
    /// written once.
    pub pack_bytes_max: usize,
    /// A window with more packs than this is packed anew.
    pub window_packs_max: usize,
    /// Events of a tail; longer ones are sealed, so that a long history is not written again and again.
    pub tail_events_max: usize,
    /// Bytes of a tail, about.
    pub tail_bytes_max: usize,
    /// Bytes of one row of a sealed history, about; a larger event gets one for itself.
    pub history_bytes_max: usize,
    /// Records one list call examines. A rare match comes with the pages after it.
    pub list_looks_max: usize,
    /// Bytes of one chunk of a snapshot, about; a larger row gets one for itself.
    pub chunk_bytes_max: usize,
    /// Bytes of replaced rows kept for a snapshot that is being read, about. Checkpoints wait beyond.
    pub aside_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cache_records_max: 512,
            cache_bytes_max: 1 << 20,
            specs_max: 1_024,
            dirty_bytes_max: 256 << 20,
            slice_records_max: 512,
            slice_bytes_max: 384 << 10,
            slice_looks_max: 8_192,
            finished_rounds: 4,
            parked_rounds: 2,
            moving_rounds: 40,
            behind_entries_max: 4_096,
            pack_bytes_max: PIECE_BYTES_MAX - 1_024,
            window_packs_max: 8,
            tail_events_max: 256,
            tail_bytes_max: 256 << 10,
            history_bytes_max: 4 << 20,
            list_looks_max: 20_000,
            chunk_bytes_max: 240 << 10,
            aside_bytes_max: 64 << 20,
        }
    }
}
