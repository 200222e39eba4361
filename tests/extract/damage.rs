//! Documents of the project's own, damaged at random: no reader panics on any, and what comes out is
//! whole. In this process, because here a panic is what is looked for.

use griot::ingest::extract::{Extracted, Limits, extract};
use proptest::prelude::*;

use crate::make::{self, docx, p, p_with, shape};

fn read(bytes: &[u8], name: &str) -> Option<Extracted> {
    match extract(bytes, name, &Limits::default(), &mut |_| {}) {
        Ok(extracted) => {
            assert_eq!(extracted.check(), Ok(()), "{name}");
            Some(extracted)
        }
        Err(error) => {
            assert!(!error.message.is_empty(), "{name}");
            None
        }
    }
}

/// Files of parts, before they are packed.
fn packages() -> Vec<(&'static str, Vec<(String, String)>)> {
    let slide = [
        shape("title", &["Rivers"]),
        shape("body", &["Text", "of the slide"]),
        "<p:graphicFrame><a:tbl><a:tr><a:tc gridSpan='2' rowSpan='2'><a:txBody><a:p><a:r><a:t>a</a:t></a:r></a:p></a:txBody></a:tc></a:tr></a:tbl></p:graphicFrame>".to_owned(),
    ]
    .concat();
    let sheet = r#"<sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>
        <row r="2"><c r="A2"><v>7</v></c><c r="B2" s="1"><v>45356.25</v></c></row></sheetData><mergeCells><mergeCell ref="A1:A2"/></mergeCells>"#;
    let styles = r##"<numFmts><numFmt numFmtId="165" formatCode="#,##0.0%;[Red]\(0\);&quot;-&quot;"/></numFmts><cellXfs><xf numFmtId="14"/><xf numFmtId="165"/></cellXfs>"##;
    let text = r#"<text:h text:outline-level="2">Findings</text:h><text:list text:style-name="L1"><text:list-item text:start-value="3"><text:p>one</text:p></text:list-item></text:list>
        <table:table><table:table-row><table:table-cell table:number-columns-spanned="2"><text:p>a</text:p></table:table-cell></table:table-row></table:table><text:p>b<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>c</text:p></text:note-body></text:note></text:p>"#;
    let lists = r#"<text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="i"/></text:list-style>"#;
    let chapter = r#"<html><head><title/></head><body><h1>One</h1><p>First<br/>words.</p><table><tr><td rowspan="3">a</td></tr></table></body></html>"#;
    let contents = r#"<nav><a href="text/chapter%200.xhtml">Preface</a></nav>"#;
    vec![
        ("x.pptx", make::pptx_parts(&[&slide, ""], "Notes")),
        (
            "x.xlsx",
            make::xlsx_parts(&[("S", "visible", sheet)], &["Name", "Day"], styles),
        ),
        ("x.odt", make::odt_parts("", lists, text)),
        ("x.epub", make::epub_parts(&[chapter, chapter], contents)),
    ]
}

fn plain() -> Vec<(&'static str, Vec<u8>)> {
    let word = docx(
        &[
            p_with(r#"<w:pStyle w:val="h1"/>"#, "Title"),
            p("Words of it."),
        ]
        .concat(),
        &[("footnotes", "<w:footnotes/>")],
    );
    vec![
        ("x.docx", word),
        (
            "x.rtf",
            br"{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset128 Gothic;}}{\stylesheet{\s1 heading 1;}}\pard\s1 A\'93\'fa\u8364?\par{\footnote b}\trowd\clvmgf\cellx1\cellx2\intbl c\cell d\cell\row{\listtext 1.\tab}e\bin2 xx\par}".to_vec(),
        ),
        (
            "x.eml",
            b"From: a@b\r\nTo: c@d\r\nSubject: =?utf-8?b?w6k=?=\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html; charset=koi8-r\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>a=E9</p>\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: i\r\n\r\nb\r\n--x--\r\n".to_vec(),
        ),
        (
            "x.json",
            br#"{"a": [1, 2.50, {"b": "c\u00e9\n", "d": null}], "e": {"f": true}}"#.to_vec(),
        ),
        ("x.csv", b"Name;Born\nAda;1815\n\"Char\nles\";1791\n".to_vec()),
        ("x.md", b"---\ntitle: x\n---\n# A\n\n```\n# b\n```\n\n| c | d |\n|---|---|\n".to_vec()),
        (
            "x.html",
            b"<!doctype html><title>x</title><h1>a</h1><table><tr><td colspan=2>b<td>c</table><ul><li>d".to_vec(),
        ),
    ]
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(usize),
    Flip(usize, u8),
    Remove(usize, usize),
    Repeat(usize, usize),
    Insert(usize, Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    // What the formats are made of, and what breaks numbers and encodings.
    let pieces = prop::sample::select(vec![
        "<",
        ">",
        "/>",
        "</",
        "\"",
        "&#0;",
        "&amp",
        "{",
        "}",
        "\\",
        "\\u-1?",
        "\\'",
        "[",
        "]",
        ",",
        ":",
        "-1",
        "4294967296",
        "99999999999999999999",
        "1e999",
        "\u{0}",
        "\u{feff}",
        "\u{202e}",
        "é",
        "<!DOCTYPE a>",
        "]]>",
        "\r\n\r\n",
        "--x",
    ]);
    prop_oneof![
        at.prop_map(Damage::Cut),
        (at, any::<u8>()).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        (at, 1_usize..200).prop_map(|(at, length)| Damage::Remove(at, length)),
        (at, 1_usize..200).prop_map(|(at, length)| Damage::Repeat(at, length)),
        (at, pieces).prop_map(|(at, piece)| Damage::Insert(at, piece.as_bytes().to_vec())),
        (at, prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, b)| Damage::Insert(at, b)),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        let length = bytes.len().max(1);
        match damage {
            Damage::Cut(at) => bytes.truncate(at % length),
            Damage::Flip(at, mask) => {
                if let Some(byte) = bytes.get_mut(at % length) {
                    *byte ^= mask;
                }
            }
            Damage::Remove(at, count) => {
                let from = (at % length).min(bytes.len());
                let to = (from + count).min(bytes.len());
                bytes.drain(from..to);
            }
            Damage::Repeat(at, count) => {
                let from = (at % length).min(bytes.len());
                let to = (from + count).min(bytes.len());
                let piece = bytes[from..to].to_vec();
                bytes.splice(to..to, piece);
            }
            Damage::Insert(at, piece) => {
                let from = (at % length).min(bytes.len());
                bytes.splice(from..from, piece.iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn undamaged_they_are_read() {
    for (name, parts) in packages() {
        assert!(read(&make::package(&parts), name).is_some(), "{name}");
    }
    for (name, bytes) in plain() {
        assert!(read(&bytes, name).is_some(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_parts(which in any::<prop::sample::Index>(), part in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..4)) {
        let (name, parts) = which.get(&packages()).clone();
        let part = part.index(parts.len());
        let packed: Vec<(String, Vec<u8>)> = parts
            .into_iter()
            .enumerate()
            .map(|(at, (name, text))| {
                let bytes = text.into_bytes();
                (name, if at == part { damaged(bytes, &damages) } else { bytes })
            })
            .collect();
        let borrowed: Vec<(&str, &[u8])> =
            packed.iter().map(|(name, part)| (name.as_str(), part.as_slice())).collect();
        read(&make::zip(&borrowed), name);
    }

    #[test]
    fn damaged_files(which in any::<prop::sample::Index>(), damages in prop::collection::vec(damage(), 1..4)) {
        let mut files = plain();
        files.extend(packages().into_iter().map(|(name, parts)| (name, make::package(&parts))));
        let (name, bytes) = which.get(&files).clone();
        read(&damaged(bytes, &damages), name);
    }

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000), name in prop::sample::select(vec!["x.rtf", "x.eml", "x.json", "x.csv", "x.md", "x.html", "x"])) {
        read(&bytes, name);
        // Behind the signs by which the kinds are known.
        for sign in ["{\\rtf1 ", "{\"", "[[", "Subject: ", "<html>", "a,b\n"] {
            let whole = [sign.as_bytes(), bytes.as_slice()].concat();
            read(&whole, name);
        }
    }
}
