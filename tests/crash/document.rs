//! Made-up documents. Each paragraph holds one word that stands nowhere else, and is a chunk of its own.

use griot::domain::Sha256Hash;
use sha2::{Digest, Sha256};

/// A document that can be made again from its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    pub name: String,
    pub bytes: Vec<u8>,
    pub sha256: Sha256Hash,
    /// The word of each paragraph.
    pub words: Vec<String>,
}

/// Document number `serial`, of 1 to 4 paragraphs.
pub fn made(serial: u64) -> Made {
    of_length(serial, 1 + serial % 4)
}

/// Document number `serial` of so many paragraphs.
pub fn of_length(serial: u64, paragraphs: u64) -> Made {
    let mut text = format!("# Paper {serial}\n\n");
    let mut words = Vec::new();
    for paragraph in 0..paragraphs {
        let word = format!("zq{}x{}", letters(serial), letters(paragraph));
        // 200 letters and more: two paragraphs do not fit a chunk of 256 tokens.
        text.push_str(&format!(
            "Here stands {word} in the middle of words that say nothing at all. The tenant pays what \
             was agreed, the landlord mends what breaks, and both of them write it down on paper of \
             number {serial} and {paragraph}.\n\n"
        ));
        words.push(word);
    }
    let sha256 = Sha256Hash(Sha256::digest(text.as_bytes()).into());
    Made {
        name: format!("paper-{serial}.md"),
        bytes: text.into_bytes(),
        sha256,
        words,
    }
}

/// A number as letters, so that a word is one term to whatever cuts texts into terms.
fn letters(mut number: u64) -> String {
    let mut word = String::new();
    loop {
        word.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
        if number == 0 {
            return word;
        }
    }
}
