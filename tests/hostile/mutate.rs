//! Damaged and malicious variants of good documents, made with knowledge of their structure, so that
//! the damage gets past the first check of a reader. The same seed always gives the same bytes.

mod markup;
mod pdf;
mod zip;

use std::ops::Range;

/// A variant, and what was done to the original, for the message when it does harm.
pub struct Mutant {
    pub bytes: Vec<u8>,
    pub what: String,
}

/// The variant of `bytes` that `seed` stands for. `name` tells kinds of text apart.
pub fn mutant(name: &str, bytes: &[u8], seed: u64) -> Mutant {
    let mut dice = Dice::new(seed);
    let mut changed = bytes.to_vec();
    let mut done = Vec::new();
    // Mostly one wound, which reaches deep; sometimes several.
    for _ in 0..[1, 1, 1, 2, 3][dice.below(5)] {
        let what = if changed.starts_with(b"PK\x03\x04") {
            zip::mutate(&mut changed, &mut dice)
        } else if changed.windows(5).take(1024).any(|w| w == b"%PDF-") {
            pdf::mutate(&mut changed, &mut dice)
        } else {
            markup::mutate(name, &mut changed, &mut dice)
        };
        done.push(what);
    }
    Mutant {
        bytes: changed,
        what: done.join(", then "),
    }
}

/// A seed for mutant `number` of a document, from the seed of the run and the document's name (FNV-1a).
pub fn seed_of(run: u64, name: &str, number: u64) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    Dice::new(run ^ hash ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).next()
}

/// Numbers that look random (SplitMix64, Steele et al. 2014).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to `n` - 1; 0 for none.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub fn pick<T: Clone>(&mut self, among: &[T]) -> T {
        among[self.below(among.len())].clone()
    }

    /// A range of at most `longest` within `len`.
    pub fn range(&mut self, len: usize, longest: usize) -> Range<usize> {
        let start = self.below(len);
        let end = (start + 1 + self.below(longest)).min(len);
        start..end
    }
}

/// Numbers at which arithmetic goes wrong.
const EDGES: [&str; 14] = [
    "0",
    "-1",
    "1",
    "255",
    "65535",
    "65536",
    "2147483647",
    "-2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999999999",
    "1e308",
];

/// Where `needle` stands in `bytes`.
fn find_all(bytes: &[u8], needle: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], needle) {
        found.push(from + at);
        from += at + needle.len();
    }
    found
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|b| *b == first)?;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

/// Flips bits here and there.
fn flip(bytes: &mut [u8], dice: &mut Dice) {
    if bytes.is_empty() {
        return;
    }
    for _ in 0..=dice.below(32) {
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
    }
}

fn splice(bytes: &mut Vec<u8>, range: Range<usize>, with: &[u8]) {
    bytes.splice(range, with.iter().copied());
}
