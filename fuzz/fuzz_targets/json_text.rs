//! The one string of a JSON object, decoded while it arrives.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    use griot_fuzz::answer::json_text::JsonText;
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
