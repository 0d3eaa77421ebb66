//! Any diff on any file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| toryo_fuzz::checks::diff(data));
