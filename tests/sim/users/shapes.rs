//! What users submit.

use std::collections::BTreeMap;
use std::sync::Arc;

use everstep::engine::definition::{RunnerCatalogue, Spec};
use everstep::engine::model::SpecHash;

/// The definitions, from plain to odd.
pub(super) const SHAPES: [&str; 8] = [
    "
name: branches
steps:
  - { id: a, type: noop, retry: { attempts: 5, initial: 20ms, jitter: 0.5 } }
  - { id: nap, type: delay, params: { for: 30ms } }
  - { id: b, type: noop, needs: [nap], retry: { attempts: 5, initial: 10ms } }
  - { id: c, type: noop, needs: [nap], on_error: continue }
  - { id: last, type: logic, action: set, params: { c: '${ steps.c.status }' }, needs: [b, c] }
",
    "
name: sequence
steps:
  - { id: a, type: noop, retry: { attempts: 4, initial: 5ms } }
  - { id: b, type: noop, retry: { attempts: 4, initial: 5ms } }
  - { id: c, type: noop, retry: { attempts: 4, initial: 5ms } }
  - { id: d, type: noop, retry: { attempts: 4, initial: 5ms } }
  - { id: e, type: noop, retry: { attempts: 4, initial: 5ms } }
output: '${ steps.e.output.node }'
",
    "
name: fan
steps:
  - { id: a, type: noop, needs: [], params: { takes: 200, fails: 0 } }
  - { id: b, type: noop, needs: [], params: { takes: 200, fails: 0 } }
  - { id: c, type: noop, needs: [], params: { takes: 200, fails: 0 } }
  - { id: d, type: noop, needs: [], params: { takes: 200, fails: 0 } }
  - { id: join, type: noop, needs: [a, b, c, d], params: { takes: 10, fails: 0 } }
",
    "
name: careful
steps:
  - { id: a, type: noop, on_lost: uncertain, params: { takes: 300, fails: 0 } }
  - { id: b, type: noop, on_lost: uncertain, params: { takes: 300, fails: 0 } }
",
    "
name: hasty
steps:
  - { id: a, type: noop, timeout: 60ms, on_error: continue, retry: { attempts: 3, initial: 20ms }, params: { takes: 120 } }
  - { id: b, type: noop, timeout: 60ms, on_error: continue, retry: { attempts: 3, initial: 20ms }, params: { takes: 120 } }
",
    "
name: naps
steps:
  - { id: short, type: delay, params: { for: 200ms } }
  - { id: a, type: noop, params: { takes: 5, fails: 0 } }
  - { id: long, type: delay, params: { for: 2s } }
  - { id: b, type: noop, params: { takes: 5, fails: 0 } }
",
    "
name: unlucky
steps:
  - { id: a, type: noop, retry: { attempts: 2, initial: 100ms, factor: 2 }, params: { fails: 40 } }
  - { id: b, type: noop, retry: { attempts: 2, initial: 100ms, factor: 2 }, params: { fails: 40 } }
",
    "
name: slow
steps:
  - { id: a, type: noop, params: { takes: 3000, fails: 0 } }
  - { id: b, type: noop, params: { takes: 20, fails: 0 } }
",
];

/// The definitions as nodes know them.
pub(crate) fn specs(catalogue: &RunnerCatalogue) -> BTreeMap<SpecHash, Arc<Spec>> {
    let parsed = SHAPES.iter().map(|text| Spec::parse(text, catalogue).unwrap().spec);
    parsed.map(|spec| (spec.hash, Arc::new(spec))).collect()
}
