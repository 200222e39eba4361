//! Documents that are published, and what is read of them.

use super::*;

#[test]
fn a_revision_replaces_the_one_before_as_a_whole() {
    let f = Fixture::new();
    let id = f.published("a", &["rent is due monthly", "cats chase mice"]);
    let old = ChunkKey {
        document: id,
        revision: 1,
        ordinal: 0,
    };
    assert_eq!(f.catalog.search_words("rent", None, 9).unwrap()[0].0, old);
    assert!(f.catalog.requeue(id).unwrap());
    assert_eq!(
        f.catalog.search_words("rent", None, 9).unwrap().len(),
        1,
        "still visible"
    );
    assert!(
        f.catalog
            .publish(&publication(id, 2, &["dogs bark"]))
            .unwrap()
    );
    assert!(
        f.catalog
            .search_words("rent cats", None, 9)
            .unwrap()
            .is_empty()
    );
    assert!(f.catalog.passages(&[old]).unwrap().is_empty());
    let new = ChunkKey {
        document: id,
        revision: 2,
        ordinal: 0,
    };
    assert_eq!(f.catalog.passages(&[new]).unwrap()[0].text, "dogs bark");
    assert_eq!(
        f.catalog.text(id, None, None).unwrap().unwrap(),
        b"dogs bark\n"
    );
    assert_eq!(
        f.catalog.cleanups().unwrap(),
        [Cleanup {
            document: id,
            keep: Some(2),
            original: None
        }]
    );
    f.catalog
        .cleaned(&f.catalog.cleanups().unwrap()[0])
        .unwrap();
    assert!(f.catalog.cleanups().unwrap().is_empty());
    let stale = publication(id, 2, &["late"]);
    assert!(
        !f.catalog.publish(&stale).unwrap(),
        "a stale result is refused"
    );
    assert_eq!(
        f.catalog.text(id, None, None).unwrap().unwrap(),
        b"dogs bark\n"
    );
}

#[test]
fn text_ranges_are_bytes_across_parts() {
    let f = Fixture::new();
    let long: String = "0123456789äöü€".repeat(20_000);
    let id = f.published("a", &[&long]);
    let whole = format!("{long}\n").into_bytes();
    let len = whole.len() as u64;
    for (start, end) in [
        (None, None),
        (Some(0), Some(0)),
        (Some(65_535), Some(65_537)),
        (Some(65_536), Some(131_072)),
        (Some(1), Some(len - 1)),
        (Some(len - 3), Some(len + 99)),
        (Some(len + 5), None),
        (Some(9), Some(3)),
    ] {
        let to = end.unwrap_or(len).min(len);
        let from = start.unwrap_or(0).min(to);
        let expected = &whole[from as usize..to as usize];
        assert_eq!(
            f.catalog.text(id, start, end).unwrap().unwrap(),
            expected,
            "{start:?}..{end:?}"
        );
    }
    let waiting = f.record("b").id;
    assert_eq!(f.catalog.text(waiting, None, None).unwrap(), None);
}

#[test]
fn neighbours_are_those_of_the_same_document() {
    let f = Fixture::new();
    let id = f.published("a", &["c0", "c1", "c2", "c3", "c4"]);
    f.published("b", &["other"]);
    let around = |ordinal, before, after| -> Vec<u32> {
        let key = ChunkKey {
            document: id,
            revision: 1,
            ordinal,
        };
        f.catalog
            .neighbours(key, before, after)
            .unwrap()
            .iter()
            .map(|p| p.key.ordinal)
            .collect()
    };
    assert_eq!(around(2, 1, 1), [1, 3]);
    assert_eq!(around(0, 3, 2), [1, 2]);
    assert_eq!(around(4, 1, 9), [3]);
    assert_eq!(around(2, 0, 0), [0_u32; 0]);
}

/// A reader that looks while revisions are replaced sees one of them whole.
#[test]
fn readers_see_whole_revisions_while_one_is_written() {
    let f = Fixture::new();
    let id = f.record("a").id;
    let catalog = Arc::new(f.catalog);
    let revisions = 30;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for revision in 1..=revisions {
                let texts: Vec<_> = (0..20).map(|i| format!("rev{revision} part {i}")).collect();
                let texts: Vec<_> = texts.iter().map(String::as_str).collect();
                assert!(catalog.publish(&publication(id, revision, &texts)).unwrap());
            }
        });
        while !writer.is_finished() {
            let hits = catalog.search_words("part", None, 99).unwrap();
            let revisions: std::collections::HashSet<_> =
                hits.iter().map(|(k, _)| k.revision).collect();
            assert!(
                matches!((hits.len(), revisions.len()), (0, 0) | (20, 1)),
                "{hits:?}"
            );
            let text = catalog.text(id, None, None).unwrap();
            assert!(text.is_none_or(|t| t.iter().filter(|b| **b == b'\n').count() == 20));
        }
    });
}

/// A vector may be used again only where the very text that it was made of is visible.
#[test]
fn the_texts_of_visible_chunks_are_known() {
    let f = Fixture::new();
    let of = |texts: &[&str]| -> Vec<Option<(DocumentId, u32, u32)>> {
        let asked: Vec<_> = texts.iter().map(|text| Fingerprint::of(text)).collect();
        let found = f.catalog.embedded(&asked).unwrap();
        found
            .into_iter()
            .map(|key| key.map(|k| (k.document, k.revision, k.ordinal)))
            .collect()
    };
    assert_eq!(of(&["one", "two"]), [None, None]);
    let a = f.published("a", &["one", "two"]);
    assert_eq!(
        of(&["two", "One", "one", ""]),
        [Some((a, 1, 1)), None, Some((a, 1, 0)), None]
    );
    assert!(
        f.catalog
            .publish(&publication(a, 2, &["two", "three"]))
            .unwrap()
    );
    assert_eq!(
        of(&["one", "two", "three"]),
        [None, Some((a, 2, 0)), Some((a, 2, 1))]
    );
    let b = f.published("b", &["two"]);
    f.catalog.remove(a).unwrap();
    assert_eq!(of(&["two", "three"]), [Some((b, 1, 0)), None]);
    let id = f.record("c").id;
    let unknown = Publication {
        embedded: Vec::new(),
        ..publication(id, 1, &["four"])
    };
    assert!(f.catalog.publish(&unknown).unwrap());
    assert_eq!(of(&["four"]), [None]);
}
