//! Small models that hear too little repeat themselves. This sees it in the tokens.

/// Tokens in a row that nobody says twice in one breath.
const RUN: usize = 4;

/// Where the first run of four tokens begins that was there before, if one does.
pub fn repetition(tokens: &[i32]) -> Option<usize> {
    (RUN..tokens.len().saturating_sub(RUN - 1)).find(|&at| {
        let run = &tokens[at..at + RUN];
        tokens[..at].windows(RUN).any(|before| before == run)
    })
}

/// Where all that was said begins again and nothing else follows: the rest are copies of it, the last broken off
/// anywhere. A part that is said again may stand for another that was not heard.
pub fn said_again(tokens: &[i32]) -> Option<usize> {
    let most = repetition(tokens)?;
    (1..=most).find(|period| (*period..tokens.len()).all(|n| tokens[n] == tokens[n - period]))
}

/// Where a loop begins: a stretch of up to a dozen tokens that follows itself twice at least, or thrice
/// where it is shorter than a run. Where people do repeat themselves ("never, never") they stop sooner.
pub fn looping(tokens: &[i32]) -> Option<usize> {
    (0..tokens.len()).find_map(|at| {
        (1..=12).find_map(|length| {
            let times = if length < RUN { 4 } else { 3 };
            let whole = tokens.get(at..at + length * times)?;
            let (first, rest) = whole.split_at(length);
            rest.chunks(length)
                .all(|chunk| chunk == first)
                .then_some(at + length)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions() {
        let check = |tokens: &[i32], expected: Option<usize>| {
            assert_eq!(repetition(tokens), expected, "{tokens:?}");
        };
        check(&[], None);
        check(&[1, 2, 3], None);
        check(&[1, 2, 3, 4, 5, 6, 7, 8], None);
        check(&[1, 2, 3, 4, 1, 2, 3, 4], Some(4));
        check(&[1, 2, 3, 4, 9, 1, 2, 3, 5], None);
        check(&[7, 7, 7, 7, 7, 7, 7, 7], Some(4));
        check(&[9, 1, 2, 3, 4, 5, 1, 2, 3, 4], Some(6));
    }

    #[test]
    fn whole_repetitions() {
        let check = |tokens: &[i32], expected: Option<usize>| {
            assert_eq!(said_again(tokens), expected, "{tokens:?}");
        };
        check(&[1, 2, 3, 4, 5, 1, 2, 3, 4, 5], Some(5));
        check(&[1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3], Some(6));
        check(&[1, 2, 3, 1, 2, 3, 1, 2, 3, 1], Some(3));
        check(&[9, 8, 1, 2, 3, 4, 1, 2, 3, 4], None);
        // They went on to something else.
        check(&[1, 2, 3, 4, 5, 1, 2, 3, 4, 6], None);
        check(&[1, 2, 3, 4, 5], None);
    }

    #[test]
    fn loops() {
        let check = |tokens: &[i32], expected: Option<usize>| {
            assert_eq!(looping(tokens), expected, "{tokens:?}");
        };
        check(&[], None);
        check(&[1, 2, 3, 4, 1, 2, 3, 4], None);
        check(&[9, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4], Some(5));
        check(&[5, 5, 5], None);
        check(&[3, 5, 5, 5, 5], Some(2));
    }
}
