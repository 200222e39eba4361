//! What a client of the Wyoming protocol sends: events are read until it makes no sense any more, and what was
//! read is read again from what it is written as.

#![no_main]

use griot_fuzz::wyoming::wire::{read, write};

libfuzzer_sys::fuzz_target!(init: griot_fuzz::begin(), |bytes: &[u8]| {
    griot_fuzz::guard(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime without drivers")
            .block_on(async {
                let mut from = bytes;
                while let Ok(Some(event)) = read(&mut from).await {
                    // With the lengths a header that was just short enough would be too long.
                    if event.kind.len() > 1000 {
                        continue;
                    }
                    let mut written = Vec::new();
                    write(&mut written, &event).await.expect("memory takes it");
                    let again = read(&mut &written[..]).await;
                    // Numbers may lose their last digit on the way.
                    assert!(matches!(again, Ok(Some(again))
                        if again.kind == event.kind && again.payload == event.payload
                            && again.data.len() == event.data.len()));
                }
            });
    });
});
