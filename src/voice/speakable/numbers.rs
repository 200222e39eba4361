//! English numbers in words.

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] = [
    "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const GROUPS: [&str; 7] = [
    "",
    " thousand",
    " million",
    " billion",
    " trillion",
    " quadrillion",
    " quintillion",
];

/// `1234` is "one thousand two hundred thirty-four".
pub fn cardinal(number: u64) -> String {
    if number == 0 {
        return SMALL[0].to_owned();
    }
    let mut rest = number;
    let mut groups = Vec::new();
    for name in GROUPS {
        let group = rest % 1000;
        if group > 0 {
            groups.push(format!("{}{name}", below_thousand(group)));
        }
        rest /= 1000;
    }
    groups.reverse();
    groups.join(" ")
}

fn below_thousand(number: u64) -> String {
    let rest = below_hundred(number % 100);
    match (number / 100, rest.as_str()) {
        (0, _) => rest,
        (hundreds, "") => format!("{} hundred", SMALL[hundreds as usize]),
        (hundreds, _) => format!("{} hundred {rest}", SMALL[hundreds as usize]),
    }
}

/// Nothing for 0.
fn below_hundred(number: u64) -> String {
    match (number / 10, number % 10) {
        (0, 0) => String::new(),
        (0 | 1, _) => SMALL[number as usize].to_owned(),
        (tens, 0) => TENS[tens as usize].to_owned(),
        (tens, ones) => format!("{}-{}", TENS[tens as usize], SMALL[ones as usize]),
    }
}

/// `22` is "twenty-second".
pub(super) fn ordinal(number: u64) -> String {
    let words = cardinal(number);
    let at = words.rfind([' ', '-']).map_or(0, |at| at + 1);
    let (before, last) = words.split_at(at);
    let last = match last {
        "one" => "first".to_owned(),
        "two" => "second".to_owned(),
        "three" => "third".to_owned(),
        "five" => "fifth".to_owned(),
        "eight" => "eighth".to_owned(),
        "nine" => "ninth".to_owned(),
        "twelve" => "twelfth".to_owned(),
        other => match other.strip_suffix('y') {
            Some(stem) => format!("{stem}ieth"),
            None => format!("{other}th"),
        },
    };
    format!("{before}{last}")
}

/// `1999` is "nineteen ninety-nine", `2024` "twenty twenty-four", `2005` "two thousand five".
pub(super) fn year(number: u64) -> String {
    let (century, rest) = (number / 100, number % 100);
    match (century, rest) {
        (20, 0..10) | (_, 0) if number.is_multiple_of(1000) || century == 20 => cardinal(number),
        (11..=99, 0) => format!("{} hundred", below_hundred(century)),
        (11..=99, 1..10) => format!("{} oh {}", below_hundred(century), SMALL[rest as usize]),
        (11..=99, _) => format!("{} {}", below_hundred(century), below_hundred(rest)),
        _ => cardinal(number),
    }
}

/// Figures one by one.
pub(super) fn digits(text: &str) -> String {
    let words: Vec<&str> = text
        .bytes()
        .filter(u8::is_ascii_digit)
        .map(|byte| SMALL[usize::from(byte - b'0')])
        .collect();
    words.join(" ")
}

/// `1,234.5` is "one thousand two hundred thirty-four point five". None for what is no number.
pub(super) fn decimal(text: &str) -> Option<String> {
    let (whole, part) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, part)) => (whole, Some(part)),
        None => (text, None),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if part.is_some_and(|part| !is_digits(part)) {
        return None;
    }
    let plain = if whole.contains(',') {
        let mut groups = whole.split(',');
        let first = groups.next().unwrap_or_default();
        let fits = is_digits(first) && first.len() <= 3;
        if !fits || !groups.all(|group| group.len() == 3 && is_digits(group)) {
            return None;
        }
        whole.replace(',', "")
    } else if is_digits(whole) {
        whole.to_owned()
    } else {
        return None;
    };
    let words = match plain.parse() {
        // Numbers that begin with zeros and very long ones are names, not amounts.
        Ok(number) if plain == "0" || !plain.starts_with('0') => cardinal(number),
        _ => digits(&plain),
    };
    Some(match part {
        Some(part) => format!("{words} point {}", digits(part)),
        None => words,
    })
}
