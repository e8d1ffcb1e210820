//! Any text at all: the check answers with findings or a definition that loads again, never with a panic.
#![no_main]

use everstep_engine::definition::{RunnerCatalogue, Spec};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(parsed) = Spec::parse(text, &RunnerCatalogue::default()) {
        let again = Spec::load(&parsed.canonical).expect("an accepted definition loads again");
        assert_eq!(again.hash, parsed.spec.hash, "its hash names its content");
    }
});
