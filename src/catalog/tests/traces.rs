//! A file from which much was removed: none of it is in its bytes.

use super::*;

/// Numbers that look random and are the same in every run (the constants are Knuth's).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// A word that stands in one revision of one document, in three forms.
fn canary(document: u64, revision: u32) -> String {
    let hash = hex::encode(Sha256::digest(format!("{document} {revision}")));
    format!("canary{}x", &hash[..10])
}

fn texts(dice: &mut Dice, canary: &str) -> Vec<String> {
    let chunks = [1, 3, 10, 40][dice.below(4) as usize];
    (0..chunks)
        .map(|chunk| {
            let words = [20, 150, 200][dice.below(3) as usize];
            let mut words: Vec<_> = (0..words)
                .map(|_| format!("w{:05}", dice.below(3000)))
                .collect();
            let at = dice.below(words.len() as u64) as usize;
            words[at] = canary.to_owned();
            if dice.below(3) == 0 {
                words[at] = format!("{canary}y{chunk}");
            }
            words.join(" ")
        })
        .collect()
}

/// Documents come, are replaced and go, in an order that `seed` decides; all of them name themselves by
/// their canary. What SQLite and FTS5 leave behind depends on which rows are neighbours, hence the many
/// turns.
fn check(seed: u64) {
    let mut dice = Dice(seed);
    let f = Fixture::new();
    let mut alive: Vec<(u64, DocumentId, u32)> = Vec::new();
    let mut gone = Vec::new();
    for step in 0..300_u64 {
        let chosen = dice.below(alive.len().max(1) as u64) as usize;
        let one = match dice.below(10) {
            0..5 => None,
            5..7 => alive.get_mut(chosen).map(|one| {
                gone.push(canary(one.0, one.2));
                one.2 += 1;
                *one
            }),
            _ if alive.is_empty() => None,
            _ => {
                let (number, id, revision) = alive.swap_remove(chosen);
                gone.push(canary(number, revision));
                f.catalog.remove(id).unwrap();
                continue;
            }
        };
        let (number, id, revision) = one.unwrap_or_else(|| {
            let id = f.record(&format!("{step}.txt")).id;
            alive.push((step, id, 1));
            (step, id, 1)
        });
        let texts = texts(&mut dice, &canary(number, revision));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert!(
            f.catalog
                .publish(&publication(id, revision, &texts))
                .unwrap()
        );
    }
    assert!(gone.len() > 90 && alive.len() > 30);
    assert!(f.catalog.has_traces().unwrap());
    assert!(f.catalog.remove_traces().unwrap());
    assert!(!f.catalog.has_traces().unwrap());

    let bytes = f.bytes();
    let places: Vec<&[u8]> = bytes
        .windows(17)
        .filter(|window| window.starts_with(b"canary"))
        .collect();
    assert!(places.len() > 100, "the living are there");
    // Of a word that is gone, the shortest beginning that no word of the living has.
    let living: std::collections::HashSet<String> = alive
        .iter()
        .map(|(number, _, revision)| canary(*number, *revision))
        .flat_map(|word| (6..word.len()).map(move |end| word[..end].to_owned()))
        .collect();
    let left: Vec<&str> = gone
        .iter()
        .filter_map(|word| {
            let shortest = (7..=word.len()).find(|end| !living.contains(&word[..*end]))?;
            Some(&word[..shortest])
        })
        .filter(|beginning| {
            places
                .iter()
                .any(|place| place.starts_with(beginning.as_bytes()))
        })
        .collect();
    assert_eq!(left, [""; 0], "seed {seed}");
    for (number, id, revision) in alive {
        let hits = f.catalog.search_words(&canary(number, revision), None, 99);
        assert!(
            hits.unwrap().iter().all(|(key, _)| key.document == id),
            "the living are found"
        );
    }
}

#[test]
fn what_was_removed_among_many_is_in_no_byte() {
    for seed in 1..=4 {
        check(seed);
    }
}

/// A mark outlives the process, so that a kill between a delete and its traces only puts them off.
#[test]
fn a_file_knows_that_it_has_traces() {
    let f = Fixture::new();
    let id = f.published("a", &["rent"]);
    assert!(!f.catalog.has_traces().unwrap());
    f.catalog.remove(id).unwrap();
    let reopened = Catalog::open(&f.path()).unwrap();
    assert!(reopened.has_traces().unwrap());
    assert!(reopened.remove_traces().unwrap());
    assert!(!f.catalog.has_traces().unwrap());
}
