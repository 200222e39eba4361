//! HTML.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::read(&[b"<html>", bytes].concat(), "x.html");
});
