//! XHTML for a reader of HTML: `<title/>` is an empty element in the one and an open one in the other,
//! which would swallow the chapter.

/// Elements of HTML that have no end (HTML Standard, 13.1.2).
const VOID: [&str; 14] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source",
    "track", "wbr",
];

/// `source` with `<x/>` written as `<x></x>`, but for elements that have no end.
pub(super) fn without_self_closing(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = markup_length(rest);
        let markup = &rest[..length];
        let name = tag_name(markup);
        match markup.strip_suffix("/>") {
            Some(open)
                if !name.is_empty() && !VOID.contains(&name.to_ascii_lowercase().as_str()) =>
            {
                out.push_str(open);
                out.push_str("></");
                out.push_str(name);
                out.push('>');
            }
            _ => out.push_str(markup),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// Bytes of the tag, comment or other markup that `rest` begins with.
fn markup_length(rest: &str) -> usize {
    for (open, close) in [("<!--", "-->"), ("<![CDATA[", "]]>")] {
        if rest.starts_with(open) {
            return rest.find(close).map_or(rest.len(), |at| at + close.len());
        }
    }
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (byte, quote) {
            (b'"' | b'\'', None) => quote = Some(byte),
            (_, Some(open)) if byte == open => quote = None,
            (b'>', None) => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Of an opening tag; empty for anything else.
fn tag_name(markup: &str) -> &str {
    let inside = &markup[1..];
    if !inside.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let end = inside.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == ':'));
    &inside[..end.unwrap_or(inside.len())]
}

/// Whether there is a heading.
pub(super) fn has_heading(source: &str) -> bool {
    source.match_indices('<').any(|(at, _)| {
        let tag = source.as_bytes().get(at + 1..at + 4);
        tag.is_some_and(
            |t| matches!(t, [b'h' | b'H', b'1'..=b'6', after] if !after.is_ascii_alphanumeric()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_elements_are_closed() {
        for (given, expected) in [
            ("<title/><p>x</p>", "<title></title><p>x</p>"),
            ("<a id='1' />b<br/>", "<a id='1' ></a>b<br/>"),
            ("<p title='a/>b'>x", "<p title='a/>b'>x"),
            (
                "<!-- <p/> --><![CDATA[<p/>]]><?x/>",
                "<!-- <p/> --><![CDATA[<p/>]]><?x/>",
            ),
            ("1 < 2 <svg:g/>", "1 < 2 <svg:g/>"),
            ("<", "<"),
            ("<p", "<p"),
            ("<ü/>", "<ü/>"),
        ] {
            assert_eq!(without_self_closing(given), expected);
        }
    }

    #[test]
    fn headings_are_seen() {
        assert!(has_heading("<p>a</p><h2 class='x'>b</h2>"));
        assert!(!has_heading("<hr/><h7>x</h7><head><th>"));
        assert!(!has_heading("<h1"));
    }
}
