//! Any bytes as a gRPC request: refused, or within the limits.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| everstep::api::ask_rubbish(bytes));
