//! What is inside a PPTX.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    const PARTS: [&str; 5] = [
        "ppt/presentation.xml",
        "ppt/_rels/presentation.xml.rels",
        "ppt/slides/slide1.xml",
        "ppt/slides/_rels/slide1.xml.rels",
        "[Content_Types].xml",
    ];
    griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.pptx");
});
