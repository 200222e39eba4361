//! What styles change about the text: how lists are counted, what is hidden, what is a title.

use std::{
    collections::{HashMap, HashSet},
    io::BufRead,
};

use super::super::{
    ExtractError,
    xml::{self, Node},
};

/// Levels of a list (OpenDocument 1.3, 16.30: ten).
pub(super) const LEVELS: usize = 10;

/// Styles of one document.
const MAX_STYLES: usize = 50_000;

/// How far parents are followed, which may run in a circle.
const MAX_STEPS: usize = 12;

/// How the items of one level are marked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Level {
    #[default]
    Bullet,
    /// The kind of number (`1`, `a`, `I`, or empty for none) and what stands around it.
    Number {
        format: String,
        prefix: String,
        suffix: String,
        start: u32,
    },
}

/// By name.
#[derive(Default)]
pub(super) struct Styles {
    lists: HashMap<String, Vec<Level>>,
    hidden: HashSet<String>,
    parents: HashMap<String, String>,
}

impl Styles {
    pub(super) fn level(&self, list: &str, depth: usize) -> Option<&Level> {
        self.lists.get(list)?.get(depth.min(LEVELS - 1))
    }

    pub(super) fn is_hidden(&self, style: &str) -> bool {
        self.lineage(style).any(|name| self.hidden.contains(name))
    }

    pub(super) fn is_title(&self, style: &str) -> bool {
        self.lineage(style).any(|name| name == "Title")
    }

    /// The style and its parents.
    fn lineage<'a>(&'a self, style: &'a str) -> impl Iterator<Item = &'a str> {
        let parent = |name: &&'a str| self.parents.get(*name).map(String::as_str);
        std::iter::successors(Some(style), parent).take(MAX_STEPS)
    }

    /// Reads the styles of `styles.xml`, or those at the beginning of `content.xml`.
    pub(super) fn read(&mut self, part: impl BufRead) -> Result<(), ExtractError> {
        let mut style: Option<String> = None;
        let mut list: Option<(String, Vec<Level>)> = None;
        let mut in_body = false;
        xml::read(part, |node| {
            match node {
                _ if in_body => {}
                Node::Open(tag) => match tag.name {
                    "body" => in_body = true,
                    "style" => {
                        style = tag.attr("name");
                        if let (Some(name), Some(parent)) = (&style, tag.attr("parent-style-name"))
                            && self.parents.len() < MAX_STYLES
                        {
                            self.parents.insert(name.clone(), parent);
                        }
                    }
                    "text-properties" => {
                        if tag.attr("display").as_deref() == Some("none")
                            && let Some(name) = &style
                            && self.hidden.len() < MAX_STYLES
                        {
                            self.hidden.insert(name.clone());
                        }
                    }
                    "list-style" => list = tag.attr("name").map(|name| (name, Vec::new())),
                    "list-level-style-bullet"
                    | "list-level-style-image"
                    | "list-level-style-number" => {
                        let at = tag.number("level").unwrap_or(1_usize).clamp(1, LEVELS) - 1;
                        if let Some((_, levels)) = &mut list {
                            if levels.len() <= at {
                                levels.resize(at + 1, Level::Bullet);
                            }
                            if tag.is("list-level-style-number") {
                                levels[at] = Level::Number {
                                    format: tag.attr("num-format").unwrap_or_default(),
                                    prefix: tag.attr("num-prefix").unwrap_or_default(),
                                    suffix: tag.attr("num-suffix").unwrap_or_default(),
                                    start: tag.number("start-value").unwrap_or(1),
                                };
                            }
                        }
                    }
                    _ => {}
                },
                Node::Close("style") => style = None,
                Node::Close("list-style") => {
                    if let Some((name, levels)) = list.take()
                        && self.lists.len() < MAX_STYLES
                    {
                        self.lists.insert(name, levels);
                    }
                }
                Node::Close(_) | Node::Text(_) => {}
            }
            Ok(())
        })
    }
}
