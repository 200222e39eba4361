//! What a few words are: said to stop, said to agree, the echo of a voice, the end of a sentence. It knows
//! texts only, neither sound nor time. English; for other languages the lists simply never match.

use super::speakable::speakable;

/// The words of a text in small letters, without punctuation; `mm-hm` is one word.
#[must_use]
pub fn fold(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '—' | '–' | '…'))
        .map(fold_word)
        .filter(|word| !word.is_empty())
        .collect()
}

/// One word in small letters: letters and digits, apostrophes and hyphens inside it.
#[must_use]
pub fn fold_word(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric())
        .chars()
        .map(|c| if c == '’' { '\'' } else { c })
        .flat_map(char::to_lowercase)
        .collect()
}

/// The share of `heard`'s words that stand in `said` in the same order, 0 to 1; 0 where nothing was heard.
#[must_use]
pub fn likeness(heard: &[String], said: &[String]) -> f32 {
    if heard.is_empty() {
        return 0.0;
    }
    // The longest common subsequence, one row at a time.
    let mut row = vec![0_usize; said.len() + 1];
    for word in heard {
        let mut diagonal = 0;
        for (at, other) in said.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other {
                diagonal + 1
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    row[said.len()] as f32 / heard.len() as f32
}

/// From here on a transcript is the echo of what was just said (voice.md 2.3).
pub const ECHO: f32 = 0.6;

/// From here on its letters are those of an echo that was misheard. "A trip that" came back as "I tried that" (0.75);
/// of 20 interruptions against 29 answers about the sample documents none that is no echo by its words has more than 0.6.
const MISHEARD: f32 = 0.7;
/// Letters and spaces that tell: fewer stand in every sentence, but for one or two.
const TELLING: usize = 10;

/// Whether what was heard is what the daemon itself has just said, as it is written or as it is spoken: "1 April" may
/// come back as "the first of April".
#[must_use]
pub fn is_echo(heard: &str, said: &str) -> bool {
    let heard = fold(heard);
    is_echo_of(&heard, &fold(said)) || is_echo_of(&heard, &fold(&speakable(said, "en")))
}

fn is_echo_of(heard: &[String], said: &[String]) -> bool {
    if likeness(heard, said) >= ECHO {
        return true;
    }
    let letters = |words: &[String]| words.join(" ").chars().collect::<Vec<char>>();
    let heard = letters(heard);
    heard.len() >= TELLING && likeness_of_letters(&heard, &letters(said)) >= MISHEARD
}

/// One less the share of `heard`'s letters that have to be changed, left out or put in to find it somewhere in `said`
/// (Sellers 1980, approximate matching in a longer text).
fn likeness_of_letters(heard: &[char], said: &[char]) -> f32 {
    // Edits up to a place in `said`, one letter of `heard` at a time. It may begin anywhere.
    let mut row = vec![0_usize; said.len() + 1];
    for (at, letter) in heard.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (to, other) in said.iter().enumerate() {
            let above = row[to + 1];
            let kept = diagonal + usize::from(letter != other);
            row[to + 1] = kept.min(above + 1).min(row[to] + 1);
            diagonal = above;
        }
    }
    let edits = row.into_iter().min().unwrap_or(heard.len());
    1.0 - edits as f32 / heard.len() as f32
}

/// Phrases that silence an answer and ask nothing.
const STOPS: &[&str] = &[
    "stop",
    "stop it",
    "stop please",
    "please stop",
    "stop talking",
    "stop stop",
    "stop stop stop",
    "okay stop",
    "ok stop",
    "be quiet",
    "quiet",
    "silence",
    "shut up",
    "enough",
    "that's enough",
    "thats enough",
    "cancel",
    "never mind",
    "nevermind",
    "wait",
    "wait wait",
    "wait no",
    "no wait",
    "hold on",
    "hang on",
];

/// Words that end an answer at once when somebody begins with them.
const SAFETY: &[&str] = &["stop", "wait", "quiet", "cancel", "halt"];

/// Whether a text says to be silent, and nothing else.
#[must_use]
pub fn says_stop(text: &str) -> bool {
    STOPS.contains(&fold(text).join(" ").as_str())
}

/// Whether a text begins with a word that bypasses every doubt.
#[must_use]
pub fn begins_with_stop(text: &str) -> bool {
    fold(text)
        .first()
        .is_some_and(|word| SAFETY.contains(&word.as_str()))
        || says_stop(text)
}

/// Words by which a listener says "I listen".
const NODS: &[&str] = &[
    "mm", "mmm", "mhm", "mm-hm", "mm-hmm", "mmhmm", "mhmm", "hm", "hmm", "hmmm", "uh-huh", "uhhuh",
    "huh", "uh", "um", "ah", "aha", "oh", "yeah", "yep", "yup", "yes", "ok", "okay", "right",
    "sure", "good", "great", "nice", "cool", "alright", "exactly", "true",
];

/// Phrases by which a listener says the same.
const NOD_PHRASES: &[&str] = &["i see", "got it", "oh i see", "of course", "all right"];

/// Whether a text may become a listener's nod: the beginning of "I see" is no more than "I".
#[must_use]
pub fn begins_nod(text: &str) -> bool {
    let begun = fold(text).join(" ");
    let goes_on = |phrase: &&str| {
        phrase
            .strip_prefix(begun.as_str())
            .is_some_and(|rest| rest.starts_with(' '))
    };
    !begun.is_empty() && NOD_PHRASES.iter().any(goes_on)
}

/// Whether a text is a listener's nod: three such words at most, or "I see", "got it".
#[must_use]
pub fn is_nod(text: &str) -> bool {
    let words = fold(text);
    let phrase = words.join(" ");
    NOD_PHRASES.contains(&phrase.as_str())
        || (!words.is_empty()
            && words.len() <= 3
            && words.iter().all(|word| NODS.contains(&word.as_str())))
}

/// What speech models write for silence and noise (measured on tiny.en, and known of the family).
const PHANTOMS: &[&str] = &[
    "you",
    "thank you",
    "thanks",
    "thanks for watching",
    "thank you for watching",
    "bye",
    "bye bye",
    "i'm not sure",
    "so",
    "the",
    "okay",
    "yeah",
    "mmm",
    "mmm you",
    "hmm",
    "uh",
    "oh",
    "music",
    "blank_audio",
    "silence",
    "applause",
    "please subscribe",
    "subscribe",
    "i'm gonna go to the next one",
    "i'm going to go to the next one",
    "see you next time",
    "we'll be right back",
];

/// Whether a text is one that models make up for silence.
#[must_use]
pub fn is_phantom(text: &str) -> bool {
    let folded = fold(text).join(" ");
    folded.is_empty() || PHANTOMS.contains(&folded.as_str())
}

/// Words that a sentence does not end with.
const OPEN: &[&str] = &[
    "a", "an", "the", "and", "or", "but", "because", "so", "if", "when", "while", "that", "which",
    "who", "of", "to", "for", "with", "from", "in", "on", "at", "by", "about", "as", "than", "is",
    "are", "was", "were", "my", "your", "our", "their", "his", "her", "its", "um", "uh", "er",
    "like", "then", "also", "can", "could", "would", "should", "what's", "i", "we", "they",
];

/// Whether a text could be all of a sentence: it ends as one, and not with a word that wants another.
#[must_use]
pub fn looks_complete(text: &str) -> bool {
    let text = text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '”' | ')'));
    if text.ends_with("...") || text.ends_with('…') || !text.ends_with(['.', '?', '!']) {
        return false;
    }
    fold(text)
        .last()
        .is_some_and(|word| text.ends_with('?') || !OPEN.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_folded() {
        assert_eq!(
            fold("“Rent’s due, mm-hm… OK!”"),
            ["rent's", "due", "mm-hm", "ok"]
        );
        assert!(fold(" — ?! ").is_empty());
    }

    #[test]
    fn echo() {
        let said = "Rent is payable on the first day of each month.";
        let check =
            |heard: &str, expected: bool| assert_eq!(is_echo(heard, said), expected, "{heard}");
        check("payable on the first day", true);
        check("Rents payable in the first day of each", true);
        check("No, I meant the deposit", false);
        check("the day is first", false);
        check("", false);
    }

    #[test]
    fn an_echo_of_what_is_spoken_otherwise_than_written() {
        let said = "“Water is turned on from 1 April to 31 October.”";
        let check =
            |heard: &str, expected: bool| assert_eq!(is_echo(heard, said), expected, "{heard}");
        // Heard by the transcriber.
        check("on from the first of eight.", true);
        check("on from 1 April", true);
        check("And what about the first of May?", false);
    }

    #[test]
    fn an_echo_that_was_misheard() {
        let said = "A trip that costs more than 1,500 euros in total needs the approval of the head of department";
        let check =
            |heard: &str, expected: bool| assert_eq!(is_echo(heard, said), expected, "{heard}");
        // Heard by the transcriber, and one of its kind.
        check("I tried that.", true);
        check("A chip that cost", true);
        // As long, and said by somebody.
        check("I tried that already.", false);
        check("Who told you that?", false);
        check("What about trains?", false);
        check("How much in total?", false);
        // Too short to tell, though it stands there but for a letter.
        check("In today", false);
        check("Need", false);
        check("", false);
    }

    #[test]
    fn kinds_of_words() {
        let check = |holds: fn(&str) -> bool, yes: &[&str], no: &[&str]| {
            for text in yes {
                assert!(holds(text), "{text}");
            }
            for text in no {
                assert!(!holds(text), "{text}");
            }
        };
        check(
            says_stop,
            &["Stop.", "Wait, no!", "Never mind"],
            &["Stop the contract when?", ""],
        );
        check(
            begins_with_stop,
            &["Stop, when is", "hold on"],
            &["When does it stop?", "the stop"],
        );
        check(
            begins_nod,
            &["I", "Got", "oh I", "Of", "all…"],
            &["", "I see", "I want", "See", "when"],
        );
        check(
            is_nod,
            &["Mm-hm.", "Yeah, okay", "I see."],
            &["Yes but when?", "no", "", "yes yes yes yes"],
        );
        check(
            is_phantom,
            &["You", " Thank you. ", "[BLANK_AUDIO]", ""],
            &["Thank you for the lease", "When?"],
        );
        check(
            looks_complete,
            &["When is rent due?", "It is due.", "What is it for?"],
            &[
                "When is the",
                "When is rent due",
                "I wonder if the...",
                "And the.",
                "",
            ],
        );
    }
}
