//! How many bytes the newest entries of a log take, so that what is kept for slow followers can be bounded.

use std::collections::VecDeque;

/// Bytes between two marks: fine enough for a bound of many times as much.
const STEP_BYTES: u64 = 1 << 20;

/// Sizes of the entries appended since the start, summed up.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// An index, and all bytes up to it.
    marks: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Tail {
    /// An entry was appended.
    pub(super) fn note(&mut self, index: u64, bytes: usize) {
        while self.marks.back().is_some_and(|(marked, _)| *marked >= index) {
            self.marks.pop_back();
        }
        self.bytes += bytes as u64;
        if self.marks.back().is_none_or(|(_, marked)| self.bytes - marked >= STEP_BYTES) {
            self.marks.push_back((index, self.bytes));
        }
    }

    /// The index from which about `bytes_max` bytes follow, 0 if there are not as many. What lies before it is
    /// forgotten here.
    pub(super) fn first_within(&mut self, bytes_max: u64) -> u64 {
        let mut first = 0;
        while let Some((index, marked)) = self.marks.front().copied()
            && self.bytes - marked > bytes_max
        {
            first = index;
            self.marks.pop_front();
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_in_bytes_becomes_an_index() {
        let mut tail = Tail::default();
        (0..100).for_each(|index| tail.note(index, 1 << 20));
        assert_eq!(tail.first_within(1 << 40), 0);
        assert_eq!(tail.first_within(10 << 20), 88);
        tail.note(50, 1 << 20);
        assert_eq!(tail.first_within(1 << 40), 0);
    }
}
