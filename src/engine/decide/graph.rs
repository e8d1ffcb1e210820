//! The definition's graph, read forwards.
//!
//! A definition says what a step needs; a decision asks what a settled step makes possible. The answer
//! is computed once per decision that settles something, in time linear in steps and needs, and packed
//! in two lists so that a small definition costs two allocations.

use std::collections::BTreeSet;

use crate::definition::Spec;
use crate::model::StepIndex;

/// For each step, the steps that need it.
pub(super) struct Dependents {
    /// Where the dependents of each step end in `steps`; those of the first begin at 0.
    ends: Vec<u32>,
    steps: Vec<StepIndex>,
}

impl Dependents {
    pub(super) fn new(spec: &Spec) -> Self {
        let mut ends = vec![0_u32; spec.steps.len()];
        for need in spec.steps.iter().flat_map(|step| &step.needs) {
            ends[need.usize()] += 1;
        }
        let mut total = 0;
        for end in &mut ends {
            total += *end;
            *end = total;
        }
        // Filled from the back, each end walks down to its beginning, which is the end before it.
        let mut steps = vec![StepIndex(0); total as usize];
        let mut places = ends.clone();
        let count = u16::try_from(spec.steps.len()).expect("a definition has at most STEPS_MAX steps");
        for index in (0..count).map(StepIndex).rev() {
            for need in &spec.steps[index.usize()].needs {
                let place = &mut places[need.usize()];
                *place -= 1;
                steps[*place as usize] = index;
            }
        }
        Self { ends, steps }
    }

    /// The steps that need this one, in the definition's order.
    pub(super) fn of(&self, index: StepIndex) -> &[StepIndex] {
        let begin = index.usize().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.steps[begin as usize..self.ends[index.usize()] as usize]
    }

    /// Everything that comes after a step, itself not among it.
    pub(super) fn descendants(&self, index: StepIndex) -> BTreeSet<StepIndex> {
        let mut found = BTreeSet::new();
        let mut open = vec![index];
        while let Some(step) = open.pop() {
            open.extend(self.of(step).iter().filter(|dependent| found.insert(**dependent)));
        }
        found
    }
}
