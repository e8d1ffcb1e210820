//! The order of steps: what needs what, and what has run before what.

use crate::model::StepIndex;

/// The steps of a definition by what they need.
#[derive(Debug)]
pub(super) struct Graph {
    /// By step, the steps that have to settle before it.
    needs: Vec<Vec<StepIndex>>,
    /// By step, a bit for each step that has settled before it starts.
    before: Vec<Vec<u64>>,
}

impl Graph {
    /// Orders the steps. Errors: a cycle, each step of it needing the next, the last the first.
    pub(super) fn new(needs: Vec<Vec<StepIndex>>) -> Result<Self, Vec<StepIndex>> {
        assert!(
            needs.iter().flatten().all(|need| need.usize() < needs.len()),
            "a need is a step of the definition"
        );
        let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut dependents = vec![Vec::new(); needs.len()];
        for (step, wanted) in needs.iter().enumerate() {
            for need in wanted {
                dependents[need.usize()].push(step);
            }
        }
        let mut ready: Vec<usize> = (0..needs.len()).filter(|step| missing[*step] == 0).collect();
        let mut before = vec![Vec::new(); needs.len()];
        let mut ordered = 0;
        while let Some(step) = ready.pop() {
            ordered += 1;
            before[step] = union(&needs[step], &before, needs.len());
            for dependent in &dependents[step] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.push(*dependent);
                }
            }
        }
        if ordered == needs.len() { Ok(Self { needs, before }) } else { Err(cycle(&needs, &missing)) }
    }

    /// What a step needs.
    pub(super) fn needs(&self, step: StepIndex) -> &[StepIndex] {
        &self.needs[step.usize()]
    }

    /// Whether `first` has settled whenever `then` starts by its needs.
    pub(super) fn is_before(&self, first: StepIndex, then: StepIndex) -> bool {
        let (word, bit) = (first.usize() / 64, first.usize() % 64);
        self.before[then.usize()].get(word).is_some_and(|bits| bits >> bit & 1 == 1)
    }
}

/// The needs and all that is before them.
fn union(needs: &[StepIndex], before: &[Vec<u64>], steps: usize) -> Vec<u64> {
    let mut bits = vec![0_u64; steps.div_ceil(64)];
    for need in needs {
        bits[need.usize() / 64] |= 1 << (need.usize() % 64);
        for (mine, theirs) in bits.iter_mut().zip(&before[need.usize()]) {
            *mine |= theirs;
        }
    }
    bits
}

/// A cycle among the steps that could not be ordered: each of them needs another one of them, so walking
/// along needs must come back to a step already seen.
fn cycle(needs: &[Vec<StepIndex>], missing: &[usize]) -> Vec<StepIndex> {
    let stuck = |step: &StepIndex| missing[step.usize()] > 0;
    let mut path: Vec<StepIndex> = Vec::new();
    let mut seen = vec![None; needs.len()];
    let mut next = (0_u16..).map(StepIndex).take(needs.len()).find(stuck);
    while let Some(step) = next {
        if let Some(start) = seen[step.usize()] {
            return path.split_off(start);
        }
        seen[step.usize()] = Some(path.len());
        path.push(step);
        next = needs[step.usize()].iter().copied().find(stuck);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(needs: &[&[u16]]) -> Result<Graph, Vec<StepIndex>> {
        Graph::new(needs.iter().map(|it| it.iter().copied().map(StepIndex).collect()).collect())
    }

    #[test]
    fn knows_what_is_before_what() {
        let diamond = graph(&[&[], &[0], &[0], &[1, 2], &[]]).unwrap();
        assert!(diamond.is_before(StepIndex(0), StepIndex(3)), "a need of a need");
        assert!(!diamond.is_before(StepIndex(1), StepIndex(2)), "siblings");
        assert!(!diamond.is_before(StepIndex(3), StepIndex(0)), "the other way round");
        assert!(!diamond.is_before(StepIndex(4), StepIndex(3)), "unrelated");
        assert!(!diamond.is_before(StepIndex(3), StepIndex(3)), "itself");
    }

    #[test]
    fn names_a_cycle_without_the_steps_that_only_wait_for_it() {
        let cycle = graph(&[&[], &[3], &[1], &[2], &[3]]).unwrap_err();
        let mut members = cycle.clone();
        members.sort();
        assert_eq!(members, [StepIndex(1), StepIndex(2), StepIndex(3)]);
        assert_eq!(graph(&[&[0]]).unwrap_err(), [StepIndex(0)], "a step that needs itself");
    }

    #[test]
    fn a_chain_of_the_largest_size_is_ordered() {
        let chain: Vec<Vec<StepIndex>> =
            (0..5_000_u16).map(|step| step.checked_sub(1).map(StepIndex).into_iter().collect()).collect();
        let graph = Graph::new(chain).unwrap();
        assert!(graph.is_before(StepIndex(0), StepIndex(4_999)));
    }
}
