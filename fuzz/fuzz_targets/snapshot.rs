//! Any rows in a snapshot: refused, or the state, of which every row is whole or damaged, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| everstep::consensus::install_rubbish(bytes));
