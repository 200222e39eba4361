//! PDF: its text, and the pictures on its first page.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        griot_fuzz::read(bytes, "x.pdf");
        for picture in griot_fuzz::ingest::pictures(bytes, 1).unwrap_or_default() {
            assert!(!picture.is_empty());
        }
    });
});
