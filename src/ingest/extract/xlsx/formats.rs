//! Numbers as their cells show them: number formats (ECMA-376, 18.8.30 and 18.8.31) as far as they change
//! what is read. Colours, conditions, padding and fractions do not; a format that is not understood shows
//! the number plainly.

mod code;

use std::{collections::HashMap, io::BufRead};

use super::{
    super::{ExtractError, xml},
    dates::Parts,
};
use code::{builtin, parse};

/// Formats of one workbook; Excel stops at 64,000 styles.
const MAX_FORMATS: usize = 100_000;

/// Bytes of a format that are looked at; Excel allows 255 characters.
const MAX_CODE: usize = 1024;

/// Decimals that are shown at most, as in Excel.
const MAX_DECIMALS: usize = 30;

/// From here on digits are not exact (ECMA-376 has IEEE 754 doubles).
const EXACT_BELOW: f64 = 1e15;

/// The formats that cells' styles name.
#[derive(Default)]
pub(super) struct Formats {
    by_style: Vec<usize>,
    formats: Vec<Format>,
    from_1904: bool,
}

#[derive(Debug, PartialEq)]
enum Format {
    General,
    Date(Parts),
    /// For positive numbers, negative ones, zero.
    Number(Vec<Section>),
}

/// One of the parts of a format between semicolons.
#[derive(Debug, PartialEq, Default)]
struct Section {
    before: String,
    after: String,
    /// Digits at least, before the point.
    digits: usize,
    decimals: usize,
    /// Of them, those that are always shown.
    fixed_decimals: usize,
    grouped: bool,
    percent: bool,
    /// How often the number is divided by a thousand.
    thousands: u32,
    exponent: bool,
    /// Without a place for a digit the section is its words.
    has_place: bool,
}

impl Formats {
    /// The number in `value`, as a cell of that style shows it.
    pub(super) fn show(&self, value: &str, style: usize) -> String {
        let Ok(number) = value.parse::<f64>() else {
            return value.to_owned();
        };
        if !number.is_finite() {
            return value.to_owned();
        }
        let format = self.by_style.get(style);
        match format.map_or(&Format::General, |at| &self.formats[*at]) {
            Format::General => general(number),
            Format::Date(parts) => parts
                .show(number, self.from_1904)
                .unwrap_or_else(|| general(number)),
            Format::Number(sections) => show(number, sections),
        }
    }
}

/// Reads `styles.xml`.
pub(super) fn read(part: impl BufRead, from_1904: bool) -> Result<Formats, ExtractError> {
    let mut formats = Formats {
        from_1904,
        ..Formats::default()
    };
    let mut codes: HashMap<u32, String> = HashMap::new();
    let mut known: HashMap<u32, usize> = HashMap::new();
    let mut in_cells = false;
    xml::read(part, |node| {
        match node {
            xml::Node::Open(tag) => match tag.name {
                "numFmt" if !in_cells && codes.len() < MAX_FORMATS => {
                    if let (Some(id), Some(code)) = (tag.number("numFmtId"), tag.attr("formatCode"))
                    {
                        codes.insert(id, code);
                    }
                }
                "cellXfs" => in_cells = true,
                "xf" if in_cells && formats.by_style.len() < MAX_FORMATS => {
                    let id = tag.number("numFmtId").unwrap_or(0);
                    let at = *known.entry(id).or_insert_with(|| {
                        let code = codes.get(&id).map_or_else(|| builtin(id), String::as_str);
                        formats.formats.push(parse(code));
                        formats.formats.len() - 1
                    });
                    formats.by_style.push(at);
                }
                _ => {}
            },
            xml::Node::Close("cellXfs") => in_cells = false,
            xml::Node::Close(_) | xml::Node::Text(_) => {}
        }
        Ok(())
    })?;
    Ok(formats)
}

fn show(number: f64, sections: &[Section]) -> String {
    let zero = sections.get(2).filter(|_| number == 0.0);
    let negative = sections.get(1).filter(|_| number < 0.0);
    let section = zero.or(negative).unwrap_or(&sections[0]);
    let mut out = String::new();
    // A section for negative numbers brings its own sign.
    let sign = if number < 0.0 && negative.is_none() {
        "-"
    } else {
        ""
    };
    let number = number.abs();
    let shown = if section.has_place {
        section.number(number)
    } else {
        String::new()
    };
    // Nothing is left of it after rounding.
    let is_zero = !shown.contains(|c: char| c.is_ascii_digit() && c != '0');
    if !is_zero || !section.has_place {
        out.push_str(sign);
    }
    out.push_str(section.before.trim_start());
    out.push_str(&shown);
    out.push_str(section.after.trim_end());
    out
}

impl Section {
    fn number(&self, number: f64) -> String {
        let mut number = number;
        if self.percent {
            number *= 100.0;
        }
        for _ in 0..self.thousands.min(8) {
            number /= 1000.0;
        }
        if self.exponent {
            let shown = format!("{number:.*E}", self.decimals);
            let (mantissa, exponent) = shown.split_once('E').unwrap_or((&shown, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            return format!("{mantissa}E{exponent:+03}");
        }
        let plain = format!("{:.*}", self.decimals, rounded(number, self.decimals));
        let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
        let mut whole = format!("{whole:0>width$}", width = self.digits);
        if self.digits == 0 && whole == "0" {
            whole.clear();
        }
        if self.grouped {
            whole = grouped(&whole);
        }
        let mut kept = fraction.len();
        while kept > self.fixed_decimals && fraction.as_bytes()[kept - 1] == b'0' {
            kept -= 1;
        }
        if kept == 0 {
            return whole;
        }
        format!("{whole}.{}", &fraction[..kept])
    }
}

/// Halves go up, as in school and in Excel; what is binary about them (1.005 is a little less) does not
/// count.
fn rounded(number: f64, decimals: usize) -> f64 {
    let scale = 10_f64.powi(decimals as i32);
    let scaled = number * scale;
    if scaled >= EXACT_BELOW {
        return number;
    }
    (scaled * (1.0 + 1e-12)).round() / scale
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// As a cell without a format shows it, in a column that is wide enough: eleven digits.
fn general(number: f64) -> String {
    if number == 0.0 {
        return "0".to_owned();
    }
    if number.fract() == 0.0 && number.abs() < EXACT_BELOW {
        return format!("{number:.0}");
    }
    let short = format!("{number:.10e}");
    let rounded: f64 = short.parse().unwrap_or(number);
    if (1e-9..EXACT_BELOW).contains(&rounded.abs()) {
        return format!("{rounded}");
    }
    format!("{rounded:E}")
}

#[cfg(test)]
mod tests;
