//! What is inside a PPTX.

#![no_main]

const PARTS: [&str; 8] = [
    "[Content_Types].xml",
    "_rels/.rels",
    "ppt/presentation.xml",
    "ppt/_rels/presentation.xml.rels",
    "ppt/slides/slide1.xml",
    "ppt/slides/_rels/slide1.xml.rels",
    "ppt/charts/chart1.xml",
    "ppt/notesSlides/notesSlide1.xml",
];

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.pptx"));
});
