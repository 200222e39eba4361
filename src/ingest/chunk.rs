//! Text to chunks: pieces that fit the embedder, each with the place where it stands.
//!
//! A chunk lies within one page. A section begins a new chunk, unless it or the one before is too
//! small to stand alone; a section that is too long is cut into pieces of about equal size, in stretches
//! that an edit elsewhere does not move, at the best boundaries there are (Markdown's blocks, paragraphs, sentences, words). A chunk's text is the
//! stored text's bytes, untouched; what an index sees of it is [`embedding_text`].

mod ruler;
mod stretch;

use std::{ops::Range, sync::Arc};

use text_splitter::{ChunkConfig, MarkdownSplitter, TextSplitter};

use super::extract::{Extracted, Section};
use crate::{
    domain::{Chunk, ChunkKey, Document, DocumentId, Locator, MediaType},
    ports::Embedder,
};
use ruler::{Ruler, TokenCounts};

/// Tokens that the embedder puts around every text (`[CLS]`, `[SEP]`), which its count leaves out.
const SPECIAL_TOKENS: usize = 2;

/// The smallest useful limit; a setting below is raised to it.
const LEAST_TOKENS: usize = 16;

/// A text much longer than a chunk is first cut into stretches of at least so many.
const STRETCH: usize = 3;

/// How long chunks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkSize {
    /// Tokens at most, as the embedder counts them; never more than it reads.
    pub tokens: usize,
    /// Tokens that two pieces of a long section share.
    pub overlap: usize,
}

/// Cuts documents into chunks. Keeps what it learned about words' tokens from one document to the next.
pub struct Chunker {
    counts: TokenCounts,
    size: ChunkSize,
    epoch: u64,
}

/// What embedder and words' index see of a chunk.
#[must_use]
pub fn embedding_text(chunk: &Chunk, document: &Document) -> String {
    chunk.in_context(&document.name)
}

impl Chunker {
    /// For chunks that `embedder` reads whole.
    #[must_use]
    pub fn new(embedder: Arc<dyn Embedder>, size: ChunkSize) -> Self {
        // First: where the model is exchanged in between, the chunker is known to be of the old one.
        let epoch = embedder.epoch();
        let read = embedder
            .identity()
            .max_tokens
            .saturating_sub(SPECIAL_TOKENS);
        let tokens = size.tokens.min(read).max(LEAST_TOKENS);
        let overlap = size.overlap.min(tokens / 2);
        Self {
            counts: TokenCounts::new(embedder),
            size: ChunkSize { tokens, overlap },
            epoch,
        }
    }

    /// The embedder's, when the chunker was made.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The chunks of a document, in the order of its text. None when it holds no letter and no digit.
    ///
    /// Plain computation, about as fast as reading; run it where blocking is allowed.
    pub fn chunks(
        &mut self,
        document: DocumentId,
        revision: u32,
        name: &str,
        extracted: &Extracted,
    ) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for page in &extracted.pages {
            let range = page.start as usize..page.end as usize;
            let cut = PageCut::new(self, extracted, name, range);
            for piece in cut.pieces() {
                let section = cut.main_section(&piece).map(|s| s.path.clone());
                chunks.push(Chunk {
                    key: ChunkKey {
                        document,
                        revision,
                        ordinal: chunks.len() as u32,
                    },
                    locator: Locator {
                        page: extracted.paged.then_some(page.page),
                        section: section.filter(|path| !path.is_empty()),
                        start: piece.start as u64,
                        end: piece.end as u64,
                    },
                    text: extracted.text[piece].to_owned(),
                });
            }
        }
        chunks
    }
}

/// One page on the table. Offsets are bytes of the whole stored text.
struct PageCut<'a> {
    extracted: &'a Extracted,
    name: &'a str,
    page: Range<usize>,
    ruler: Ruler<'a>,
    size: ChunkSize,
}

impl<'a> PageCut<'a> {
    fn new(
        chunker: &'a mut Chunker,
        extracted: &'a Extracted,
        name: &'a str,
        page: Range<usize>,
    ) -> Self {
        let ruler = Ruler::new(&extracted.text[page.clone()], &mut chunker.counts);
        Self {
            extracted,
            name,
            page,
            ruler,
            size: chunker.size,
        }
    }

    /// The page's chunks as trimmed ranges, each with a letter or a digit.
    fn pieces(&self) -> Vec<Range<usize>> {
        let mut pieces = Vec::new();
        let groups = self.groups().into_iter();
        for stretch in groups.flat_map(|group| self.stretches(group)) {
            if self.tokens(&stretch) <= self.budget(&stretch) {
                pieces.push(stretch);
            } else {
                self.split(stretch, &mut pieces);
            }
        }
        let trimmed = pieces.into_iter().map(|piece| self.trim(piece));
        trimmed
            .filter(|piece| self.text(piece).contains(char::is_alphanumeric))
            .collect()
    }

    /// The page's sections, small ones joined with what follows or else with what comes before.
    fn groups(&self) -> Vec<Range<usize>> {
        let mut groups: Vec<Range<usize>> = Vec::new();
        for part in self.parts() {
            match groups.last_mut() {
                Some(before) if self.belong_together(before, &part) => before.end = part.end,
                _ => groups.push(part),
            }
        }
        groups
    }

    /// The page cut where sections begin.
    fn parts(&self) -> Vec<Range<usize>> {
        let sections = &self.extracted.sections;
        let first = sections.partition_point(|s| s.start as usize <= self.page.start);
        let starts = sections[first..]
            .iter()
            .map(|s| s.start as usize)
            .take_while(|start| *start < self.page.end);
        let mut parts = Vec::new();
        let mut from = self.page.start;
        for to in starts.chain([self.page.end]) {
            if !self.text(&(from..to)).trim().is_empty() {
                parts.push(from..to);
            }
            from = to;
        }
        parts
    }

    /// Whether `next` goes into the chunk of `before`: one of them is too small to stand alone, they fit
    /// together, and no greater heading stands between them (but a bare heading is never left alone).
    fn belong_together(&self, before: &Range<usize>, next: &Range<usize>) -> bool {
        let (small, bare) = (self.size.tokens / 4, self.size.tokens / 16);
        let (tokens_before, tokens_next) = (self.tokens(before), self.tokens(next));
        let level = |at: usize| self.section(at).map_or(0, |s| s.level);
        let rises = level(next.start) < level(before.start);
        let worth_it = tokens_before < bare || (!rises && tokens_before.min(tokens_next) < small);
        let both = before.start..next.end;
        worth_it && self.tokens(&both) <= self.budget(&both)
    }

    /// A group that is much longer than a chunk, cut where its own words say: see [`stretch`].
    fn stretches(&self, group: Range<usize>) -> Vec<Range<usize>> {
        let apart = self.size.tokens * STRETCH;
        if self.tokens(&group) < 2 * apart {
            return vec![group];
        }
        let markdown = self.extracted.media_type == MediaType::Markdown;
        let cuts = stretch::cuts(self.text(&group), markdown, apart, |at| {
            self.tokens(&(group.start..group.start + at))
        });
        let mut stretches = Vec::with_capacity(cuts.len() + 1);
        let mut from = group.start;
        for to in cuts
            .into_iter()
            .map(|at| group.start + at)
            .chain([group.end])
        {
            stretches.push(from..to);
            from = to;
        }
        stretches
    }

    /// Cuts a range that is too long into about equal pieces.
    fn split(&self, range: Range<usize>, pieces: &mut Vec<Range<usize>>) {
        let budget = self.budget(&range);
        let tokens = self.tokens(&range);
        // Without the lower aim the splitter fills each piece to the brim and leaves a crumb at the end.
        let aim = tokens.div_ceil(tokens.div_ceil(budget)).min(budget);
        let config = ChunkConfig::new(aim..=budget)
            .with_sizer(&self.ruler)
            .with_overlap(self.size.overlap.min(aim / 2))
            .expect("the overlap is below the aim");
        let text = self.text(&range);
        let mut take = |(offset, piece): (usize, &str)| {
            let start = range.start + offset;
            pieces.push(start..start + piece.len());
        };
        if self.extracted.media_type == MediaType::Markdown {
            MarkdownSplitter::new(config)
                .chunk_indices(text)
                .for_each(&mut take);
        } else {
            TextSplitter::new(config)
                .chunk_indices(text)
                .for_each(&mut take);
        }
    }

    /// Tokens that chunks of `range` may have: the limit, less what the longest context in it takes.
    fn budget(&self, range: &Range<usize>) -> usize {
        let contexts = self
            .sections(range)
            .map(|(section, _)| self.context(section));
        let context = contexts.max().unwrap_or_default();
        self.size
            .tokens
            .saturating_sub(context)
            .max(self.size.tokens / 2)
    }

    /// Tokens of what goes before a chunk of this section in an index.
    fn context(&self, section: Option<&Section>) -> usize {
        let bare = Chunk {
            key: ChunkKey {
                document: DocumentId::from_uuid(uuid::Uuid::nil()),
                revision: 0,
                ordinal: 0,
            },
            locator: Locator {
                page: None,
                section: section.map(|s| s.path.clone()),
                start: 0,
                end: 0,
            },
            text: String::new(),
        };
        self.ruler.measure(&bare.in_context(self.name))
    }

    /// The sections that `range` touches, each with its part of it; `None` before the first heading.
    fn sections(
        &self,
        range: &Range<usize>,
    ) -> impl Iterator<Item = (Option<&'a Section>, Range<usize>)> {
        let sections = &self.extracted.sections;
        let range = range.clone();
        let after = sections.partition_point(|s| s.start as usize <= range.start);
        let mut next = after;
        let mut from = range.start;
        std::iter::from_fn(move || {
            if from >= range.end {
                return None;
            }
            let section = next.checked_sub(1).map(|i| &sections[i]);
            let to = sections
                .get(next)
                .map_or(range.end, |s| (s.start as usize).min(range.end));
            let part = from..to;
            from = to;
            next += 1;
            Some((section, part))
        })
    }

    /// The section that most of `range` is of.
    fn main_section(&self, range: &Range<usize>) -> Option<&'a Section> {
        let parts = self.sections(range);
        // The first of several with the same length.
        let longest = parts.reduce(|a, b| if b.1.len() > a.1.len() { b } else { a });
        longest.and_then(|(section, _)| section)
    }

    fn section(&self, at: usize) -> Option<&Section> {
        self.extracted.section_at(at as u64)
    }

    fn text(&self, range: &Range<usize>) -> &'a str {
        &self.extracted.text[range.clone()]
    }

    fn tokens(&self, range: &Range<usize>) -> usize {
        self.ruler
            .range(range.start - self.page.start..range.end - self.page.start)
    }

    fn trim(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text(&range);
        let start = range.start + (text.len() - text.trim_start().len());
        start..start + text.trim().len()
    }
}

#[cfg(test)]
mod tests;
