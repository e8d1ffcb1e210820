//! Marks that a node makes in its directory, and that the other nodes remember.
//!
//! An older copy of a directory has the incarnation of the original and has forgotten what was acknowledged since. So a
//! node makes a mark at each start, and again and again while it runs; the directory keeps the latest, and the others
//! the last one that they were told. A directory without that mark has gone back to what it was before.

use serde::{Deserialize, Serialize};

/// How many marks are kept. Only those matter that the others may have been told; a node makes no other one before it
/// has told them, but for one at each start.
const KEPT: usize = 64;

/// One mark.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// From 1; 0 if none is known.
    pub count: u64,
    /// Drawn for it: an older copy goes on counting, and draws something else.
    pub drawn: u64,
    /// The start of the node in which it was made, from 1.
    pub start: u64,
    /// Drawn for that start.
    pub run: u64,
}

/// The latest marks of a directory, the last one last.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// The node starts once more.
    pub fn begin(&mut self, drawn: u64) {
        let last = self.last();
        self.push(Mark { count: last.count + 1, drawn, start: last.start + 1, run: drawn });
    }

    /// The node still runs.
    pub fn go_on(&mut self, drawn: u64) {
        let last = self.last();
        self.push(Mark { count: last.count + 1, drawn, ..last });
    }

    fn push(&mut self, mark: Mark) {
        self.0.push(mark);
        let forgotten = self.0.len().saturating_sub(KEPT);
        self.0.drain(..forgotten);
    }

    /// The last one; that of nobody if there is none.
    #[must_use]
    pub fn last(&self) -> Mark {
        self.0.last().copied().unwrap_or_default()
    }

    /// Whether the directory is the one in which `seen` was made. One that was marked more often since than it keeps
    /// marks is believed.
    #[must_use]
    pub fn have(&self, seen: Mark) -> bool {
        match self.0.iter().find(|mark| mark.count == seen.count) {
            Some(mark) => *mark == seen,
            None => self.0.first().is_none_or(|first| seen.count < first.count),
        }
    }

    /// Whether the node ran on the directory in the start in which `mark` was made.
    #[must_use]
    pub fn include_run_of(&self, mark: Mark) -> bool {
        self.0.iter().any(|made| (made.start, made.run) == (mark.start, mark.run))
    }

    /// Whether the process that shows these marks is the one that made `seen`, perhaps later.
    #[must_use]
    pub fn are_of_run(&self, seen: Mark) -> bool {
        seen.count > 0 && (self.last().start, self.last().run) == (seen.start, seen.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_went_back_does_not_have_what_others_saw() {
        let mut marks = Marks::default();
        assert!(marks.have(Mark::default()), "it was never seen");
        marks.begin(100);
        marks.begin(101);
        let copy = marks.clone();
        marks.begin(102);
        let seen = marks.last();
        assert_eq!((seen.count, seen.start), (3, 3));
        assert!(marks.have(seen));
        assert!(!copy.have(seen), "it is older");
        let mut back = copy;
        back.begin(103);
        assert!(!back.have(seen), "the same count, made at another start");
        back.begin(104);
        assert!(!back.have(seen), "also when it is started once more");
        (0..KEPT as u64).for_each(|_| marks.begin(105));
        assert_eq!((marks.0.len(), marks.last().count), (KEPT, 67));
        assert!(marks.have(seen), "so long ago that it is forgotten");
    }

    #[test]
    fn a_copy_of_a_node_that_runs_goes_back_too() {
        let mut marks = Marks::default();
        marks.begin(1);
        let (mut copy, shown) = (marks.clone(), marks.clone());
        marks.go_on(2);
        let seen = marks.last();
        assert_eq!((seen.count, seen.start, seen.run), (2, 1, 1));
        assert!(shown.are_of_run(seen), "what it has shown before it made the mark");
        copy.begin(3);
        assert!(!copy.have(seen) && !copy.are_of_run(seen));
        assert!(copy.include_run_of(seen) && !marks.include_run_of(copy.last()));
        marks.begin(4);
        assert!(marks.have(seen) && !marks.are_of_run(seen));
        assert!(!Marks::default().are_of_run(Mark::default()), "nobody is no run");
    }
}
