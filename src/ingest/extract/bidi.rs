//! Right-to-left text that was stored in the order it is seen, back into the order it is read.
//!
//! Old Hebrew files and many PDFs hold each line as a row of glyphs from the left. Reordering such a
//! line once more, with the same algorithm that shows it (UAX #9), gives the order of reading.

use unicode_bidi::{BidiClass, BidiInfo, Level, bidi_class};

/// Whether a character belongs to a script that is written from right to left.
pub(super) fn is_rtl(c: char) -> bool {
    // All scripts of that kind lie above; the lookup is only worth it for those.
    c >= '\u{590}' && matches!(bidi_class(c), BidiClass::R | BidiClass::AL)
}

/// One line (no `\n`) in visual order, in the order it is read. Lines without right-to-left characters
/// stay as they are.
pub(super) fn logical_order(line: &str) -> String {
    if !line.chars().any(is_rtl) {
        return line.to_owned();
    }
    let info = BidiInfo::new(line, Some(Level::rtl()));
    let mut out = String::with_capacity(line.len());
    for paragraph in &info.paragraphs {
        out.push_str(&info.reorder_line(paragraph, paragraph.range.clone()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_lines() {
        for (seen, read) in [
            ("abc (def)", "abc (def)"),
            ("םולש", "שלום"),
            ("123 םולש", "שלום 123"),
            ("Linux תא םיניקתמ", "מתקינים את Linux"),
        ] {
            assert_eq!(logical_order(seen), read);
        }
    }
}
