//! Tesseract's table of words (TSV): a row for each word with where it stands and how sure it is.

/// Words below this confidence (of 100) are specks and borders more often than words.
const MIN_WORD: f32 = 30.0;

/// What a page's picture says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Page {
    /// The words that can be believed, line by line; a blank line between paragraphs.
    pub(super) text: String,
    /// Words found, whether believed or not.
    pub(super) words: usize,
    /// From 0 to 100: the mean over all characters found.
    pub(super) confidence: f32,
}

impl Page {
    /// Reads a table. Rows that are none are left out.
    pub(super) fn of(table: &str) -> Self {
        let mut page = Self::default();
        let (mut sum, mut chars) = (0.0, 0_usize);
        let mut at: Option<Place> = None;
        for row in table.lines() {
            let Some(word) = Word::of(row) else {
                continue;
            };
            page.words += 1;
            let length = word.text.chars().count();
            chars += length;
            sum += word.confidence * length as f32;
            if word.confidence < MIN_WORD {
                continue;
            }
            match at {
                None => {}
                Some(before) if before == word.place => page.text.push(' '),
                Some(before) if before.paragraph == word.place.paragraph => page.text.push('\n'),
                Some(_) => page.text.push_str("\n\n"),
            }
            page.text.push_str(word.text);
            at = Some(word.place);
        }
        if chars > 0 {
            page.confidence = sum / chars as f32;
        }
        page
    }
}

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// Block and paragraph.
    paragraph: (u32, u32),
    line: u32,
}

struct Word<'a> {
    text: &'a str,
    confidence: f32,
    place: Place,
}

impl<'a> Word<'a> {
    /// `level page block paragraph line word left top width height confidence text`; level 5 is a word.
    fn of(row: &'a str) -> Option<Self> {
        let mut cells = row.split('\t');
        if cells.next()? != "5" {
            return None;
        }
        let number = |cell: Option<&str>| cell?.parse::<u32>().ok();
        let block = number(cells.nth(1))?;
        let paragraph = number(cells.next())?;
        let line = number(cells.next())?;
        let confidence: f32 = cells.nth(5)?.parse().ok()?;
        let text = cells.next()?.trim();
        if text.is_empty() || !confidence.is_finite() {
            return None;
        }
        Some(Self {
            text,
            confidence: confidence.clamp(0.0, 100.0),
            place: Place {
                paragraph: (block, paragraph),
                line,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n\
         1\t1\t0\t0\t0\t0\t0\t0\t2480\t3508\t-1\t\n";

    /// Rows of `block paragraph line confidence text`.
    fn table(rows: &[(u32, u32, u32, f32, &str)]) -> String {
        let mut table = HEAD.to_owned();
        for (block, paragraph, line, confidence, text) in rows {
            table += &format!(
                "5\t1\t{block}\t{paragraph}\t{line}\t1\t0\t0\t9\t9\t{confidence}\t{text}\n"
            );
        }
        table
    }

    #[track_caller]
    fn check(table: &str, text: &str, words: usize, confidence: f32) {
        let page = Page::of(table);
        assert_eq!((page.text.as_str(), page.words), (text, words));
        assert!((page.confidence - confidence).abs() < 0.01, "{page:?}");
    }

    #[test]
    fn words_stand_in_their_lines_and_paragraphs() {
        let rows = [
            (1, 1, 1, 90.0, "Rent"),
            (1, 1, 1, 90.0, "is"),
            (1, 1, 2, 90.0, "due."),
            (1, 2, 1, 90.0, "New"),
            (2, 1, 1, 90.0, "block"),
        ];
        check(&table(&rows), "Rent is\ndue.\n\nNew\n\nblock", 5, 90.0);
    }

    #[test]
    fn unsure_words_are_left_out_and_counted() {
        let rows = [
            (1, 1, 1, 90.0, "word"),
            (1, 1, 1, 10.0, "|;~."),
            (1, 1, 1, 90.0, "more"),
        ];
        check(&table(&rows), "word more", 3, 190.0 / 3.0);
    }

    #[test]
    fn a_table_without_words_is_an_empty_page() {
        check(HEAD, "", 0, 0.0);
        check("", "", 0, 0.0);
        check(&table(&[(1, 1, 1, 95.0, " ")]), "", 0, 0.0);
        check("5\tx\n5\t1\t1\t1\t1\t1\t0\t0\t9\t9\tnan\tw\n", "", 0, 0.0);
    }

    proptest::proptest! {
        /// The table comes out of another program.
        #[test]
        fn any_table_is_read(table in "([5\\t0-9.a-z\\n-]{0,40}\\t?){0,20}|\\PC*") {
            let page = Page::of(&table);
            proptest::prop_assert!((0.0..=100.0).contains(&page.confidence));
        }
    }
}
