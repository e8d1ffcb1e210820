//! The unfinished executions, a few dozen bytes each: hundreds of thousands may be parked.

use std::collections::BTreeMap;

use crate::engine::model::{Execution, Status, StepStatus, Timestamp, WorkflowId};

use crate::engine::planted::{self, Bug};

use super::tenants::{Key, TenantNumber};

/// What a leader has to know of an unfinished execution without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub status: Status,
    /// Something can happen now.
    pub runnable: bool,
    /// The earliest time at which something is due, while parked.
    pub due: Option<Timestamp>,
}

impl Facts {
    /// Derives them from the state alone; the definition is not needed, because a decision leaves no step
    /// behind that could start, unless it is so large that the state shows it.
    pub(super) fn of(execution: &Execution) -> Self {
        let mut moving = false;
        let mut parked = false;
        let mut pending = false;
        let mut due = None;
        for step in &execution.steps {
            match step.status {
                StepStatus::Running => moving = true,
                StepStatus::Ready => moving |= execution.status != Status::Paused,
                StepStatus::Waiting | StepStatus::Backoff => {
                    parked = true;
                    due = earliest(due, step.due);
                }
                StepStatus::Uncertain => parked = true,
                StepStatus::Pending => pending = true,
                StepStatus::Completed
                | StepStatus::Failed
                | StepStatus::Skipped
                | StepStatus::Cancelled
                | StepStatus::Compensated => {}
            }
        }
        let status = execution.status;
        // A paused execution waits for a person; only attempts in flight still need someone to record them.
        let runnable = match status {
            Status::Completed | Status::Failed | Status::Cancelled | Status::DeadLettered => false,
            Status::Paused => moving,
            Status::Pending | Status::Running | Status::Compensating => {
                moving || !parked || (pending && execution.may_be_halfway())
            }
        };
        // Holding an execution stops its waits, but not its deadline.
        let due = if status == Status::Paused { None } else { due };
        let due = earliest(due, execution.deadline).filter(|_| !runnable && !status.is_finished());
        Self { status, runnable, due }
    }
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// One row. The time is a plain number, the end of time standing for none, to keep the row small.
#[derive(Debug, Clone, Copy)]
struct Row {
    due_micros: u64,
    workflow: WorkflowNumber,
    status: Status,
    runnable: bool,
    stored: bool,
}

/// A workflow's number; [`INLINE`] is none.
type WorkflowNumber = u32;

const INLINE: WorkflowNumber = u32::MAX;

/// The unfinished executions of a partition.
#[derive(Debug, Default)]
pub(super) struct Live {
    rows: BTreeMap<Key, Row>,
    runnable: usize,
    numbers: BTreeMap<(TenantNumber, WorkflowId), WorkflowNumber>,
    workflows: Vec<(WorkflowId, usize)>,
}

impl Live {
    /// Adds an execution, or says what is true of it now. Whether it is stored is kept.
    pub(super) fn set(&mut self, key: Key, facts: Facts, workflow: Option<WorkflowId>) {
        self.runnable += usize::from(facts.runnable);
        let due_micros = facts.due.map_or(u64::MAX, Timestamp::micros);
        if let Some(row) = self.rows.get_mut(&key) {
            self.runnable -= usize::from(row.runnable);
            *row = Row { due_micros, status: facts.status, runnable: facts.runnable, ..*row };
            return;
        }
        let workflow = workflow.map_or(INLINE, |id| self.number(key.tenant, id));
        if let Some((_, running)) = self.workflows.get_mut(workflow as usize) {
            *running += 1;
        }
        let row = Row { due_micros, workflow, status: facts.status, runnable: facts.runnable, stored: false };
        self.rows.insert(key, row);
    }

    /// Notes whether its row is in the store.
    pub(super) fn set_stored(&mut self, key: Key) {
        if let Some(row) = self.rows.get_mut(&key) {
            row.stored = true;
        }
    }

    /// It has finished. Answers whether its row is in the store.
    pub(super) fn remove(&mut self, key: Key) -> bool {
        let Some(row) = self.rows.remove(&key) else { return false };
        self.runnable -= usize::from(row.runnable && !planted::is(Bug::CounterDrifts));
        if let Some((_, running)) = self.workflows.get_mut(row.workflow as usize) {
            *running -= 1;
        }
        row.stored
    }

    pub(super) fn is_stored(&self, key: Key) -> bool {
        self.rows.get(&key).is_some_and(|row| row.stored)
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn runnable(&self) -> usize {
        self.runnable
    }

    pub(super) fn running_of(&self, tenant: TenantNumber, workflow: WorkflowId) -> usize {
        let number = self.numbers.get(&(tenant, workflow));
        number.map_or(0, |number| self.workflows[*number as usize].1)
    }

    /// All of them, by tenant number and id.
    pub(super) fn all(&self) -> impl Iterator<Item = (Key, Facts)> {
        self.rows.iter().map(|(key, row)| (*key, facts_of(row)))
    }

    /// Those of a tenant with ids below `before`, newest first, with their workflow.
    pub(super) fn below(&self, before: Key) -> impl Iterator<Item = (Key, Facts, Option<WorkflowId>)> {
        let newest_first = self.rows.range(..before).rev();
        newest_first.take_while(move |(key, _)| key.tenant == before.tenant).map(|(key, row)| {
            let workflow = self.workflows.get(row.workflow as usize).map(|(id, _)| *id);
            (*key, facts_of(row), workflow)
        })
    }

    fn number(&mut self, tenant: TenantNumber, workflow: WorkflowId) -> WorkflowNumber {
        *self.numbers.entry((tenant, workflow)).or_insert_with(|| {
            self.workflows.push((workflow, 0));
            u32::try_from(self.workflows.len() - 1).expect("there are fewer workflows than numbers")
        })
    }
}

fn facts_of(row: &Row) -> Facts {
    let due = (row.due_micros != u64::MAX).then(|| Timestamp::from_micros(row.due_micros));
    Facts { status: row.status, runnable: row.runnable, due }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{ExecutionId, Payload, Step, TenantId, limits};

    #[test]
    fn what_a_large_decision_may_have_left_behind_is_runnable() {
        let tenant = TenantId::new("default").unwrap();
        let mut execution = Execution::unborn(ExecutionId::new(1, 2, 3), tenant);
        let due = Some(Timestamp::from_micros(7));
        let sleeping = Step { status: StepStatus::Waiting, due, ..Step::PENDING };
        execution.steps = vec![sleeping, Step::PENDING];
        execution.status = Status::Running;
        assert_eq!(Facts::of(&execution), Facts { status: Status::Running, runnable: false, due });
        let large = format!("\"{}\"", "x".repeat(limits::DECISION_BYTES_MAX));
        execution.steps[0].params = Some(Payload::from_text(&large).unwrap());
        assert!(Facts::of(&execution).runnable);
        execution.steps.pop();
        assert!(!Facts::of(&execution).runnable, "nothing is pending");
    }
}
