//! From misaki's signs for sounds to those that Piper's voices were taught with, which are espeak-ng's.

use misaki_rs::{Fallback, G2P, Language, fallback::FallbackError};

use super::espeak::Espeak;

/// Knows how words sound.
pub(super) struct Phonemes {
    words: G2P,
}

impl Phonemes {
    /// Reads the words: half a second.
    pub(super) fn new(espeak: Option<Espeak>) -> Self {
        let fallback = Spelled { espeak };
        Self {
            words: G2P::with_fallback(Language::EnglishUS, Some(Box::new(fallback))),
        }
    }

    /// The sounds of a text; empty where nothing of it can be said.
    pub(super) fn of(&self, text: &str) -> String {
        // Its marks for links and for sounds given by hand are none of ours.
        let text: String = text
            .chars()
            .map(|letter| {
                if "[](){}/|<>".contains(letter) {
                    ' '
                } else {
                    letter
                }
            })
            .collect();
        match self.words.g2p(&text) {
            Ok((sounds, _)) => to_espeak(&sounds),
            Err(error) => {
                tracing::debug!(%error, "a clause has no sounds");
                String::new()
            }
        }
    }
}

/// What misaki does not know: as espeak-ng says it, else letter by letter.
struct Spelled {
    espeak: Option<Espeak>,
}

impl Fallback for Spelled {
    fn phonemize(&self, word: &str) -> Result<String, FallbackError> {
        let said = self.espeak.as_ref().and_then(|espeak| espeak.sounds(word));
        Ok(said.unwrap_or_else(|| spell(word)))
    }
}

/// The names of the letters and digits of a word.
fn spell(word: &str) -> String {
    let names: Vec<&str> = word.chars().filter_map(name).collect();
    names.join(" ")
}

/// The sound of a sign's name.
fn name(sign: char) -> Option<&'static str> {
    Some(match sign.to_ascii_lowercase() {
        'a' => "ˈeɪ",
        'b' => "bˈiː",
        'c' => "sˈiː",
        'd' => "dˈiː",
        'e' => "ˈiː",
        'f' => "ˈɛf",
        'g' => "dʒˈiː",
        'h' => "ˈeɪtʃ",
        'i' => "ˈaɪ",
        'j' => "dʒˈeɪ",
        'k' => "kˈeɪ",
        'l' => "ˈɛl",
        'm' => "ˈɛm",
        'n' => "ˈɛn",
        'o' => "ˈoʊ",
        'p' => "pˈiː",
        'q' => "kjˈuː",
        'r' => "ˈɑːɹ",
        's' => "ˈɛs",
        't' => "tˈiː",
        'u' => "jˈuː",
        'v' => "vˈiː",
        'w' => "dˈʌbəljuː",
        'x' => "ˈɛks",
        'y' => "wˈaɪ",
        'z' => "zˈiː",
        '0' => "zˈiəɹoʊ",
        '1' => "wˈʌn",
        '2' => "tˈuː",
        '3' => "θɹˈiː",
        '4' => "fˈɔːɹ",
        '5' => "fˈaɪv",
        '6' => "sˈɪks",
        '7' => "sˈɛvən",
        '8' => "ˈeɪt",
        '9' => "nˈaɪn",
        _ => return None,
    })
}

/// misaki has one sign for each vowel that glides and leaves out that some are long.
fn to_espeak(sounds: &str) -> String {
    let mut said = String::with_capacity(sounds.len() * 2);
    let mut signs = sounds.chars().peekable();
    let mut stressed = false;
    while let Some(sign) = signs.next() {
        let next = signs.peek().copied();
        // Words that came from espeak-ng have it already.
        let long = if next == Some('ː') { "" } else { "ː" };
        match sign {
            'A' => said.push_str("eɪ"),
            'I' => said.push_str("aɪ"),
            'O' => said.push_str("oʊ"),
            'Q' => said.push_str("əʊ"),
            'W' => said.push_str("aʊ"),
            'Y' => said.push_str("ɔɪ"),
            'ᵊ' => said.push('ə'),
            'ʤ' => said.push_str("dʒ"),
            'ʧ' => said.push_str("tʃ"),
            'T' => said.push('ɾ'),
            'ɜ' if next == Some('ɹ') => {
                signs.next();
                said.push_str("ɜː");
            }
            'ə' if next == Some('ɹ') => {
                signs.next();
                said.push('ɚ');
            }
            'ɔ' if next == Some('ɪ') => said.push('ɔ'),
            'ɑ' | 'ɔ' => {
                said.push(sign);
                said.push_str(long);
            }
            'i' | 'u' => {
                said.push(sign);
                if stressed {
                    said.push_str(long);
                }
            }
            '❓' => {}
            '—' | '–' => said.push(','),
            '…' => said.push('.'),
            _ => said.push(sign),
        }
        stressed = matches!(sign, 'ˈ' | 'ˌ');
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_translated() {
        let check = |from: &str, expected: &str| assert_eq!(to_espeak(from), expected, "{from}");
        check("həlˈO", "həlˈoʊ");
        check("plˈiz ɹˈid", "plˈiːz ɹˈiːd");
        check("jˈɛstəɹdˌA.", "jˈɛstɚdˌeɪ.");
        check("wˈɜɹd", "wˈɜːd");
        check("θˈɔt—ʤˈʌmp❓", "θˈɔːt,dʒˈʌmp");
        check("nˈɔɪz", "nˈɔɪz");
        // As espeak-ng has it already.
        check("pˈɑːɹk θɹˈiː", "pˈɑːɹk θɹˈiː");
    }

    #[test]
    fn what_has_no_sound_is_spelled() {
        assert_eq!(spell("Xq7"), "ˈɛks kjˈuː sˈɛvən");
        assert_eq!(spell("§"), "");
    }
}
