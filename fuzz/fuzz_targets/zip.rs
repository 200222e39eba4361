//! The container of Office files and of books.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&[b"PK\x03\x04", bytes].concat(), "x.docx"));
});
