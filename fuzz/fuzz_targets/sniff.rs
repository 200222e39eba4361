//! Whatever kind the bytes turn out to be, under any name.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        let (ending, bytes) = bytes.split_at(bytes.len().min(4));
        griot_fuzz::read(bytes, &format!("x.{}", String::from_utf8_lossy(ending)));
    });
});
