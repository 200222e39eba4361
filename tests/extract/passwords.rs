//! Encrypted documents: opened with the empty password, the one given, or not at all.

use griot::domain::FailureCode;

use crate::{
    make::{self, Cipher, lines},
    read_locked, samples,
};

/// What opening `bytes` with a password gives: its text, or the code of the failure.
fn open(bytes: &[u8], password: Option<&str>) -> Result<String, FailureCode> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(read_locked(bytes, "x.pdf", password)) {
        Ok(extracted) => Ok(extracted.text),
        Err(error) => {
            let told = password.is_some_and(|given| error.message.contains(given));
            assert!(!told, "{}", error.message);
            Err(error.code)
        }
    }
}

#[test]
fn every_cipher_opens_with_either_password() {
    let content = lines(72, 700, &["Secret words."]);
    for cipher in Cipher::ALL {
        let locked = make::encrypted(cipher, "user's", "owner's", &content);
        for (password, expected) in [
            (Some("user's"), Ok("Secret words.".to_owned())),
            (Some("owner's"), Ok("Secret words.".to_owned())),
            (Some("wrong"), Err(FailureCode::Encrypted)),
            (None, Err(FailureCode::Encrypted)),
        ] {
            let got = open(&locked, password);
            assert_eq!(got, expected, "{cipher:?} with {password:?}");
        }
        // Locked against changes only; a password that is not needed does no harm.
        let open_to_all = make::encrypted(cipher, "", "owner's", &content);
        for password in [None, Some("whatever")] {
            let got = open(&open_to_all, password);
            assert_eq!(got.as_deref(), Ok("Secret words."), "{cipher:?}");
        }
    }
}

#[test]
fn a_password_for_a_document_that_has_none() {
    let plain = make::pdf(&[&lines(72, 700, &["Open words."])]);
    assert_eq!(
        open(&plain, Some("not needed")).as_deref(),
        Ok("Open words.")
    );
    assert_eq!(
        open(b"%PDF-1.7\n", Some("geheim")),
        Err(FailureCode::Damaged)
    );
    let short = make::encrypted_pdf("geheim", &lines(72, 700, &["Short."]));
    assert_eq!(open(&short, Some("geheim")).as_deref(), Ok("Short."));
}

/// Files of other programs: name, password, whether it is needed, words of it.
const SAMPLES: [(&str, &str, bool, &str); 4] = [
    // AES-256 of an older revision; the owner's password.
    ("pdfminersix--aes-256.pdf", "foo", true, "Secret!"),
    (
        "pypdf--r4-aes-user-password.pdf",
        "asdfzxcv",
        true,
        "pdf encryption test",
    ),
    // Its owner's password is empty, which opens it.
    (
        "pypdf--r6-user-password.pdf",
        "asdfzxcv",
        false,
        "pdf encryption test",
    ),
    (
        "unstructured--copy-protected.pdf",
        "whatever",
        false,
        "Layout",
    ),
];

#[test]
fn files_of_other_programs() {
    let Some(root) = samples("docs-good/pdf-encrypted") else {
        return;
    };
    for (name, password, needed, words) in SAMPLES {
        let bytes = std::fs::read(root.join(name)).unwrap();
        let text = open(&bytes, Some(password)).unwrap_or_else(|code| panic!("{name}: {code}"));
        assert!(text.contains(words), "{name}: {text:?}");
        for wrong in [None, Some("wrong")] {
            let got = open(&bytes, wrong).map(|text| text.contains(words));
            let expected = if needed {
                Err(FailureCode::Encrypted)
            } else {
                Ok(true)
            };
            assert_eq!(got, expected, "{name} with {wrong:?}");
        }
    }
}
