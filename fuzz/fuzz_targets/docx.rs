//! What is inside a DOCX.

#![no_main]

const PARTS: [&str; 7] = [
    "[Content_Types].xml",
    "_rels/.rels",
    "word/document.xml",
    "word/styles.xml",
    "word/numbering.xml",
    "word/footnotes.xml",
    "word/_rels/document.xml.rels",
];

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.docx"));
});
