//! Cutting an answer that is still being written into what is said in one breath. The first clause is short,
//! so that the voice can begin, and the next ones are no longer than can be spoken while the one before is heard;
//! after them come sentences. Put together, the clauses are the text.

use unicode_segmentation::UnicodeSegmentation;

use super::speakable::can_be_heard;

/// Words of a clause from which on a comma ends it, and at which it ends in any case: of the first ones (a Piper
/// voice on one core takes some 45 ms for a word, of which a third of a second is heard), then of all others.
const LENGTHS: [(usize, usize); 4] = [(3, 7), (6, 14), (12, 28), (24, 40)];
/// Clauses that may end before a word at which one breathes, too.
const HASTY: usize = 2;
/// Bytes of a breath at most, where words allow it.
const BREATH: usize = 240;

/// Words that begin a new part of a sentence: a good place to breathe before.
const BREATHE_BEFORE: &[&str] = &[
    "and", "but", "or", "because", "which", "while", "when", "if", "unless", "although", "so",
    "where", "who", "after", "before", "until", "with", "on", "in", "at", "by", "for", "from",
    "under", "within", "between", "during", "through", "into", "without",
];

/// Words before a full stop that end no sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "cf", "fig", "no", "nos",
    "vol", "pp", "p", "ca", "approx", "inc", "ltd", "co", "jr", "sr", "art", "sec",
];

/// A whole text in the pieces that are said in one breath each: sentences, the long ones cut between words. What
/// cannot be heard is left out.
#[must_use]
pub fn breaths(text: &str) -> Vec<String> {
    let mut clauses = Vec::new();
    for sentence in text.unicode_sentences() {
        let mut clause = String::new();
        for word in sentence.split_whitespace() {
            let ends = clause.ends_with([',', ';', ':']) && clause.len() > BREATH / 2;
            if !clause.is_empty() && (ends || clause.len() + word.len() > BREATH) {
                clauses.push(std::mem::take(&mut clause));
            }
            if !clause.is_empty() {
                clause.push(' ');
            }
            clause.push_str(word);
        }
        clauses.push(clause);
    }
    clauses.retain(|clause| can_be_heard(clause));
    clauses
}

/// Takes deltas, gives clauses.
#[derive(Debug, Clone, Default)]
pub struct Clauses {
    pending: String,
    /// Clauses so far.
    given: usize,
}

impl Clauses {
    /// Takes the next piece of text; gives the clauses that are complete now, with the space after them.
    pub fn feed(&mut self, delta: &str) -> Vec<String> {
        self.pending.push_str(delta);
        let mut ready = Vec::new();
        while let Some(end) = self.cut() {
            ready.push(self.pending.drain(..end).collect());
            self.given += 1;
        }
        ready
    }

    /// The rest, when the text has ended.
    pub fn finish(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then_some(rest)
    }

    /// Where the first clause in what is pending ends, if that is certain already.
    fn cut(&self) -> Option<usize> {
        let text = self.pending.as_str();
        let mut words = 0;
        let mut start = None;
        for (at, c) in text.char_indices() {
            if !c.is_whitespace() {
                start.get_or_insert(at);
                continue;
            }
            let Some(from) = start.take() else { continue };
            let word = &text[from..at];
            if !word.chars().any(char::is_alphanumeric) && words == 0 {
                continue;
            }
            words += 1;
            let after = at + c.len_utf8();
            if ends_sentence(word) {
                // Whatever follows a full stop without being a letter ("[1]") belongs to the sentence.
                return match text[after..].trim_start().chars().next() {
                    Some('[') => text[after..]
                        .find(']')
                        .map(|close| whitespace_after(text, after + close + 1))
                        .filter(|end| *end < text.len()),
                    Some(_) => Some(after),
                    None => None,
                };
            }
            let (least, most) = LENGTHS[self.given.min(LENGTHS.len() - 1)];
            let soft = word.ends_with([',', ';', ':', '–', '—']);
            let breathes =
                || next_word(&text[after..]).is_some_and(|w| BREATHE_BEFORE.contains(&w));
            if words >= least && (soft || (self.given < HASTY && breathes())) || words >= most {
                return Some(after);
            }
        }
        None
    }
}

/// The end of the white space at `at`.
fn whitespace_after(text: &str, at: usize) -> usize {
    let rest = &text[at..];
    at + (rest.len() - rest.trim_start().len())
}

/// The next word, when it is complete.
fn next_word(text: &str) -> Option<&str> {
    let text = text.trim_start();
    text.split_once(char::is_whitespace).map(|(word, _)| word)
}

fn ends_sentence(word: &str) -> bool {
    let bare = word.trim_end_matches(['"', '”', '\'', '’', ')', ']']);
    if bare.ends_with(['!', '?', '…']) {
        return true;
    }
    let Some(before) = bare.strip_suffix('.') else {
        return false;
    };
    let before = before.trim_start_matches(['(', '"', '“']);
    let initial = before.chars().count() == 1 && before.chars().all(char::is_uppercase);
    !(initial || ABBREVIATIONS.contains(&before.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expected` has a `|` at each cut.
    fn check(expected: &str) {
        let text: String = expected.split('|').collect();
        for step in [1, 3, text.len().max(1)] {
            let mut clauses = Clauses::default();
            let mut found = Vec::new();
            let chars: Vec<char> = text.chars().collect();
            for piece in chars.chunks(step) {
                found.extend(clauses.feed(&piece.iter().collect::<String>()));
            }
            found.extend(clauses.finish());
            assert_eq!(found.join("|"), expected, "in pieces of {step}");
        }
    }

    #[test]
    fn a_short_beginning_then_sentences() {
        check(
            "Rent is due, |and it is paid on the first day. [1] |Dogs, cats and birds are allowed. |Yes!",
        );
        check("Yes. |It is.");
        check("The rent of the flat |and the garage is due on Monday.");
        check("Dr. J. Smith wrote it, |no. 5 of e.g. ten. |More");
        check("one two three four five six seven |eight nine ten eleven twelve thirteen fourteen");
        check(
            "Rent is payable |on the first day of each month |by transfer to the account that is named on the \
             last page, |or in cash at the office.",
        );
        check("It costs 3.50 euros. |\n\nNext");
        check("");
        check("word");
    }

    #[test]
    fn whole_texts_are_cut_into_breaths() {
        let check = |text: &str, expected: &[&str]| assert_eq!(breaths(text), expected, "{text}");
        check("Rent is due. Pay it.", &["Rent is due.", "Pay it."]);
        check("", &[]);
        check("… ! —", &[]);
        let long = "word ".repeat(100);
        let cut = breaths(&long);
        assert!(cut.len() > 1 && cut.iter().all(|breath| breath.len() <= BREATH));
        assert_eq!(cut.join(" "), long.trim());
    }
}
