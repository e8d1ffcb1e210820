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
    /// Where the dependents of each step begin in `steps`; they end where those of the next one begin.
    begins: Vec<u32>,
    steps: Vec<StepIndex>,
}

impl Dependents {
    pub(super) fn new(spec: &Spec) -> Self {
        let count = u16::try_from(spec.steps.len()).expect("a definition has at most STEPS_MAX steps");
        let mut places = vec![0_u32; spec.steps.len()];
        for need in spec.steps.iter().flat_map(|step| &step.needs) {
            places[need.usize()] += 1;
        }
        let mut total = 0;
        for place in &mut places {
            total += *place;
            *place = total;
        }
        // Each place is an end now. Filled from the back, it walks down to the beginning.
        let mut steps = vec![StepIndex(0); total as usize];
        for index in (0..count).map(StepIndex).rev() {
            for need in &spec.steps[index.usize()].needs {
                let place = &mut places[need.usize()];
                *place -= 1;
                steps[*place as usize] = index;
            }
        }
        Self { begins: places, steps }
    }

    /// The steps that need this one, in the definition's order.
    pub(super) fn of(&self, index: StepIndex) -> &[StepIndex] {
        let begin = self.begins[index.usize()] as usize;
        let end = self.begins.get(index.usize() + 1).map_or(self.steps.len(), |end| *end as usize);
        &self.steps[begin..end]
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
