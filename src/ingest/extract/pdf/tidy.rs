//! What fonts and typesetting put into a page's text instead of the letters meant.

use unicode_normalization::UnicodeNormalization;

use super::super::bidi::is_rtl;

/// The text of a page by the rules of the stored text.
///
/// - Ligatures and the presentation forms of Arabic and Hebrew become their letters (NFKC of those
///   characters only: NFKC of everything would turn `x²` into `x2`).
/// - A word divided at a line's end is joined, when both halves are lower-case letters.
/// - Spaces of all widths become one plain space; spaces at the ends of lines go.
/// - Where lines of two directions were put together, a Latin word and the Arabic or Hebrew one after it
///   are parted, and vowel marks that lost their letter are left out.
pub(super) fn tidy(page: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in page.split([
        '\n', '\r', '\u{c}', '\u{b}', '\u{85}', '\u{2028}', '\u{2029}',
    ]) {
        lines.push(letters(line));
    }
    let mut out = String::with_capacity(page.len());
    let mut blank = 0;
    for line in &lines {
        let line = line.as_str();
        if line.is_empty() {
            blank += 1;
            continue;
        }
        if out.is_empty() {
            out.push_str(line);
        } else if blank == 0 && divided(&out, line) {
            // U+0002 is how some producers mark the hyphen of a division; U+00AD is the soft hyphen.
            out.pop();
            out.push_str(line);
        } else {
            out.push_str(if blank > 0 { "\n\n" } else { "\n" });
            out.push_str(line);
        }
        blank = 0;
    }
    out.retain(|c| c != '\u{ad}' && c != '\u{2}');
    out
}

/// A paragraph whose lines were joined with spaces: `exam- ple` becomes `example`.
pub(super) fn rejoin(paragraph: &str) -> String {
    let mut out = String::with_capacity(paragraph.len());
    let mut rest = paragraph;
    while let Some(at) = rest.find("- ") {
        let (before, after) = (&rest[..=at], &rest[at + 2..]);
        out.push_str(before);
        if divided(&out, after) {
            out.pop();
        } else {
            out.push(' ');
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// One line, its characters replaced, its spaces single.
fn letters(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut gap = false;
    let mut put = |c: char, gap: &mut bool| {
        if std::mem::take(gap) && !out.is_empty() {
            out.push(' ');
        }
        out.push(c);
    };
    for c in line.chars() {
        match c {
            '\u{200b}' | '\u{feff}' | '\u{2060}' => {}
            c if c.is_whitespace() => gap = true,
            c if is_presentation_form(c) => {
                for letter in std::iter::once(c).nfkc() {
                    put(letter, &mut gap);
                }
            }
            '\u{2}' => put(c, &mut gap),
            c if c.is_control() => {}
            c => put(c, &mut gap),
        }
    }
    if out.chars().any(is_rtl) {
        return mixed(&out);
    }
    out
}

/// A line that holds right-to-left letters, with the spaces and marks that turning it around misplaced.
fn mixed(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut before = [' '; 2];
    for c in line.chars() {
        let latin_word = before.iter().all(char::is_ascii_alphabetic);
        // Marks on letters (U+064B on) never begin a word.
        if matches!(c, '\u{64b}'..='\u{652}') && before[1].is_whitespace() {
            continue;
        }
        if latin_word && is_rtl(c) {
            out.push(' ');
        }
        out.push(c);
        before = [before[1], c];
    }
    out
}

/// Alphabetic presentation forms (U+FB00 ligatures, Hebrew, Arabic A and B). The ornate parentheses and
/// the ligatures of whole phrases (U+FDF0 on) stay letters of their own.
fn is_presentation_form(c: char) -> bool {
    matches!(c, '\u{fb00}'..='\u{fdc7}' | '\u{fe70}'..='\u{fefc}')
        && !matches!(c, '\u{fd3e}' | '\u{fd3f}')
}

/// Words that follow a hyphen which stands for the rest of a word (`pre- and post-war`), in the
/// languages that write so.
const AFTER_OPEN_HYPHEN: [&str; 14] = [
    "and", "or", "to", "und", "oder", "bis", "bzw", "sowie", "en", "of", "och", "og", "eller", "et",
];

/// Whether `before` ends with a word that goes on in `after`: a hyphen after two letters at least, and
/// small letters on both sides. `second-` + `longest` cannot be told from `exam-` + `ple`, and most
/// hyphens at the end of a line are the typesetter's.
fn divided(before: &str, after: &str) -> bool {
    let mut end = before.chars().rev();
    let hyphen = matches!(end.next(), Some('-' | '\u{2010}' | '\u{ad}' | '\u{2}'));
    let word =
        end.next().is_some_and(char::is_lowercase) && end.next().is_some_and(char::is_alphabetic);
    let next = after.split(|c: char| !c.is_alphanumeric()).next();
    hyphen
        && word
        && after.starts_with(char::is_lowercase)
        && next.is_none_or(|word| !AFTER_OPEN_HYPHEN.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &str) {
        assert_eq!(tidy(page), expected);
    }

    #[test]
    fn ligatures_become_letters() {
        check("e\u{fb03}cient \u{fb01}re x² ½", "efficient fire x² ½");
        check("\u{fee3}\u{fead}\u{feA3}\u{fe92}\u{fe8e}", "مرحبا");
    }

    #[test]
    fn words_of_two_directions_are_parted() {
        check("بلغة R و Pythonمن الأدوات", "بلغة R و Python من الأدوات");
        check("מתקינים את Linuxבמחשב", "מתקינים את Linux במחשב");
        // One letter may be part of a name, and a prefix belongs to its word.
        check("فيتامين Cو بPython", "فيتامين Cو بPython");
        check("النمذجة \u{64b}الإحصائية أيضًا", "النمذجة الإحصائية أيضًا");
    }

    #[test]
    fn words_are_joined_over_line_ends() {
        check("an exam-\nple of it", "an example of it");
        check(
            "soft\u{ad}\nware and hard\u{2}\nware",
            "software and hardware",
        );
        check(
            "in 1914-\n1918 and Anglo-\nSaxon, A-\nb",
            "in 1914-\n1918 and Anglo-\nSaxon, A-\nb",
        );
        check("a para-\n\ngraph", "a para-\n\ngraph");
    }

    #[test]
    fn words_are_joined_within_paragraphs() {
        for (paragraph, joined) in [
            ("an exam- ple - of it - and", "an example - of it - and"),
            (
                "pre- and post-war, Anglo- Saxon, 3- fold",
                "pre- and post-war, Anglo- Saxon, 3- fold",
            ),
            ("- item, x- y", "- item, x- y"),
            ("ends in- ", "ends in- "),
        ] {
            assert_eq!(rejoin(paragraph), joined);
        }
    }

    #[test]
    fn white_space_is_plain() {
        check(" a\u{a0}\u{2003} b \n\n\n\n c\u{200b}d \n", "a b\n\ncd");
    }
}
