//! Formulas in a line, with the signs of TeX.

use super::{super::super::xml::Tag, Body};

impl Body<'_> {
    pub(super) fn open_math(&mut self, tag: &Tag<'_>) {
        match tag.name {
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.push(false);
                }
            }
            "sup" => self.sign("^{"),
            "sub" => self.sign("_{"),
            "f" => self.sign("\\frac"),
            "rad" => self.sign("\\sqrt"),
            "num" | "den" | "deg" => self.sign("{"),
            "d" => self.sign("\\left("),
            "nary" => self.operator = "\\int",
            "chr" => {
                if let Some(sign) = tag.attr("val") {
                    self.operator = operator(&sign);
                }
            }
            _ => {}
        }
    }

    pub(super) fn close_math(&mut self, name: &str) {
        match name {
            "r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.runs.pop();
                }
            }
            "sup" | "sub" | "num" | "den" | "deg" => self.sign("}"),
            "d" => self.sign("\\right)"),
            "naryPr" => self.sign(self.operator),
            _ => {}
        }
    }

    /// A sign of a formula, which stands between its runs.
    fn sign(&mut self, sign: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.line.flow(sign);
        }
    }
}

/// TeX's name of a large operator; an integral where the formula names none (ECMA-376, 22.1.2.20).
fn operator(sign: &str) -> &'static str {
    match sign {
        "∑" => "\\sum",
        "∏" => "\\prod",
        "∐" => "\\coprod",
        "∬" => "\\iint",
        "∭" => "\\iiint",
        "∮" => "\\oint",
        "⋃" => "\\bigcup",
        "⋂" => "\\bigcap",
        "⋁" => "\\bigvee",
        "⋀" => "\\bigwedge",
        _ => "\\int",
    }
}
