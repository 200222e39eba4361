//! Mail.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&[b"From: a@b.example\r\nTo: c@d.example\r\n", bytes].concat(), "x.eml"));
});
