//! What a model copied, found in a passage: its reply and the passage, parted by U+001E.

#![no_main]

use griot_fuzz::answer::{
    quotation::quotation,
    quote::{locate, only_place, whole_sentences},
};

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        let text = String::from_utf8_lossy(bytes);
        let (reply, passage) = text.split_once('\u{1e}').unwrap_or((&text, &text));
        let quoted = quotation(reply).unwrap_or_else(|| reply.to_owned());
        let place = locate(&quoted, passage);
        let only = only_place(&quoted, [passage]).map(|(_, range)| range);
        for range in [place, only].into_iter().flatten() {
            let found = passage.get(range.clone()).expect("a range of the passage");
            assert!(!found.is_empty());
            if let Some(whole) = whole_sentences(range.clone(), passage) {
                assert!(whole.start <= range.start && range.end <= whole.end);
                assert!(passage.get(whole).is_some());
            }
        }
    });
});
