//! How far an ingest is, on a terminal: one bar for all of it, and under it the documents in work. Off
//! a terminal nothing of this is seen; there each document has its line once it is done.

use std::{io::IsTerminal, time::Duration};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    cli::print,
    domain::{Document, Queue, Stage},
};

/// Documents in work that are shown.
const SHOWN: usize = 4;

/// How often a bar moves although nothing happened, so that a person sees it lives.
const TICK: Duration = Duration::from_millis(200);

/// The bars of one command.
pub struct Bars {
    screen: MultiProgress,
    all: ProgressBar,
    /// One line each; those without a document are empty.
    documents: Vec<ProgressBar>,
    seen: bool,
}

impl Bars {
    /// For so many files. One alone is shown only while it is waited for.
    pub fn new(files: u64) -> Self {
        let seen = std::io::stderr().is_terminal();
        let screen = MultiProgress::with_draw_target(if seen {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        });
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
            .expect("the template is well formed");
        let all = screen.add(ProgressBar::new(files).with_style(style));
        if seen {
            all.enable_steady_tick(TICK);
        }
        Self {
            screen,
            all,
            documents: Vec::new(),
            seen,
        }
    }

    /// Whether anybody sees them, so that it is worth asking how things are.
    pub fn are_seen(&self) -> bool {
        self.seen
    }

    /// A file is being sent.
    pub fn sending(&self, name: &str) {
        self.all
            .set_message(format!("sending {}", print::shown(name, false)));
    }

    /// One file more is done.
    pub fn done(&self) {
        self.all.inc(1);
    }

    /// How things are.
    pub fn show(&mut self, queue: &Queue) {
        self.all.set_message(all_of(queue));
        while self.documents.len() < SHOWN {
            let style = ProgressStyle::with_template("  {bar:20} {wide_msg}")
                .expect("the template is well formed");
            let bar = ProgressBar::new(1000).with_style(style);
            self.documents.push(self.screen.add(bar));
        }
        // What is being embedded takes long; what is read is often gone before it can be read here.
        let mut shown: Vec<&Document> = queue.documents.iter().collect();
        shown.sort_by_key(|document| document.stage != Stage::Embedding);
        let mut shown = shown.into_iter();
        for bar in &self.documents {
            match shown.next() {
                Some(document) => {
                    bar.set_position((document.progress * 1000.0) as u64);
                    bar.set_message(one_of(document));
                }
                None => bar.set_message(""),
            }
        }
    }

    /// Prints something above the bars.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.screen.suspend(print)
    }

    /// Takes them off the screen.
    pub fn end(self) {
        for bar in self.documents {
            bar.finish_and_clear();
        }
        self.all.finish_and_clear();
    }
}

/// `38.2 chunks/s, 1 min 3 s left`
fn all_of(queue: &Queue) -> String {
    let mut parts = Vec::new();
    if let Some(pace) = queue.chunks_per_s {
        parts.push(format!("{pace:.1} chunks/s"));
    }
    if let Some(seconds) = queue.time_left_s {
        parts.push(format!("{} left", print::duration(seconds)));
    }
    parts.join(", ")
}

/// `lease.pdf: embedding, 12 of 40 chunks, 3 s left`
fn one_of(document: &Document) -> String {
    let mut text = format!(
        "{}: {}",
        print::shown(&document.name, false),
        document.stage
    );
    let Some(work) = &document.work else {
        return text;
    };
    match document.stage {
        Stage::Extracting if work.pages > 0 => {
            text.push_str(&format!(
                ", {} of {}",
                work.pages_done,
                print::counted(work.pages.into(), "page")
            ));
        }
        Stage::Embedding => {
            text.push_str(&format!(
                ", {} of {}",
                work.chunks_done,
                print::counted(work.chunks, "chunk")
            ));
            if let Some(seconds) = work.time_left_s {
                text.push_str(&format!(", {} left", print::duration(seconds)));
            }
        }
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_bars_say() {
        let queue: Queue = serde_json::from_value(json!({
            "waiting": 3, "processing": 1, "chunks_per_s": 38.24, "time_left_s": 63, "documents": [],
        }))
        .unwrap();
        assert_eq!(all_of(&queue), "38.2 chunks/s, 1 min 3 s left");
        let nothing = Queue {
            chunks_per_s: None,
            time_left_s: None,
            ..queue
        };
        assert_eq!(all_of(&nothing), "");

        let check = |stage: &str, work: serde_json::Value, expected: &str| {
            let document: Document = serde_json::from_value(json!({
                "id": "doc_0190163d8694739b8aec5d1e4d8a9ee4", "name": "lease\u{1b}.pdf",
                "media_type": null, "bytes": 1, "sha256": "0".repeat(64), "collection": "default",
                "metadata": {}, "status": "processing", "stage": stage, "progress": 0.5, "pages": [],
                "chunks": 0, "revision": 0, "error": null, "work": work,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            }))
            .unwrap();
            assert_eq!(one_of(&document), expected);
        };
        let work = |pages: u32, chunks: u64, left: Option<u64>| {
            json!({ "pages_done": pages / 2, "pages": pages, "chunks_done": chunks / 4, "chunks": chunks,
                "chunks_per_s": 10.0, "time_left_s": left })
        };
        check("waiting", json!(null), "lease\\u{1b}.pdf: waiting");
        check(
            "extracting",
            work(0, 0, None),
            "lease\\u{1b}.pdf: extracting",
        );
        check(
            "extracting",
            work(12, 0, None),
            "lease\\u{1b}.pdf: extracting, 6 of 12 pages",
        );
        check(
            "embedding",
            work(12, 40, Some(3)),
            "lease\\u{1b}.pdf: embedding, 10 of 40 chunks, 3 s left",
        );
        check(
            "publishing",
            work(12, 40, None),
            "lease\\u{1b}.pdf: publishing",
        );
    }
}
