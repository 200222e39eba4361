//! What the child cannot do, and how each of its deaths is told.

use std::time::Duration;

use griot::{
    domain::FailureCode,
    ingest::{extract::Limits, jail::Confinement},
};

use crate::{extractor, file_of, read};

#[track_caller]
fn check(name: &str, timeout: Duration, expected: Result<(), FailureCode>) {
    let confinement = Confinement {
        timeout,
        ..Confinement::default()
    };
    let reader = extractor(Limits::default(), confinement).with_self_test(name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let read = runtime.block_on(reader.extract(file_of(b"plain words"), "x.txt", |_| {}));
    let outcome = read.map(drop).map_err(|e| e.code);
    assert_eq!(outcome, expected, "{name}");
}

#[test]
fn the_walls_hold() {
    for forbidden in [
        "network",
        "listen",
        "open",
        "list",
        "create",
        "spawn",
        "thread",
        "environment",
    ] {
        check(forbidden, Duration::from_secs(15), Ok(()));
    }
}

#[test]
fn deaths_are_told_apart() {
    for (name, code) in [
        ("memory", FailureCode::OutOfMemory),
        ("panic", FailureCode::Crashed),
        ("overflow", FailureCode::Crashed),
        ("garbage", FailureCode::Crashed),
        ("silence", FailureCode::Crashed),
    ] {
        check(name, Duration::from_secs(15), Err(code));
    }
}

#[test]
fn endless_readers_are_stopped() {
    check("spin", Duration::from_secs(1), Err(FailureCode::TimedOut));
    check("wait", Duration::from_secs(1), Err(FailureCode::TimedOut));
}

#[tokio::test]
async fn limits_are_told() {
    let small = Limits {
        max_file_bytes: 10,
        max_text_bytes: 10,
        ..Limits::default()
    };
    for (bytes, expected) in [
        (&b"0123456789"[..], None),
        (b"01234567890", Some(FailureCode::TooLarge)),
    ] {
        let reader = extractor(small, Confinement::default());
        let read = reader.extract(file_of(bytes), "x.txt", |_| {}).await;
        assert_eq!(read.err().map(|e| e.code), expected);
    }
}

#[tokio::test]
async fn a_missing_program_is_our_own_fault() {
    let reader = griot::ingest::jail::Extractor::new(
        "/nonexistent/griot".into(),
        Limits::default(),
        Confinement::default(),
    );
    let error = reader
        .extract(file_of(b"x"), "x.txt", |_| {})
        .await
        .unwrap_err();
    assert_eq!(error.code, FailureCode::Internal);
}

#[tokio::test]
async fn a_large_text_comes_through_whole() {
    let text = "Every word of it. ".repeat(200_000);
    let extracted = read(text.as_bytes(), "x.txt").await.unwrap();
    assert_eq!(extracted.text, text.trim_end());
}
