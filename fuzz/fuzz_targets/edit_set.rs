//! Any bytes as an edit set.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| toryo_fuzz::checks::edit_set(data));
