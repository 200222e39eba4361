//! Finding a quotation in a passage.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let (quotation, passage) = text.split_once("\u{1e}").unwrap_or((&text, &text));
    if let Some(range) = griot_fuzz::answer::quote::locate(quotation, passage) {
        assert!(passage.get(range).is_some_and(|found| !found.is_empty()));
    }
});
