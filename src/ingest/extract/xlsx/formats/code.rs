//! The language that number formats are written in.

use super::{Format, MAX_CODE, MAX_DECIMALS, Parts, Section};

/// Formats that files name by number only (ECMA-376, 18.8.30). Those that differ by language are dates.
pub(super) fn builtin(id: u32) -> &'static str {
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

pub(super) fn parse(code: &str) -> Format {
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
