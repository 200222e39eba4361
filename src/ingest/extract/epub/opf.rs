//! What an e-book says about itself: where its package document is, which chapters it has in which order,
//! and how the table of contents calls them.

use std::collections::HashMap;

use super::{
    super::{
        ExtractError,
        inline::one_line,
        package::{Package, resolve},
        xml::{self, Node},
    },
    damaged,
};

/// Chapters, and names in the table of contents.
const MAX_CHAPTERS: usize = 20_000;

/// What the package document says.
#[derive(Default)]
pub(super) struct Book {
    pub(super) title: Option<String>,
    /// Parts, in the order they are read in.
    pub(super) chapters: Vec<String>,
    /// By part.
    pub(super) labels: HashMap<String, String>,
}

struct Item {
    part: String,
    media_type: String,
    is_contents: bool,
}

impl Book {
    pub(super) fn open(package: &mut Package<'_>) -> Result<Self, ExtractError> {
        let opf = package_document(package)?;
        let folder = opf.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some(part) = package.part(&opf)? else {
            return Err(damaged("its package document is missing"));
        };
        let mut book = Self::default();
        let mut items: HashMap<String, Item> = HashMap::new();
        let mut spine = Vec::new();
        let mut title = String::new();
        let mut in_title = false;
        xml::read(part, |node| {
            match node {
                Node::Open(tag) => match tag.name {
                    "title" => in_title = title.is_empty(),
                    "item" => {
                        if let (Some(id), Some(href)) = (tag.attr("id"), tag.attr("href"))
                            && items.len() < MAX_CHAPTERS
                        {
                            let properties = tag.attr("properties").unwrap_or_default();
                            items.insert(
                                id,
                                Item {
                                    part: resolve(folder, &decoded(&href)),
                                    media_type: tag.attr("media-type").unwrap_or_default(),
                                    is_contents: properties.split(' ').any(|p| p == "nav"),
                                },
                            );
                        }
                    }
                    "itemref" if spine.len() < MAX_CHAPTERS => spine.extend(tag.attr("idref")),
                    _ => {}
                },
                Node::Close("title") => in_title = false,
                Node::Text(text) if in_title => title.push_str(text),
                Node::Close(_) | Node::Text(_) => {}
            }
            Ok(())
        })?;
        let title = one_line(&title);
        book.title = (!title.is_empty()).then_some(title);
        let chapters = spine.iter().filter_map(|id| items.get(id));
        book.chapters = chapters
            .filter(|item| is_markup(&item.media_type) && !item.is_contents)
            .map(|item| item.part.clone())
            .collect();
        for item in items.values() {
            if item.is_contents {
                book.read_labels(package, &item.part, "a", "href")?;
            }
        }
        if book.labels.is_empty() {
            let ncx = items
                .values()
                .find(|i| i.media_type == "application/x-dtbncx+xml");
            if let Some(item) = ncx {
                book.read_labels(package, &item.part, "navPoint", "src")?;
            }
        }
        Ok(book)
    }

    /// Names of chapters from a table of contents. In EPUB 3 an entry is a link with the name inside, in
    /// EPUB 2 an element that holds the name and then the target. One that cannot be read is done
    /// without.
    fn read_labels(
        &mut self,
        package: &mut Package<'_>,
        contents: &str,
        entry: &str,
        target: &str,
    ) -> Result<(), ExtractError> {
        let folder = contents.rsplit_once('/').map_or("", |(folder, _)| folder);
        let Some(part) = package.part(contents)? else {
            return Ok(());
        };
        let mut label = String::new();
        let mut at: Option<String> = None;
        let labels = &mut self.labels;
        let read = xml::read(part, |node| {
            match node {
                Node::Open(tag) => {
                    if tag.is(entry) {
                        label.clear();
                    }
                    if let Some(href) = tag.attr(target) {
                        let href = decoded(&href);
                        let file = href.split('#').next().unwrap_or_default();
                        at = (!file.is_empty()).then(|| resolve(folder, file));
                    }
                }
                Node::Text(text) if label.len() < 1000 => label.push_str(text),
                Node::Text(_) => {}
                Node::Close(name) => {
                    let complete = name == entry || (name == "content" && entry != "a");
                    if complete && let Some(part) = at.take() {
                        let words = one_line(&label);
                        if !words.is_empty() && labels.len() < MAX_CHAPTERS {
                            // The first entry names the chapter, later ones its parts.
                            labels.entry(part).or_insert(words);
                        }
                    }
                }
            }
            Ok(())
        });
        if read.is_err() {
            self.labels.clear();
        }
        Ok(())
    }
}

/// Where the package document is (`META-INF/container.xml`).
fn package_document(package: &mut Package<'_>) -> Result<String, ExtractError> {
    let mut found = None;
    if let Some(part) = package.part("META-INF/container.xml")? {
        xml::read(part, |node| {
            if let Node::Open(tag) = node
                && tag.is("rootfile")
                && found.is_none()
            {
                found = tag.attr("full-path");
            }
            Ok(())
        })?;
    }
    let path = found.ok_or_else(|| damaged("it does not say where its chapters are"))?;
    Ok(resolve("", &path))
}

fn is_markup(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/xhtml+xml" | "text/html" | "text/x-oeb1-document" | "application/xml" | ""
    )
}

/// A path of a reference with its percent signs undone (RFC 3986, 2.1).
pub(super) fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_signs_are_undone() {
        for (given, expected) in [
            ("a%20b.xhtml", "a b.xhtml"),
            ("K%C3%A4se", "Käse"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
            ("%ff", "\u{fffd}"),
        ] {
            assert_eq!(decoded(given), expected);
        }
    }
}
