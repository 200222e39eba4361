//! PDF pages through unpdf: layout analysis (columns, tables), fonts without Unicode tables, text from
//! right to left in reading order.

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use unpdf::{
    Block, ErrorKind, Page, PageSelection, PageStreamOptions, Paragraph, ParseEvent, ParseOptions,
    PdfParser, Table,
};

use super::{
    super::{ExtractError, Password, bidi, inline::one_line, table::Row},
    gate::Quality,
    tidy::{rejoin, tidy},
};

/// Pictures with a shorter side, in pixels, are rules and specks.
const MIN_SIDE: u32 = 32;

/// A document that unpdf could open.
pub(super) struct File {
    parser: PdfParser,
}

/// A page's text with the headings that its font sizes suggest.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) headings: Vec<Heading>,
    /// The reader knows that it left text out: fonts or streams it could not decode, a layer of OCR it
    /// found meaningless, page numbers.
    pub(super) incomplete: bool,
}

impl Read {
    /// The same with every line in the order it is read, where that is not so.
    pub(super) fn forwards(mut self) -> Self {
        if !Quality::of(&self.text).reads_backwards() {
            return self;
        }
        let lines: Vec<String> = self.text.split('\n').map(bidi::logical_order).collect();
        let turned = lines.join("\n");
        // Letters change places within their line, so only the lines' own beginnings stay.
        if turned.len() != self.text.len() || Quality::of(&turned).reads_backwards() {
            return self;
        }
        self.headings.retain_mut(|heading| {
            let from = turned.get(heading.start..).unwrap_or_default();
            heading.words = one_line(from.split('\n').next().unwrap_or_default());
            !heading.words.is_empty()
        });
        self.text = turned;
        self
    }
}

/// A heading of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Heading {
    /// Byte offset in the page's text.
    pub(super) start: usize,
    pub(super) level: u8,
    pub(super) words: String,
}

impl File {
    /// Opens a file, with the empty password or the one given where it is encrypted: only the user's
    /// where the encryption is older than AES-256.
    ///
    /// # Errors
    /// `encrypted` or `damaged`.
    pub(super) fn open(bytes: &[u8], password: Option<&Password>) -> Result<Self, ExtractError> {
        let mut options = ParseOptions::new().sequential();
        if let Some(password) = password {
            options = options.with_password(password.as_str());
        }
        let opened = catch_unwind(AssertUnwindSafe(|| {
            PdfParser::from_bytes_with_options(bytes, options)
        }));
        match opened {
            Ok(Ok(parser)) => Ok(Self { parser }),
            Ok(Err(error)) => match error.kind() {
                ErrorKind::Encrypted | ErrorKind::InvalidPassword => {
                    Err(super::encrypted(password))
                }
                _ => Err(super::damaged(&error.to_string())),
            },
            Err(_) => Err(super::damaged("the reader gave up on it")),
        }
    }

    /// The pictures on page `page`, counting from 1, in formats that every viewer knows.
    pub(super) fn pictures(&self, page: u32) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        if page == 0 || page as usize > self.page_count() {
            return found;
        }
        let options = PageStreamOptions {
            parallel: false,
            pages: PageSelection::Range(page..=page),
            extract_text: false,
            extract_resources: true,
            min_image_dimension: MIN_SIDE,
            window_size: 1,
            ..PageStreamOptions::default()
        };
        // What cannot be read has no pictures.
        drop(self.parser.for_each_page(options, |event| {
            if let ParseEvent::PageParsed(page) = event {
                let pictures = page.images.into_iter().map(|(_, picture)| picture);
                let known = pictures.filter(|p| p.mime_type.starts_with("image/"));
                found.extend(known.map(|picture| picture.data));
            }
            ControlFlow::Continue(())
        }));
        found
    }

    pub(super) fn page_count(&self) -> usize {
        self.parser.page_count() as usize
    }

    /// Hands every page to `take`, in order, with its index counting from 0; `None` for one that cannot
    /// be read. Stops when `take` says so.
    pub(super) fn pages(&self, take: &mut dyn FnMut(usize, Option<Read>) -> ControlFlow<()>) {
        let count = self.page_count();
        let mut next = 0;
        while next < count {
            let first = next;
            let mut stopped = false;
            let options = PageStreamOptions {
                parallel: false,
                pages: PageSelection::Range(first as u32 + 1..=count as u32),
                window_size: 1,
                ..PageStreamOptions::default()
            };
            // A panic loses one page: the next round begins after it.
            let done = catch_unwind(AssertUnwindSafe(|| {
                self.parser.for_each_page(options, |event| {
                    let page = match event {
                        ParseEvent::PageParsed(page) => Some(render(&page)),
                        ParseEvent::PageFailed { .. } => None,
                        _ => return ControlFlow::Continue(()),
                    };
                    let index = next;
                    next += 1;
                    let flow = take(index, page);
                    stopped = flow.is_break();
                    flow
                })
            }));
            if stopped || (matches!(done, Ok(Ok(_))) && next >= count) {
                return;
            }
            if next < count {
                next += 1;
                if take(next - 1, None).is_break() {
                    return;
                }
            }
        }
    }
}

fn render(page: &Page) -> Read {
    let mut read = Read {
        incomplete: page.suppressed_text_runs > 0
            || page.undecodable_content_streams > 0
            || page.undecoded_text_codes > 0
            || page.ocr_text_suppressed
            || page.omitted_page_number_chars > 0,
        ..Read::default()
    };
    for block in &page.elements {
        let mut piece = String::new();
        let mut level = None;
        match block {
            Block::Paragraph(paragraph) => {
                piece = rejoin(&tidy(&paragraph.plain_text()));
                level = paragraph.heading_level();
            }
            Block::Table(table) => piece = rows(table),
            block => {
                block.append_plain_text(&mut piece);
                piece = tidy(&piece);
            }
        }
        if piece.is_empty() {
            continue;
        }
        if !read.text.is_empty() {
            read.text.push_str("\n\n");
        }
        if let Some(level) = level {
            read.headings.push(Heading {
                start: read.text.len(),
                level,
                words: one_line(&piece),
            });
        }
        read.text.push_str(&piece);
    }
    read
}

fn rows(table: &Table) -> String {
    let mut lines: Vec<String> = table.caption.iter().map(|c| one_line(&tidy(c))).collect();
    let mut row = Row::default();
    for cells in &table.rows {
        for cell in &cells.cells {
            let text: Vec<String> = cell.content.iter().map(Paragraph::plain_text).collect();
            row.push(
                &rejoin(&tidy(&text.join(" "))),
                cell.colspan.into(),
                cell.rowspan.into(),
            );
        }
        let line = row.finish().join(" | ");
        if !line.trim_matches([' ', '|']).is_empty() {
            lines.push(line);
        }
    }
    lines.join("\n")
}
