//! Written text as it is said: numbers, dates, amounts, abbreviations, addresses and marks. What stands in an
//! answer for the eye, `[1]` above all, is for the screen and not for the voice.
//!
//! English words are put in for English voices; other languages have their own ways with figures, which
//! their voices know, so there only what nobody says is left out.

mod marks;
pub mod numbers;

pub use marks::without_citations;
use marks::{address, without_marks};
use numbers::{cardinal, decimal, digits, ordinal, year};

/// The text as a voice of that language (ISO 639-1, with or without a region) is to say it.
#[must_use]
pub fn speakable(text: &str, language: &str) -> String {
    let is_english = language.is_empty() || language == "en" || language.starts_with("en-");
    let mut said = String::with_capacity(text.len() + text.len() / 4);
    let without_marks = without_marks(text);
    for (n, line) in without_marks.lines().enumerate() {
        if n > 0 && !said.is_empty() && !said.ends_with(['.', '!', '?', ':', ';', ',', ' ']) {
            // The end of a line without a mark is heard as one.
            said.push('.');
        }
        for word in line.split_whitespace() {
            let word = address(word);
            if !said.is_empty() {
                said.push(' ');
            }
            said.push_str(&word);
        }
    }
    if is_english {
        said = in_english(&said);
    }
    tidy(&said)
}

/// Whether anything of it can be heard.
#[must_use]
pub fn can_be_heard(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Abbreviations whose dot is no end. Longer ones first where one begins another.
const SHORT: [(&str, &str); 22] = [
    ("e.g.", "for example"),
    ("i.e.", "that is"),
    ("etc.", "et cetera"),
    ("vs.", "versus"),
    ("approx.", "approximately"),
    ("Dr.", "Doctor"),
    ("Mr.", "Mister"),
    ("Mrs.", "Missus"),
    ("Ms.", "Miz"),
    ("Prof.", "Professor"),
    ("St.", "Saint"),
    ("No.", "number"),
    ("no.", "number"),
    ("Nos.", "numbers"),
    ("pp.", "pages"),
    ("p.", "page"),
    ("Fig.", "figure"),
    ("fig.", "figure"),
    ("Sec.", "section"),
    ("Art.", "article"),
    ("Inc.", "Incorporated"),
    ("Ltd.", "Limited"),
];

/// Those of them that only mean something before a number: "No. 5", but "He said no."
const BEFORE_NUMBER: [&str; 9] = [
    "No.", "no.", "Nos.", "pp.", "p.", "Fig.", "fig.", "Sec.", "Art.",
];

/// Units after a number: one and several.
const UNITS: [(&str, &str, &str); 22] = [
    ("km", "kilometer", "kilometers"),
    ("m", "meter", "meters"),
    ("cm", "centimeter", "centimeters"),
    ("mm", "millimeter", "millimeters"),
    ("kg", "kilogram", "kilograms"),
    ("g", "gram", "grams"),
    ("mg", "milligram", "milligrams"),
    ("l", "liter", "liters"),
    ("ml", "milliliter", "milliliters"),
    ("°C", "degree Celsius", "degrees Celsius"),
    ("°F", "degree Fahrenheit", "degrees Fahrenheit"),
    ("°", "degree", "degrees"),
    ("%", "percent", "percent"),
    ("GB", "gigabyte", "gigabytes"),
    ("MB", "megabyte", "megabytes"),
    ("kB", "kilobyte", "kilobytes"),
    ("Hz", "hertz", "hertz"),
    ("kHz", "kilohertz", "kilohertz"),
    ("kW", "kilowatt", "kilowatts"),
    ("kWh", "kilowatt hour", "kilowatt hours"),
    ("ms", "millisecond", "milliseconds"),
    ("s", "second", "seconds"),
];

/// Currencies: the sign, one and several, a hundredth of it and several.
const MONEY: [(char, [&str; 4]); 3] = [
    ('$', ["dollar", "dollars", "cent", "cents"]),
    ('€', ["euro", "euros", "cent", "cents"]),
    ('£', ["pound", "pounds", "penny", "pence"]),
];

fn in_english(text: &str) -> String {
    let words: Vec<&str> = text.split(' ').collect();
    let mut said: Vec<String> = Vec::with_capacity(words.len());
    let mut n = 0;
    while n < words.len() {
        let (before, core, after) = trimmed(words[n]);
        let next = words.get(n + 1).map(|word| trimmed(word));
        let (spoken, taken, after) = match (short(words[n], next.map(|next| next.1)), next) {
            (Some((spoken, rest)), _) => (spoken, 1, rest),
            // "5 km" is one thing; so is "$5 million", where the sign goes behind.
            (None, Some((next_before, unit, next_after)))
                if after.is_empty() && next_before.is_empty() =>
            {
                match with_next(core, unit) {
                    Some(spoken) => (spoken, 2, next_after),
                    None => (one_word(core, next.map(|next| next.1)), 1, after),
                }
            }
            (None, _) => (one_word(core, None), 1, after),
        };
        said.push(format!("{before}{spoken}{after}"));
        n += taken;
    }
    said.join(" ")
}

/// What stands around a word, and the word.
fn trimmed(word: &str) -> (&str, &str, &str) {
    let opens = |c: char| matches!(c, '(' | '"' | '\'' | '“' | '‘' | '«');
    let closes = |c: char| {
        matches!(
            c,
            ')' | '"' | '\'' | '”' | '’' | '»' | '.' | ',' | ';' | ':' | '!' | '?' | '…'
        )
    };
    let rest = word.trim_start_matches(opens);
    let core = rest.trim_end_matches(closes);
    (&word[..word.len() - rest.len()], core, &rest[core.len()..])
}

/// An abbreviation in full, and what stands after it.
fn short<'a>(word: &'a str, next: Option<&str>) -> Option<(String, &'a str)> {
    let begins_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    SHORT.iter().find_map(|(written, spoken)| {
        let rest = word.strip_prefix(written)?;
        let fits = rest.chars().all(|c| matches!(c, ',' | ';' | ':' | ')'))
            && (!BEFORE_NUMBER.contains(written) || next.is_some_and(begins_with_digit));
        // At the end of a sentence it is its end as well.
        let rest = if rest.is_empty() && next.is_none() {
            "."
        } else {
            rest
        };
        fits.then(|| ((*spoken).to_owned(), rest))
    })
}

/// A number and its unit, or an amount and its size, that stand apart.
fn with_next(core: &str, next: &str) -> Option<String> {
    let sizes = ["thousand", "million", "billion", "trillion"];
    if let Some((sign, names)) = MONEY.iter().find(|(sign, _)| core.starts_with(*sign))
        && sizes.contains(&next)
    {
        let amount = decimal(&core[sign.len_utf8()..])?;
        return Some(format!("{amount} {next} {}", names[1]));
    }
    if MONTHS.contains(&next) {
        // "1 March": the day is counted.
        let day: u64 = core.parse().ok().filter(|day| (1..=31).contains(day))?;
        return Some(format!("the {} of {next}", ordinal(day)));
    }
    let (_, one, several) = UNITS
        .iter()
        .find(|(unit, ..)| *unit == next && unit.len() > 1)?;
    let amount = decimal(core)?;
    Some(format!(
        "{amount} {}",
        if core == "1" { one } else { several }
    ))
}

/// One word without the marks around it.
fn one_word(core: &str, next: Option<&str>) -> String {
    if !core.contains(|c: char| c.is_ascii_digit()) {
        return match core {
            "&" => "and".to_owned(),
            "%" => "percent".to_owned(),
            "=" => "equals".to_owned(),
            "+" => "plus".to_owned(),
            "§" => "section".to_owned(),
            "–" | "—" | "-" => ",".to_owned(),
            _ => core.to_owned(),
        };
    }
    date(core)
        .or_else(|| time(core))
        .or_else(|| money(core))
        .or_else(|| counted(core))
        .or_else(|| range(core))
        .or_else(|| measured(core))
        .or_else(|| number(core, next))
        .unwrap_or_else(|| mixed(core))
}

/// `2024-03-01`.
fn date(core: &str) -> Option<String> {
    let mut parts = core.split('-');
    let (years, months, days) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || years.len() != 4 || months.len() != 2 || days.len() != 2 {
        return None;
    }
    let month: usize = months.parse().ok()?;
    let day: u64 = days.parse().ok().filter(|day| (1..=31).contains(day))?;
    let name = MONTHS.get(month.checked_sub(1)?)?;
    Some(format!(
        "{name} {}, {}",
        ordinal(day),
        year(years.parse().ok()?)
    ))
}

/// `14:30`, `9:05`.
fn time(core: &str) -> Option<String> {
    let (hours, minutes) = core.split_once(':')?;
    if minutes.len() != 2 || hours.is_empty() || hours.len() > 2 {
        return None;
    }
    let hour: u64 = hours.parse().ok().filter(|hour| *hour < 24)?;
    let minute: u64 = minutes.parse().ok().filter(|minute| *minute < 60)?;
    Some(match minute {
        0 => format!("{} o'clock", cardinal(hour)),
        1..10 => format!("{} oh {}", cardinal(hour), cardinal(minute)),
        _ => format!("{} {}", cardinal(hour), cardinal(minute)),
    })
}

/// `$1,234.50`, `20€`.
fn money(core: &str) -> Option<String> {
    let (amount, names) = MONEY.iter().find_map(|(sign, names)| {
        let amount = core
            .strip_prefix(*sign)
            .or_else(|| core.strip_suffix(*sign))?;
        Some((amount, names))
    })?;
    let (whole, rest) = amount.split_once('.').unwrap_or((amount, ""));
    let plain = whole.replace(',', "");
    let units: u64 = plain.parse().ok()?;
    let name = |count: u64, names: &[&str]| {
        format!("{} {}", cardinal(count), names[usize::from(count != 1)])
    };
    match rest.len() {
        0 => Some(name(units, &names[..2])),
        2 => {
            let parts: u64 = rest.parse().ok()?;
            Some(match (units, parts) {
                (_, 0) => name(units, &names[..2]),
                (0, _) => name(parts, &names[2..]),
                _ => format!(
                    "{} and {}",
                    name(units, &names[..2]),
                    name(parts, &names[2..])
                ),
            })
        }
        _ => Some(format!("{} {}", decimal(amount)?, names[1])),
    }
}

/// `1st`, `22nd`.
fn counted(core: &str) -> Option<String> {
    let number = ["st", "nd", "rd", "th"]
        .iter()
        .find_map(|end| core.strip_suffix(end))?;
    number.replace(',', "").parse().ok().map(ordinal)
}

/// `5–10`, `5-10`.
fn range(core: &str) -> Option<String> {
    let (from, to) = core.split_once('–').or_else(|| core.split_once('-'))?;
    let side = |text: &str| {
        number(text, None)
            .or_else(|| measured(text))
            .or_else(|| money(text))
    };
    // Longer rows of figures with dashes are telephone numbers and the like.
    if from.is_empty() || core.matches(['-', '–']).count() > 1 || from.len() > 6 {
        return None;
    }
    Some(format!("{} to {}", side(from)?, side(to)?))
}

/// `20%`, `5km`.
fn measured(core: &str) -> Option<String> {
    let at = core.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | ',' | '-' | '−')))?;
    let (amount, unit) = core.split_at(at);
    let (_, one, several) = UNITS.iter().find(|(name, ..)| *name == unit)?;
    Some(format!(
        "{} {}",
        signed(amount)?,
        if amount == "1" { one } else { several }
    ))
}

/// A number alone. Four figures from 1100 to 2099 that nothing measures are a year, most likely.
fn number(core: &str, next: Option<&str>) -> Option<String> {
    let is_plain = core.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain
        && core.len() == 4
        && next.is_none_or(|next| !UNITS.iter().any(|(unit, ..)| *unit == next))
    {
        let value: u64 = core.parse().ok()?;
        if (1100..2100).contains(&value) {
            return Some(year(value));
        }
    }
    signed(core)
}

fn signed(core: &str) -> Option<String> {
    match core.strip_prefix(['-', '−']) {
        Some(rest) => Some(format!("minus {}", decimal(rest)?)),
        None => decimal(core),
    }
}

/// Figures among letters and marks: `COVID-19`, `v2.1`, `555-0199`.
fn mixed(core: &str) -> String {
    let mut said = String::new();
    let mut rest = core;
    while let Some(c) = rest.chars().next() {
        let is_figure = c.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != is_figure)
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        if !said.is_empty() && !said.ends_with(' ') {
            said.push(' ');
        }
        match part {
            _ if is_figure && (part.len() > 3 || part.len() > 1 && part.starts_with('0')) => {
                said.push_str(&digits(part))
            }
            _ if is_figure => said.push_str(&decimal(part).unwrap_or_else(|| digits(part))),
            "." => said.push_str("point"),
            "-" | "–" | "/" | ":" | "," => {}
            _ => said.push_str(part.trim_matches(['-', '/', '–'])),
        }
        rest = after;
    }
    said.trim_end().to_owned()
}

/// One space at a time, none before a mark, no mark after a mark.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for c in text.chars() {
        let last = tidy.chars().next_back();
        match c {
            c if c.is_control() || c.is_whitespace() => {
                if last.is_some_and(|last| last != ' ') {
                    tidy.push(' ');
                }
            }
            ',' | '.' | ';' | ':' | '!' | '?' => {
                if last == Some(' ') {
                    tidy.pop();
                }
                match tidy.chars().next_back() {
                    // A comma that begins nothing, and a second mark.
                    None => {}
                    Some(',' | ';' | ':' | '.' | '!' | '?') if c == ',' => {}
                    Some(',' | ';' | ':') => {
                        tidy.pop();
                        tidy.push(c);
                    }
                    Some('.' | '!' | '?') if c == '.' => {}
                    Some(_) => tidy.push(c),
                }
            }
            c => tidy.push(c),
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

#[cfg(test)]
mod tests;
