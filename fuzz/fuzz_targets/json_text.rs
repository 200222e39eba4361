//! The one string of a JSON object, decoded while it arrives: in pieces it is what it is in one.

#![no_main]

use griot_fuzz::answer::json_text::JsonText;

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        let text = String::from_utf8_lossy(bytes);
        let whole = JsonText::of("answer").feed(&text);
        let mut decoder = JsonText::of("answer");
        let mut pieces = String::new();
        let mut buffer = [0; 4];
        for c in text.chars() {
            pieces += &decoder.feed(c.encode_utf8(&mut buffer));
        }
        assert_eq!(pieces, whole);
    });
});
