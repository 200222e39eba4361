//! Counting tokens fast.
//!
//! A splitter asks for the length of dozens of overlapping candidates per chunk; running the tokenizer
//! on each would cost more than embedding the chunk. So a page is counted once, atom by atom, and a
//! candidate's length is a difference of running totals.
//!
//! An atom is a run of letters and digits, one mark of punctuation, or one ideograph: what WordPiece
//! tokenizers (BERT's, and so MiniLM's) take apart before anything else, which makes the sum exact for
//! them. Tokenizers that join across atoms (BPE) give fewer tokens than the sum: never more.

use std::{cell::RefCell, collections::HashMap, ops::Range, sync::Arc};

use text_splitter::ChunkSizer;

use crate::ports::Embedder;

/// Atoms are cut at this many bytes. Longer runs are keys, hashes and encoded files; WordPiece calls
/// any word over 100 characters one unknown token, and a chunk could hold a megabyte of it.
const ATOM_BYTES: usize = 64;

/// Bytes between two running totals at most, atoms kept whole: what is summed anew for a boundary in
/// the middle.
const STRIDE: usize = 64;

/// Words remembered, about 10 MB; past it everything is forgotten and learned again.
const REMEMBERED: usize = 200_000;

/// Tokens per atom, as asked of the embedder once.
pub(super) struct TokenCounts {
    embedder: Arc<dyn Embedder>,
    known: HashMap<Box<str>, u32>,
}

impl TokenCounts {
    pub(super) fn new(embedder: Arc<dyn Embedder>) -> Self {
        Self {
            embedder,
            known: HashMap::new(),
        }
    }

    fn atom(&mut self, atom: &str) -> u32 {
        if let Some(count) = self.known.get(atom) {
            return *count;
        }
        let count = self.embedder.count_tokens(atom).max(1) as u32;
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(atom.into(), count);
        count
    }

    fn sum(&mut self, text: &str) -> u32 {
        atoms(text).map(|atom| self.atom(&text[atom])).sum()
    }
}

/// One text with its running totals.
pub(super) struct Ruler<'a> {
    text: &'a str,
    /// (byte offset, tokens before it), from (0, 0) to (length, all), at boundaries of atoms.
    totals: Vec<(u32, u32)>,
    /// Borrowed for the length of one count.
    counts: RefCell<&'a mut TokenCounts>,
}

impl<'a> Ruler<'a> {
    /// `text` is below 4 GiB: stored texts are (`ingest.max_text_bytes`).
    pub(super) fn new(text: &'a str, counts: &'a mut TokenCounts) -> Self {
        let mut totals = vec![(0, 0)];
        let (mut last, mut tokens) = (0, 0);
        for atom in atoms(text) {
            if atom.start >= last + STRIDE {
                totals.push((atom.start as u32, tokens));
                last = atom.start;
            }
            tokens += counts.atom(&text[atom]);
        }
        totals.push((text.len() as u32, tokens));
        Self {
            text,
            totals,
            counts: RefCell::new(counts),
        }
    }

    /// Tokens of a range of the text.
    pub(super) fn range(&self, range: Range<usize>) -> usize {
        let after = self
            .totals
            .partition_point(|(at, _)| (*at as usize) < range.start);
        let upto = self
            .totals
            .partition_point(|(at, _)| (*at as usize) <= range.end);
        let mut counts = self.counts.borrow_mut();
        // `after` is the first total at or behind the start, `upto - 1` the last at or before the end.
        let tokens = match (
            self.totals.get(after),
            upto.checked_sub(1).map(|i| self.totals[i]),
        ) {
            (Some(&(first, before)), Some((last, until))) if first <= last => {
                counts.sum(&self.text[range.start..first as usize])
                    + (until - before)
                    + counts.sum(&self.text[last as usize..range.end])
            }
            _ => counts.sum(&self.text[range]),
        };
        tokens as usize
    }

    /// Tokens of any other text.
    pub(super) fn measure(&self, text: &str) -> usize {
        self.counts.borrow_mut().sum(text) as usize
    }
}

impl ChunkSizer for Ruler<'_> {
    /// Pieces handed out by the splitter are slices of the text, so their address tells where they are.
    fn size(&self, chunk: &str) -> usize {
        let start = chunk
            .as_ptr()
            .addr()
            .wrapping_sub(self.text.as_ptr().addr());
        let range = start..start.wrapping_add(chunk.len());
        if self.text.get(range.clone()).is_some() {
            self.range(range)
        } else {
            self.measure(chunk)
        }
    }
}

#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Space,
    Letter,
    Single,
}

fn kind(c: char) -> Kind {
    if c.is_whitespace() {
        Kind::Space
    } else if c.is_alphanumeric() && !is_ideograph(c) {
        Kind::Letter
    } else {
        Kind::Single
    }
}

/// The blocks that BERT's tokenizer surrounds with spaces (`_is_chinese_char` of its reference code).
fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c),
        0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x2A6DF
        | 0x2A700..=0x2CEAF | 0x2F800..=0x2FA1F)
}

/// The atoms of a text as byte ranges, in order.
fn atoms(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = &text[at..];
        let start = at + rest.find(|c: char| !c.is_whitespace())?;
        let mut chars = text[start..].char_indices();
        let (_, first) = chars.next()?;
        let mut end = start + first.len_utf8();
        if kind(first) == Kind::Letter {
            for (offset, c) in chars {
                if kind(c) != Kind::Letter || offset >= ATOM_BYTES {
                    break;
                }
                end = start + offset + c.len_utf8();
            }
        }
        at = end;
        Some(start..end)
    })
}
