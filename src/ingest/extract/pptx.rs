//! PPTX (PresentationML): a slide is a page, its title opens a section. Below the title stand the
//! shapes in the order they were drawn (which is the order they are read aloud), tables with a row a line,
//! the words of diagrams, the figures of charts, and last the speaker's notes.
//!
//! Slides left out of the show are read: whoever opens the file sees them. Footers stand once, because
//! they are the same on every slide; slide numbers, dates and comments are left out.

mod chart;
mod slide;

use crate::domain::{MediaType, PageState};

use super::{
    Engine, ExtractError, Extracted, Limits, Progress,
    draft::{Draft, too_much_text},
    ooxml,
    package::{Package, Relation},
    pages::Pages,
    table::write_row,
    xml,
};
use slide::{Block, Slide};

/// Longer titles are text that somebody typed into the wrong box.
const MAX_TITLE_CHARS: usize = 200;

/// Reads a presentation.
pub(super) fn extract(
    bytes: &[u8],
    limits: &Limits,
    progress: &mut dyn FnMut(Progress),
) -> Result<Extracted, ExtractError> {
    let mut package = Package::open(bytes)?;
    let main = ooxml::main_part(&mut package, "ppt/presentation.xml")?;
    let slides = slides(&mut package, &main)?;
    let mut pages = Pages::new(slides.len(), "slides", Engine::Pptx, limits, progress)?;
    let mut draft = Draft::new(limits);
    let mut footers = Vec::new();
    for (index, part) in slides.iter().enumerate() {
        let relations = package.relations(part)?;
        let read = read_slide(&mut package, part, limits)?;
        pages.begin(&mut draft)?;
        let without_text = match read {
            Some(slide) => {
                write_title(&mut draft, &slide, index + 1)?;
                write_blocks(&mut draft, &slide.blocks, &mut package, &relations, limits)?;
                for footer in &slide.footers {
                    if !footers.contains(footer) {
                        draft.end_block()?;
                        draft.push(footer)?;
                        footers.push(footer.clone());
                    }
                }
                write_notes(&mut draft, &mut package, &relations, limits)?;
                PageState::Empty
            }
            None => PageState::Unreadable,
        };
        pages.end(&draft, without_text);
    }
    let title = ooxml::title(&mut package)?.filter(|t| !is_placeholder(t));
    let pages = pages.finish();
    let (text, sections) = draft.finish();
    Ok(Extracted {
        media_type: MediaType::Pptx,
        title,
        text,
        paged: true,
        pages,
        sections,
    })
}

/// What PowerPoint calls a presentation that nobody gave a title.
fn is_placeholder(title: &str) -> bool {
    matches!(title, "PowerPoint Presentation" | "PowerPoint-Präsentation")
}

/// The parts of the slides, in the order of the show.
fn slides(package: &mut Package<'_>, main: &str) -> Result<Vec<String>, ExtractError> {
    let relations = package.relations(main)?;
    let Some(part) = package.part(main)? else {
        return Err(ooxml::no_document());
    };
    let mut order = Vec::new();
    xml::read(part, |node| {
        if let xml::Node::Open(tag) = node
            && tag.is("sldId")
            && let Some(id) = tag.relation()
        {
            order.push(id);
        }
        Ok(())
    })?;
    let part_of = |id: &String| {
        let relation = relations.iter().find(|r| r.id == *id)?;
        Some(relation.target.clone())
    };
    // A slide that the list names and the package lacks is a page that cannot be read.
    let parts = order.iter().map(|id| part_of(id).unwrap_or_default());
    Ok(parts.collect())
}

/// `None` when the package has no such part.
fn read_slide(
    package: &mut Package<'_>,
    part: &str,
    limits: &Limits,
) -> Result<Option<Slide>, ExtractError> {
    match package.part(part)? {
        Some(part) => slide::read(part, limits).map(Some),
        None => Ok(None),
    }
}

/// A slide without a title is a section of its own all the same: it does not belong to the one before.
fn write_title(draft: &mut Draft, slide: &Slide, number: usize) -> Result<(), ExtractError> {
    let start = draft.position();
    match &slide.title {
        Some(title) => {
            draft.push(title)?;
            if title.chars().count() <= MAX_TITLE_CHARS {
                draft.heading_at(start, 1, title);
            } else {
                draft.heading_at(start, 1, &format!("Slide {number}"));
            }
            draft.end_block()
        }
        None => {
            draft.heading_at(start, 1, &format!("Slide {number}"));
            Ok(())
        }
    }
}

fn write_blocks(
    draft: &mut Draft,
    blocks: &[Block],
    package: &mut Package<'_>,
    relations: &[Relation],
    limits: &Limits,
) -> Result<(), ExtractError> {
    for block in blocks {
        match block {
            Block::Shape => draft.end_block()?,
            Block::Line(line) => {
                draft.end_line()?;
                draft.push(line)?;
            }
            Block::Row(cells) => write_row(draft, cells)?,
            Block::Part(id) => {
                let Some(relation) = relations.iter().find(|r| r.id == *id) else {
                    continue;
                };
                let Some(part) = package.part(&relation.target)? else {
                    continue;
                };
                draft.end_block()?;
                if relation.kind.ends_with("/diagramData") {
                    let diagram = slide::read(part, limits)?;
                    for block in &diagram.blocks {
                        if let Block::Line(line) = block {
                            draft.end_line()?;
                            draft.push(line)?;
                        }
                    }
                } else if relation.kind.ends_with("/chart") {
                    chart::read(part, limits)?.write(draft)?;
                }
            }
        }
    }
    Ok(())
}

/// What the speaker wrote for themselves.
fn write_notes(
    draft: &mut Draft,
    package: &mut Package<'_>,
    relations: &[Relation],
    limits: &Limits,
) -> Result<(), ExtractError> {
    let Some(relation) = relations.iter().find(|r| r.kind.ends_with("/notesSlide")) else {
        return Ok(());
    };
    let Some(part) = package.part(&relation.target)? else {
        return Ok(());
    };
    let notes = slide::read(part, limits)?;
    let mut lines = notes.body.iter();
    let Some(first) = lines.next() else {
        return Ok(());
    };
    draft.end_block()?;
    draft.push("Notes: ")?;
    draft.push(first)?;
    for line in lines {
        draft.end_line()?;
        draft.push(line)?;
    }
    Ok(())
}

/// Counts what is held of one part against the limit of the whole text.
struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    fn new(limits: &Limits) -> Self {
        Self {
            left: limits.max_text_bytes,
            limit: limits.max_text_bytes,
        }
    }

    fn take(&mut self, bytes: usize) -> Result<(), ExtractError> {
        // A word takes an allocation too.
        let cost = bytes as u64 + 16;
        self.left = self
            .left
            .checked_sub(cost)
            .ok_or_else(|| too_much_text(self.limit))?;
        Ok(())
    }
}
