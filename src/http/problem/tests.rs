//! Names, waits, and what causes become.

use super::*;

#[test]
fn names_are_distinct_words_of_small_letters() {
    let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Code::ALL.len());
    for name in names {
        assert!(
            name.chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{name}"
        );
    }
}

#[test]
fn waiting_is_said_in_the_header_and_in_the_body_and_rounded_up() {
    let check = |wait: Duration, seconds: u64| {
        let problem = Problem::new(Code::QueueFull, "full").retry_after(wait);
        assert_eq!(problem.written().retry_after_s, Some(seconds));
        let response = problem.into_response();
        let header = response.headers()[header::RETRY_AFTER].to_str().unwrap();
        assert_eq!(header, seconds.to_string());
    };
    check(Duration::from_millis(1), 1);
    check(Duration::ZERO, 1);
    check(Duration::from_millis(2001), 3);
}

#[test]
fn causes_become_the_status_they_deserve() {
    let check = |problem: Problem, code: Code| assert_eq!(problem.code(), code);
    check(CatalogError::DiskFull.into(), Code::StorageFull);
    check(IngestError::DiskFull.into(), Code::StorageFull);
    check(IngestError::EmptyFile.into(), Code::InvalidValue);
    check(IngestError::TooLarge { limit: 1 }.into(), Code::TooLarge);
    check(
        CatalogError::Newer { found: 9, known: 1 }.into(),
        Code::Internal,
    );
    check(
        PortError::Resting {
            component: crate::domain::Component::Embedder,
            retry_after: Duration::from_secs(1),
        }
        .into(),
        Code::Unavailable,
    );
    check(
        PortError::Busy {
            component: crate::domain::Component::Synthesizer,
        }
        .into(),
        Code::Busy,
    );
    check(
        PortError::NoRoom {
            component: crate::domain::Component::VectorStore,
        }
        .into(),
        Code::StorageFull,
    );
}
