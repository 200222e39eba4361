use super::*;
use crate::{
    domain::{MediaType, PageState},
    ingest::extract::{Engine, ExtractedPage, Section},
};

fn sample() -> Extracted {
    Extracted {
        media_type: MediaType::Text,
        title: Some("T".into()),
        text: "Tëxt".repeat(400_000),
        paged: false,
        pages: vec![ExtractedPage {
            page: 1,
            start: 0,
            end: 2_000_000,
            state: PageState::Text,
            chars: 1_600_000,
            engine: Engine::Text,
        }],
        sections: vec![Section {
            start: 5,
            level: 1,
            title: "S".into(),
            path: "S".into(),
        }],
    }
}

fn stream(write: impl FnOnce(&mut Writer<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Writer::new(&mut out).unwrap());
    out
}

async fn parse(mut bytes: &[u8]) -> (Result<Outcome, Broken>, Vec<u32>) {
    let mut pages = Vec::new();
    let mut heard = |heard| match heard {
        Heard::Progress(progress) => pages.push(progress.page),
        Heard::Note(note) => assert_eq!(note, "no landlock"),
    };
    let read = read(&mut bytes, &Limits::default(), &mut heard).await;
    (read, pages)
}

#[tokio::test]
async fn a_document_comes_through() {
    let bytes = stream(|w| {
        w.note("no landlock").unwrap();
        w.progress(Progress { page: 1, of: 2 }).unwrap();
        w.progress(Progress { page: 2, of: 2 }).unwrap();
        w.document(sample()).unwrap();
    });
    let (read, pages) = parse(&bytes).await;
    let Ok(Outcome::Read(extracted)) = read else {
        panic!("{read:?}");
    };
    assert_eq!(*extracted, sample());
    assert_eq!(pages, [1, 2]);
}

#[tokio::test]
async fn a_failure_comes_through_on_one_line() {
    let failure = ExtractError::new(FailureCode::Damaged, "broken\n\u{1b}[31m");
    let bytes = stream(|w| w.failure(&failure).unwrap());
    let Ok(Outcome::Failed(failure)) = parse(&bytes).await.0 else {
        panic!("no failure");
    };
    assert_eq!(
        (failure.code, failure.message.as_str()),
        (FailureCode::Damaged, "broken  [31m")
    );
}

#[tokio::test]
async fn a_failure_without_end_is_cut() {
    let failure = ExtractError::new(FailureCode::Damaged, "x".repeat(16 * 1024 * 1024));
    let bytes = stream(|w| w.failure(&failure).unwrap());
    let Ok(Outcome::Failed(failure)) = parse(&bytes).await.0 else {
        panic!("no failure");
    };
    assert_eq!(failure.message.len(), MAX_MESSAGE);
}

#[tokio::test]
async fn every_cut_is_noticed() {
    let mut small = sample();
    small.text = "Text".into();
    small.pages[0].end = 4;
    small.pages[0].chars = 4;
    small.sections.clear();
    let bytes = stream(|w| w.document(small).unwrap());
    for cut in 0..bytes.len() {
        let (read, _) = parse(&bytes[..cut]).await;
        assert!(matches!(read, Err(Broken::Ended)), "{cut}: {read:?}");
    }
    assert!(matches!(parse(&bytes).await.0, Ok(Outcome::Read(_))));
}

#[tokio::test]
async fn text_in_crumbs_is_refused() {
    let announced = serde_json::to_vec(&Announced {
        document: Extracted {
            text: String::new(),
            ..sample()
        },
        text_bytes: 4,
    });
    let bytes = stream(|w| {
        w.frame(DOCUMENT, &announced.unwrap()).unwrap();
        w.frame(TEXT, b"T").unwrap();
        w.frame(TEXT, b"ext").unwrap();
        w.frame(END, &[]).unwrap();
    });
    let (read, _) = parse(&bytes).await;
    assert!(matches!(read, Err(Broken::Unexpected(_))), "{read:?}");
}

#[tokio::test]
async fn lies_are_noticed() {
    let lies: [(&str, fn(&mut Extracted)); 12] = [
        ("beyond the text", |e| e.pages[0].end += 1),
        ("inside a character", |e| e.pages[0].end = 2),
        ("a wrong count", |e| e.pages[0].chars -= 1),
        ("no pages", |e| e.pages.clear()),
        ("a section beyond", |e| e.sections[0].start = u64::MAX),
        ("control characters", |e| {
            e.text.replace_range(0..1, "\u{1}")
        }),
        ("a title that obeys nobody", |e| {
            e.title = Some("\u{1b}]0;x".into())
        }),
        ("a title without end", |e| {
            e.title = Some("x".repeat(100_000))
        }),
        ("a heading of two lines", |e| {
            e.sections[0].title = "a\nb".into()
        }),
        ("a path that repaints", |e| {
            e.sections[0].path = "a\u{9b}2J".into()
        }),
        ("a level that is none", |e| e.sections[0].level = 0),
        ("sections without end", |e| {
            e.sections = vec![e.sections[0].clone(); 100_001];
        }),
    ];
    for (what, lie) in lies {
        let mut lying = sample();
        lie(&mut lying);
        let bytes = stream(|w| w.document(lying).unwrap());
        let (read, _) = parse(&bytes).await;
        assert!(
            matches!(read, Err(Broken::Unexpected(_))),
            "{what}: {read:?}"
        );
    }
    let frames: [&[u8]; 6] = [
        b"GRIOTEX2",
        b"GRIOTEX1\x09\0\0\0\0",
        b"GRIOTEX1\x05\x01\0\0\0x",
        b"GRIOTEX1\x01\xff\xff\xff\xff",
        b"GRIOTEX1\x02\x08\0\0\0\x02\0\0\0\x01\0\0\0",
        b"GRIOTEX1\x04\x02\0\0\0{}",
    ];
    for bytes in frames {
        let (read, _) = parse(bytes).await;
        assert!(
            matches!(read, Err(Broken::Unexpected(_))),
            "{bytes:?}: {read:?}"
        );
    }
}
