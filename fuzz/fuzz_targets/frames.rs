//! What a child says to the daemon.

#![no_main]

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime without drivers")
            .block_on(griot_fuzz::ingest::jail::read_frames(
                &[b"GRIOTEX1", bytes].concat(),
            ));
    });
});
