//! RTF.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&[b"{\\rtf1", bytes].concat(), "x.rtf"));
});
