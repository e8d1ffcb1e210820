//! Any bytes on a connection between nodes: a frame, a hello or a message, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| everstep::consensus::peer::rubbish::read(bytes));
