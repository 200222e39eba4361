//! Mail.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::read(&[b"From: a@b\r\nTo: c@d\r\n", bytes].concat(), "x.eml");
});
