//! What a client sees of the tokens: whole characters, up to a stop text, each with the
//! log-probabilities of the tokens that made it.
//!
//! Pure. Knows neither model nor channel.

use std::collections::VecDeque;

use crate::{
    text::{
        stop::{Passed, StopFilter},
        utf8::Utf8Assembler,
    },
    wire::reply::TokenLogprob,
};

/// A piece of the reply that may be sent.
#[derive(Debug, Default, PartialEq)]
pub struct Sendable {
    pub text: String,
    pub logprobs: Vec<TokenLogprob>,
}

impl Sendable {
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.logprobs.is_empty()
    }
}

/// Turns tokens into pieces.
#[derive(Debug)]
pub struct Outgoing {
    characters: Utf8Assembler,
    stops: StopFilter,
    /// Bytes of text made, and sent.
    made: usize,
    sent: usize,
    /// Log-probabilities not sent yet, each with where its token's text begins.
    waiting: VecDeque<(usize, TokenLogprob)>,
}

impl Outgoing {
    pub fn new(stops: &[String]) -> Self {
        Self {
            characters: Utf8Assembler::default(),
            stops: StopFilter::new(stops),
            made: 0,
            sent: 0,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a token's bytes. Returns what may be sent, and whether a stop text has ended the reply.
    pub fn push(&mut self, bytes: &[u8], logprob: Option<TokenLogprob>) -> (Sendable, bool) {
        if let Some(logprob) = logprob {
            self.waiting.push_back((self.made, logprob));
        }
        let text = self.characters.push(bytes);
        self.made += text.len();
        match self.stops.push(&text) {
            Passed::On(text) => (self.release(text), false),
            Passed::Stopped(text) => {
                let piece = self.release(text);
                self.waiting.clear();
                (piece, true)
            }
        }
    }

    /// The rest, when the reply ends otherwise than by a stop text.
    pub fn finish(&mut self) -> Sendable {
        let broken = self.characters.finish();
        // A character that broke off cannot complete a stop text of whole characters.
        let mut text = match self.stops.push(&broken) {
            Passed::On(text) | Passed::Stopped(text) => text,
        };
        text.push_str(&self.stops.finish());
        let mut piece = self.release(text);
        piece
            .logprobs
            .extend(self.waiting.drain(..).map(|(_, logprob)| logprob));
        piece
    }

    fn release(&mut self, text: String) -> Sendable {
        self.sent += text.len();
        let mut logprobs = Vec::new();
        while self
            .waiting
            .front()
            .is_some_and(|(begin, _)| *begin < self.sent)
        {
            logprobs.extend(self.waiting.pop_front().map(|(_, logprob)| logprob));
        }
        Sendable { text, logprobs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logprob(token: &[u8]) -> TokenLogprob {
        TokenLogprob {
            token: String::from_utf8_lossy(token).into_owned(),
            logprob: -1.0,
            bytes: token.to_vec(),
            top_logprobs: Vec::new(),
        }
    }

    /// For each token `text/tokens`; the last entry is `|` after a stop, else what `finish` gives.
    fn check(stops: &[&str], tokens: &[&[u8]], expected: &[&str]) {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut outgoing = Outgoing::new(&stops);
        let shown = |piece: Sendable| {
            let tokens: Vec<String> = piece
                .logprobs
                .into_iter()
                .map(|logprob| logprob.token)
                .collect();
            format!("{}/{}", piece.text, tokens.join(","))
        };
        let mut got = Vec::new();
        for token in tokens {
            let (piece, stopped) = outgoing.push(token, Some(logprob(token)));
            got.push(shown(piece));
            if stopped {
                got.push("|".to_owned());
                assert_eq!(got, expected);
                return;
            }
        }
        got.push(shown(outgoing.finish()));
        assert_eq!(got, expected, "{stops:?} {tokens:?}");
    }

    #[test]
    fn log_probabilities_come_with_their_text() {
        check(&[], &[b"a", b"b"], &["a/a", "b/b", "/"]);
        check(&[], &[b"\xc3", b"\xa9"], &["/", "é/\u{fffd},\u{fffd}", "/"]);
        check(&[], &[b"a", b"\xc3"], &["a/a", "/", "\u{fffd}/\u{fffd}"]);
        check(
            &["END"],
            &[b"x", b"E", b"N", b"D"],
            &["x/x", "/", "/", "/", "|"],
        );
        check(&["END"], &[b"xE", b"ND"], &["x/xE", "/", "|"]);
        check(&["END"], &[b"E", b"N", b"x"], &["/", "/", "ENx/E,N,x", "/"]);
        check(&["END"], &[b"E", b"N"], &["/", "/", "EN/E,N"]);
        check(&[], &[b"", b"a"], &["/", "a/,a", "/"]);
    }
}
