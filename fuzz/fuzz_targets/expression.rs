//! Any text as an expression of a definition: it compiles or is refused, within its budget.
#![no_main]

use everstep_engine::definition::{RunnerCatalogue, Spec};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|expression: &str| {
    let definition = json!({
        "name": "fuzz",
        "steps": [
            { "id": "a", "type": "logic", "action": "set", "params": { "v": 1 } },
            { "id": "b", "type": "logic", "action": "set", "params": { "v": format!("${{ {expression} }}") } },
        ],
    });
    let _refused = Spec::parse(&definition.to_string(), &RunnerCatalogue::default());
});
