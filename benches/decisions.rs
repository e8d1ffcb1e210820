//! How fast the engine is by itself: whole executions of three effectful steps, decided and folded on one
//! thread, without a log. `cargo bench --bench decisions`.
#![expect(clippy::print_stdout, reason = "a benchmark says what it saw")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use everstep::engine::definition::{RunnerCatalogue, RunnerShape, Spec};
use everstep::engine::model::{
    Create, Epoch, Execution, ExecutionId, Input, Moment, Payload, Recorded, Status, StepIndex, StepKey,
    TenantId, Timestamp,
};
use everstep::engine::{decide, evolve, owed};

/// How long to measure.
const DURATION: Duration = Duration::from_secs(3);

const DEFINITION: &str = r#"{"name": "bench", "steps": [
    {"id": "a", "type": "noop"}, {"id": "b", "type": "noop"}, {"id": "c", "type": "noop"}]}"#;

fn main() {
    let noop = ("noop".to_owned(), RunnerShape { known: vec!["value".to_owned()], ..RunnerShape::default() });
    let catalogue = RunnerCatalogue { runners: BTreeMap::from([noop]) };
    let spec = Spec::parse(DEFINITION, &catalogue).expect("the definition is right").spec;
    let (began, mut executions) = (Instant::now(), 0_u64);
    while began.elapsed() < DURATION {
        run(&spec, executions);
        executions += 1;
    }
    let each = began.elapsed().as_secs_f64() * 1e6 / executions as f64;
    println!("{:.0} executions/s on one thread, {each:.2} µs each (4 decisions, 8 facts)", 1e6 / each);
}

/// One execution from its creation to its end.
fn run(spec: &Spec, number: u64) {
    let tenant = TenantId::new("bench").expect("a slug");
    let mut execution = Execution::unborn(ExecutionId::new(number, u128::from(number), 0), tenant.clone());
    let moment = Moment { at: Timestamp::from_micros(number + 1), epoch: Epoch(1) };
    let create = Create {
        tenant,
        workflow: None,
        workflow_version: 0,
        input: Payload::null(),
        labels: BTreeMap::new(),
        by: "bench".to_owned(),
    };
    take(&mut execution, spec, Input::Create(Box::new(create)), moment);
    for index in 0..3 {
        assert_eq!(owed(&execution, spec).len(), 1, "one attempt is owed");
        let step = StepKey::plain(StepIndex(index));
        let input = Input::AttemptFinished { step, attempt: 1, outcome: Ok(Payload::null()) };
        take(&mut execution, spec, input, moment);
    }
    assert_eq!(execution.status, Status::Completed, "three outcomes complete it");
}

fn take(execution: &mut Execution, spec: &Spec, input: Input, moment: Moment) {
    let events = decide(execution, spec, input, moment).expect("lawful");
    for event in events {
        evolve(execution, &Recorded { at: moment.at, event });
    }
}
