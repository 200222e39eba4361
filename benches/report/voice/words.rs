//! How many words of a transcript are wrong. Knows texts only.

use griot::voice::speakable::numbers::cardinal;

/// What has to be done to a transcript to make the reference of it, in words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Errors {
    pub substituted: usize,
    /// Said and not written.
    pub deleted: usize,
    /// Written and not said.
    pub inserted: usize,
    /// Words of the reference.
    pub words: usize,
}

impl Errors {
    pub fn wrong(self) -> usize {
        self.substituted + self.deleted + self.inserted
    }

    /// The word error rate, `(S + D + I) / N`, as NIST's `sclite` counts it. May exceed 1; `None` where
    /// nothing was said.
    pub fn rate(self) -> Option<f64> {
        (self.words > 0).then(|| self.wrong() as f64 / self.words as f64)
    }
}

impl std::ops::AddAssign for Errors {
    fn add_assign(&mut self, other: Self) {
        self.substituted += other.substituted;
        self.deleted += other.deleted;
        self.inserted += other.inserted;
        self.words += other.words;
    }
}

/// The errors of `heard` against what was said, by the least number of edits (Levenshtein 1966) over
/// [`words`].
pub fn errors(said: &str, heard: &str) -> Errors {
    let (said, heard) = (words(said), words(heard));
    let columns = heard.len() + 1;
    let mut cost = vec![0_usize; (said.len() + 1) * columns];
    for row in 0..=said.len() {
        for column in 0..columns {
            let at = row * columns + column;
            cost[at] = match (row, column) {
                (0, n) | (n, 0) => n,
                _ => {
                    let differs = usize::from(said[row - 1] != heard[column - 1]);
                    (cost[at - columns - 1] + differs)
                        .min(cost[at - columns] + 1)
                        .min(cost[at - 1] + 1)
                }
            };
        }
    }
    let mut found = Errors {
        words: said.len(),
        ..Errors::default()
    };
    let (mut row, mut column) = (said.len(), heard.len());
    while row > 0 || column > 0 {
        let at = row * columns + column;
        let both = row > 0 && column > 0;
        if both && said[row - 1] == heard[column - 1] && cost[at] == cost[at - columns - 1] {
            (row, column) = (row - 1, column - 1);
        } else if both && cost[at] == cost[at - columns - 1] + 1 {
            found.substituted += 1;
            (row, column) = (row - 1, column - 1);
        } else if row > 0 && cost[at] == cost[at - columns] + 1 {
            found.deleted += 1;
            row -= 1;
        } else {
            found.inserted += 1;
            column -= 1;
        }
    }
    found
}

/// Hesitations that people do not write.
const HESITATIONS: [&str; 6] = ["hmm", "mm", "mhm", "mmm", "uh", "um"];

/// What a short form stands for, by its end.
const SHORT: [(&str, &str); 10] = [
    ("won't", "will not"),
    ("can't", "can not"),
    ("let's", "let us"),
    ("n't", " not"),
    ("'re", " are"),
    ("'s", " is"),
    ("'d", " would"),
    ("'ll", " will"),
    ("'ve", " have"),
    ("'m", " am"),
];

/// The words of a text as they are compared: the steps of Whisper's English normaliser (Radford et al.,
/// "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, appendix C), but with numbers in
/// words instead of words in numbers: below a hundred as they are read, longer ones figure by figure, `oh`
/// as zero.
pub fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in without_brackets(text)
        .to_lowercase()
        .replace('’', "'")
        .split(|c: char| !(c.is_alphanumeric() || c == '\''))
    {
        let word = word.trim_matches('\'');
        let long = SHORT.iter().find_map(|(short, long)| {
            let stem = word.strip_suffix(short)?;
            (stem.is_empty() != long.starts_with(' ')).then(|| format!("{stem}{long}"))
        });
        for word in long.as_deref().unwrap_or(word).split_whitespace() {
            let word = word.replace('\'', "");
            if word.is_empty() || HESITATIONS.contains(&word.as_str()) {
                continue;
            }
            match word.as_str() {
                "oh" => found.push("zero".to_owned()),
                _ if word.bytes().all(|byte| byte.is_ascii_digit()) => number(&word, &mut found),
                _ => found.push(word),
            }
        }
    }
    found
}

fn without_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|c| match c {
            '(' | '[' => {
                depth += 1;
                false
            }
            ')' | ']' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect()
}

/// Numbers below a hundred as they are said, longer ones figure by figure.
fn number(figures: &str, found: &mut Vec<String>) {
    let leading = figures.len() > 1 && figures.starts_with('0');
    match figures.parse() {
        Ok(small) if figures.len() <= 2 && !leading => {
            let said = cardinal(small);
            found.extend(said.split('-').map(str::to_owned));
        }
        _ => found.extend(figures.bytes().map(|byte| cardinal(u64::from(byte - b'0')))),
    }
}
