//! Each format: a document beside everything that is expected of it.

use crate::{
    make::{self, docx, lines, p, p_with, shape},
    read, show,
};

#[track_caller]
fn check(bytes: &[u8], name: &str, expected: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shown = show(&runtime.block_on(read(bytes, name)));
    assert_eq!(shown, expected, "\n--- was ---\n{shown}\n");
}

#[test]
fn markdown() {
    let source = "---\ntitle: \"Notes\"\n---\n# Rivers\n\nText.\n\n```sh\n# no heading\n```\n\n## The *Danube* `x`\r\nMore\u{0}.\n\nSetext\n---\n";
    check(
        source.as_bytes(),
        "x.md",
        "text/markdown “Notes”\n\
         1 Rivers at \"# Rivers\\n\\nTe\"\n\
         2 Rivers › The Danube x at \"## The *Danu\"\n\
         2 Rivers › Setext at \"Setext\\n---\"\n\
         ---\n\
         ---\ntitle: \"Notes\"\n---\n# Rivers\n\nText.\n\n```sh\n# no heading\n```\n\n## The *Danube* `x`\nMore.\n\nSetext\n---",
    );
}

#[test]
fn plain_text_in_its_encodings() {
    check("größer\r\n".as_bytes(), "x.txt", "text/plain\n---\ngrößer");
    check(b"\xff\xfeg\0r\0\xf6\0", "x.txt", "text/plain\n---\ngrö");
    check(
        b"the \x93word\x94 \x96 in Windows-1252, caf\xe9",
        "x.txt",
        "text/plain\n---\nthe “word” – in Windows-1252, café",
    );
}

#[test]
fn tables_of_values() {
    check(
        b"Name;Born;Note\nAda;1815;\"wrote; the first\nprogram\"\nCharles;1791;\n;;\n",
        "x.csv",
        "text/csv\n---\nName | Born | Note\nName: Ada; Born: 1815; Note: wrote; the first program\nName: Charles; Born: 1791",
    );
    check(
        b"1,2,3\na,b,c,d\n",
        "x.csv",
        "text/csv\n---\n1 | 2 | 3\na | b | c | d",
    );
    check(
        b"Name\tAge\textra\nAda\t36\tx\ty\n",
        "x.tsv",
        "text/csv\n---\nName | Age | extra\nAda | 36 | x | y",
    );
    check(
        b"sep=|\nName|Age\nAda|36\n",
        "x.csv",
        "text/csv\n---\nName | Age\nName: Ada; Age: 36",
    );
}

#[test]
fn html() {
    let source = r#"<!DOCTYPE html><html><head><title> The
        page </title><style>p { color: red }</style><script>alert("no")</script></head>
        <body><h1>Rivers <em>of</em> Europe</h1>
        <p>The&nbsp;Danube <b>flows</b>
           east.<br>It is long.</p><p hidden>hidden</p><div style="Display : none">hidden too</div>
        <img src="http://127.0.0.1:9/x.png" alt="A map">
        <h2>List</h2><ul><li>one<li>two<ol start="3"><li>inner</ol></ul>
        <table><caption>Lengths</caption><tr><th>River<th>km</tr>
        <tr><td rowspan=2>Danube<td><p>2,850</p></tr><tr><td>1,770&nbsp;mi</tr></table>
        <pre>  code
    stays</pre><template>no</template><p>End&#173;ing.</body></html>"#;
    check(
        source.as_bytes(),
        "x.html",
        "text/html “The page”\n\
         1 Rivers of Europe at \"Rivers of Eu\"\n\
         2 Rivers of Europe › List at \"List\\n\\n- one\\n\"\n\
         ---\n\
         Rivers of Europe\n\nThe Danube flows east.\nIt is long.\n\nA map\n\nList\n\n- one\n- two\n  3. inner\n\n\
         Lengths\nRiver | km\nDanube | 2,850\nDanube | 1,770 mi\n\n  code\n    stays\nEnding.",
    );
}

#[test]
fn html_laid_out_with_tables() {
    let source =
        "<html><table><tr><td><h1>News</h1><p>First.</p><td><table><tr><td>a<td>b</table></table>";
    check(
        source.as_bytes(),
        "x.html",
        "text/html\n1 News at \"News\\n\\nFirst.\"\n---\nNews\n\nFirst.\n\na | b",
    );
}

const STYLES: &str = r#"<w:styles xmlns:w="w">
    <w:style w:type="paragraph" w:styleId="h1"><w:name w:val="heading 1"/></w:style>
    <w:style w:type="paragraph" w:styleId="h2"><w:name w:val="Kapitel"/><w:basedOn w:val="h1"/><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>
    <w:style w:type="paragraph" w:styleId="t"><w:name w:val="Title"/></w:style>
    </w:styles>"#;

const NUMBERING: &str = r#"<w:numbering xmlns:w="w"><w:abstractNum w:abstractNumId="0">
    <w:lvl w:ilvl="0"><w:start w:val="1"/><w:numFmt w:val="decimal"/><w:lvlText w:val="%1."/></w:lvl>
    <w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="bullet"/><w:lvlText w:val="o"/></w:lvl></w:abstractNum>
    <w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>"#;

#[test]
fn word_headings_lists_and_title() {
    let item = |level: u8, words: &str| {
        p_with(
            &format!(r#"<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>"#),
            words,
        )
    };
    let body = [
        p_with(r#"<w:pStyle w:val="t"/>"#, "A Report"),
        p_with(r#"<w:pStyle w:val="h1"/>"#, "Findings"),
        p("First."),
        item(0, "one"),
        item(1, "inner"),
        item(0, "two"),
        p_with(r#"<w:pStyle w:val="h2"/>"#, "Details &amp; more"),
        p("Last."),
    ]
    .concat();
    check(
        &docx(&body, &[("styles", STYLES), ("numbering", NUMBERING)]),
        "x.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document “A Report”\n\
         1 Findings at \"Findings\\n\\nFi\"\n\
         2 Findings › Details & more at \"Details & mo\"\n\
         ---\n\
         A Report\n\nFindings\n\nFirst.\n\n1. one\n  - inner\n2. two\n\nDetails & more\n\nLast.",
    );
}

#[test]
fn word_tables_notes_revisions_and_boxes() {
    let cell = |properties: &str, words: &str| {
        format!("<w:tc><w:tcPr>{properties}</w:tcPr>{}</w:tc>", p(words))
    };
    let body = [
        r#"<w:p><w:r><w:t>Claim</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t>.</w:t></w:r></w:p>"#.to_owned(),
        r#"<w:p><w:ins><w:r><w:t>new </w:t></w:r></w:ins><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:r><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r><w:r><w:t>words</w:t><w:tab/><w:t>☒ done</w:t></w:r></w:p>"#.to_owned(),
        format!("<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>",
            cell("", "River"), cell("", "km"),
            cell(r#"<w:vMerge w:val="restart"/>"#, "Danube"), cell("", "2,850"),
            cell("<w:vMerge/>", ""), cell("", "long")),
        format!("<w:p><w:r><w:t>Anchor</w:t></w:r><w:r><w:pict><w:txbxContent>{}</w:txbxContent></w:pict></w:r></w:p>", p("In a box")),
        r#"<w:p><m:oMath xmlns:m="m"><m:r><m:t>A=</m:t></m:r><m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:oMath></w:p>"#.to_owned(),
    ]
    .concat();
    let footnotes = format!(
        r#"<w:footnotes xmlns:w="w"><w:footnote w:id="0" w:type="separator">{}</w:footnote><w:footnote w:id="2">{}</w:footnote></w:footnotes>"#,
        p("---"),
        p("The proof.")
    );
    let header = format!(r#"<w:hdr xmlns:w="w">{}</w:hdr>"#, p("Ref. 4711/B"));
    let footer = format!(r#"<w:ftr xmlns:w="w">{}</w:ftr>"#, p("7"));
    check(
        &docx(
            &body,
            &[
                ("footnotes", &footnotes),
                ("header", &header),
                ("footer", &footer),
            ],
        ),
        "x.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document\n\
         ---\n\
         Ref. 4711/B\n\nClaim[1].\n[1] The proof.\n\nnew words [x] done\n\nRiver | km\nDanube | 2,850\nDanube | long\n\nAnchor\nIn a box\n\nA=r^{2}",
    );
}

#[test]
fn pdf_pages() {
    let first = lines(
        72,
        700,
        &[
            "The Danube is the second",
            "longest river of Europe, an exam-",
            "ple of a long one (really).",
        ],
    );
    check(
        &make::pdf(&[&first, "", &lines(72, 700, &["Page three."])]),
        "x.pdf",
        "application/pdf\n\
         page 1 text 0..84 by Unpdf\n\
         page 2 empty 84..84 by Unpdf\n\
         page 3 text 86..97 by Unpdf\n\
         ---\n\
         The Danube is the second longest river of Europe, an example of a long one (really).\n\nPage three.",
    );
}

#[test]
fn pdf_columns_are_read_one_after_the_other() {
    let left = [
        "The left column tells of rivers,",
        "of their sources and their mouths,",
        "and of the towns that stand there,",
        "which are many in every country.",
    ];
    let right = [
        "The right column tells of hills,",
        "of their forests and their caves,",
        "and of the roads that lead there,",
        "which are few in every season.",
    ];
    // Line by line across, as some producers write.
    let mut content = String::new();
    for row in 0..4 {
        let y = 700 - 14 * row as u32;
        content += &lines(60, y, &[left[row]]);
        content += &lines(330, y, &[right[row]]);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let extracted = runtime
        .block_on(read(&make::pdf(&[&content]), "x.pdf"))
        .unwrap();
    let flat = extracted.text.replace('\n', " ");
    let left_end = flat.find("many in every country").unwrap();
    let right_start = flat.find("The right column").unwrap();
    assert!(left_end < right_start, "{}", extracted.text);
}

#[test]
fn pdf_forms_that_were_filled_in() {
    use lopdf::{Object, dictionary, text_string};
    let mut document = make::document(&[&lines(72, 700, &["Application"]), ""]);
    let pages: Vec<lopdf::ObjectId> = document.get_pages().into_values().collect();
    for (page, name, value) in [
        (pages[0], "Surname", "Okafor"),
        (pages[0], "Kind", "Application"),
        (pages[1], "Remarks", "None so far"),
    ] {
        let field = document.add_object(dictionary! {
            "Subtype" => "Widget", "FT" => "Tx", "TU" => text_string(name), "V" => text_string(value),
        });
        let page = document.get_dictionary_mut(page).unwrap();
        let mut annotations = page
            .get(b"Annots")
            .and_then(Object::as_array)
            .cloned()
            .unwrap_or_default();
        annotations.push(field.into());
        page.set("Annots", annotations);
    }
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    check(
        &bytes,
        "x.pdf",
        "application/pdf\n\
         page 1 text 0..28 by Unpdf\n\
         page 2 text 30..50 by Unpdf\n\
         ---\n\
         Application\n\nSurname: Okafor\n\nRemarks: None so far",
    );
}

#[test]
fn slides_are_pages() {
    let first = [
        shape("body", &["Text of the first."]),
        shape("title", &["Rivers"]),
        shape("ftr", &["Confidential"]),
    ]
    .concat();
    let third = [
        shape("body", &["No title here."]),
        shape("ftr", &["Confidential"]),
    ]
    .concat();
    let parts = make::pptx_parts(&[&first, "", &third], "Speak slowly.");
    check(
        &make::package(&parts),
        "x.pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation\n\
         page 1 text 0..62 by Pptx\n\
         page 2 empty 62..62 by Pptx\n\
         page 3 text 64..78 by Pptx\n\
         1 Rivers at \"Rivers\\n\\nText\"\n\
         1 Slide 2 at \"No title her\"\n\
         1 Slide 3 at \"No title her\"\n\
         ---\n\
         Rivers\n\nText of the first.\n\nConfidential\n\nNotes: Speak slowly.\n\nNo title here.",
    );
}

#[test]
fn sheets_are_pages() {
    let costs = r#"<sheetData>
        <row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="s"><v>2</v></c></row>
        <row r="2"><c r="A2" t="s"><v>3</v></c><c r="B2" s="1"><v>45356</v></c><c r="C2" s="2"><v>0.125</v></c></row>
        <row r="3"><c r="B3" s="1"><v>45387</v></c><c r="C3"><v>7</v></c></row></sheetData>
        <mergeCells count="1"><mergeCell ref="A2:A3"/></mergeCells>"#;
    let secret = r#"<sheetData><row><c t="str"><v>hidden</v></c></row></sheetData>"#;
    let styles = r#"<numFmts><numFmt numFmtId="165" formatCode="0.0%"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="165"/></cellXfs>"#;
    let parts = make::xlsx_parts(
        &[
            ("Costs", "visible", costs),
            ("Secret", "hidden", secret),
            ("Empty", "visible", ""),
        ],
        &["Item", "Paid", "Share", "Rent"],
        styles,
    );
    check(
        &make::package(&parts),
        "x.xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet\n\
         page 1 text 0..101 by Xlsx\n\
         page 2 empty 101..101 by Xlsx\n\
         1 Costs at \"Item | Paid \"\n\
         1 Empty at \"\"\n\
         ---\n\
         Item | Paid | Share\nItem: Rent; Paid: 2024-03-05; Share: 12.5%\nItem: Rent; Paid: 2024-04-05; Share: 7",
    );
}

#[test]
fn open_document_text() {
    let styles = r#"<office:master-styles><style:master-page><style:header><text:p>Ref. 4711/B</text:p></style:header><style:footer><text:p>7</text:p></style:footer></style:master-page></office:master-styles>"#;
    let automatic = r#"<style:style style:name="P1" style:parent-style-name="Title"/>
        <style:style style:name="T1"><style:text-properties text:display="none"/></style:style>
        <text:list-style style:name="L1"><text:list-level-style-number text:level="1" style:num-format="1" style:num-suffix="."/><text:list-level-style-bullet text:level="2"/></text:list-style>"#;
    let body = r#"<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region></text:tracked-changes>
        <text:h text:outline-level="1">Find<text:span>ings</text:span></text:h>
        <text:p>First<text:s text:c="2"/>line<text:line-break/>second<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>The proof.</text:p></text:note-body></text:note>.<text:span text:style-name="T1">secret</text:span><office:annotation><text:p>remark</text:p></office:annotation></text:p>
        <text:list text:style-name="L1"><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item><text:list-item><text:p>two</text:p></text:list-item></text:list>
        <text:h text:outline-level="2">Lengths</text:h>
        <table:table><table:table-row><table:table-cell><text:p>River</text:p></table:table-cell><table:table-cell><text:p>km</text:p></table:table-cell></table:table-row>
        <table:table-row><table:table-cell table:number-rows-spanned="2"><text:p>Danube</text:p></table:table-cell><table:table-cell><text:p>2,850</text:p></table:table-cell></table:table-row>
        <table:table-row><table:covered-table-cell/><table:table-cell><text:p>long</text:p></table:table-cell></table:table-row></table:table>
        <text:p>Anchor<draw:frame><draw:text-box><text:p>In a box</text:p></draw:text-box></draw:frame></text:p>"#;
    check(
        &make::package(&make::odt_parts(styles, automatic, body)),
        "x.odt",
        "application/vnd.oasis.opendocument.text “A letter”\n\
         1 Findings at \"Findings\\n\\nFi\"\n\
         2 Findings › Lengths at \"Lengths\\n\\nRiv\"\n\
         ---\n\
         Ref. 4711/B\n\nFindings\n\nFirst line\nsecond[1].\n[1] The proof.\n\n1. one\n  - inner\n2. two\n\n\
         Lengths\n\nRiver | km\nDanube | 2,850\nDanube | long\n\nAnchor\nIn a box",
    );
}

#[test]
fn books_follow_their_spine() {
    let contents = r#"<html xmlns="http://www.w3.org/1999/xhtml"><nav><ol><li><a href="text/chapter%200.xhtml">Preface</a></li><li><a href="text/chapter%201.xhtml#top">Other name</a></li></ol></nav></html>"#;
    let chapters = [
        r#"<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.1//EN" "http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd"><html xmlns="http://www.w3.org/1999/xhtml"><head><title/></head><body><p>Before all.</p></body></html>"#,
        r#"<html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title><script src="x"/></head><body><h1>One</h1><p>First <a id="a"/>words.</p><h2>Inner</h2><p>More.</p></body></html>"#,
    ];
    check(
        &make::package(&make::epub_parts(&chapters, contents)),
        "x.epub",
        "application/epub+zip “A Book”\n\
         1 Preface at \"Before all.\\n\"\n\
         1 One at \"One\\n\\nFirst w\"\n\
         2 One › Inner at \"Inner\\n\\nMore.\"\n\
         ---\n\
         Before all.\n\nOne\n\nFirst words.\n\nInner\n\nMore.",
    );
    let mut protected = make::epub_parts(&chapters, contents);
    protected.push((
        "META-INF/encryption.xml".to_owned(),
        r#"<encryption><CipherReference URI="OPS/text/chapter%201.xhtml"/></encryption>"#
            .to_owned(),
    ));
    check(
        &make::package(&protected),
        "x.epub",
        "encrypted: the book is protected by its seller (DRM) and opens only in their reader",
    );
}

#[test]
fn rich_text() {
    check(
        br"{\rtf1\ansi{\stylesheet{\s1 heading 1;}}\pard\s1 Gr\'fc\'dfe\par\pard Text.\par}",
        "letter.doc",
        "application/rtf\n1 Grüße at \"Grüße\\n\\nText.\"\n---\nGrüße\n\nText.",
    );
}

#[test]
fn mail() {
    check(
        b"From: Ada <ada@example.org>\r\nTo: Charles <c@example.org>\r\nSubject: =?utf-8?q?The_engine?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0000\r\n\r\nIt works.\r\n",
        "x.eml",
        "message/rfc822 “The engine”\n1 The engine at \"Subject: The\"\n---\n\
         Subject: The engine\nFrom: Ada <ada@example.org>\nTo: Charles <c@example.org>\nDate: Mon, 1 Jan 2024 10:00:00 +0000\n\nIt works.",
    );
}

#[test]
fn json() {
    check(
        br#"{"name": "Ada", "work": {"year": 1843}}"#,
        "x.txt",
        "application/json\n---\nname: Ada; work.year: 1843",
    );
}

#[test]
fn source_code_is_text_as_it_stands() {
    let source = "# a comment\ndef f(x):\n\treturn  x\n\n\nclass A:\n    pass";
    check(
        source.as_bytes(),
        "x.py",
        &format!("text/plain\n---\n{source}"),
    );
}

#[test]
fn word_documents_that_the_first_reader_cannot_read() {
    let broken = "<w:styles><w:style>";
    check(
        &docx(&p("The body is fine."), &[("styles", broken)]),
        "x.docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document\n---\nThe body is fine.",
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let engine_of = |bytes: &[u8]| {
        let read = runtime.block_on(read(bytes, "x.docx")).unwrap();
        (format!("{:?}", read.pages[0].engine), read.text.len())
    };
    let table = "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    let broken = docx(
        &[p("Words."), table.to_owned()].concat(),
        &[("numbering", "<a><b></a>")],
    );
    assert_eq!(engine_of(&broken), ("DocxRs".to_owned(), 9));
    // A text box of more than a mebibyte is too much for the first reader, which keeps the rest.
    let long = "word ".repeat(250_000);
    let boxed = format!(
        r#"<w:p><w:r><w:t>Anchor</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="mc"><mc:Choice Requires="wps"><w:drawing><wp:inline xmlns:wp="wp"><a:graphic xmlns:a="a"><a:graphicData><wps:wsp xmlns:wps="wps"><wps:txbx><w:txbxContent>{}</w:txbxContent></wps:txbx></wps:wsp></a:graphicData></a:graphic></wp:inline></w:drawing></mc:Choice></mc:AlternateContent></w:r></w:p>"#,
        p(&long)
    );
    let (engine, bytes) = engine_of(&docx(&boxed, &[]));
    assert_eq!(
        (engine.as_str(), bytes > 1_000_000),
        ("DocxRs", true),
        "{bytes}"
    );
    // What is hidden is no loss.
    let hidden = format!(
        r#"{}<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>{long}</w:t></w:r></w:p>"#,
        p("Shown.")
    );
    assert_eq!(engine_of(&docx(&hidden, &[])), ("Docx".to_owned(), 6));
}
