use super::*;
use crate::domain::FailureCode;

fn read(source: &[u8]) -> Result<Extracted, ExtractError> {
    let extracted = extract(source, &Limits::default())?;
    assert_eq!(extracted.check(), Ok(()));
    Ok(extracted)
}

#[track_caller]
fn check(body: &str, expected: &str) {
    let source = format!("{{\\rtf1\\ansi\\ansicpg1252\\deff0{body}}}");
    assert_eq!(read(source.as_bytes()).unwrap().text, expected);
}

#[test]
fn characters_in_all_their_ways() {
    check(
        "caf\\'e9 \\u8364? \\emdash\\~x\\_y\\{z\\}",
        "café € — x-y{z}",
    );
    check("\\u-10179?\\u-8704?", "😀");
    check("\\uc0\\u233 t\\uc2\\u233\\'65\\'27t", "étét");
    check("{\\uc1 a\\u228 ?}b", "aäb");
    check("{\\upr{ansi?}{\\*\\ud{\\u26085?unicode}}}", "日unicode");
    check("a\\line b\\\nc", "a\nb\n\nc");
}

#[test]
fn fonts_decide_the_encoding() {
    check(
        "{\\fonttbl{\\f0\\fcharset0 Arial;}{\\f1\\fcharset204 Arial CYR;}{\\f2\\fcharset128 Gothic;}{\\f3\\fcharset2 Symbol;}}\
         {\\f1\\'cf\\'f0\\'e8\\'e2\\'e5\\'f2} {\\f2\\'93\\'fa\\'96{}\\'7b} \\'fc\\f3\\'b7\\'f0",
        "Привет 日\u{fffd}{ ü•",
    );
    check(
        "{\\fonttbl{\\f2\\fcharset128 Gothic;}}{\\f2\\'93\\'fa\\'96{\\'7b}",
        "日\u{fffd}{",
    );
}

#[test]
fn headings_lists_and_title() {
    let source = b"{\\rtf1{\\stylesheet{\\s0 Normal;}{\\s1\\b heading 1;}{\\s2{\\*\\x y}\\outlinelevel1 Kapitel;}{\\*\\cs3 heading 3;}}\
        {\\info{\\title A {\\b report}}{\\author Nobody}}\
        \\pard\\s1 Findings\\par\\pard First.\\par\
        {\\listtext\\pard 1.\\tab}\\ls1 one\\par{\\pntext\\f3\\'b7\\tab}\\ilvl1 inner\\par\
        \\pard\\s2 Details\\par\\pard Last.}";
    let extracted = read(source).unwrap();
    assert_eq!(
        extracted.text,
        "Findings\n\nFirst.\n\n1. one\n  - inner\n\nDetails\n\nLast."
    );
    assert_eq!(extracted.title.as_deref(), Some("A report"));
    let paths: Vec<&str> = extracted.sections.iter().map(|s| s.path.as_str()).collect();
    assert_eq!(paths, ["Findings", "Findings › Details"]);
}

#[test]
fn tables_are_rows() {
    let row = |definition: &str, cells: &[&str]| {
        let cells: String = cells
            .iter()
            .map(|cell| format!("\\pard\\intbl {cell}\\cell"))
            .collect();
        format!("\\trowd{definition}{cells}\\row")
    };
    check(
        &[
            "Before\\par",
            &row("\\cellx100\\cellx200", &["River", "km"]),
            &row(
                "\\clvmgf\\cellx100\\cellx200",
                &["Danube", "2,850\\par (long)"],
            ),
            &row("\\clvmrg\\cellx100\\cellx200", &["", "1,770 mi"]),
            "\\pard After",
        ]
        .concat(),
        "Before\n\nRiver | km\nDanube | 2,850 (long)\nDanube | 1,770 mi\n\nAfter",
    );
    check("\\trowd\\intbl a\\cell b\\cell\\pard c\\par", "a | b\n\nc");
}

#[test]
fn notes_boxes_and_headers() {
    check(
        "{\\header Ref. 4711\\par}{\\footer 7}Claim{\\super\\chftn}{\\footnote {\\chftn} The proof.}. \
         {\\shp{\\*\\shpinst{\\sp{\\sn x}{\\sv 1}}{\\shptxt In a box\\par}}{\\shprslt old}}More.\\par",
        "Claim[1]. More.\n[1] The proof.\nIn a box\n\nRef. 4711",
    );
}

#[test]
fn what_is_left_out() {
    check(
        "a{\\v secret}{\\deleted gone}{\\*\\unknown x{y}}{\\pict 0011}{\\field{\\*\\fldinst HYPERLINK \"http://x\"}{\\fldrslt link}}\
         {\\object{\\*\\objdata 00}{\\result shown}}\\bin3 }}}b",
        "alinkshownb",
    );
}

#[test]
fn damage_is_told() {
    for source in [
        &b"{\\rtf1 a {b {c"[..],
        &[b"{\\rtf1".as_slice(), &b"{".repeat(20_000)].concat(),
    ] {
        assert_eq!(read(source).unwrap_err().code, FailureCode::Damaged);
    }
    // The last brace is forgotten now and then.
    assert_eq!(read(b"{\\rtf1 words").unwrap().text, "words");
    assert_eq!(read(b"{\\rtf1 words}}} more").unwrap().text, "words");
}
