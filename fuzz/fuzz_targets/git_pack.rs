//! `git_store::fuzzing::pack`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| git_store::fuzzing::pack(bytes));
