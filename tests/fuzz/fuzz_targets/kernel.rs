//! Scripts of three clients against the kernel over memory; see `partyline_broker::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    partyline_broker::fuzzing::run(script);
});
