//! Stop texts: where one appears the reply ends, and none of it may be seen, even when it comes in
//! pieces over several tokens.

/// What may be shown after a piece of text came in.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed {
    /// Shown; the reply goes on.
    On(String),
    /// Shown, and then a stop text began: the reply is over.
    Stopped(String),
}

/// Passes text through, holding back whatever may turn out to be the beginning of a stop text.
#[derive(Debug)]
pub struct StopFilter {
    stops: Vec<String>,
    /// Always a proper prefix of one of `stops`.
    held: String,
}

impl StopFilter {
    /// Empty stop texts would end every reply at once; they are left out.
    pub fn new(stops: &[String]) -> Self {
        let stops = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .cloned()
            .collect();
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Takes text and says what may be shown. Of several stop texts the one that begins first wins.
    pub fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        if let Some(at) = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop))
            .min()
        {
            let mut shown = std::mem::take(&mut self.held);
            shown.truncate(at);
            return Passed::Stopped(shown);
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| begun(&self.held, stop))
            .max()
            .unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        Passed::On(std::mem::replace(&mut self.held, held))
    }

    /// What was held back, when the reply ends without a stop text.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that `stop` begins with, and is not the whole of.
fn begun(text: &str, stop: &str) -> usize {
    stop.char_indices()
        .map(|(at, _)| at)
        .rev()
        .find(|&length| text.ends_with(&stop[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown after each piece; the last entry is `|` when it stopped, else what `finish` gives.
    fn check(stops: &[&str], pieces: &[&str], expected: &[&str]) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut filter = StopFilter::new(&stops);
        let mut got = Vec::new();
        let mut stopped = false;
        for piece in pieces {
            match filter.push(piece) {
                Passed::On(text) => got.push(text),
                Passed::Stopped(text) => {
                    got.push(text);
                    stopped = true;
                    break;
                }
            }
        }
        got.push(if stopped {
            "|".to_owned()
        } else {
            filter.finish()
        });
        assert_eq!(got, expected, "stops {stops:?}, pieces {pieces:?}");
    }

    #[test]
    fn a_stop_text_is_never_seen() {
        check(&[], &["a", "b"], &["a", "b", ""]);
        check(&["END"], &["the END of"], &["the ", "|"]);
        check(&["END"], &["the E", "N", "D of"], &["the ", "", "", "|"]);
        check(
            &["END"],
            &["the E", "N", "GINE"],
            &["the ", "", "ENGIN", "E"],
        );
        check(&["END"], &["EN"], &["", "EN"]);
        check(&["END"], &["EEN", "D"], &["E", "", "|"]);
        check(&["aab"], &["aaa", "b"], &["a", "", "|"]);
        check(
            &["\n\n"],
            &["one\n", "two\n", "\nthree"],
            &["one", "\ntwo", "", "|"],
        );
        check(&["xyz", "yq"], &["axy", "q"], &["a", "x", "|"]);
        check(&["b", "abc"], &["abc"], &["", "|"]);
        check(&["é!"], &["caf", "é", "!"], &["caf", "", "", "|"]);
        check(&[""], &["a"], &["a", ""]);
    }
}
