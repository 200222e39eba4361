//! What is inside a DOCX.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    const PARTS: [&str; 6] = [
        "word/document.xml",
        "word/styles.xml",
        "word/numbering.xml",
        "word/footnotes.xml",
        "word/_rels/document.xml.rels",
        "[Content_Types].xml",
    ];
    griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.docx");
});
