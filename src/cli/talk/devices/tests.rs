//! Which device is meant, and faults in words.

use super::{choice::chosen, *};

#[test]
fn which_device_is_meant() {
    let names = [
        ("default", "Default device"),
        ("pulse", "PulseAudio Sound Server"),
        ("hw:CARD=Mic,DEV=0", "USB Mic"),
        ("plughw:CARD=Mic,DEV=0", "USB Mic, converted"),
    ]
    .map(|(id, name)| (id.to_owned(), name.to_owned()));
    let check = |wanted: &str, expected: Result<usize, &str>| {
        let found = chosen(Side::Input, wanted, &names).map_err(|error| error.to_string());
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{wanted}"),
            (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
            (found, _) => panic!("{wanted}: {found:?}"),
        }
    };
    check("pulse", Ok(1));
    check("USB Mic", Ok(2));
    check("soundserver", Err("no microphone is called"));
    check("sound server", Ok(1));
    check(
        "CARD=mic",
        Err("hw:CARD=Mic,DEV=0 or plughw:CARD=Mic,DEV=0"),
    );
}

#[test]
fn faults_in_words() {
    let lost = Event::Lost(Side::Input, "unplugged".to_owned());
    assert_eq!(
        lost.told().as_deref(),
        Some("the microphone is gone (unplugged); waiting for it to come back")
    );
    let none = NoDevice::Unusable {
        side: Side::Input,
        reason: "there is none".to_owned(),
    };
    assert!(none.to_string().contains("`griot ask`"));
}
