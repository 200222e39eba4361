//! A conversation as text on a terminal: what is told becomes what is to be printed. What was printed stays;
//! only the line with the level of the microphone, at the bottom, is wiped away. It prints nothing itself.

use super::{
    super::{ask::one_line, print::shown, search::place},
    message::{Source, Told},
};

/// Of the meter.
const BARS: usize = 12;
/// The meter's ends, dBFS: a quiet room, and speech close to the microphone.
const QUIET: f32 = -60.0;
const LOUD: f32 = -12.0;

/// Who has the open line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Nobody: the cursor is at the beginning of a line.
    None,
    You,
    Griot,
}

/// What is on the screen, as far as it matters for what comes next.
#[derive(Debug)]
pub struct Screen {
    line: Line,
    /// The words of the open turn that are printed.
    captions: String,
    sources: Vec<Source>,
    state: String,
    /// There is a terminal: a meter can be wiped away.
    terminal: bool,
    meter: bool,
}

impl Screen {
    /// An empty one.
    pub fn new(terminal: bool) -> Self {
        Self {
            line: Line::None,
            captions: String::new(),
            sources: Vec::new(),
            state: "listening".to_owned(),
            terminal,
            meter: false,
        }
    }

    /// What is to be printed for a message.
    pub fn told(&mut self, told: &Told) -> String {
        let mut out = String::new();
        match told {
            Told::State { state } => self.state = shown(state, false),
            Told::Partial { text } => self.caption(&mut out, &shown(text, false)),
            Told::Transcript { text } => self.transcript(&mut out, &shown(text, false)),
            Told::Answer { text_delta } => {
                self.open(&mut out, Line::Griot);
                out.push_str(&shown(text_delta, true));
            }
            Told::Citation(source) => self.sources.push(source.clone()),
            Told::Interrupted if self.line == Line::Griot => out.push_str(" … (interrupted)"),
            Told::TurnDone => {
                self.close(&mut out);
                for source in std::mem::take(&mut self.sources) {
                    let place = place(&source.document, source.page, source.section.as_deref());
                    let quote = one_line(&source.quote);
                    let line = format!("  [{}] {place}: “{quote}”", source.n);
                    out.push_str(&shown(&line, false));
                    out.push('\n');
                }
            }
            Told::Degraded { components } => {
                let parts = components.join(", ");
                self.note(
                    &mut out,
                    &format!("without {parts}; `griot status` says why"),
                );
            }
            Told::Handoff { active: true } => {
                self.note(&mut out, "somebody has taken over and answers now");
            }
            Told::Handoff { active: false } => self.note(&mut out, "griot answers again"),
            Told::Error { problem } => self.note(&mut out, &format!("error: {}", problem.detail)),
            Told::Ready { .. } | Told::Interrupted | Told::Duck { .. } | Told::Other => {}
        }
        self.wiped(out)
    }

    /// A line that is no part of the conversation.
    pub fn noted(&mut self, text: &str) -> String {
        let mut out = String::new();
        self.note(&mut out, text);
        self.wiped(out)
    }

    /// The level of the microphone, where there is a line for it. `None`: it is off.
    pub fn level(&mut self, dbfs: Option<f32>) -> String {
        if !self.terminal || self.line != Line::None {
            return String::new();
        }
        self.meter = true;
        let meter = dbfs.map_or_else(|| " ".repeat(BARS), bars);
        format!("\r\u{1b}[K[{meter}] {}", self.state)
    }

    /// Ends whatever is open.
    pub fn end(&mut self) -> String {
        let mut out = String::new();
        self.close(&mut out);
        self.sources.clear();
        self.wiped_anyway(out)
    }

    /// Words of the speaker: what is new of them.
    fn caption(&mut self, out: &mut String, text: &str) {
        self.open(out, Line::You);
        // Captions only ever grow; what does not begin with what is printed is another turn's.
        if let Some(new) = text.strip_prefix(self.captions.as_str()) {
            out.push_str(new);
        } else {
            self.close(out);
            self.open(out, Line::You);
            out.push_str(text);
        }
        text.clone_into(&mut self.captions);
    }

    /// The turn's words as they were understood in the end. Where they are not those of the captions, they
    /// get a line of their own: nothing that was read changes.
    fn transcript(&mut self, out: &mut String, text: &str) {
        let printed = self.line == Line::You && !self.captions.is_empty();
        if printed && folded(&self.captions) == folded(text) {
            self.close(out);
            return;
        }
        if printed && !text.starts_with(self.captions.as_str()) {
            self.close(out);
        }
        self.caption(out, text);
        self.close(out);
    }

    fn note(&mut self, out: &mut String, text: &str) {
        self.close(out);
        out.push_str(&format!("({})\n", shown(text, false)));
    }

    fn open(&mut self, out: &mut String, line: Line) {
        if self.line == line {
            return;
        }
        self.close(out);
        out.push_str(match line {
            Line::None => "",
            Line::You => "you:   ",
            Line::Griot => "griot: ",
        });
        self.line = line;
    }

    fn close(&mut self, out: &mut String) {
        if self.line != Line::None {
            out.push('\n');
        }
        self.line = Line::None;
        self.captions.clear();
    }

    /// With the meter out of the way, if there is something to print.
    fn wiped(&mut self, out: String) -> String {
        if out.is_empty() {
            return out;
        }
        self.wiped_anyway(out)
    }

    fn wiped_anyway(&mut self, out: String) -> String {
        if std::mem::take(&mut self.meter) {
            format!("\r\u{1b}[K{out}")
        } else {
            out
        }
    }
}

/// Words without case and marks.
fn folded(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// How loud it is, as bars.
fn bars(dbfs: f32) -> String {
    let share = ((dbfs - QUIET) / (LOUD - QUIET)).clamp(0.0, 1.0);
    let full = (share * BARS as f32).round() as usize;
    format!("{}{}", "#".repeat(full), ".".repeat(BARS - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(terminal: bool, messages: &[&str]) -> String {
        let mut screen = Screen::new(terminal);
        let mut out = String::new();
        for message in messages {
            if let Some(level) = message.strip_prefix("level ") {
                out.push_str(&screen.level(level.parse().ok()));
            } else {
                out.push_str(&screen.told(&serde_json::from_str(message).unwrap()));
            }
        }
        out + &screen.end()
    }

    const TURN: [&str; 9] = [
        r#"{"type":"state","state":"hearing"}"#,
        r#"{"type":"partial","text":"when is","turn":1}"#,
        r#"{"type":"partial","text":"when is rent","turn":1}"#,
        r#"{"type":"transcript","text":"When is rent due?","turn":1}"#,
        r#"{"type":"answer","text_delta":"Rent is due on","turn":1}"#,
        r#"{"type":"citation","n":1,"document":"lease.pdf","page":3,"quote":"Rent is\npayable","turn":1}"#,
        r#"{"type":"answer","text_delta":" the first day. [1]","turn":1}"#,
        r#"{"type":"turn_done","turn":1,"timings_ms":{}}"#,
        r#"{"type":"state","state":"listening"}"#,
    ];

    #[test]
    fn a_turn() {
        insta::assert_snapshot!(printed(false, &TURN), @r"
        you:   when is rent
        you:   When is rent due?
        griot: Rent is due on the first day. [1]
          [1] lease.pdf, page 3: “Rent is payable”
        ");
    }

    #[test]
    fn captions_that_were_right_are_not_repeated() {
        insta::assert_snapshot!(printed(false, &[
            r#"{"type":"partial","text":"When is","turn":1}"#,
            r#"{"type":"transcript","text":"When is rent due?","turn":1}"#,
            r#"{"type":"partial","text":"And the","turn":2}"#,
            r#"{"type":"partial","text":"And the deposit","turn":2}"#,
            r#"{"type":"transcript","text":"And the deposit?","turn":2}"#,
            r#"{"type":"transcript","text":"Thanks.","turn":3}"#,
        ]), @r"
        you:   When is rent due?
        you:   And the deposit
        you:   Thanks.
        ");
    }

    #[test]
    fn what_disturbs_a_conversation() {
        insta::assert_snapshot!(printed(false, &[
            r#"{"type":"degraded","components":["synthesizer"]}"#,
            r#"{"type":"answer","text_delta":"Rent is due","turn":1}"#,
            r#"{"type":"interrupted","turn":1,"heard_text":"Rent"}"#,
            r#"{"type":"turn_done","turn":1}"#,
            r#"{"type":"partial","text":"Uh","turn":2}"#,
            r#"{"type":"error","problem":{"detail":"the answer broke off; ask again"}}"#,
            r#"{"type":"handoff","active":true}"#,
            r#"{"type":"handoff","active":false}"#,
        ]), @r"
        (without synthesizer; `griot status` says why)
        griot: Rent is due … (interrupted)
        you:   Uh
        (error: the answer broke off; ask again)
        (somebody has taken over and answers now)
        (griot answers again)
        ");
    }

    #[test]
    fn the_meter_is_wiped_away_before_anything_is_printed() {
        let out = printed(
            true,
            &[
                "level -36",
                r#"{"type":"partial","text":"When","turn":1}"#,
                "level -12",
                r#"{"type":"transcript","text":"When?","turn":1}"#,
                "level off",
            ],
        );
        insta::assert_snapshot!(out.replace('\u{1b}', "ESC").replace('\r', "CR"), @r"
        CRESC[K[######......] listeningCRESC[Kyou:   When
        CRESC[K[            ] listeningCRESC[K
        ");
        assert_eq!(
            printed(false, &["level -12"]),
            "",
            "only a terminal has a meter"
        );
    }

    #[test]
    fn nothing_that_a_terminal_obeys_comes_from_a_document() {
        let out = printed(
            false,
            &[
                r#"{"type":"answer","text_delta":"a\u001b[2J\u202e","turn":1}"#,
                r#"{"type":"citation","n":1,"document":"\u009b2J.txt","quote":"\u0007","turn":1}"#,
                r#"{"type":"turn_done","turn":1}"#,
            ],
        );
        assert!(out.chars().all(|c| c == '\n' || !c.is_control()), "{out:?}");
    }

    #[test]
    fn loudness() {
        let check = |dbfs: f32, expected: &str| assert_eq!(bars(dbfs), expected, "{dbfs}");
        check(f32::NEG_INFINITY, "............");
        check(-60.0, "............");
        check(-36.0, "######......");
        check(0.0, "############");
        check(f32::NAN, "............");
    }
}
