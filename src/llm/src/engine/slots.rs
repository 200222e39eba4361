//! Which of the kept sequences a prompt goes on from.
//!
//! The context holds the last few sequences (prompt and reply). A new prompt nearly always begins
//! like one of them: the instructions are the same, or a conversation goes on. Only what follows
//! the common beginning has to be evaluated.
//!
//! Pure: says what to do with the cache, and is told what was done. The result of a prompt that
//! goes on from the cache is that of a cold one but for rounding: kernels differ with the number of
//! tokens evaluated together.

use crate::prompt::Token;

/// A sequence is cut back in place where no more than this many tokens are lost by it; otherwise
/// the common beginning is copied and both stay. Copying shares the cells and costs nothing, but it
/// drives out another sequence: not worth it for a short tail, such as a reply.
const SHORT_TAIL: usize = 256;

/// What to do before a prompt is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// The sequence to use.
    pub slot: usize,
    /// How many tokens of the prompt it then holds.
    pub keep: usize,
    /// Clear the slot and copy its first `keep` tokens from this one.
    pub copy_from: Option<usize>,
}

#[derive(Debug, Default, Clone)]
struct Slot {
    /// What the cache holds of this sequence, in order.
    tokens: Vec<Token>,
    /// When it was last used, in requests.
    used: u64,
}

/// What the cache holds.
#[derive(Debug)]
pub struct Slots {
    slots: Vec<Slot>,
    requests: u64,
}

impl Slots {
    /// `count` sequences, none of them used; 0 is taken as 1.
    pub fn new(count: usize) -> Self {
        Self {
            slots: vec![Slot::default(); count.max(1)],
            requests: 0,
        }
    }

    /// Chooses for a prompt. At least the last token is left to evaluate: its logits are needed.
    pub fn plan(&self, prompt: &[Token]) -> Plan {
        let most = prompt.len().saturating_sub(1);
        let common = |slot: &Slot| {
            slot.tokens
                .iter()
                .zip(&prompt[..most])
                .take_while(|(have, want)| have == want)
                .count()
        };
        // Of equally good ones the one that loses least, then the oldest.
        let (best, keep) = self
            .slots
            .iter()
            .enumerate()
            .map(|(index, slot)| (index, common(slot)))
            .min_by_key(|&(index, keep)| {
                let slot = &self.slots[index];
                (std::cmp::Reverse(keep), slot.tokens.len() - keep, slot.used)
            })
            .expect("there is at least one slot");
        let oldest = self.oldest_but(None).expect("there is at least one slot");
        if keep == 0 {
            return Plan {
                slot: oldest,
                keep: 0,
                copy_from: None,
            };
        }
        let lost = self.slots[best].tokens.len() - keep;
        if lost > SHORT_TAIL && oldest != best {
            Plan {
                slot: oldest,
                keep,
                copy_from: Some(best),
            }
        } else {
            Plan {
                slot: best,
                keep,
                copy_from: None,
            }
        }
    }

    /// The plan was carried out: the slot holds exactly `tokens` now.
    pub fn begin(&mut self, slot: usize, tokens: &[Token]) {
        self.requests += 1;
        self.slots[slot] = Slot {
            tokens: tokens.to_vec(),
            used: self.requests,
        };
    }

    /// The cache took on more of the sequence.
    pub fn extend(&mut self, slot: usize, tokens: &[Token]) {
        self.slots[slot].tokens.extend_from_slice(tokens);
    }

    /// The sequence is gone from the cache.
    pub fn forget(&mut self, slot: usize) {
        self.slots[slot] = Slot::default();
    }

    /// The sequence to give up when the cache is full, if there is one besides `slot`.
    pub fn victim(&self, slot: usize) -> Option<usize> {
        self.oldest_but(Some(slot))
            .filter(|victim| !self.slots[*victim].tokens.is_empty())
    }

    /// The least lately used slot that holds something, else an empty one, for `plan` the other way
    /// round: empty ones first.
    fn oldest_but(&self, but: Option<usize>) -> Option<usize> {
        self.slots
            .iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != but)
            .min_by_key(|(_, slot)| match but {
                None => (false, slot.used),
                Some(_) => (slot.tokens.is_empty(), slot.used),
            })
            .map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots used in the order given.
    fn slots(held: &[&[Token]]) -> Slots {
        let mut slots = Slots::new(held.len());
        for (index, tokens) in held.iter().enumerate() {
            slots.begin(index, tokens);
        }
        slots
    }

    fn check(held: &[&[Token]], prompt: &[Token], expected: Plan) {
        assert_eq!(
            slots(held).plan(prompt),
            expected,
            "held {held:?}, prompt {prompt:?}"
        );
    }

    fn use_slot(slot: usize, keep: usize) -> Plan {
        Plan {
            slot,
            keep,
            copy_from: None,
        }
    }

    #[test]
    fn the_longest_common_beginning_is_kept() {
        check(
            &[&[1, 2, 3], &[1, 2, 3, 4], &[9]],
            &[1, 2, 3, 4, 5],
            use_slot(1, 4),
        );
        check(&[&[1, 2, 3], &[7]], &[1, 2, 9], use_slot(0, 2));
        check(&[&[1, 2, 8, 8], &[1, 2]], &[1, 2, 9], use_slot(1, 2));
    }

    #[test]
    fn with_nothing_in_common_the_oldest_goes() {
        check(&[&[1], &[2], &[3]], &[4], use_slot(0, 0));
        check(&[&[1]], &[4], use_slot(0, 0));
        let mut used = slots(&[&[1], &[2]]);
        used.begin(0, &[5]);
        assert_eq!(used.plan(&[4]), use_slot(1, 0));
        used.forget(0);
        assert_eq!(
            used.plan(&[4]),
            use_slot(0, 0),
            "an empty one before the oldest"
        );
    }

    #[test]
    fn the_last_token_is_always_evaluated() {
        check(&[&[1, 2, 3]], &[1, 2, 3], use_slot(0, 2));
        check(&[&[1, 2, 3, 4]], &[1, 2], use_slot(0, 1));
        check(&[&[1]], &[1], use_slot(0, 0));
        check(&[&[1]], &[], use_slot(0, 0));
    }

    #[test]
    fn a_long_tail_is_not_thrown_away() {
        let long: Vec<Token> = (0..1000).collect();
        let other: Vec<Token> = (0..100).chain([7, 7, 7]).collect();
        check(
            &[&[5], &long],
            &other,
            Plan {
                slot: 0,
                keep: 100,
                copy_from: Some(1),
            },
        );
        // With one slot there is no room for both.
        check(&[&long], &other, use_slot(0, 100));
        // The oldest is the one it comes from.
        check(&[&long, &[5]], &other, use_slot(0, 100));
    }

    #[test]
    fn a_full_cache_gives_up_the_oldest_other_one() {
        let mut full = slots(&[&[1], &[2], &[3]]);
        assert_eq!(full.victim(0), Some(1));
        full.forget(1);
        assert_eq!(full.victim(0), Some(2));
        full.forget(2);
        assert_eq!(full.victim(0), None);
    }

    #[test]
    fn replies_are_part_of_what_is_kept() {
        let mut held = slots(&[&[1, 2]]);
        held.extend(0, &[3, 4]);
        assert_eq!(held.plan(&[1, 2, 3, 4, 5]), use_slot(0, 4));
    }
}
