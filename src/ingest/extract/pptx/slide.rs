//! One slide, or the notes to it, or the data of a diagram: all of them are paragraphs in shapes.

use std::io::BufRead;

use super::{
    super::{
        ExtractError, Limits,
        inline::{Inline, one_line},
        table::Row,
        xml::{self, Node, Tag},
    },
    Budget,
};

/// Deeper lists than this are indented no further (ECMA-376, 21.1.2.2.7: nine levels).
const MAX_LEVEL: usize = 8;

/// What a slide shows, in order.
#[derive(Default)]
pub(super) struct Slide {
    pub(super) title: Option<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) footers: Vec<String>,
    /// Paragraphs of placeholders for the body: in a page of notes, the notes.
    pub(super) body: Vec<String>,
}

pub(super) enum Block {
    /// A shape begins.
    Shape,
    Line(String),
    /// Of a table.
    Row(Vec<String>),
    /// A diagram or chart in a part of its own: the relationship's identifier.
    Part(String),
}

/// What a shape is there for.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Purpose {
    #[default]
    Other,
    Title,
    Body,
    Footer,
    /// Slide numbers, dates: the same on each slide, or wrong tomorrow.
    Furniture,
}

impl Purpose {
    /// ECMA-376, 19.7.10. A placeholder without a type is for any content.
    fn of(placeholder: &Tag<'_>) -> Self {
        match placeholder.attr("type").as_deref() {
            Some("title" | "ctrTitle") => Self::Title,
            Some("body") => Self::Body,
            Some("ftr" | "hdr") => Self::Footer,
            Some("sldNum" | "dt" | "sldImg") => Self::Furniture,
            _ => Self::Other,
        }
    }
}

/// How a paragraph of a list begins.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Marker {
    #[default]
    None,
    Bullet,
    Number(u32),
}

/// Reads a part.
pub(super) fn read(part: impl BufRead, limits: &Limits) -> Result<Slide, ExtractError> {
    let mut reading = Reading {
        slide: Slide::default(),
        budget: Budget::new(limits),
        skipped: 0,
        purpose: Purpose::Other,
        lines: Vec::new(),
        line: Inline::default(),
        in_text: false,
        level: 0,
        marker: Marker::None,
        counters: [0; MAX_LEVEL + 1],
        table: None,
    };
    xml::read(part, |node| reading.node(node))?;
    reading.end_shape();
    Ok(reading.slide)
}

struct Reading {
    slide: Slide,
    budget: Budget,
    /// Elements inside an open one that is left out, that one included.
    skipped: usize,
    purpose: Purpose,
    /// Paragraphs of the open shape.
    lines: Vec<String>,
    line: Inline,
    in_text: bool,
    level: usize,
    marker: Marker,
    /// The last number of each level's list; 0 outside one.
    counters: [u32; MAX_LEVEL + 1],
    table: Option<Table>,
}

#[derive(Default)]
struct Table {
    row: Row,
    cell: Vec<String>,
    columns: usize,
    rows: usize,
    /// The cell is covered by one to its left or above.
    covered: bool,
}

impl Reading {
    fn node(&mut self, node: Node<'_>) -> Result<(), ExtractError> {
        match node {
            Node::Open(_) if self.skipped > 0 => self.skipped += 1,
            Node::Close(_) if self.skipped > 0 => self.skipped -= 1,
            Node::Text(_) if self.skipped > 0 || !self.in_text => {}
            Node::Open(tag) => self.open(tag),
            Node::Close(name) => self.close(name)?,
            Node::Text(text) => {
                self.budget.take(text.len())?;
                self.line.flow(text);
            }
        }
        Ok(())
    }

    fn open(&mut self, tag: &Tag<'_>) {
        match tag.name {
            // What older programs see instead; the shape's name and description.
            "Fallback" => self.skipped = 1,
            "fld" if tag.attr("type").as_deref() == Some("slidenum") => self.skipped = 1,
            "sp" | "graphicFrame" | "pt" => self.end_shape(),
            "ph" => self.purpose = Purpose::of(tag),
            "p" => {
                self.line.take();
                self.level = 0;
                self.marker = Marker::None;
            }
            "pPr" => self.level = tag.number("lvl").unwrap_or(0).min(MAX_LEVEL),
            "buChar" | "buBlip" => self.marker = Marker::Bullet,
            "buAutoNum" => self.marker = Marker::Number(tag.number("startAt").unwrap_or(1)),
            "t" => self.in_text = true,
            "br" => self.line.line_break(),
            "tab" => self.line.space(),
            "tbl" => {
                self.end_shape();
                self.slide.blocks.push(Block::Shape);
                self.table = Some(Table::default());
            }
            "tc" => {
                if let Some(table) = &mut self.table {
                    let is_on = |name| tag.attr(name).is_some_and(|v| v == "1" || v == "true");
                    table.columns = tag.number("gridSpan").unwrap_or(1);
                    table.rows = tag.number("rowSpan").unwrap_or(1);
                    table.covered = is_on("hMerge") || is_on("vMerge");
                }
            }
            "relIds" => self.part(tag.prefixed("dm")),
            "chart" => self.part(tag.relation()),
            _ => {}
        }
    }

    fn close(&mut self, name: &str) -> Result<(), ExtractError> {
        match name {
            "t" => self.in_text = false,
            "p" => self.end_paragraph()?,
            "sp" | "graphicFrame" | "pt" => self.end_shape(),
            "tc" => {
                if let Some(table) = &mut self.table {
                    let text = std::mem::take(&mut table.cell).join(" ");
                    if !table.covered {
                        table.row.push(&text, table.columns, table.rows);
                    }
                }
            }
            "tr" => {
                if let Some(table) = &mut self.table {
                    let cells = table.row.finish();
                    let bytes = cells.iter().map(|cell| cell.len() + 16).sum();
                    self.budget.take(bytes)?;
                    self.slide.blocks.push(Block::Row(cells));
                }
            }
            "tbl" => self.table = None,
            _ => {}
        }
        Ok(())
    }

    fn part(&mut self, id: Option<String>) {
        if let Some(id) = id {
            self.slide.blocks.push(Block::Part(id));
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ExtractError> {
        let text = self.line.take();
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        let indent = "  ".repeat(self.level);
        let marker = match self.marker {
            Marker::None => String::new(),
            Marker::Bullet => "- ".to_owned(),
            Marker::Number(first) => {
                let counter = &mut self.counters[self.level];
                *counter = if *counter == 0 {
                    first
                } else {
                    counter.saturating_add(1)
                };
                format!("{counter}. ")
            }
        };
        if !matches!(self.marker, Marker::Number(_)) {
            self.counters[self.level] = 0;
        }
        self.counters[self.level + 1..].fill(0);
        if let Some(table) = &mut self.table {
            table.cell.push(format!("{marker}{text}"));
            return Ok(());
        }
        self.budget.take(text.len())?;
        self.lines.push(format!("{indent}{marker}{text}"));
        Ok(())
    }

    fn end_shape(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        let purpose = std::mem::take(&mut self.purpose);
        self.counters.fill(0);
        if lines.is_empty() {
            return;
        }
        match purpose {
            Purpose::Furniture => {}
            Purpose::Footer => self.slide.footers.push(one_line(&lines.join(" "))),
            Purpose::Title if self.slide.title.is_none() => {
                self.slide.title = Some(one_line(&lines.join(" ")));
            }
            Purpose::Title | Purpose::Body | Purpose::Other => {
                if purpose == Purpose::Body {
                    self.slide.body.extend(lines.iter().cloned());
                }
                self.slide.blocks.push(Block::Shape);
                self.slide.blocks.extend(lines.into_iter().map(Block::Line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slide(tree: &str) -> Slide {
        read(tree.as_bytes(), &Limits::default()).unwrap()
    }

    fn lines(slide: &Slide) -> Vec<String> {
        let shown = slide.blocks.iter().filter_map(|block| match block {
            Block::Shape => None,
            Block::Line(line) => Some(line.clone()),
            Block::Row(cells) => Some(cells.join(" | ")),
            Block::Part(id) => Some(format!("<{id}>")),
        });
        shown.collect()
    }

    fn shape(placeholder: &str, paragraphs: &str) -> String {
        format!(
            "<p:sp><p:nvPr><p:ph type='{placeholder}'/></p:nvPr><p:txBody>{paragraphs}</p:txBody></p:sp>"
        )
    }

    #[test]
    fn placeholders_have_their_places() {
        let tree = [
            shape("body", "<a:p><a:r><a:t>Text</a:t></a:r></a:p>"),
            shape(
                "title",
                "<a:p><a:r><a:t>The</a:t></a:r><a:br/><a:r><a:t>title</a:t></a:r></a:p>",
            ),
            shape(
                "sldNum",
                "<a:p><a:fld type='slidenum'><a:t>7</a:t></a:fld></a:p>",
            ),
            shape("ftr", "<a:p><a:r><a:t>Confidential</a:t></a:r></a:p>"),
        ];
        let slide = slide(&format!("<p:sld>{}</p:sld>", tree.concat()));
        assert_eq!(slide.title.as_deref(), Some("The title"));
        assert_eq!(lines(&slide), ["Text"]);
        assert_eq!(slide.footers, ["Confidential"]);
        assert_eq!(slide.body, ["Text"]);
    }

    #[test]
    fn lists_are_counted() {
        let item = |properties: &str, words: &str| {
            format!("<a:p>{properties}<a:r><a:t>{words}</a:t></a:r></a:p>")
        };
        let number = "<a:pPr><a:buAutoNum type='arabicPeriod'/></a:pPr>";
        let tree = [
            item(number, "one"),
            item("<a:pPr lvl='1'><a:buChar char='•'/></a:pPr>", "inner"),
            item(number, "two"),
            item("", "plain"),
            item(number, "again"),
        ];
        let slide = slide(&shape("body", &tree.concat()));
        assert_eq!(
            lines(&slide),
            ["1. one", "  - inner", "2. two", "plain", "1. again"]
        );
    }

    #[test]
    fn spanned_cells_of_tables() {
        let cell = |attributes: &str, words: &str| {
            format!(
                "<a:tc {attributes}><a:txBody><a:p><a:r><a:t>{words}</a:t></a:r></a:p></a:txBody></a:tc>"
            )
        };
        let tree = format!(
            "<p:graphicFrame><a:tbl><a:tr>{}{}{}</a:tr><a:tr>{}{}{}</a:tr></a:tbl></p:graphicFrame>",
            cell("rowSpan='2'", "a"),
            cell("gridSpan='2'", "b"),
            cell("hMerge='1'", ""),
            cell("vMerge='1'", ""),
            cell("", "c"),
            cell("", "d"),
        );
        assert_eq!(lines(&slide(&tree)), ["a | b", "a | c | d"]);
    }

    #[test]
    fn what_older_programs_see_is_left_out() {
        let tree = "<p:sp><mc:AlternateContent><mc:Choice><a:p><a:r><a:t>new</a:t></a:r></a:p></mc:Choice><mc:Fallback><a:p><a:r><a:t>old</a:t></a:r></a:p></mc:Fallback></mc:AlternateContent></p:sp>";
        assert_eq!(lines(&slide(tree)), ["new"]);
    }
}
