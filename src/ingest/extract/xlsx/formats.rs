//! Numbers as their cells show them: number formats (ECMA-376, 18.8.30 and 18.8.31) as far as they change
//! what is read. Colours, conditions, padding and fractions do not; a format that is not understood shows
//! the number plainly.

use std::{collections::HashMap, io::BufRead};

use super::{
    super::{ExtractError, xml},
    dates::Parts,
};

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

/// Formats that files name by number only (ECMA-376, 18.8.30). Those that differ by language are dates.
fn builtin(id: u32) -> &'static str {
    match id {
        1 => "0",
        2 => "0.00",
        3 => "#,##0",
        4 => "#,##0.00",
        9 => "0%",
        10 => "0.00%",
        11 | 48 => "0.00E+00",
        14..=17 | 27..=31 | 34..=36 | 50..=58 => "yyyy-mm-dd",
        18 | 20 => "h:mm",
        19 | 21 | 32 | 33 => "h:mm:ss",
        22 => "yyyy-mm-dd h:mm",
        37 | 38 => "#,##0;(#,##0)",
        39 | 40 | 43 | 44 => "#,##0.00;(#,##0.00)",
        41 | 42 => "#,##0;(#,##0)",
        45 | 47 => "mm:ss",
        46 => "[h]:mm:ss",
        _ => "General",
    }
}

/// What a format is made of.
#[derive(Debug, PartialEq, Clone)]
enum Token {
    Words(String),
    /// `0` (always shown), `#` or `?`.
    Place(bool),
    Point,
    Comma,
    Percent,
    Exponent,
    /// A letter of a date or time.
    Date(char),
    /// In brackets: counts on.
    Elapsed(char),
    General,
    /// A fraction, or text in its place.
    Odd,
}

fn parse(code: &str) -> Format {
    if code.len() > MAX_CODE {
        return Format::General;
    }
    let sections = tokens(code);
    let Some(first) = sections.first() else {
        return Format::General;
    };
    let is_date = |t: &Token| matches!(t, Token::Date(_) | Token::Elapsed(_));
    if first.iter().any(is_date) {
        return Format::Date(parts(first));
    }
    let odd = |t: &Token| matches!(t, Token::General | Token::Odd);
    if first.is_empty() || first.iter().any(odd) {
        return Format::General;
    }
    // The fourth is for text.
    Format::Number(sections.iter().take(3).map(|s| section(s)).collect())
}

fn tokens(code: &str) -> Vec<Vec<Token>> {
    let mut sections = vec![Vec::new()];
    let mut chars = code.chars().peekable();
    while let Some(c) = chars.next() {
        let token = match c {
            ';' => {
                sections.push(Vec::new());
                continue;
            }
            '"' => Token::Words(chars.by_ref().take_while(|c| *c != '"').collect()),
            '\\' => Token::Words(chars.next().into_iter().collect()),
            // Room as wide as the next character; the next character as often as fits.
            '_' | '*' => {
                chars.next();
                continue;
            }
            '[' => {
                let inside: String = chars.by_ref().take_while(|c| *c != ']').collect();
                match bracketed(&inside) {
                    Some(token) => token,
                    None => continue,
                }
            }
            '0' => Token::Place(true),
            '#' | '?' => Token::Place(false),
            '.' => Token::Point,
            ',' => Token::Comma,
            '%' => Token::Percent,
            'E' | 'e' if matches!(chars.peek(), Some('+' | '-')) => {
                chars.next();
                Token::Exponent
            }
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' | 'e' => {
                Token::Date(c.to_ascii_lowercase())
            }
            'A' | 'a'
                if chars
                    .clone()
                    .take(4)
                    .collect::<String>()
                    .eq_ignore_ascii_case("M/PM") =>
            {
                chars.nth(3);
                Token::Date('a')
            }
            'A' | 'a'
                if chars
                    .clone()
                    .take(2)
                    .collect::<String>()
                    .eq_ignore_ascii_case("/P") =>
            {
                chars.nth(1);
                Token::Date('a')
            }
            'G' | 'g'
                if chars
                    .clone()
                    .take(6)
                    .collect::<String>()
                    .eq_ignore_ascii_case("eneral") =>
            {
                chars.nth(5);
                Token::General
            }
            '@' | '/' => Token::Odd,
            c => Token::Words(c.to_string()),
        };
        sections.last_mut().expect("there is one").push(token);
    }
    // In a date these are signs between its parts.
    for section in &mut sections {
        if section.iter().any(|t| matches!(t, Token::Date(_))) {
            section.retain(|t| *t != Token::Odd);
        }
    }
    sections
}

/// `[h]` counts on, `[$€-407]` is a currency; colours, conditions and languages change nothing here.
fn bracketed(inside: &str) -> Option<Token> {
    if let Some(currency) = inside.strip_prefix('$') {
        let sign = currency.split('-').next().unwrap_or_default();
        return (!sign.is_empty()).then(|| Token::Words(sign.to_owned()));
    }
    let lower = inside.to_ascii_lowercase();
    let first = lower.chars().next()?;
    let all_alike = lower.chars().all(|c| c == first);
    (all_alike && matches!(first, 'h' | 'm' | 's')).then_some(Token::Elapsed(first))
}

/// `m` is a minute behind an hour or before a second, else a month.
fn parts(section: &[Token]) -> Parts {
    let mut parts = Parts::default();
    let letters: Vec<(char, bool)> = section
        .iter()
        .filter_map(|t| match t {
            Token::Date(letter) => Some((*letter, false)),
            Token::Elapsed(letter) => Some((*letter, true)),
            _ => None,
        })
        .collect();
    // Repeated letters are one part.
    let mut runs = letters;
    runs.dedup();
    for (at, (letter, elapsed)) in runs.iter().enumerate() {
        parts.elapsed |= *elapsed;
        let before = at.checked_sub(1).map(|i| runs[i].0);
        let after = runs.get(at + 1).map(|(letter, _)| *letter);
        match letter {
            'y' | 'e' => parts.year = true,
            'd' => parts.day = true,
            'h' => parts.hour = true,
            's' => parts.second = true,
            'm' if *elapsed || before == Some('h') || after == Some('s') => parts.minute = true,
            'm' => parts.month = true,
            _ => {}
        }
    }
    parts
}

fn section(tokens: &[Token]) -> Section {
    let mut section = Section::default();
    let last_place = tokens.iter().rposition(|t| matches!(t, Token::Place(_)));
    let mut after_point = false;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Words(words) if section.has_place && last_place < Some(at) => {
                section.after.push_str(words);
            }
            // Words between places (of a telephone number) are rare; they stand before.
            Token::Words(words) if !section.has_place => section.before.push_str(words),
            Token::Place(_) if section.exponent => {}
            Token::Place(fixed) => {
                section.has_place = true;
                if after_point {
                    section.decimals = (section.decimals + 1).min(MAX_DECIMALS);
                    if *fixed {
                        section.fixed_decimals = section.decimals;
                    }
                } else if *fixed {
                    section.digits = (section.digits + 1).min(MAX_DECIMALS);
                }
            }
            Token::Point => after_point = true,
            Token::Comma if last_place < Some(at) => section.thousands += 1,
            Token::Comma => section.grouped |= section.has_place,
            Token::Percent => {
                section.percent = true;
                if section.has_place {
                    section.after.push('%');
                } else {
                    section.before.push('%');
                }
            }
            Token::Exponent => section.exponent = true,
            Token::Words(_) | Token::Date(_) | Token::Elapsed(_) | Token::General | Token::Odd => {}
        }
    }
    section
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
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, value: &str, expected: &str) {
        let formats = Formats {
            by_style: vec![0],
            formats: vec![parse(code)],
            from_1904: false,
        };
        assert_eq!(formats.show(value, 0), expected, "{code} {value}");
    }

    #[test]
    fn plain_numbers() {
        for (value, expected) in [
            ("0", "0"),
            ("1234567", "1234567"),
            ("-3.50", "-3.5"),
            ("0.30000000000000004", "0.3"),
            ("123456789012345", "123456789012345"),
            ("1E+20", "1E20"),
            ("1.5E-12", "1.5E-12"),
            ("nan", "nan"),
            ("word", "word"),
        ] {
            check("General", value, expected);
        }
    }

    #[test]
    fn formatted_numbers() {
        for (code, value, expected) in [
            ("0", "2.5001", "3"),
            ("0.00", "2", "2.00"),
            ("#,##0.00", "1234567.891", "1,234,567.89"),
            ("#,##0", "-999", "-999"),
            ("0%", "0.125", "13%"),
            ("0.00", "1.005", "1.01"),
            ("0.0%", "0.125", "12.5%"),
            ("00000", "42", "00042"),
            ("0.##", "1.5", "1.5"),
            (".00", "0.5", ".50"),
            ("0.00E+00", "12345", "1.23E+04"),
            ("#,##0.0,,\" M\"", "12345678", "12.3 M"),
            ("[$€-407] #,##0.00", "5", "€ 5.00"),
            ("#,##0.00\\ \"€\";[Red]-#,##0.00\\ \"€\"", "-5", "-5.00 €"),
            ("\"$\"#,##0_);\\(\"$\"#,##0\\)", "-1200", "($1,200)"),
            ("_-* #,##0.00_-;-* #,##0.00_-;_-* \"-\"??_-;_-@_-", "0", "-"),
            ("0;-0;\"none\"", "0", "none"),
            ("0", "-0.2", "0"),
            ("#", "0", ""),
            ("@", "7", "7"),
            ("# ?/?", "0.5", "0.5"),
        ] {
            check(code, value, expected);
        }
    }

    #[test]
    fn dates_and_times() {
        for (code, value, expected) in [
            ("m/d/yyyy", "45356", "2024-03-05"),
            ("[$-409]d\\-mmm\\-yy;@", "45356", "2024-03-05"),
            ("mmm yyyy", "45356", "2024-03"),
            ("yyyy", "45356", "2024"),
            ("dd.mm.yyyy hh:mm", "45356.5", "2024-03-05 12:00"),
            ("h:mm AM/PM", "0.75", "18:00"),
            ("mm:ss", "0.5", "12:00:00"),
            ("[h]:mm", "1.5", "36:00"),
            ("yyyy\"年\"m\"月\"d\"日\"", "45356", "2024-03-05"),
            ("m/d/yyyy", "-1", "-1"),
        ] {
            check(code, value, expected);
        }
    }

    #[test]
    fn styles_name_formats() {
        let source = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="0.0&quot; kg&quot;"/></numFmts>
            <cellStyleXfs><xf numFmtId="9"/></cellStyleXfs>
            <cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="9999"/></cellXfs></styleSheet>"#;
        let formats = read(source.as_bytes(), false).unwrap();
        let shown = [0, 1, 2, 3, 99].map(|style| formats.show("45356", style));
        assert_eq!(
            shown,
            ["45356", "2024-03-05", "45356.0 kg", "45356", "45356"]
        );
    }

    #[test]
    fn strange_formats_end() {
        for code in [
            "",
            ";",
            ";;;;;;",
            "[",
            "\"",
            "\\",
            "_",
            "*",
            "[$",
            "[]",
            "0,,,,,,,,,,,,,,,,,,,,,,,,",
            &"0".repeat(1024),
            &"0.".repeat(500),
            &"#".repeat(5000),
            "E+",
            "0E+0E+0",
        ] {
            let formats = Formats {
                by_style: vec![0],
                formats: vec![parse(code)],
                from_1904: false,
            };
            for value in ["1", "-1e308", "1e-308", "0"] {
                assert!(formats.show(value, 0).len() < 500, "{code}");
            }
        }
    }
}
