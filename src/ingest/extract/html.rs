//! HTML: what a reader sees, block by block. Headings open sections, each table row is one line, list
//! items keep their marker. Nothing is fetched and no script runs; what a style hides is left out.
//!
//! The tree is walked with a loop, so depth costs no stack.

use ego_tree::{NodeRef, iter::Edge};
use scraper::{Html, Node, node::Element};

use crate::domain::MediaType;

use super::{
    Engine, ExtractError, Extracted, Limits, decode,
    draft::Draft,
    inline::{Inline, one_line},
    table::{Row, write_row},
    unpaged,
};

/// Where HTML must declare its encoding: the first 1,024 bytes (HTML Standard, 13.2.3.2); many do it later.
const DECLARATION_WITHIN: usize = 8 * 1024;

/// Deeper lists than this are indented no further.
const MAX_INDENT: usize = 8;

/// Reads an HTML document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let source = decode::decode(bytes, declared_charset(bytes).as_deref());
    let (draft, title) = write(&source, Draft::new(limits))?;
    let (text, sections) = draft.finish();
    Ok(unpaged(
        MediaType::Html,
        Engine::Html,
        title,
        text,
        sections,
    ))
}

/// Writes what `source` shows below what was written before. Gives the title with it.
pub(super) fn write(source: &str, draft: Draft) -> Result<(Draft, Option<String>), ExtractError> {
    let html = Html::parse_document(source);
    let mut walk = Walk::new(draft);
    for edge in html.tree.root().traverse() {
        match edge {
            Edge::Open(node) => walk.open(node)?,
            Edge::Close(node) => walk.close(node)?,
        }
    }
    walk.flush()?;
    let title = walk.title.map(|t| one_line(&t)).filter(|t| !t.is_empty());
    Ok((walk.draft, title))
}

/// The name after `charset=` or the `encoding` of an XML declaration.
pub(super) fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(DECLARATION_WITHIN)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let xml = head
        .strip_prefix("<?xml")
        .and_then(|rest| rest.split_once("?>"))
        .and_then(|(declaration, _)| declaration.split_once("encoding="));
    let (_, rest) = head.split_once("charset=").or(xml)?;
    let name: String = rest
        .trim_start_matches(['"', '\'', ' '])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.'))
        .collect();
    (!name.is_empty()).then_some(name)
}

/// What an element does to the text.
#[derive(PartialEq, Eq, Clone, Copy)]
enum Role {
    Hidden,
    Heading(u8),
    Block,
    Item,
    List,
    Preformatted,
    Table,
    Row,
    Cell,
    LineBreak,
    Image,
    Title,
    Inline,
}

fn role(element: &Element) -> Role {
    if is_hidden(element) {
        return Role::Hidden;
    }
    match element.name() {
        "script" | "style" | "template" | "noscript" | "iframe" | "object" | "embed" | "audio"
        | "video" | "canvas" | "datalist" | "annotation" | "annotation-xml" => Role::Hidden,
        "h1" => Role::Heading(1),
        "h2" => Role::Heading(2),
        "h3" => Role::Heading(3),
        "h4" => Role::Heading(4),
        "h5" => Role::Heading(5),
        "h6" => Role::Heading(6),
        "li" => Role::Item,
        "ul" | "ol" | "menu" => Role::List,
        "pre" | "textarea" | "listing" | "xmp" => Role::Preformatted,
        "table" => Role::Table,
        "tr" => Role::Row,
        "td" | "th" => Role::Cell,
        "br" => Role::LineBreak,
        "img" => Role::Image,
        "title" => Role::Title,
        "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "dd"
        | "details" | "dialog" | "dir" | "div" | "dl" | "dt" | "fieldset" | "figcaption"
        | "figure" | "footer" | "form" | "header" | "hgroup" | "hr" | "html" | "legend"
        | "main" | "nav" | "optgroup" | "option" | "p" | "search" | "section" | "select"
        | "summary" | "tbody" | "tfoot" | "thead" => Role::Block,
        _ => Role::Inline,
    }
}

/// Hidden by attribute or by its own style. Style sheets are not applied.
fn is_hidden(element: &Element) -> bool {
    if element.attr("hidden").is_some() {
        return true;
    }
    if element.name() == "input" && element.attr("type") == Some("hidden") {
        return true;
    }
    let Some(style) = element.attr("style") else {
        return false;
    };
    let style: String = style
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    style.split(';').any(|rule| {
        matches!(
            rule.trim_end_matches("!important"),
            "display:none" | "visibility:hidden" | "font-size:0" | "font-size:0px" | "opacity:0"
        )
    })
}

struct Walk {
    draft: Draft,
    title: Option<String>,
    /// The block being read.
    line: Inline,
    /// Elements inside an open hidden one, that one included.
    hidden: usize,
    preformatted: usize,
    /// One entry for each open list: the number of the next item, or none for bullets.
    lists: Vec<Option<u64>>,
    /// Written before the next line of text: indentation and marker of a list item.
    marker: Option<String>,
    /// One entry for each open table: whether it holds data (rows become lines) or lays out a page.
    tables: Vec<bool>,
    row: Row,
    /// Tables of data inside one another; only the outermost has rows.
    data_depth: usize,
    /// Cells of the current row that are open (nested tables open more).
    in_cell: usize,
    /// The heading that is open, if any.
    heading: Option<u8>,
    in_title: bool,
}

impl Walk {
    fn new(draft: Draft) -> Self {
        Self {
            draft,
            title: None,
            line: Inline::default(),
            hidden: 0,
            preformatted: 0,
            lists: Vec::new(),
            marker: None,
            tables: Vec::new(),
            row: Row::default(),
            data_depth: 0,
            in_cell: 0,
            heading: None,
            in_title: false,
        }
    }

    fn open(&mut self, node: NodeRef<'_, Node>) -> Result<(), ExtractError> {
        let element = match node.value() {
            Node::Text(text) => {
                self.text(text);
                return Ok(());
            }
            Node::Element(element) => element,
            _ => return Ok(()),
        };
        let role = role(element);
        if self.hidden > 0 || role == Role::Hidden {
            self.hidden += 1;
            return Ok(());
        }
        match role {
            Role::Title => self.in_title = self.title.is_none(),
            Role::Image => {
                if let Some(alt) = element.attr("alt") {
                    self.line.flow(alt);
                }
            }
            Role::LineBreak if self.in_cell > 0 || self.heading.is_some() => self.line.space(),
            Role::LineBreak => self.line.line_break(),
            Role::Table => {
                let data = self.data_depth > 0 || is_data(node);
                if data && self.data_depth == 0 {
                    self.flush()?;
                    self.draft.end_block()?;
                } else {
                    self.break_block()?;
                }
                self.tables.push(data);
                self.data_depth += usize::from(data);
            }
            Role::Cell if self.data_depth == 1 && self.in_data() => {
                self.in_cell += 1;
                self.line.take();
            }
            Role::Row | Role::Cell if self.data_depth > 0 => self.line.space(),
            Role::Row | Role::Cell | Role::Block => self.break_block()?,
            Role::Heading(level) => {
                self.break_block()?;
                if self.in_cell == 0 {
                    self.draft.end_block()?;
                    self.heading = Some(level);
                }
            }
            Role::Preformatted => {
                self.break_block()?;
                self.preformatted += 1;
            }
            Role::List => {
                self.break_block()?;
                let start = element.attr("start").and_then(|s| s.parse().ok());
                let next = (element.name() == "ol").then(|| start.unwrap_or(1));
                self.lists.push(next);
            }
            Role::Item => {
                self.break_block()?;
                self.marker = Some(self.item_marker());
            }
            Role::Inline | Role::Hidden => {}
        }
        Ok(())
    }

    fn close(&mut self, node: NodeRef<'_, Node>) -> Result<(), ExtractError> {
        let Node::Element(element) = node.value() else {
            return Ok(());
        };
        if self.hidden > 0 {
            self.hidden -= 1;
            return Ok(());
        }
        match role(element) {
            Role::Title => self.in_title = false,
            Role::Table => {
                let data = self.tables.pop().unwrap_or(false);
                self.data_depth -= usize::from(data);
                self.break_block()?;
                if data && self.data_depth == 0 {
                    self.row = Row::default();
                    self.draft.end_block()?;
                }
            }
            Role::Cell if self.data_depth == 1 && self.in_data() => {
                self.in_cell = self.in_cell.saturating_sub(1);
                let cell = self.line.take();
                self.row
                    .push(&cell, span(element, "colspan"), span(element, "rowspan"));
            }
            Role::Row if self.data_depth == 1 && self.in_data() => {
                let cells = self.row.finish();
                write_row(&mut self.draft, &cells)?;
            }
            Role::Row | Role::Cell if self.data_depth > 0 => self.line.space(),
            Role::Row | Role::Cell | Role::Block => {
                self.break_block()?;
                if element.name() == "p" && self.in_cell == 0 && self.lists.is_empty() {
                    self.draft.end_block()?;
                }
            }
            Role::Heading(_) => {
                self.break_block()?;
                if self.in_cell == 0 {
                    self.heading = None;
                    self.draft.end_block()?;
                }
            }
            Role::Preformatted => {
                self.break_block()?;
                self.preformatted = self.preformatted.saturating_sub(1);
            }
            Role::List => {
                self.break_block()?;
                self.lists.pop();
                if self.lists.is_empty() && self.in_cell == 0 {
                    self.draft.end_block()?;
                }
            }
            Role::Item => {
                self.break_block()?;
                self.marker = None;
            }
            Role::LineBreak | Role::Image | Role::Inline | Role::Hidden => {}
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.hidden > 0 {
            return;
        }
        if self.in_title {
            self.title.get_or_insert_default().push_str(text);
        } else if self.preformatted > 0 && self.in_cell == 0 {
            self.line.verbatim(text);
        } else {
            self.line.flow(text);
        }
    }

    /// Whether the innermost open table holds data.
    fn in_data(&self) -> bool {
        self.tables.last().copied().unwrap_or(false)
    }

    /// The current line of text ends; inside a cell or a heading it only becomes another word.
    fn break_block(&mut self) -> Result<(), ExtractError> {
        if self.in_cell > 0 {
            self.line.space();
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), ExtractError> {
        if self.line.is_empty() {
            self.line.take();
            return Ok(());
        }
        let text = self.line.take();
        let text = if self.preformatted > 0 {
            text.trim_matches('\n')
        } else {
            text.trim()
        };
        self.draft.end_line()?;
        let start = self.draft.position();
        if let Some(marker) = self.marker.take() {
            self.draft.push(&marker)?;
        }
        self.draft.push(text)?;
        if let Some(level) = self.heading {
            self.draft.heading_at(start, level, text);
        }
        self.draft.end_line()
    }

    fn item_marker(&mut self) -> String {
        let depth = self.lists.len().saturating_sub(1).min(MAX_INDENT);
        let indent = "  ".repeat(depth);
        match self.lists.last_mut() {
            Some(Some(next)) => {
                let number = *next;
                *next = next.saturating_add(1);
                format!("{indent}{number}. ")
            }
            _ => format!("{indent}- "),
        }
    }
}

/// A table of data has no table and no heading inside; one that lays out a page does.
fn is_data(table: NodeRef<'_, Node>) -> bool {
    !table.descendants().skip(1).any(|node| {
        node.value().as_element().is_some_and(|e| {
            matches!(
                e.name(),
                "table" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "pre"
            )
        })
    })
}

fn span(cell: &Element, name: &str) -> usize {
    cell.attr(name)
        .and_then(|n| n.trim().parse().ok())
        .unwrap_or(1)
}
