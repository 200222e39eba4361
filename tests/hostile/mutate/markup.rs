//! Texts with structure: XML, HTML, Markdown, JSON, CSV, RTF, mail. Elements doubled, nested and left
//! open, attributes without end, encodings that break.

use super::{Dice, EDGES, find_all, flip, splice};

pub fn mutate(name: &str, bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let general = dice.below(3) == 0;
    match name.rsplit('.').next().unwrap_or_default() {
        _ if general => any(bytes, dice),
        "xml" | "html" | "htm" | "xhtml" => tags(bytes, dice),
        "json" | "jsonl" => insert(bytes, dice, &json()),
        "csv" | "tsv" => insert(bytes, dice, &csv()),
        "rtf" => insert(bytes, dice, &rtf()),
        "eml" => insert(bytes, dice, &mail()),
        "md" => insert(bytes, dice, &markdown()),
        _ => any(bytes, dice),
    }
}

/// What can be done to any text.
fn any(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    if bytes.is_empty() {
        return "nothing".to_owned();
    }
    match dice.below(9) {
        0 => {
            flip(bytes, dice);
            "bits flipped".to_owned()
        }
        1 => {
            bytes.truncate(dice.below(bytes.len()));
            "cut off".to_owned()
        }
        2 => {
            let range = dice.range(bytes.len(), 4096);
            let again = bytes[range.clone()].repeat(1 + dice.below(200));
            splice(bytes, range, &again);
            "a piece repeated".to_owned()
        }
        3 => {
            let range = dice.range(bytes.len(), 4096);
            splice(bytes, range, b"");
            "a piece left out".to_owned()
        }
        4 => {
            let broken: [&[u8]; 8] = [
                b"\xff\xfe\xff",
                b"\xc0\x80",
                b"\xed\xa0\x80\xed\xb0\x80",
                b"\xf4\x90\x80\x80",
                b"\x80\x80\x80",
                b"\0\0\0",
                b"\x1b$B\x1b(J\x1b",
                b"\xe2\x80\xae\xe2\x81\xa6",
            ];
            for _ in 0..=dice.below(64) {
                let at = dice.below(bytes.len());
                splice(bytes, at..at, dice.pick(&broken));
            }
            "its encoding broken".to_owned()
        }
        5 => {
            let mark: &[u8] = dice.pick(&[
                &b"\xff\xfe"[..],
                b"\xfe\xff",
                b"\xff\xfe\0\0",
                b"\xef\xbb\xbf\xef\xbb\xbf",
            ]);
            splice(bytes, 0..0, mark);
            "another byte order mark".to_owned()
        }
        6 => {
            let at = dice.below(bytes.len());
            let mark = char::from_u32(0x300 + dice.below(0x70) as u32).expect("a combining mark");
            splice(bytes, at..at, mark.to_string().repeat(50_000).as_bytes());
            "fifty thousand marks on one letter".to_owned()
        }
        7 => {
            let at = dice.below(bytes.len());
            splice(
                bytes,
                at..at,
                &[dice.pick(b"x \n\t,;|>#*`[(\"'<&")].repeat(300_000),
            );
            "one character three hundred thousand times".to_owned()
        }
        _ => {
            let wide: Vec<u8> = bytes.iter().take(200_000).flat_map(|b| [*b, 0]).collect();
            *bytes = wide;
            "every second byte zero".to_owned()
        }
    }
}

/// Tags of XML and HTML.
fn tags(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let opens: Vec<usize> = find_all(bytes, b"<")
        .into_iter()
        .filter(|at| bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic))
        .collect();
    if opens.is_empty() {
        return any(bytes, dice);
    }
    let at = dice.pick(&opens);
    let end = at
        + bytes[at..]
            .iter()
            .position(|b| *b == b'>')
            .map_or(1, |n| n + 1);
    let tag = bytes[at..end].to_vec();
    let name: String = tag[1..]
        .iter()
        .take_while(|b| b.is_ascii_alphanumeric() || **b == b':')
        .map(|b| char::from(*b))
        .collect();
    let what = match dice.below(10) {
        0 => {
            let depth = dice.pick(&[100, 3_000, 100_000]);
            splice(bytes, at..at, format!("<{name}>").repeat(depth).as_bytes());
            format!("opened {depth} times")
        }
        1 => {
            let depth = dice.pick(&[100, 3_000, 50_000]);
            let nest = format!(
                "{}{}",
                format!("<{name}>").repeat(depth),
                format!("</{name}>").repeat(depth)
            );
            splice(bytes, at..at, nest.as_bytes());
            format!("nested {depth} deep")
        }
        2 => {
            splice(bytes, at..end, b"");
            "never opened".to_owned()
        }
        3 => {
            let close = format!("</{name}>");
            let closes = find_all(bytes, close.as_bytes());
            if !closes.is_empty() {
                let at = dice.pick(&closes);
                splice(bytes, at..at + close.len(), b"");
            }
            "never closed".to_owned()
        }
        4 => {
            let long = format!(
                " long=\"{}\"",
                "a&amp;".repeat(dice.pick(&[1_000, 500_000]))
            );
            splice(bytes, end - 1..end - 1, long.as_bytes());
            "with an attribute without end".to_owned()
        }
        5 => {
            let many: String = (0..20_000).map(|n| format!(" a{n}=\"{n}\"")).collect();
            splice(bytes, end - 1..end - 1, many.as_bytes());
            "with twenty thousand attributes".to_owned()
        }
        6 => {
            let number = dice.pick(&EDGES);
            let changed = numbers_in(&tag, number);
            splice(bytes, at..end, &changed);
            format!("with {number} for its numbers")
        }
        7 => {
            let entities = [
                "&#xFFFFFFFF;",
                "&#0;",
                "&#xD800;",
                "&lol9;",
                "&",
                "<![CDATA[",
                "<!--",
                "<?xml version=\"1.0\" encoding=\"utf-7\"?>",
                "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]>",
                "]]>",
            ];
            let entity = dice.pick(&entities);
            splice(bytes, end..end, entity.as_bytes());
            format!("followed by {entity}")
        }
        8 => {
            let to = at + bytes[at..].len().min(2_000);
            let again = bytes[at..to].repeat(dice.pick(&[2, 50, 2_000]));
            splice(bytes, at..at, &again);
            "doubled with what follows".to_owned()
        }
        _ => {
            let other = dice.pick(&opens);
            let name_at = other + 1;
            splice(bytes, name_at..name_at, b"x:");
            "beside one of another vocabulary".to_owned()
        }
    };
    format!("<{name}> {what}")
}

/// The tag with every run of digits replaced.
fn numbers_in(tag: &[u8], number: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut inside = false;
    for byte in tag {
        if !byte.is_ascii_digit() {
            out.push(*byte);
        } else if !inside {
            out.extend(number.as_bytes());
        }
        inside = byte.is_ascii_digit();
    }
    out
}

fn insert(bytes: &mut Vec<u8>, dice: &mut Dice, pieces: &[String]) -> String {
    let what = dice.pick(pieces);
    // At the beginning of a line more often than not: there it means most.
    let lines: Vec<usize> = std::iter::once(0)
        .chain(find_all(bytes, b"\n").into_iter().map(|at| at + 1))
        .collect();
    let at = match dice.below(3) {
        0 => dice.below(bytes.len()),
        _ => dice.pick(&lines),
    };
    splice(bytes, at..at, what.as_bytes());
    let shown: String = what.chars().take(24).collect();
    format!("{shown:?} and more ({} bytes) put in", what.len())
}

fn json() -> Vec<String> {
    vec![
        "[".repeat(100_000),
        "{\"a\":".repeat(60_000),
        "\"\\ud800\",".repeat(1_000),
        "1e999999999,".to_owned(),
        "-".repeat(1_000),
        format!("\"{}\":1,", "k".repeat(1_000_000)),
        "\"a\":1,\"a\":2,".repeat(10_000),
        "\"\\u0000\\u001b[2J\",".to_owned(),
    ]
}

fn csv() -> Vec<String> {
    vec![
        "\"".to_owned(),
        ",".repeat(200_000),
        "\"a\"\"b\",".repeat(5_000),
        format!("{}\n", "x,".repeat(10_000)),
        "\"a\nb\"\n".repeat(5_000),
        "=cmd|' /C calc'!A0,".to_owned(),
        ";\t|,".repeat(5_000),
        "\r\r\r\n".repeat(5_000),
    ]
}

fn rtf() -> Vec<String> {
    vec![
        "{".repeat(100_000),
        "}".repeat(1_000),
        "{\\*\\unknown ".repeat(20_000),
        "\\bin2147483647 ".to_owned(),
        "\\bin-1 x".to_owned(),
        "\\u-99999999?".repeat(1_000),
        "\\uc4294967295 \\u8364 ".to_owned(),
        "\\'zz\\'9".repeat(1_000),
        "\\ansicpg99999 \\f99999 ".to_owned(),
        format!("\\{}1 ", "a".repeat(100_000)),
        "{\\object\\objemb{\\*\\objdata 0105}}".to_owned(),
    ]
}

fn mail() -> Vec<String> {
    let nested: String = (0..2_000)
        .map(|n| format!("Content-Type: multipart/mixed; boundary=\"b{n}\"\n\n--b{n}\n"))
        .collect();
    vec![
        nested,
        "Content-Type: multipart/mixed; boundary=\"\"\n\n----\n".to_owned(),
        format!("Subject: {}\n", "=?utf-8?B?/////w==?= ".repeat(5_000)),
        format!("X: {}\n", "a\n ".repeat(100_000)),
        "Content-Transfer-Encoding: base64\n\n====\u{1b}====\n".to_owned(),
        "Content-Type: text/plain; charset=unicode-1-1-utf-7\n".to_owned(),
        "Content-Type: message/rfc822\n\n".repeat(2_000),
        format!("Content-Type: text/plain; {}\n", "a*0*=x; ".repeat(5_000)),
    ]
}

fn markdown() -> Vec<String> {
    vec![
        "> ".repeat(30_000),
        "[".repeat(50_000),
        "*a **b ".repeat(10_000),
        format!("{}\n", "| ".repeat(10_000)),
        "`".repeat(40_000),
        "[x]: y\n".repeat(5_000),
        "- ".repeat(10_000),
        "![](".repeat(20_000),
        "<div>\n".repeat(10_000),
        "# a\n## b\n".repeat(20_000),
    ]
}
