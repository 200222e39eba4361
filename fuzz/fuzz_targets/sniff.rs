//! Whatever kind the bytes turn out to be, under any name.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    let (ending, bytes) = bytes.split_at(bytes.len().min(4));
    let name = format!("x.{}", String::from_utf8_lossy(ending));
    griot_fuzz::read(bytes, &name);
});
