//! `git_store::fuzzing::upload_request`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| git_store::fuzzing::upload_request(bytes));
