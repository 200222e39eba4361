//! XML parts as a stream of tags and text. What makes XML dangerous is refused: declarations of entities
//! and the like, and nesting deeper than any program writes. A document type that only names a DTD is
//! passed over, as e-books have one; nothing is ever fetched. Names come without their prefix, since
//! producers differ in prefixes and the elements read here are told apart without.

use std::{
    borrow::Cow,
    io::{self, BufRead, Read},
};

use quick_xml::{
    Reader,
    events::{BytesStart, Event},
};

use crate::domain::FailureCode;

use super::{ExtractError, decode};

/// A table in a table costs three elements, a paragraph in it three more; nobody nests a hundred tables.
const MAX_DEPTH: usize = 1_000;

/// Bytes of a part in UTF-16, which is decoded as a whole.
const MAX_UTF16_BYTES: u64 = 64 * 1024 * 1024;

/// What the stream consists of. An empty element is an `Open` and a `Close`.
#[derive(Clone, Copy)]
pub(super) enum Node<'a> {
    Open(&'a Tag<'a>),
    /// The name.
    Close(&'a str),
    Text(&'a str),
}

/// An opening tag.
pub(super) struct Tag<'a> {
    pub(super) name: &'a str,
    start: &'a BytesStart<'a>,
}

impl Tag<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The value of the attribute of that name, whatever its prefix.
    pub(super) fn attr(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        attributes
            .with_checks(false)
            .flatten()
            .find(|a| a.key.local_name().as_ref() == name.as_bytes())
            .map(|a| {
                let raw = String::from_utf8_lossy(&a.value);
                let value = quick_xml::escape::unescape(&raw);
                value.map_or_else(|_| raw.to_string(), Cow::into_owned)
            })
    }

    /// The value of an attribute `id` with a prefix: a relationship's identifier (`r:id`), which stands
    /// beside an `id` of the element's own.
    pub(super) fn relation(&self) -> Option<String> {
        self.prefixed("id")
    }

    /// The value of the attribute of that name that has a prefix.
    pub(super) fn prefixed(&self, name: &str) -> Option<String> {
        let mut attributes = self.start.attributes();
        attributes
            .with_checks(false)
            .flatten()
            .find(|a| a.key.local_name().as_ref() == name.as_bytes() && a.key.prefix().is_some())
            .map(|a| String::from_utf8_lossy(&a.value).into_owned())
    }

    /// The value of an attribute as a number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.attr(name)?.trim().parse().ok()
    }

    /// A boolean property (`<w:b/>`, `<w:b w:val="0"/>`): present means true.
    pub(super) fn is_on(&self) -> bool {
        !matches!(self.attr("val").as_deref(), Some("0" | "false" | "off"))
    }
}

/// Calls `visit` for each node, in order.
///
/// # Errors
/// `damaged` when the part is not well-formed or holds what is refused, `too_large` when it inflates
/// past its bound, and whatever `visit` gives.
pub(super) fn read(
    mut source: impl BufRead,
    mut visit: impl FnMut(Node<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let head = source.fill_buf().map_err(|e| unreadable(&e))?;
    let head = [head.first().copied(), head.get(1).copied()];
    match head {
        [Some(0xff), Some(0xfe)]
        | [Some(0xfe), Some(0xff)]
        | [Some(b'<'), Some(0)]
        | [Some(0), Some(b'<')] => {
            let mut bytes = Vec::new();
            let mut bounded = source.take(MAX_UTF16_BYTES);
            bounded
                .read_to_end(&mut bytes)
                .map_err(|e| unreadable(&e))?;
            // Without a mark the bytes of markup decide, which `decode` sees.
            let text = decode::decode(&bytes, None);
            drop(bytes);
            stream(text.as_bytes(), &mut visit)
        }
        _ => stream(source, &mut visit),
    }
}

fn stream(
    source: impl BufRead,
    visit: &mut impl FnMut(Node<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let mut reader = Reader::from_reader(source);
    let config = reader.config_mut();
    config.check_end_names = true;
    config.allow_dangling_amp = true;
    let mut buffer = Vec::new();
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        match reader
            .read_event_into(&mut buffer)
            .map_err(|e| malformed(&e))?
        {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(refused("its elements are nested too deep"));
                }
                open(&start, visit)?;
            }
            Event::Empty(start) => {
                open(&start, visit)?;
                let name = start.local_name();
                visit(Node::Close(&String::from_utf8_lossy(name.as_ref())))?;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                let name = end.local_name();
                visit(Node::Close(&String::from_utf8_lossy(name.as_ref())))?;
            }
            Event::Text(text) => visit(Node::Text(&String::from_utf8_lossy(&text)))?,
            Event::CData(text) => visit(Node::Text(&String::from_utf8_lossy(&text)))?,
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name);
                let source = format!("&{name};");
                // Only characters and the five entities of XML itself; others stay as they stand.
                let text = quick_xml::escape::unescape(&source);
                visit(Node::Text(&text.unwrap_or(Cow::Borrowed(&source))))?;
            }
            // What is declared stands in brackets: entities, which multiply or point outside.
            Event::DocType(declared) if declared.contains(&b'[') => {
                return Err(refused("it declares entities of its own"));
            }
            Event::Eof if depth > 0 => return Err(refused("it ends in the middle")),
            Event::Eof => return Ok(()),
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
}

fn open(
    start: &BytesStart<'_>,
    visit: &mut impl FnMut(Node<'_>) -> Result<(), ExtractError>,
) -> Result<(), ExtractError> {
    let name = start.local_name();
    let name = String::from_utf8_lossy(name.as_ref());
    visit(Node::Open(&Tag { name: &name, start }))
}

fn refused(why: &str) -> ExtractError {
    ExtractError::new(
        FailureCode::Damaged,
        format!("the file is damaged or made to do harm: its XML is not read because {why}"),
    )
}

fn malformed(error: &quick_xml::Error) -> ExtractError {
    match error {
        quick_xml::Error::Io(error) => unreadable(error),
        error => ExtractError::new(
            FailureCode::Damaged,
            format!("the file is damaged: its XML is malformed ({error})"),
        ),
    }
}

pub(super) fn unreadable(error: &io::Error) -> ExtractError {
    if error.kind() == io::ErrorKind::FileTooLarge {
        return ExtractError::new(
            FailureCode::TooLarge,
            "the file inflates to more than can be read; split the document",
        );
    }
    ExtractError::new(
        FailureCode::Damaged,
        format!("the file is damaged: a part of it does not unpack ({error})"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(source: &[u8]) -> Result<String, ExtractError> {
        let mut out = String::new();
        read(source, |node| {
            match node {
                Node::Open(tag) => {
                    out += &format!("<{}{}>", tag.name, tag.attr("val").unwrap_or_default());
                }
                Node::Close(name) => out += &format!("</{name}>"),
                Node::Text(text) => out += text,
            }
            Ok(())
        })?;
        Ok(out)
    }

    #[test]
    fn streams() {
        let source = b"<?xml version=\"1.0\"?><w:a w:val=\"x&amp;y\">1 &lt; &#50;&nope;<b/><![CDATA[<c>]]></w:a>";
        assert_eq!(collect(source).unwrap(), "<ax&y>1 < 2&nope;<b></b><c></a>");
        let utf16: Vec<u8> = "<a>hello, world</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(collect(&utf16).unwrap(), "<a>hello, world</a>");
    }

    #[test]
    fn a_document_type_that_declares_nothing_is_passed_over() {
        let source = b"<!DOCTYPE a PUBLIC \"-//x\" \"http://127.0.0.1:9/x.dtd\"><a>b</a>";
        assert_eq!(collect(source).unwrap(), "<a>b</a>");
    }

    #[test]
    fn refuses_what_is_dangerous() {
        for source in [
            b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>".to_vec(),
            b"<a>".repeat(MAX_DEPTH + 1),
            b"<a><b></a>".to_vec(),
            b"<a>".to_vec(),
        ] {
            assert_eq!(collect(&source).unwrap_err().code, FailureCode::Damaged);
        }
    }
}
