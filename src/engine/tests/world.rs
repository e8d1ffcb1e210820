//! A small world around the engine: a clock, an epoch, a log. Everything the floors above would be,
//! as far as the rules can tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::definition::Spec;
use crate::model::{
    AttemptNumber, Create, Effect, Epoch, Event, Execution, ExecutionId, Fault, Input, Moment, Payload,
    Recorded, Rejection, StepIndex, StepKey, TenantId, Timestamp, codes,
};
use crate::{decide, evolve, invariants, owed};

/// One execution, its history, and the time it lives in.
pub(super) struct World {
    pub(super) spec: Arc<Spec>,
    pub(super) execution: Execution,
    pub(super) history: Vec<Recorded>,
    pub(super) now: Timestamp,
    pub(super) epoch: Epoch,
}

impl World {
    /// 2026-01-01T00:00:00Z.
    pub(super) const ORIGIN: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

    pub(super) fn new(spec: Arc<Spec>) -> Self {
        let tenant = TenantId::new("default").unwrap();
        let execution = Execution::unborn(ExecutionId::new(1_767_225_600_000, 0x5eed, 7), tenant);
        Self { spec, execution, history: Vec::new(), now: Self::ORIGIN, epoch: Epoch(1) }
    }

    /// Decides, records, folds, and checks all that is always true.
    pub(super) fn wish(&mut self, input: Input) -> Result<Vec<Event>, Rejection> {
        let moment = Moment { at: self.now, epoch: self.epoch };
        let looked = input == Input::Reconcile;
        let events = decide(&self.execution, &self.spec, input, moment)?;
        for event in &events {
            self.check_fence(event);
            let recorded = Recorded { at: self.now, event: event.clone() };
            evolve(&mut self.execution, &recorded);
            self.history.push(recorded);
        }
        self.check();
        let owed = owed(&self.execution, &self.spec);
        if looked && !owed.contains(&Effect::Timer { due: Effect::AT_ONCE }) {
            let again = decide(&self.execution, &self.spec, Input::Reconcile, moment)?;
            assert!(again.is_empty(), "who has just looked finds something: {again:#?}");
        }
        Ok(events)
    }

    /// Only the leadership that started an attempt records how it ended; another one may only say that
    /// it was lost.
    fn check_fence(&self, event: &Event) {
        let key = match event {
            Event::AttemptCompleted { step, .. } => step,
            Event::AttemptFailed { step, fault, .. } if fault.code != codes::NODE_LOST => step,
            _ => return,
        };
        let started_by = self.execution.steps[key.index.usize()].epoch;
        assert_eq!(started_by, self.epoch, "an outcome was recorded by another leadership");
    }

    /// Panics with what is wrong, if anything is.
    pub(super) fn check(&self) {
        let mut wrong = invariants::check(&self.execution, &self.spec);
        wrong.extend(invariants::check_history(&self.history, &self.spec));
        assert!(wrong.is_empty(), "{wrong:#?}\nafter {:#?}", self.history);
        assert_eq!(self.execution.version, self.history.len() as u64, "a version counts facts");
        let mut replayed = Execution::unborn(self.execution.id, self.execution.tenant.clone());
        self.history.iter().for_each(|recorded| evolve(&mut replayed, recorded));
        assert_eq!(replayed, self.execution, "a replay ends in another state");
        let asked_again = owed(&self.execution, &self.spec);
        assert_eq!(asked_again, owed(&replayed, &self.spec), "a replay owes something else");
    }

    pub(super) fn create(
        &mut self,
        input: Payload,
        labels: BTreeMap<String, String>,
    ) -> Result<Vec<Event>, Rejection> {
        self.wish(Input::Create(Box::new(Create {
            tenant: self.execution.tenant.clone(),
            workflow: None,
            workflow_version: 0,
            input,
            labels,
            by: "ada".into(),
        })))
    }

    pub(super) fn finish(
        &mut self,
        step: StepIndex,
        attempt: AttemptNumber,
        outcome: Result<Payload, Fault>,
    ) -> Result<Vec<Event>, Rejection> {
        self.wish(Input::AttemptFinished { step: StepKey::plain(step), attempt, outcome })
    }
}
