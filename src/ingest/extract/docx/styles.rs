//! Paragraph styles: which are headings, which carry a list.

use std::{collections::HashMap, io::BufRead};

use super::super::{ExtractError, xml};

/// Styles of one document.
const MAX_STYLES: usize = 10_000;

/// How far `basedOn` is followed, which may run in a circle.
const MAX_STEPS: usize = 12;

/// What a paragraph takes from its style.
#[derive(Default, Clone)]
pub(super) struct Style {
    name: String,
    based_on: Option<String>,
    /// 0 is the outermost, 9 is body text.
    outline: Option<u8>,
    list: Option<String>,
    list_level: Option<u8>,
}

/// By identifier.
#[derive(Default)]
pub(super) struct Styles(HashMap<String, Style>);

impl Styles {
    /// The heading level (from 1) of the style, if it is one for headings.
    pub(super) fn heading(&self, id: &str) -> Option<u8> {
        self.find(id, |style| match style.outline {
            Some(level) if level < 9 => Some(Some(level + 1)),
            Some(_) => Some(None),
            // The built-in names hold in every language's Word.
            None => heading_name(&style.name).map(Some),
        })
        .flatten()
    }

    pub(super) fn is_title(&self, id: &str) -> bool {
        self.0
            .get(id)
            .is_some_and(|s| s.name.eq_ignore_ascii_case("title"))
    }

    /// The list (`numId`) and level that paragraphs of this style belong to.
    pub(super) fn list(&self, id: &str) -> Option<(String, u8)> {
        let list = self.find(id, |s| s.list.clone())?;
        let level = self.find(id, |s| s.list_level).unwrap_or(0);
        Some((list, level))
    }

    fn find<T>(&self, id: &str, pick: impl Fn(&Style) -> Option<T>) -> Option<T> {
        let mut id = id;
        for _ in 0..MAX_STEPS {
            let style = self.0.get(id)?;
            if let Some(found) = pick(style) {
                return Some(found);
            }
            id = style.based_on.as_deref()?;
        }
        None
    }
}

/// `heading 1` to `heading 9`.
fn heading_name(name: &str) -> Option<u8> {
    let lower = name.to_ascii_lowercase();
    let level = lower.strip_prefix("heading ")?.parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}

/// Reads `styles.xml`.
pub(super) fn read(part: impl BufRead) -> Result<Styles, ExtractError> {
    let mut styles = Styles::default();
    let mut open: Option<(String, Style)> = None;
    xml::read(part, |node| {
        match node {
            xml::Node::Open(tag) if tag.is("style") => {
                open = tag.attr("styleId").map(|id| (id, Style::default()));
            }
            xml::Node::Close("style") => {
                if let Some((id, style)) = open.take()
                    && styles.0.len() < MAX_STYLES
                {
                    styles.0.insert(id, style);
                }
            }
            xml::Node::Open(tag) => {
                if let Some((_, style)) = &mut open
                    && let Some(value) = tag.attr("val")
                {
                    match tag.name {
                        "name" => style.name = value,
                        "basedOn" => style.based_on = Some(value),
                        "outlineLvl" => style.outline = value.parse().ok(),
                        "numId" => style.list = Some(value),
                        "ilvl" => style.list_level = value.parse().ok(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(styles)
}
