//! Any URL, at any addresses: what is admitted is on the open internet, as another rule says it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| everstep::runners::admit_rubbish(bytes));
