//! Lets everything finish.

use std::time::Duration;

use everstep::actors;
use everstep::consensus::ListQuery;
use everstep::engine::model::{Execution, ExecutionId, Status, StepStatus};

use super::{PATIENCE, Users, caller};
use crate::journal::{Act, Call};

/// Between two looks at what has not finished.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Executions listed at once.
const PAGE: usize = 200;

impl Users {
    /// Resumes what is paused and retries what is uncertain, until nothing is left.
    pub(super) async fn settle(&self) {
        for round in 1_u64.. {
            if let Some(unfinished) = self.unfinished().await {
                *self.open.borrow_mut() = unfinished.iter().map(|it| it.id).collect();
                if unfinished.is_empty() {
                    return;
                }
                for (number, execution) in unfinished.iter().enumerate() {
                    let uncertain = execution.steps.iter().any(|step| step.status == StepStatus::Uncertain);
                    let act = match execution.status {
                        Status::Paused => Act::Resume,
                        Status::Running if uncertain => Act::Retry,
                        _ => continue,
                    };
                    self.about(format!("settle-{round}-{number}"), execution.id, Call::Act(act)).await;
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// All executions that have not finished, as any node lists them. None if it could not.
    async fn unfinished(&self) -> Option<Vec<Execution>> {
        let mut found = Vec::new();
        let mut before: Option<ExecutionId> = None;
        loop {
            let query = ListQuery { before, limit: PAGE, ..ListQuery::default() };
            let who = caller("settle");
            let asked = self.doors.ask(self.any_node(), move |handle: actors::Handle| async move {
                handle.executions(&who, query).await
            });
            let page = tokio::time::timeout(PATIENCE, asked).await.ok()??.ok()?;
            let open = page.items.iter().filter(|record| !record.execution.status.is_finished());
            found.extend(open.map(|record| record.execution.clone()));
            match page.next {
                Some(next) => before = Some(next),
                None => return Some(found),
            }
        }
    }
}
