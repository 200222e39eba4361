//! What was embedded once is not embedded again, and no vector ends up at another text.

use griot::{
    domain::{Chunk, ChunkKey, Document, Status},
    ports::VectorStore,
};

use crate::home::{Home, long_text, until};

/// How many texts `work` had embedded.
async fn embedded<T>(home: &Home, work: impl Future<Output = T>) -> (usize, T) {
    let before = home.embed.words.embedded();
    let done = work.await;
    (home.embed.words.embedded() - before, done)
}

/// Checks that each chunk's point holds the vector of that chunk's own text.
async fn check_vectors(home: &Home, document: &Document) {
    let keys: Vec<ChunkKey> = (0..document.chunks as u32)
        .map(|ordinal| ChunkKey {
            document: document.id,
            revision: document.revision,
            ordinal,
        })
        .collect();
    let passages = home.catalog.passages(&keys).unwrap();
    assert_eq!(passages.len(), keys.len());
    let vectors = home.store.vectors(&keys).await.unwrap();
    for (passage, vector) in passages.into_iter().zip(vectors) {
        let chunk = Chunk {
            key: passage.key,
            locator: passage.locator,
            text: passage.text,
        };
        let expected = home.embed.words.vector(&chunk.in_context(&document.name));
        assert_eq!(vector, Some(expected), "{:?}", chunk.key);
    }
}

async fn again(home: &Home, document: &Document) -> Document {
    home.library.process_again(document.id).await.unwrap();
    let again = home.library.wait(document.id).await.unwrap();
    assert_eq!(
        (again.status, again.revision),
        (Status::Searchable, document.revision + 1)
    );
    again
}

/// Paragraphs of unlike lengths, as people write them.
fn paragraphs(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            (0..2 + n * 7 % 5)
                .map(|s| format!("In paragraph {n} the sentence {s} says something about it. "))
                .collect()
        })
        .collect()
}

#[tokio::test]
async fn a_document_processed_again_embeds_nothing() {
    let home = Home::new().await;
    let first = home.add("a.txt", &long_text("words")).await;
    let (texts, second) = embedded(&home, again(&home, &first)).await;
    assert_eq!((texts, second.chunks), (0, first.chunks));
    check_vectors(&home, &second).await;
    until(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn an_edit_embeds_what_it_changed() {
    let home = Home::new().await;
    let mut text = paragraphs(300);
    let first = home.add("report.txt", &text.join("\n\n")).await;
    assert!(first.chunks > 50, "{}", first.chunks);
    // In the middle, at the beginning, at the end; longer, gone, and one after the other.
    let edits = [
        (
            150,
            Some("Rewritten in other words, and longer than before. "),
        ),
        (0, Some("Short. ")),
        (299, Some("The end is another one. ")),
        (77, None),
        (201, Some("A. ")),
        (20, None),
        (
            120,
            Some("Twice as much is said here. Twice as much is said here. "),
        ),
    ];
    for (place, words) in edits {
        match words {
            Some(words) => text[place] = format!("{words}{}", text[place]),
            None => drop(text.remove(place)),
        }
        let (texts, edited) = embedded(&home, home.add("report.txt", &text.join("\n\n"))).await;
        // The chunks up to the next place that the words themselves choose, and no others. A paragraph
        // that was a chunk by itself may go without a trace.
        let least = usize::from(words.is_some());
        assert!(
            (least..=edited.chunks as usize / 5).contains(&texts),
            "{texts} of {} chunks after the edit of paragraph {place}",
            edited.chunks
        );
        check_vectors(&home, &edited).await;
        home.check_consistent();
    }
    home.stop().await;
}

#[tokio::test]
async fn a_copy_elsewhere_embeds_nothing_and_another_name_embeds_all() {
    let home = Home::new().await;
    let text = long_text("copies");
    let first = home.add("lease.txt", &text).await;
    let copy = async {
        let copy = home.upload_to("lease.txt", &text, "other").await.unwrap();
        home.library.wait(copy.id).await.unwrap()
    };
    let (texts, copy) = embedded(&home, copy).await;
    assert_eq!((texts, copy.chunks), (0, first.chunks));
    check_vectors(&home, &copy).await;
    // The name is a part of what is embedded, so this is another text.
    let renamed = async {
        let renamed = home.upload_to("deed.txt", &text, "third").await.unwrap();
        home.library.wait(renamed.id).await.unwrap()
    };
    let (texts, renamed) = embedded(&home, renamed).await;
    assert_eq!(texts as u64, renamed.chunks);
    check_vectors(&home, &renamed).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn what_the_store_lost_is_embedded_again() {
    let home = Home::new().await;
    let first = home.add("a.txt", &long_text("lost")).await;
    home.store.memory.delete(first.id, None).await.unwrap();
    let (texts, second) = embedded(&home, again(&home, &first)).await;
    assert_eq!(texts as u64, second.chunks);
    check_vectors(&home, &second).await;
    until(|| home.catalog.cleanups().unwrap().is_empty()).await;
    home.check_consistent();
    home.stop().await;
}

#[tokio::test]
async fn nothing_of_a_deleted_document_is_kept_for_later() {
    let home = Home::new().await;
    let text = long_text("gone");
    let first = home.add("a.txt", &text).await;
    home.library.delete(first.id).await.unwrap();
    let (texts, second) = embedded(&home, home.add("a.txt", &text)).await;
    assert_eq!(texts as u64, second.chunks);
    home.check_consistent();
    home.stop().await;
}
