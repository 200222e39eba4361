//! PDFs: objects renumbered, swapped and led in circles, lengths, offsets, counts and filters that lie,
//! arrays nested without end, content streams that do too much.

use lopdf::{Document, Object};

use super::{Dice, EDGES, find, find_all, flip, splice};

/// What `/Key 123` may be told to be instead.
const FILTERS: [&str; 9] = [
    "/FlateDecode",
    "/LZWDecode",
    "/ASCII85Decode",
    "/ASCIIHexDecode",
    "/RunLengthDecode",
    "/DCTDecode",
    "/JBIG2Decode",
    "/Crypt",
    "[/FlateDecode /FlateDecode /ASCIIHexDecode /LZWDecode]",
];

/// Operators that make much of little, or are not for this place.
const CONTENT: [&str; 10] = [
    "q ",
    "BT ",
    "BT /F1 1e38 Tf 1e38 0 0 1e38 1e38 1e38 Tm (x) Tj ET ",
    "[(a) -1e30 (b) 1e30 (c)] TJ ",
    "/Fm0 Do ",
    "/F999 12 Tf (no such font) Tj ",
    "BI /W 99999 /H 99999 /BPC 8 /CS /RGB ID xx EI ",
    "<< [ << [ ",
    "0 0 0 0 0 0 cm ",
    "(\\777\\000\\) ",
];

pub fn mutate(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    match dice.below(13) {
        0 => references(bytes, dice),
        1 => number_after(bytes, b"/Length", dice),
        2 => number_after(bytes, b"/Count", dice),
        3 => number_after(
            bytes,
            dice.pick(&[&b"startxref"[..], b"/Prev", b"/Size", b"/First", b"/N"]),
            dice,
        ),
        4 => offsets(bytes, dice),
        5 => filter(bytes, dice),
        6 => nested(bytes, dice),
        7 => {
            bytes.truncate(dice.below(bytes.len()));
            "cut off".to_owned()
        }
        8 => swapped(bytes, dice),
        9 => any_number(bytes, dice),
        10 | 11 => content(bytes, dice),
        _ => {
            flip(bytes, dice);
            "bits flipped anywhere".to_owned()
        }
    }
}

/// Of an indirect reference `12 0 R` the number becomes another one that stands in the file.
fn references(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let marks = find_all(bytes, b" 0 R");
    let objects: Vec<Vec<u8>> = find_all(bytes, b" 0 obj")
        .into_iter()
        .map(|at| digits_before(bytes, at).to_vec())
        .collect();
    if marks.is_empty() || objects.is_empty() {
        return any_number(bytes, dice);
    }
    for _ in 0..=dice.below(8) {
        let marks = find_all(bytes, b" 0 R");
        let at = dice.pick(&marks);
        let start = at - digits_before(bytes, at).len();
        let to = dice.pick(&objects);
        splice(bytes, start..at, &to);
    }
    "references led elsewhere".to_owned()
}

fn digits_before(bytes: &[u8], end: usize) -> &[u8] {
    let digits = bytes[..end].iter().rev().take_while(|b| b.is_ascii_digit());
    &bytes[end - digits.count()..end]
}

fn number_after(bytes: &mut Vec<u8>, key: &[u8], dice: &mut Dice) -> String {
    let places = find_all(bytes, key);
    if places.is_empty() {
        return any_number(bytes, dice);
    }
    let start = dice.pick(&places) + key.len();
    let end = start
        + bytes[start..]
            .iter()
            .take_while(|b| b" \r\n-0123456789".contains(b))
            .count();
    let number = dice.pick(&EDGES);
    splice(bytes, start..end, format!(" {number} ").as_bytes());
    format!("{} {number}", String::from_utf8_lossy(key))
}

/// Offsets of the table of objects.
fn offsets(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let entries = find_all(bytes, b" 00000 n");
    if entries.is_empty() {
        return number_after(bytes, b"startxref", dice);
    }
    for _ in 0..=dice.below(entries.len()) {
        let at = dice.pick(&entries);
        let to = format!("{:010}", dice.below(bytes.len() * 2));
        if at >= 10 {
            splice(bytes, at - 10..at, to.as_bytes());
        }
    }
    "offsets of objects wrong".to_owned()
}

fn filter(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let places = find_all(bytes, b"/FlateDecode");
    if places.is_empty() {
        return any_number(bytes, dice);
    }
    let (at, to) = (dice.pick(&places), dice.pick(&FILTERS));
    splice(bytes, at..at + b"/FlateDecode".len(), to.as_bytes());
    format!("a filter became {to}")
}

fn nested(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let places = find_all(bytes, b"<<");
    if places.is_empty() {
        return any_number(bytes, dice);
    }
    let at = dice.pick(&places) + 2;
    let (open, close) = dice.pick(&[("[", "]"), ("<</A ", ">>"), ("(", ")"), ("[<</A [", "")]);
    let depth = dice.pick(&[50, 1_000, 60_000]);
    let deep = format!(" /Deep {}{} ", open.repeat(depth), close.repeat(depth));
    splice(bytes, at..at, deep.as_bytes());
    format!("{open:?} nested {depth} deep")
}

/// Two objects exchange their bodies.
fn swapped(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let body = |start: usize, bytes: &[u8]| {
        let end = find(&bytes[start..], b"endobj")?;
        Some(start + b" 0 obj".len()..start + end)
    };
    let objects: Vec<_> = find_all(bytes, b" 0 obj")
        .into_iter()
        .filter_map(|at| body(at, bytes))
        .filter(|range| range.start < range.end)
        .collect();
    if objects.len() < 2 {
        return any_number(bytes, dice);
    }
    let (mut a, mut b) = (dice.pick(&objects), dice.pick(&objects));
    if a.start > b.start {
        std::mem::swap(&mut a, &mut b);
    }
    if a.end <= b.start {
        let (first, second) = (bytes[a.clone()].to_vec(), bytes[b.clone()].to_vec());
        splice(bytes, b, &first);
        splice(bytes, a, &second);
    }
    "two objects exchanged".to_owned()
}

fn any_number(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let digits: Vec<usize> = (1..bytes.len())
        .filter(|i| bytes[*i].is_ascii_digit() && b" [".contains(&bytes[*i - 1]))
        .collect();
    if digits.is_empty() {
        flip(bytes, dice);
        return "bits flipped".to_owned();
    }
    let start = dice.pick(&digits);
    let end = start
        + bytes[start..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
    let number = dice.pick(&EDGES);
    splice(bytes, start..end, number.as_bytes());
    format!("a number became {number}")
}

/// A content stream, unpacked, changed and packed again, in a file whose table is right.
fn content(bytes: &mut Vec<u8>, dice: &mut Dice) -> String {
    let Ok(mut document) = Document::load_mem(bytes) else {
        return any_number(bytes, dice);
    };
    let mut streams: Vec<_> = document
        .objects
        .iter()
        .filter(|(_, object)| matches!(object, Object::Stream(_)))
        .map(|(id, _)| *id)
        .collect();
    streams.sort_unstable();
    if streams.is_empty() {
        return any_number(bytes, dice);
    }
    let id = dice.pick(&streams);
    let Ok(stream) = document.get_object_mut(id).and_then(Object::as_stream_mut) else {
        return any_number(bytes, dice);
    };
    let mut inside = stream
        .decompressed_content()
        .unwrap_or_else(|_| stream.content.clone());
    let operator = dice.pick(&CONTENT);
    let times = dice.pick(&[1, 100, 20_000]);
    let at = dice.below(inside.len() + 1);
    splice(&mut inside, at..at, operator.repeat(times).as_bytes());
    if dice.below(2) == 0 {
        flip(&mut inside, dice);
    }
    stream.set_plain_content(inside);
    // Left unpacked where packing gains nothing.
    drop(stream.compress());
    let mut out = Vec::new();
    if document.save_to(&mut out).is_ok() {
        *bytes = out;
    }
    format!("{operator:?} {times} times in stream {}", id.0)
}
