//! CSV and its relatives. Each row becomes one line that can be understood alone, because a row is what
//! is searched and quoted.
//!
//! With a header the line reads `Name: Ada; Born: 1815`, empty cells left out: the words of the header
//! are what questions are asked in, and the row that answers carries them. The header itself is the
//! first line. Without a header, or with one too long to repeat, cells are parted by ` | `.

use csv::{ByteRecord, ReaderBuilder};

use crate::domain::MediaType;

use super::{
    Engine, ExtractError, Extracted, Limits, decode,
    draft::Draft,
    inline::one_line,
    table::{is_header, write_labelled, write_row},
    unpaged,
};

/// Rows that the delimiter and the header are judged by.
const LOOKED_AT_ROWS: usize = 50;

/// Bytes that the delimiter is judged by.
const LOOKED_AT_BYTES: usize = 256 * 1024;

/// Reads a table of delimited values.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let source = decode::decode(bytes, None);
    // Excel's own way of naming the delimiter.
    let (source, given) = match source.strip_prefix("sep=") {
        Some(rest) if rest.len() > 1 && rest.as_bytes()[0].is_ascii() => (
            rest[1..].trim_start_matches(['\r', '\n']),
            Some(rest.as_bytes()[0]),
        ),
        _ => (source.as_str(), None),
    };
    let delimiter = given.unwrap_or_else(|| delimiter(source));
    let mut reader = reader(source, delimiter);
    let mut record = ByteRecord::new();
    let mut draft = Draft::new(limits);
    let mut header: Option<Vec<String>> = None;
    let mut first = true;
    // In memory and from UTF-8, a flexible reader has nothing to fail on.
    while reader.read_byte_record(&mut record).unwrap_or(false) {
        let row = cells(&record);
        if row.iter().all(String::is_empty) {
            continue;
        }
        match &header {
            Some(names) => write_labelled(&mut draft, names, &row)?,
            None => write_row(&mut draft, &row)?,
        }
        if first {
            first = false;
            let rest: Vec<Vec<String>> = reader_sample(source, delimiter).skip(1).collect();
            header = is_header(&row, &rest).then_some(row);
        }
    }
    let (text, sections) = draft.finish();
    Ok(unpaged(MediaType::Csv, Engine::Text, None, text, sections))
}

fn reader(source: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        .from_reader(source.as_bytes())
}

fn reader_sample(source: &str, delimiter: u8) -> impl Iterator<Item = Vec<String>> {
    let mut end = source.len().min(LOOKED_AT_BYTES);
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    reader(&source[..end], delimiter)
        .into_byte_records()
        .map_while(Result::ok)
        .map(|record| cells(&record))
        .filter(|row| row.iter().any(|c| !c.is_empty()))
        .take(LOOKED_AT_ROWS)
        .collect::<Vec<_>>()
        .into_iter()
}

fn cells(record: &ByteRecord) -> Vec<String> {
    record
        .iter()
        .map(|cell| one_line(&String::from_utf8_lossy(cell)))
        .collect()
}

/// The delimiter that gives most rows the same number of cells, two or more; a comma if none does.
fn delimiter(source: &str) -> u8 {
    let score = |delimiter: &u8| {
        let counts: Vec<usize> = reader_sample(source, *delimiter).map(|r| r.len()).collect();
        let mut sorted = counts.clone();
        sorted.sort_unstable();
        let usual = sorted.get(sorted.len() / 2).copied().unwrap_or(1);
        let agreeing = counts.iter().filter(|n| **n == usual).count();
        if usual < 2 {
            return (0, 0);
        }
        (agreeing * 100 / counts.len().max(1), usual)
    };
    let mut best = (b',', score(&b','));
    for candidate in *b";\t|" {
        let found = score(&candidate);
        if found > best.1 {
            best = (candidate, found);
        }
    }
    best.0
}
