//! The machine that is fed with RTF's signs: what each group is for, in which encoding its bytes are, and
//! where its text goes.

mod output;
mod words;

use super::{
    super::{
        ExtractError, Limits,
        draft::Draft,
        inline::{Inline, one_line},
    },
    fonts::{Charset, Fonts},
    lexer::Token,
    stories::{Complete, Join, Kind, Stories},
    styles::Styles,
};
use crate::domain::FailureCode;
use words::{character, destination, story};

/// No program nests a hundred groups.
const MAX_DEPTH: usize = 10_000;

/// Characters that stand in for one of Unicode: one in practice.
const MAX_SUBSTITUTES: i32 = 16;

/// What a group is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Text,
    /// With all that is inside.
    LeftOut,
    Fonts,
    Styles,
    /// The document's properties, and among them the title.
    Properties,
    Title,
    /// The marker of a list item.
    Marker,
    /// Two versions of the same text, of which the one in Unicode is read.
    Versions,
    /// The properties of a row in a table in a table, which also end it.
    NestedRow,
}

#[derive(Clone, Copy)]
struct Group {
    purpose: Purpose,
    font: Option<i32>,
    hidden: bool,
    /// Characters after each one of Unicode that stand in for it.
    substitutes: i32,
    /// A story began with it.
    story: bool,
}

pub(super) struct Reader {
    draft: Draft,
    groups: Vec<Group>,
    begun: bool,
    fonts: Fonts,
    styles: Styles,
    stories: Stories,
    /// Bytes of text that were not decoded yet.
    bytes: Vec<u8>,
    charset: Option<Charset>,
    /// The first half of a character of two (UTF-16).
    surrogate: Option<u16>,
    /// Substitutes still to be passed over.
    to_skip: i32,
    /// The group is to be left out unless its first word is known.
    starred: bool,
    marker: Inline,
    title: String,
    styled_title: Option<String>,
    join: Join,
}

impl Reader {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            draft: Draft::new(limits),
            groups: Vec::new(),
            begun: false,
            fonts: Fonts::default(),
            styles: Styles::default(),
            stories: Stories::new(limits.max_text_bytes),
            bytes: Vec::new(),
            charset: None,
            surrogate: None,
            to_skip: 0,
            starred: false,
            marker: Inline::default(),
            title: String::new(),
            styled_title: None,
            join: Join::Alone,
        }
    }

    /// Whether the document's group was closed; what follows is no part of it.
    pub(super) fn is_done(&self) -> bool {
        self.begun && self.groups.is_empty()
    }

    /// The text and the title.
    pub(super) fn finish(mut self) -> Result<(Draft, Option<String>), ExtractError> {
        // The last brace is forgotten now and then; more than that is a file that was cut.
        if self.groups.len() > 1 {
            return Err(ExtractError::new(
                FailureCode::Damaged,
                "the file is damaged: it ends in the middle",
            ));
        }
        self.decode()?;
        for group in std::mem::take(&mut self.groups) {
            if group.story {
                self.stories.end()?;
            }
        }
        self.end_paragraph()?;
        self.stories.end_table(&mut self.draft)?;
        let title = one_line(&self.title);
        let title = (!title.is_empty()).then_some(title);
        // They are found on the way, where they would interrupt the text.
        for margin in self.stories.take_margins() {
            self.draft.end_block()?;
            self.draft.push(&margin)?;
        }
        Ok((self.draft, title.or(self.styled_title)))
    }

    pub(super) fn token(&mut self, token: Token<'_>) -> Result<(), ExtractError> {
        match token {
            Token::Open => {
                self.decode()?;
                self.to_skip = 0;
                self.open()
            }
            Token::Close => {
                self.decode()?;
                self.to_skip = 0;
                self.close()
            }
            Token::Byte(byte) => {
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                } else {
                    self.byte(&[byte]);
                }
                Ok(())
            }
            Token::Text(text) => {
                let skipped = usize::try_from(self.to_skip).unwrap_or(0).min(text.len());
                self.to_skip -= skipped as i32;
                self.byte(&text[skipped..]);
                Ok(())
            }
            Token::Symbol(symbol) => {
                self.decode()?;
                if self.to_skip > 0 {
                    self.to_skip -= 1;
                    return Ok(());
                }
                self.symbol(symbol)
            }
            Token::Word(word, number) => {
                self.decode()?;
                if self.to_skip > 0 && word != "u" {
                    self.to_skip -= 1;
                    return Ok(());
                }
                self.word(word, number)
            }
        }
    }

    fn group(&mut self) -> Option<&mut Group> {
        self.groups.last_mut()
    }

    fn purpose(&self) -> Purpose {
        self.groups.last().map_or(Purpose::LeftOut, |g| g.purpose)
    }

    fn open(&mut self) -> Result<(), ExtractError> {
        if self.groups.len() == MAX_DEPTH {
            return Err(ExtractError::new(
                FailureCode::Damaged,
                "the file is damaged or made to do harm: its groups are nested too deep",
            ));
        }
        self.begun = true;
        self.starred = false;
        let outer = self.groups.last().copied().unwrap_or(Group {
            purpose: Purpose::Text,
            font: None,
            hidden: false,
            substitutes: 1,
            story: false,
        });
        let purpose = match outer.purpose {
            Purpose::Properties | Purpose::Versions => Purpose::LeftOut,
            purpose => purpose,
        };
        // A style is a group of the table's own; groups inside are about its properties.
        let of_table =
            self.groups.len() < 2 || self.groups[self.groups.len() - 2].purpose != Purpose::Styles;
        if purpose == Purpose::Styles && of_table {
            self.styles.begin();
        }
        self.groups.push(Group {
            purpose,
            story: false,
            ..outer
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), ExtractError> {
        self.starred = false;
        self.surrogate = None;
        let Some(group) = self.groups.pop() else {
            return Ok(());
        };
        if group.story {
            self.stories.end()?;
        }
        if group.purpose == Purpose::Marker && self.purpose() != Purpose::Marker {
            let marker = self.marker.take();
            let marker = marker.trim();
            let says_something = marker.contains(char::is_alphanumeric);
            self.stories.open().paragraph.marker = if says_something {
                marker.to_owned()
            } else {
                "-".to_owned()
            };
        }
        Ok(())
    }

    fn word(&mut self, word: &str, number: Option<i32>) -> Result<(), ExtractError> {
        let starred = std::mem::take(&mut self.starred);
        if self.purpose() == Purpose::LeftOut {
            let outer = self.groups.iter().rev().nth(1).map(|group| group.purpose);
            match (outer, word) {
                (Some(Purpose::Versions), "ud") => self.set_purpose(Purpose::Text),
                (Some(Purpose::Properties), "title") => self.set_purpose(Purpose::Title),
                _ => {}
            }
            return Ok(());
        }
        if let Some(purpose) = destination(word, starred) {
            self.set_purpose(purpose);
            return Ok(());
        }
        match self.purpose() {
            Purpose::Fonts => {
                self.fonts.word(word, number.unwrap_or(0));
                return Ok(());
            }
            Purpose::Styles => self.styles.word(word, number),
            Purpose::NestedRow => {
                if word == "nestrow" {
                    self.end_paragraph()?;
                }
                return Ok(());
            }
            _ => {}
        }
        if let Some(kind) = story(word) {
            if self.purpose() == Purpose::Text {
                self.stories.begin(kind);
                if let Some(group) = self.group() {
                    group.story = true;
                }
            }
            return Ok(());
        }
        if let Some(text) = character(word) {
            return self.text(text);
        }
        match word {
            "u" => return self.unicode(number.unwrap_or(0)),
            "f" => {
                if let Some(group) = self.group() {
                    group.font = number;
                }
            }
            "plain" => {
                if let Some(group) = self.group() {
                    group.font = None;
                    group.hidden = false;
                }
            }
            "v" | "deleted" => {
                if let Some(group) = self.group() {
                    group.hidden = number != Some(0);
                }
            }
            "uc" => {
                let substitutes = number.unwrap_or(1).clamp(0, MAX_SUBSTITUTES);
                if let Some(group) = self.group() {
                    group.substitutes = substitutes;
                }
            }
            "deff" => self.fonts.default = number.unwrap_or(0),
            "ansicpg" => self.fonts.set_document(number.unwrap_or(1252)),
            "mac" => self.fonts.set_document(10_000),
            _ if self.purpose() == Purpose::Text => return self.layout(word, number),
            _ => {}
        }
        Ok(())
    }

    fn set_purpose(&mut self, purpose: Purpose) {
        if let Some(group) = self.group() {
            group.purpose = purpose;
        }
    }

    /// Words about paragraphs and tables.
    fn layout(&mut self, word: &str, number: Option<i32>) -> Result<(), ExtractError> {
        let paragraph = &mut self.stories.open().paragraph;
        match word {
            "par" | "sect" | "page" | "column" => self.end_paragraph()?,
            "line" | "softline" => self.with_line(Inline::line_break),
            "pard" => paragraph.reset(),
            "s" => paragraph.style = number.unwrap_or(0),
            "outlinelevel" => paragraph.outline = number.and_then(|n| u8::try_from(n).ok()),
            "ilvl" => paragraph.list_level = usize::try_from(number.unwrap_or(0)).unwrap_or(0),
            "intbl" => paragraph.in_table = true,
            "cell" => self.stories.end_cell()?,
            "nestcell" => self.with_line(|line| line.flow(" | ")),
            "nestrow" => self.end_paragraph()?,
            "row" => self.stories.end_row(&mut self.draft)?,
            "trowd" => {
                self.stories.joins.clear();
                self.join = Join::Alone;
            }
            "clvmgf" => self.join = Join::Begins,
            "clvmrg" => self.join = Join::Continues,
            "clmrg" => self.join = Join::Covered,
            "cellx" => {
                let join = std::mem::take(&mut self.join);
                // Word allows 63 columns.
                if self.stories.joins.len() < 1000 {
                    self.stories.joins.push(join);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn symbol(&mut self, symbol: u8) -> Result<(), ExtractError> {
        match symbol {
            b'*' => self.starred = true,
            b'\\' | b'{' | b'}' => self.byte(&[symbol]),
            b'~' => return self.text("\u{a0}"),
            b'_' => return self.text("-"),
            b'\n' | b'\r' if self.purpose() == Purpose::Text => return self.end_paragraph(),
            b'\t' => return self.text("\t"),
            _ => {}
        }
        Ok(())
    }

    fn unicode(&mut self, number: i32) -> Result<(), ExtractError> {
        self.to_skip = self.groups.last().map_or(1, |g| g.substitutes);
        // Numbers above 32,767 are written as negative ones; some writers do not.
        let Ok(unit) = u16::try_from(number.rem_euclid(0x1_0000)) else {
            return Ok(());
        };
        if number > 0xffff {
            let c = u32::try_from(number).ok().and_then(char::from_u32);
            return self.text(c.unwrap_or('\u{fffd}').encode_utf8(&mut [0; 4]));
        }
        let units = match (self.surrogate.take(), unit) {
            (None, 0xd800..=0xdbff) => {
                self.surrogate = Some(unit);
                return Ok(());
            }
            (Some(first), 0xdc00..=0xdfff) => vec![first, unit],
            (_, unit) => vec![unit],
        };
        self.text(&String::from_utf16_lossy(&units))
    }
}
