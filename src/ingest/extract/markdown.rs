//! Markdown: the source is the stored text, so that a quotation is what the author wrote; headings
//! become sections. `#` in code fences and in front matter is no heading.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, MetadataBlockKind, Options, Parser, Tag, TagEnd};

use crate::domain::MediaType;

use super::{
    Engine, ExtractError, Extracted, Limits, decode, draft::Draft, inline::one_line, unpaged,
};

/// Reads a Markdown document.
pub(super) fn extract(bytes: &[u8], limits: &Limits) -> Result<Extracted, ExtractError> {
    let mut draft = Draft::new(limits);
    draft.push(&decode::decode(bytes, None))?;
    let outline = outline(draft.text());
    let first = outline.headings.iter().min_by_key(|h| h.level);
    let title = outline
        .title
        .or_else(|| first.filter(|h| h.level == 1).map(|h| h.words.clone()));
    for heading in &outline.headings {
        draft.heading_at(heading.range.start as u64, heading.level, &heading.words);
    }
    let (text, sections) = draft.finish();
    Ok(unpaged(
        MediaType::Markdown,
        Engine::Text,
        title,
        text,
        sections,
    ))
}

#[derive(Default)]
struct Outline {
    /// From the front matter.
    title: Option<String>,
    headings: Vec<Heading>,
}

struct Heading {
    level: u8,
    range: Range<usize>,
    words: String,
}

fn outline(source: &str) -> Outline {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS;
    let mut outline = Outline::default();
    let mut open: Option<Heading> = None;
    let mut metadata: Option<(MetadataBlockKind, String)> = None;
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                open = Some(Heading {
                    level: depth(level),
                    range,
                    words: String::new(),
                });
            }
            Event::End(TagEnd::Heading(_)) => outline.headings.extend(open.take()),
            Event::Start(Tag::MetadataBlock(kind)) => metadata = Some((kind, String::new())),
            Event::End(TagEnd::MetadataBlock(_)) => {
                if let Some((kind, source)) = metadata.take() {
                    outline.title = outline.title.or_else(|| front_matter_title(kind, &source));
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some(heading) = &mut open {
                    heading.words.push_str(&words);
                } else if let Some((_, source)) = &mut metadata {
                    source.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(heading) = &mut open {
                    heading.words.push(' ');
                }
            }
            _ => {}
        }
    }
    outline
}

/// The value of `title` on a line of its own, in YAML (`title: …`) or TOML (`title = …`).
fn front_matter_title(kind: MetadataBlockKind, source: &str) -> Option<String> {
    let sign = match kind {
        MetadataBlockKind::YamlStyle => ':',
        MetadataBlockKind::PlusesStyle => '=',
    };
    source.lines().find_map(|line| {
        let (key, value) = line.split_once(sign)?;
        let value = one_line(value.trim().trim_matches(['"', '\'']));
        (key.trim() == "title" && !value.is_empty()).then_some(value)
    })
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
