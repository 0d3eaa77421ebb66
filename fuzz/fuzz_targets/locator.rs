//! Any locator on any file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| toryo_fuzz::checks::locator(data));
