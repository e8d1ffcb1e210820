//! The same rules again, small and written another way, for sequences and graphs of effects with
//! retries: no facts, no queue, only a table that is recomputed until it stands still. Whatever is
//! drawn, the engine has to agree with it after each wish.

use std::sync::Arc;

use proptest::prelude::*;

use super::build;
use super::world::World;
use crate::definition::OnError;
use crate::model::{Fault, Input, Millis, Payload, RetryFrom, Status, StepIndex, StepStatus};

/// What is drawn for one step.
#[derive(Debug, Clone)]
struct Plan {
    /// Bit n: it needs step n, which comes before it.
    needs: u8,
    attempts: u32,
    forgiving: bool,
}

#[derive(Debug, Clone, Copy)]
enum Move {
    /// The nth attempt in flight succeeds.
    Succeed(usize),
    /// It fails; `true` for good.
    Fail(usize, bool),
    /// So many tenths of a second pass.
    Tick(u64),
    Lose,
    Pause,
    Resume,
    Cancel,
    RetryFailed,
    RetryStart,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Cell {
    Idle,
    Live,
    /// Until this tenth of a second.
    Asleep(u64),
    Good,
    Forgiven,
    Bad,
    Gone,
}

/// The table.
#[derive(Debug)]
struct Table {
    plans: Vec<Plan>,
    cells: Vec<Cell>,
    tries: Vec<u32>,
    strikes: Vec<u32>,
    state: Status,
    now: u64,
}

impl Table {
    fn new(plans: &[Plan]) -> Self {
        let count = plans.len();
        let mut table = Self {
            plans: plans.to_vec(),
            cells: vec![Cell::Idle; count],
            tries: vec![0; count],
            strikes: vec![0; count],
            state: Status::Running,
            now: 0,
        };
        table.settle();
        table
    }

    fn live(&self) -> Vec<usize> {
        (0..self.cells.len()).filter(|at| self.cells[*at] == Cell::Live).collect()
    }

    /// Recomputes until nothing changes.
    fn settle(&mut self) {
        while self.state == Status::Running {
            if self.cells.contains(&Cell::Bad) {
                return self.stop(Status::Failed);
            }
            if self.cells.iter().all(|cell| matches!(cell, Cell::Good | Cell::Forgiven)) {
                self.state = Status::Completed;
                return;
            }
            let over = |at: usize| matches!(self.cells[at], Cell::Good | Cell::Forgiven);
            let startable = (0..self.cells.len()).find(|at| match self.cells[*at] {
                Cell::Idle => (0..8).filter(|need| self.plans[*at].needs >> need & 1 == 1).all(over),
                Cell::Asleep(until) => until <= self.now,
                _ => false,
            });
            let Some(at) = startable else { return };
            self.cells[at] = Cell::Live;
            self.tries[at] += 1;
        }
    }

    fn stop(&mut self, state: Status) {
        self.state = state;
        for cell in &mut self.cells {
            if !matches!(cell, Cell::Good | Cell::Forgiven | Cell::Bad) {
                *cell = Cell::Gone;
            }
        }
    }

    fn fail(&mut self, at: usize, for_good: bool) {
        self.strikes[at] += 1;
        let plan = &self.plans[at];
        self.cells[at] = match (!for_good && self.strikes[at] < plan.attempts, plan.forgiving) {
            (true, _) => Cell::Asleep(self.now + 10),
            (false, true) => Cell::Forgiven,
            (false, false) => Cell::Bad,
        };
        self.settle();
    }

    /// Whether the wish was lawful.
    fn apply(&mut self, wish: Move, at: Option<usize>) -> bool {
        let ended = matches!(self.state, Status::Completed | Status::Failed | Status::Cancelled);
        match (wish, at) {
            (Move::Succeed(_), Some(at)) => self.cells[at] = Cell::Good,
            (Move::Fail(_, for_good), Some(at)) => self.fail(at, for_good),
            (Move::Tick(tenths), _) => self.now += tenths,
            (Move::Lose, _) => {
                for at in self.live() {
                    self.cells[at] = Cell::Asleep(self.now);
                }
            }
            (Move::Pause, _) if self.state == Status::Running => self.state = Status::Paused,
            (Move::Resume, _) if self.state == Status::Paused => self.state = Status::Running,
            (Move::Cancel, _) if !ended => self.stop(Status::Cancelled),
            (Move::RetryFailed, _) if ended => {
                let again = |cell: &Cell| matches!(cell, Cell::Bad | Cell::Gone);
                if !self.cells.iter().any(again) {
                    return false;
                }
                self.reset(again);
            }
            (Move::RetryStart, _) if ended => self.reset(|_| true),
            (Move::Succeed(_) | Move::Fail(..), None) => {}
            _ => return false,
        }
        self.settle();
        true
    }

    fn reset(&mut self, again: impl Fn(&Cell) -> bool) {
        for at in 0..self.cells.len() {
            if again(&self.cells[at]) {
                (self.cells[at], self.strikes[at]) = (Cell::Idle, 0);
            }
        }
        self.state = Status::Running;
    }

    fn statuses(&self) -> Vec<StepStatus> {
        let status = |cell: &Cell| match cell {
            Cell::Idle => StepStatus::Pending,
            Cell::Live => StepStatus::Running,
            Cell::Asleep(_) => StepStatus::Backoff,
            Cell::Good => StepStatus::Completed,
            Cell::Forgiven | Cell::Bad => StepStatus::Failed,
            Cell::Gone => StepStatus::Cancelled,
        };
        self.cells.iter().map(status).collect()
    }
}

fn engine(plans: &[Plan]) -> World {
    let steps = plans.iter().enumerate().map(|(at, plan)| {
        let needs = (0..8).filter(|need| plan.needs >> need & 1 == 1).map(StepIndex).collect();
        let mut step = build::step(at, needs);
        step.retry = build::attempts(plan.attempts);
        step.on_error = if plan.forgiving { OnError::Continue } else { OnError::Fail };
        step
    });
    World::new(Arc::new(build::spec(steps.collect())))
}

fn ask(world: &mut World, wish: Move, at: Option<usize>, tries: u32) -> bool {
    let by = || "ada".to_owned();
    let index = StepIndex(at.unwrap_or(0) as u16);
    let answer = match (wish, at) {
        (Move::Succeed(_) | Move::Fail(..), None) => return true,
        (Move::Succeed(_), Some(_)) => world.finish(index, tries, Ok(Payload::null())),
        (Move::Fail(_, true), Some(_)) => world.finish(index, tries, Err(Fault::fatal("exit_1", "no"))),
        (Move::Fail(_, false), Some(_)) => world.finish(index, tries, Err(Fault::retryable("exit_1", "no"))),
        (Move::Tick(tenths), _) => {
            world.now = world.now + Millis(tenths * 100);
            world.wish(Input::Reconcile)
        }
        (Move::Lose, _) => {
            world.epoch.0 += 1;
            world.wish(Input::Reconcile)
        }
        (Move::Pause, _) => world.wish(Input::Pause { by: by(), reason: String::new() }),
        (Move::Resume, _) => world.wish(Input::Resume { by: by() }),
        (Move::Cancel, _) => world.wish(Input::Cancel { by: by(), reason: String::new() }),
        (Move::RetryFailed, _) => world.wish(Input::Retry { by: by(), from: RetryFrom::Failed }),
        (Move::RetryStart, _) => world.wish(Input::Retry { by: by(), from: RetryFrom::Start }),
    };
    answer.is_ok()
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let sequence = prop::collection::vec((1..4_u32, any::<bool>()), 1..6).prop_map(|drawn| {
        let plan = |(at, (attempts, forgiving)): (usize, _)| Plan {
            needs: if at == 0 { 0 } else { 1 << (at - 1) },
            attempts,
            forgiving,
        };
        drawn.into_iter().enumerate().map(plan).collect()
    });
    let graph = prop::collection::vec((any::<u8>(), 1..4_u32, any::<bool>()), 1..8).prop_map(|drawn| {
        let plan = |(at, (needs, attempts, forgiving)): (usize, (u8, u32, bool))| Plan {
            needs: needs & ((1_u16 << at) - 1) as u8,
            attempts,
            forgiving,
        };
        drawn.into_iter().enumerate().map(plan).collect()
    });
    prop_oneof![sequence, graph]
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        8 => any::<usize>().prop_map(Move::Succeed),
        4 => (any::<usize>(), prop::bool::weighted(0.2)).prop_map(|(at, for_good)| Move::Fail(at, for_good)),
        4 => (0..15_u64).prop_map(Move::Tick),
        1 => Just(Move::Lose),
        1 => Just(Move::Pause),
        2 => Just(Move::Resume),
        1 => Just(Move::Cancel),
        1 => Just(Move::RetryFailed),
        1 => Just(Move::RetryStart),
    ];
    prop::collection::vec(one, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_agrees_with_the_table(plans in plans(), moves in moves()) {
        let mut table = Table::new(&plans);
        let mut world = engine(&plans);
        world.create(Payload::null(), Default::default()).unwrap();
        for wish in moves {
            let live = table.live();
            let at = match wish {
                Move::Succeed(nth) | Move::Fail(nth, _) if !live.is_empty() => Some(live[nth % live.len()]),
                _ => None,
            };
            let tries = at.map_or(0, |at| table.tries[at]);
            let lawful = table.apply(wish, at);
            prop_assert_eq!(lawful, ask(&mut world, wish, at, tries), "{:?}", wish);
            let statuses: Vec<StepStatus> = world.execution.steps.iter().map(|step| step.status).collect();
            prop_assert_eq!(&statuses, &table.statuses(), "after {:?}: {:?}", wish, &table);
            prop_assert_eq!(world.execution.status, table.state, "after {:?}", wish);
            let numbers: Vec<u32> = world.execution.steps.iter().map(|step| step.attempt).collect();
            prop_assert_eq!(&numbers, &table.tries, "after {:?}", wish);
        }
    }
}
