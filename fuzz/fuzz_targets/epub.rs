//! What is inside an EPUB.

#![no_main]

const PARTS: [&str; 5] = [
    "mimetype",
    "META-INF/container.xml",
    "OEBPS/content.opf",
    "OEBPS/toc.ncx",
    "OEBPS/chapter1.xhtml",
];

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.epub"));
});
