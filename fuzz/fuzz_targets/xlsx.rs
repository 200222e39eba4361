//! What is inside an XLSX.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    const PARTS: [&str; 6] = [
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/worksheets/sheet1.xml",
        "xl/sharedStrings.xml",
        "xl/styles.xml",
        "[Content_Types].xml",
    ];
    griot_fuzz::read(&griot_fuzz::package(bytes, &PARTS), "x.xlsx");
});
