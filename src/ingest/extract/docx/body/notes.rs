//! Footnotes and endnotes: read before the body, written below the paragraph that refers to them.

use std::{collections::HashMap, io::BufRead};

use super::{
    super::super::{
        ExtractError, Limits,
        draft::{Draft, too_much_text},
        inline::one_line,
        numbers::roman,
        xml::{self, Node},
    },
    Body, Sheet,
    paragraphs::attach,
};

/// Footnotes and endnotes by kind and identifier.
#[derive(Default)]
pub(in super::super) struct Notes(pub(super) HashMap<(bool, String), String>);

impl Notes {
    /// Reads `footnotes.xml` or `endnotes.xml`.
    pub(in super::super) fn read(
        &mut self,
        part: impl BufRead,
        sheet: &Sheet,
        limits: &Limits,
    ) -> Result<(), ExtractError> {
        let none = Self::default();
        let mut open: Option<((bool, String), Body<'_>)> = None;
        let mut found = Vec::new();
        let mut bytes = 0;
        xml::read(part, |node| {
            match &node {
                Node::Open(tag) if tag.is("footnote") || tag.is("endnote") => {
                    // Separators are the lines that Word draws above the notes.
                    let is_text = tag.attr("type").is_none_or(|t| t == "normal");
                    if let Some(id) = tag.attr("id").filter(|_| is_text) {
                        let body = Body::new(Draft::new(limits), sheet, &none);
                        open = Some(((tag.is("endnote"), id), body));
                    }
                    return Ok(());
                }
                Node::Close("footnote" | "endnote") => {
                    if let Some((key, body)) = open.take() {
                        let text = one_line(&body.finish()?.0.finish().0);
                        bytes += text.len() as u64;
                        if bytes > limits.max_text_bytes {
                            return Err(too_much_text(limits.max_text_bytes));
                        }
                        found.push((key, text));
                    }
                    return Ok(());
                }
                _ => {}
            }
            match &mut open {
                Some((_, body)) => body.node(node),
                None => Ok(()),
            }
        })?;
        self.0.extend(found);
        Ok(())
    }
}

impl Body<'_> {
    /// A reference to a note: its mark here, its text below the paragraph.
    pub(super) fn note(&mut self, is_endnote: bool, id: Option<String>) {
        let Some(text) = id.and_then(|id| self.notes.0.get(&(is_endnote, id))) else {
            return;
        };
        let mark = if is_endnote {
            self.endnotes += 1;
            format!("[{}]", roman(self.endnotes))
        } else {
            self.footnotes += 1;
            format!("[{}]", self.footnotes)
        };
        self.visible(|line| line.flow(&mark));
        if let Some(paragraph) = self.paragraphs.last_mut() {
            attach(&mut paragraph.attached, format!("{mark} {text}"));
        }
    }
}
