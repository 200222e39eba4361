//! List markers, counted as Word counts them: `1.`, `1.2`, `(iv)`, or `-` for bullets.

use std::{collections::HashMap, io::BufRead};

use super::super::{
    ExtractError,
    numbers::{letters, roman},
    xml,
};

/// Levels of a list (ECMA-376, 17.9.6: 0 to 8).
const LEVELS: usize = 9;

/// Lists of one document.
const MAX_LISTS: usize = 50_000;

/// How one level is written.
#[derive(Clone, Default)]
struct Level {
    start: u32,
    format: String,
    /// `%1.%2` stands for the numbers of the first two levels.
    text: String,
}

/// The definitions of `numbering.xml`.
#[derive(Default)]
pub(super) struct Numbering {
    /// `abstractNumId` → levels.
    kinds: HashMap<String, Vec<Level>>,
    /// By `numId`.
    lists: HashMap<String, List>,
}

/// A list: its kind, and the levels that begin anew in it with their first numbers.
#[derive(Default)]
struct List {
    kind: String,
    restarts: Vec<(usize, u32)>,
}

/// The numbers reached so far.
#[derive(Default)]
pub(super) struct Counters {
    /// By kind: lists of the same kind count on.
    reached: HashMap<String, [Option<u32>; LEVELS]>,
    begun: std::collections::HashSet<String>,
}

impl Numbering {
    /// The marker of the next paragraph of list `list` at `level`; `None` when it has none.
    pub(super) fn marker(&self, counters: &mut Counters, list: &str, level: u8) -> Option<String> {
        let List { kind, restarts } = self.lists.get(list)?;
        let levels = self.kinds.get(kind)?;
        let at = usize::from(level).min(LEVELS - 1);
        let reached = counters.reached.entry(kind.clone()).or_default();
        if counters.begun.insert(list.to_owned()) {
            for (level, start) in restarts {
                reached[*level] = start.checked_sub(1);
                reached[level + 1..].fill(None);
            }
        }
        let start = |at: usize| levels.get(at).map_or(1, |l| l.start);
        reached[at] = Some(reached[at].map_or(start(at), |n| n.saturating_add(1)));
        reached[at + 1..].fill(None);
        let shape = levels.get(at)?;
        match shape.format.as_str() {
            "none" => None,
            "bullet" => Some("-".to_owned()),
            _ => {
                let mut marker = String::new();
                let mut chars = shape.text.chars();
                while let Some(c) = chars.next() {
                    let digit = (c == '%').then(|| chars.next()).flatten();
                    if let Some(n @ 1..=9) = digit.and_then(|d| d.to_digit(10)) {
                        let n = n as usize - 1;
                        let number = *reached[n].get_or_insert_with(|| start(n));
                        let format = levels.get(n).map_or("decimal", |l| l.format.as_str());
                        marker.push_str(&format_number(number, format));
                    } else {
                        marker.push(c);
                        marker.extend(digit);
                    }
                }
                let marker = marker.trim().to_owned();
                (!marker.is_empty()).then_some(marker)
            }
        }
    }
}

fn format_number(number: u32, format: &str) -> String {
    match format {
        "lowerLetter" => letters(number),
        "upperLetter" => letters(number).to_uppercase(),
        "lowerRoman" => roman(number),
        "upperRoman" => roman(number).to_uppercase(),
        "decimalZero" => format!("{number:02}"),
        "none" => String::new(),
        _ => number.to_string(),
    }
}

/// Reads `numbering.xml`.
pub(super) fn read(part: impl BufRead) -> Result<Numbering, ExtractError> {
    let mut numbering = Numbering::default();
    let mut kind: Option<(String, Vec<Level>)> = None;
    let mut list: Option<(String, List)> = None;
    let mut at = 0;
    xml::read(part, |node| {
        match node {
            xml::Node::Open(tag) => match (tag.name, &mut kind, &mut list) {
                ("abstractNum", ..) => {
                    kind = tag.attr("abstractNumId").map(|id| (id, Vec::new()));
                }
                ("num", ..) => {
                    list = tag.attr("numId").map(|id| (id, List::default()));
                }
                ("lvl", Some((_, levels)), None) => {
                    at = number(tag.attr("ilvl")).min(LEVELS as u32 - 1) as usize;
                    if levels.len() <= at {
                        let plain = Level {
                            start: 1,
                            ..Level::default()
                        };
                        levels.resize(at + 1, plain);
                    }
                }
                ("start", Some((_, levels)), None) if at < levels.len() => {
                    levels[at].start = number(tag.attr("val"));
                }
                ("numFmt", Some((_, levels)), None) if at < levels.len() => {
                    levels[at].format = tag.attr("val").unwrap_or_default();
                }
                ("lvlText", Some((_, levels)), None) if at < levels.len() => {
                    levels[at].text = tag.attr("val").unwrap_or_default();
                }
                ("abstractNumId", _, Some((_, list))) => {
                    list.kind = tag.attr("val").unwrap_or_default();
                }
                ("lvlOverride", _, Some(_)) => {
                    at = number(tag.attr("ilvl")).min(LEVELS as u32 - 1) as usize;
                }
                ("startOverride", _, Some((_, list))) if list.restarts.len() < LEVELS => {
                    list.restarts.push((at, number(tag.attr("val"))));
                }
                _ => {}
            },
            xml::Node::Close("abstractNum") => {
                if let Some((id, levels)) = kind.take()
                    && numbering.kinds.len() < MAX_LISTS
                {
                    numbering.kinds.insert(id, levels);
                }
            }
            xml::Node::Close("num") => {
                if let Some((id, definition)) = list.take()
                    && numbering.lists.len() < MAX_LISTS
                {
                    numbering.lists.insert(id, definition);
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(numbering)
}

fn number(value: Option<String>) -> u32 {
    value.and_then(|v| v.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"<numbering>
        <abstractNum abstractNumId="0">
            <lvl ilvl="0"><start val="1"/><numFmt val="decimal"/><lvlText val="%1."/></lvl>
            <lvl ilvl="1"><start val="1"/><numFmt val="lowerLetter"/><lvlText val="%1.%2)"/></lvl>
            <lvl ilvl="2"><start val="1"/><numFmt val="upperRoman"/><lvlText val="(%3)"/></lvl>
        </abstractNum>
        <abstractNum abstractNumId="1"><lvl ilvl="0"><numFmt val="bullet"/><lvlText val="o"/></lvl></abstractNum>
        <num numId="1"><abstractNumId val="0"/></num>
        <num numId="2"><abstractNumId val="1"/></num>
        <num numId="3"><abstractNumId val="0"/><lvlOverride ilvl="0"><startOverride val="1"/></lvlOverride></num>
    </numbering>"#;

    #[test]
    fn counts_like_word() {
        let numbering = read(SOURCE.as_bytes()).unwrap();
        let mut counters = Counters::default();
        let mut next = |list, level| numbering.marker(&mut counters, list, level);
        for (list, level, marker) in [
            ("1", 0, Some("1.")),
            ("1", 1, Some("1.a)")),
            ("1", 2, Some("(I)")),
            ("1", 1, Some("1.b)")),
            ("1", 0, Some("2.")),
            ("1", 1, Some("2.a)")),
            ("2", 0, Some("-")),
            ("3", 0, Some("1.")),
            ("3", 0, Some("2.")),
            ("9", 0, None),
        ] {
            assert_eq!(next(list, level).as_deref(), marker, "{list} {level}");
        }
    }

    #[test]
    fn numbers_are_written() {
        for (number, format, expected) in [
            (3, "lowerLetter", "c"),
            (28, "upperLetter", "BB"),
            (1994, "lowerRoman", "mcmxciv"),
            (7, "decimalZero", "07"),
            (0, "lowerLetter", "0"),
            (u32::MAX, "lowerLetter", &"u".repeat(16)),
        ] {
            assert_eq!(format_number(number, format), expected);
        }
    }
}
