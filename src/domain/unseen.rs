//! Characters that are in a text and not on the page: they can hide words from a reader, or show them
//! in another order than they stand in.

/// Characters that a renderer leaves out (`Default_Ignorable_Code_Point` of the Unicode Character
/// Database 16.0, and the interlinear annotation marks), among them the tags U+E0020 to U+E007F, with
/// which a whole sentence can be written that nobody sees.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The joiner and the non-joiner: unseen too, but they shape the letters beside them in Persian, in the
/// scripts of India and in emoji, and hide nothing.
#[must_use]
pub fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Marks that reorder text for the eye (Unicode Standard Annex 9, section 2).
#[must_use]
pub fn is_bidi_control(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen() {
        for c in "\u{200b}\u{200d}\u{ad}\u{202e}\u{2060}\u{feff}\u{fe0f}\u{e0041}\u{e0100}".chars()
        {
            assert!(is_unseen(c), "{c:?}");
        }
        for c in "a ä 字 ـ\u{301}\u{a0}‹".chars() {
            assert!(!is_unseen(c) && !is_bidi_control(c), "{c:?}");
        }
        assert!(is_joiner('\u{200c}') && is_joiner('\u{200d}') && !is_joiner('\u{200b}'));
        assert!(('\u{2066}'..='\u{2069}').all(|c| is_bidi_control(c) && is_unseen(c)));
    }
}
