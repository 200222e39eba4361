//! What is inside an ODT.

#![no_main]

const PARTS: [&str; 4] = [
    "mimetype",
    "content.xml",
    "styles.xml",
    "meta.xml",
];

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.odt"));
});
